"""What random histories came to: how often each kind of command was answered how, and how orders,
trades, markets and batches went. What is `EXPECTED` and never happened is a hole in the asking.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.phases import FIRST, MOVES
from tests.model.reasons import TIPS
from tests.model.state import CAP, TOP

Key = tuple[str, str]
"""What it is about, and what happened."""

ORDER_REASONS: Final = (
    "client_order_id_reused",
    "expired_in_transit",
    "account_suspended",
    "rules_too_old",
    "too_many_commands",
    "instrument_unknown",
    "market_not_open",
    "expiry_passed",
    "quantity_too_small",
    "quantity_too_large",
    "notional_too_small",
    "notional_too_large",
    "price_outside_band",
    "would_trigger",
    "too_many_open_orders",
    "capacity_full",
    "post_only_would_trade",
    "insufficient_balance",
)
"""The precedence of placing under rules 2, first to last."""
_TARGET: Final = ("order_unknown", "order_ended")
_NEVER_OF_AMENDS: Final = frozenset(
    {
        "client_order_id_reused",
        "rules_too_old",
        "instrument_unknown",
        "expiry_passed",
        "would_trigger",
        "too_many_open_orders",
        "capacity_full",
    }
)
_AMENDS: Final = [reason for reason in ORDER_REASONS if reason not in _NEVER_OF_AMENDS]
_SETS: Final = ("expired_in_transit", "setting_invalid")
_NEW: Final = ("rules_too_old", "setting_invalid")
_OF_MARKET: Final = ("instrument_unknown", "expired_in_transit")
REASONS: Final[dict[str, Sequence[str]]] = {
    "place_order": ("repeated", *ORDER_REASONS),
    "place_group": ("repeated", *ORDER_REASONS),
    "replace_order": ("repeated", *ORDER_REASONS, *_TARGET, "replacement_differs"),
    "amend_order": (*_AMENDS, *_TARGET, "quantity_below_filled"),
    "cancel_order": ("expired_in_transit", *_TARGET),
    "cancel_all": _OF_MARKET,
    "credit": ("asset_unknown", "capacity_full", "asset_cap"),
    "debit": ("expired_in_transit", "asset_unknown", "insufficient_balance"),
    "add_asset": (*_SETS, "name_taken", "capacity_full"),
    "add_instrument": (*_SETS, "asset_unknown", "capacity_full"),
    "set_phase": (*_NEW, *_OF_MARKET, "phase_forbids_it"),
    "set_limits": (*_OF_MARKET, "setting_invalid"),
    "set_fees": (*_OF_MARKET, "setting_invalid"),
    "set_account": (*_NEW, "expired_in_transit", "capacity_full"),
    "set_dead_man": (*_NEW, "expired_in_transit", "capacity_full"),
    "kill": (*_OF_MARKET, "rules_too_old", "capacity_full"),
    "set_guards": (*_NEW, *_OF_MARKET),
    "set_mark": (*_NEW, *_OF_MARKET),
    "set_fee_market": (*_NEW, *_OF_MARKET),
    "set_sizes": _SETS,
    "use_rules": _SETS,
    "set_clock": ("expired_in_transit",),
    "open_session": ("capacity_full",),
    "close_session": (),
    "time": (),
}
"""Every answer that docs/matching.md knows, by kind of command; besides that it is done."""
OF_ORDERS: Final = ("place_order", "place_group", "replace_order", "amend_order", "cancel_order")
CANCELLED: Final = ("by_owner", "by_operator", "self_trade", "linked", "replaced", "dead_man")
EXPIRED: Final = (
    "ioc_remainder",
    "fok_unfillable",
    "no_liquidity",
    "time_reached",
    "trigger_refused",
    "min_quantity_unfillable",
    "price_band",
    "auction_remainder",
)
TRAITS: Final = (
    "by quote",
    "shown in part",
    "minimum fill",
    "protected",
    "trail in ticks",
    "trail in ppm",
    "activation",
    "by mark price",
    "oco",
    "bracket",
    "triggered",
)
_TIMES: Final = {
    "limit": ("gtc", "ioc", "fok", "gtd", "gfa"),
    "market": ("ioc",),
    "stop": ("ioc",),
    "stop_limit": ("gtc", "ioc", "fok", "gtd"),
    "take_profit": ("ioc",),
    "take_profit_limit": ("gtc", "ioc", "fok", "gtd"),
    "trailing_stop": ("ioc",),
}
TRADES: Final = (
    "with a fee",
    "with a fee of one unit",
    "without a fee",
    "with a rebate",
    "with a rebate of one unit",
    "with a fee in another asset",
    "with oneself",
    "in an auction",
)
BATCHES: Final = ("applied", "repeated", "never_applied", "unknown", "source_gap")


_OF_ORDERS: Final = (
    "a price of 2^62",
    "a quantity above 2^61",
    "a trigger of 2^62",
    "a trailing trigger of 1",
    "an expiry at the end of time",
    "an iceberg in a hundred pieces",
    "a minimum fill of everything",
)
_OF_TRADES: Final = (
    "a trade of one unit",
    "a trade above 2^61",
)
_OF_RECORDS: Final = ("a record at the end of time", "a balance of 2^62")
AT_EDGES: Final[tuple[Key, ...]] = tuple(
    ("edge", what) for what in (*_OF_ORDERS, *_OF_TRADES, *_OF_RECORDS)
)
"""What a history in a world with edges should have in it, too."""
ENDED: Final = (
    types.ORDER_STATE_FILLED,
    types.ORDER_STATE_CANCELLED,
    types.ORDER_STATE_EXPIRED,
)


def _word(enum: object, value: int, prefix: str) -> str:
    name: str = enum.Name(value)  # type: ignore[attr-defined]
    return name.removeprefix(prefix + "_").lower()


def _phase(phase: types.Phase) -> str:
    return _word(types.Phase, phase, "PHASE")


def _moves() -> Iterable[Key]:
    for left, entered in MOVES.items():
        for phase in entered:
            yield "phase", f"{_phase(left)} to {_phase(phase)}"
    for phase in FIRST:
        yield "phase", f"new to {_phase(phase)}"


EXPECTED: Final[tuple[Key, ...]] = (
    *((kind, reason) for kind, reasons in REASONS.items() for reason in ("done", *reasons)),
    *(("order", f"{kind} {time}") for kind, times in _TIMES.items() for time in times),
    *(("order", trait) for trait in TRAITS),
    ("ended", "filled"),
    *(("ended", f"cancelled {reason}") for reason in CANCELLED),
    *(("ended", f"expired {reason}") for reason in EXPIRED),
    *(("trade", what) for what in TRADES),
    *sorted(_moves()),
    *(("batch", status) for status in BATCHES),
)
"""Everything that a long random history in a world of any size should have in it."""


class Tally:
    """Counts of what happened, by `Key`."""

    def __init__(self) -> None:
        self.counts: Counter[Key] = Counter()
        self.commands = 0
        self._phases: dict[int, types.Phase] = {}
        self._seen: set[tuple[int, str]] = set()

    def count(
        self, events: matching.EventRecord, answers: Iterable[matching.SubmitResponse]
    ) -> None:
        """One record: its whole events, and what its batches were answered."""
        self.commands += len(events.commands)
        self.counts.update(map(_answered, events.commands))
        for stated in events.orders:
            self._count_order(stated.order)
        for event in events.instruments:
            self._count_phase(event.instrument)
        for trade in events.trades:
            self.counts.update(_of_trade(trade))
        self.counts.update(_edges_of(events))
        for answer in answers:
            status = _word(matching.BatchStatus, answer.status, "BATCH_STATUS")
            self.counts["batch", status] += 1

    def add(self, other: "Tally") -> None:
        """What another has counted, too."""
        self.counts += other.counts
        self.commands += other.commands

    def missing(self, expected: Iterable[Key] = EXPECTED) -> list[Key]:
        """What is expected and never happened."""
        return [key for key in expected if not self.counts[key]]

    def table(self) -> list[str]:
        """A line for everything that is expected or happened."""
        more = sorted(key for key in self.counts if key not in EXPECTED)
        abouts = list(dict.fromkeys(about for about, _ in (*EXPECTED, *more)))
        rows = sorted([*EXPECTED, *more], key=lambda key: abouts.index(key[0]))
        return [f"{about:15} {what:42}{self.counts[about, what]:>11,}" for about, what in rows]

    def _count_order(self, order: types.Order) -> None:
        traits = {(order.order_id, trait) for trait in _traits(order)} - self._seen
        self._seen |= traits
        self.counts.update(("order", trait) for _, trait in traits)
        self.counts.update(_edges_of_order(order))
        if order.state in ENDED:
            state = _word(types.OrderState, order.state, "ORDER_STATE")
            reason = _word(types.EndReason, order.reason, "END_REASON") if order.reason else ""
            self.counts["ended", f"{state} {reason}".strip()] += 1

    def _count_phase(self, instrument: types.Instrument) -> None:
        left = self._phases.get(instrument.instrument)
        if left != instrument.phase:
            before = "new" if left is None else _phase(left)
            self.counts["phase", f"{before} to {_phase(instrument.phase)}"] += 1
        self._phases[instrument.instrument] = instrument.phase


def _answered(mark: matching.CommandMark) -> Key:
    kind = _word(matching.CommandKind, mark.kind, "COMMAND_KIND")
    if mark.repeated:
        return kind, "repeated"
    return kind, _word(matching.Refusal, mark.refusal, "REFUSAL") if mark.refusal else "done"


def _traits(order: types.Order) -> Iterable[str]:
    kind = _word(types.OrderType, order.type, "ORDER_TYPE")
    yield f"{kind} {_word(types.TimeInForce, order.time_in_force, 'TIME_IN_FORCE')}"
    has = (
        order.quote_minor,
        order.display_lots,
        order.min_fill_lots,
        order.protection_ticks,
        order.trail_ticks,
        order.trail_ppm,
        order.activation_ticks,
        order.trigger_by == types.TRIGGER_BY_MARK_PRICE,
        order.group_kind == types.GROUP_KIND_OCO,
        order.group_kind == types.GROUP_KIND_BRACKET,
        order.triggered_us,
    )
    yield from (trait for trait, value in zip(TRAITS, has, strict=True) if value)


def _of_trade(trade: matching.TradeEvent) -> Iterable[Key]:
    fees = (trade.taker_fee_minor, trade.maker_fee_minor)
    has = (
        max(fees) > 0,
        1 in fees,
        0 in fees,
        min(fees) < 0,
        -1 in fees,
        trade.taker_fee_asset or trade.maker_fee_asset,
        trade.taker_account == trade.maker_account,
        trade.auction,
    )
    yield from (("trade", what) for what, value in zip(TRADES, has, strict=True) if value)


def _edges_of(events: matching.EventRecord) -> Iterable[Key]:
    for trade in events.trades:
        worth = max(trade.quote_minor, trade.base_minor)
        has = (trade.quote_minor == 1, worth > CAP // 2)
        yield from (("edge", what) for what, value in zip(_OF_TRADES, has, strict=True) if value)
    full = any(b.available_minor + b.held_minor == CAP for b in events.balances)
    has_record = (events.time_us == TOP, full)
    yield from (("edge", what) for what, v in zip(_OF_RECORDS, has_record, strict=True) if v)


def _edges_of_order(order: types.Order) -> Iterable[Key]:
    pieces = -(-order.quantity_lots // max(1, order.display_lots))
    has = (
        order.price_ticks == CAP,
        order.quantity_lots > CAP // 2,
        order.trigger_ticks == CAP,
        order.trigger_ticks == 1 and order.type == types.ORDER_TYPE_TRAILING_STOP,
        order.expires_us == TOP,
        order.display_lots and pieces == TIPS,
        order.min_fill_lots and order.min_fill_lots == order.quantity_lots,
    )
    yield from (("edge", what) for what, value in zip(_OF_ORDERS, has, strict=True) if value)
