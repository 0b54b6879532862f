"""A market and its mirror image: prices turned round their middle, buying for selling.

Everybody there has money enough, nothing costs anything, and no limit is ever met: what is left is
what the book does. Shares of a price (parts per million) have no mirror image and are not asked.
"""

from random import Random
from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.book import OPPOSITE

MIDDLE: Final = 100
PRICES: Final = tuple(range(95, 106))
PEOPLE: Final = (1000, 1001, 1002, 1003)
INSTRUMENT: Final = 1024
PLENTY: Final = 2**56
PRICED: Final = ("price_ticks", "trigger_ticks", "activation_ticks", "protection_ticks")
PHASES: Final = (
    types.PHASE_CONTINUOUS,
    types.PHASE_CONTINUOUS,
    types.PHASE_CONTINUOUS,
    types.PHASE_PRE_OPEN,
    types.PHASE_OPENING_AUCTION,
    types.PHASE_VOLATILITY_AUCTION,
    types.PHASE_HALT,
    types.PHASE_POST_ONLY,
)
_FORCES: Final = (
    types.TIME_IN_FORCE_GTC,
    types.TIME_IN_FORCE_GTC,
    types.TIME_IN_FORCE_GTC,
    types.TIME_IN_FORCE_IOC,
    types.TIME_IN_FORCE_FOK,
)
_MODES: Final = (
    types.SELF_TRADE_PREVENTION_UNSPECIFIED,
    types.SELF_TRADE_PREVENTION_NONE,
    types.SELF_TRADE_PREVENTION_CANCEL_MAKER,
    types.SELF_TRADE_PREVENTION_CANCEL_TAKER,
    types.SELF_TRADE_PREVENTION_CANCEL_BOTH,
    types.SELF_TRADE_PREVENTION_DECREMENT,
)
_STOPS: Final = (types.ORDER_TYPE_STOP, types.ORDER_TYPE_TAKE_PROFIT)
_LIMITS: Final = (types.ORDER_TYPE_STOP_LIMIT, types.ORDER_TYPE_TAKE_PROFIT_LIMIT)

_OTHERS: Final = (
    types.ORDER_TYPE_MARKET,
    *_STOPS,
    *_LIMITS,
    types.ORDER_TYPE_TRAILING_STOP,
)


def _turn(price_ticks: int) -> int:
    return 2 * MIDDLE - price_ticks


def _mirror_order(order: matching.PlaceOrder) -> None:
    order.side = OPPOSITE[order.side]
    for name in PRICED:
        if getattr(order, name):
            setattr(order, name, _turn(getattr(order, name)))


def _mirrored(command: matching.Command) -> matching.Command:
    other = matching.Command()
    other.CopyFrom(command)
    kind = command.WhichOneof("kind")
    if kind == "place_order":
        _mirror_order(other.place_order)
    elif kind == "replace_order":
        _mirror_order(other.replace_order.order)
    elif kind == "place_group":
        for order in (other.place_group.first, other.place_group.second):
            _mirror_order(order)
    elif kind == "amend_order" and command.amend_order.price_ticks:
        other.amend_order.price_ticks = _turn(command.amend_order.price_ticks)
    elif kind == "set_mark":
        other.set_mark.price_ticks = _turn(command.set_mark.price_ticks)
    elif kind == "set_guards":
        other.set_guards.reference_ticks = _turn(command.set_guards.reference_ticks)
    return other


def mirrored_event(trade: matching.TradeEvent) -> matching.TradeEvent:
    """The trade as the mirror has it. Lots are one unit of base, ticks of quote; no fees."""
    other = matching.TradeEvent()
    other.CopyFrom(trade)
    other.price_ticks = _turn(trade.price_ticks)
    other.taker_side = OPPOSITE[trade.taker_side]
    other.quote_minor = other.price_ticks * trade.lots
    return other


class Market:
    """Asks at random, here and in the mirror."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.number = 0
        self.orders = 0
        self.opened = 0

    def next_records(self) -> tuple[matching.CommandRecord, matching.CommandRecord]:
        """The next record of both: first what opens the market, then up to eight commands."""
        self.opened += 1
        if self.opened == 1:
            return self._alike(matching.SubmitRequest(commands=[_with_id(open_session={})]))
        if self.opened == 2:
            return self._alike(self._batch(_market()), self._credits())
        commands = [self._any() for _ in range(self.random.randint(1, 8))]
        here = self._batch(commands)
        there = matching.SubmitRequest()
        there.CopyFrom(here)
        del there.commands[:]
        there.commands.extend(_mirrored(command) for command in commands)
        return _record(here), _record(there)

    def _alike(
        self, *batches: matching.SubmitRequest
    ) -> tuple[matching.CommandRecord, matching.CommandRecord]:
        return _record(*batches), _record(*batches)

    def _batch(self, commands: list[matching.Command]) -> matching.SubmitRequest:
        self.number += 1
        return matching.SubmitRequest(session=1, number=self.number, commands=commands)

    def _credits(self) -> matching.SubmitRequest:
        commands = [
            _with_id(who, credit=matching.Credit(asset=asset, amount_minor=PLENTY))
            for who in PEOPLE
            for asset in (1, 2)
        ]
        return matching.SubmitRequest(source=1, number=1, commands=commands)

    def _any(self) -> matching.Command:
        who = self.random.choice(PEOPLE)
        some_id = max(1, self.orders - self.random.randrange(12)) * 1024
        ask = self.random.randrange(20)
        if ask < 12:
            return _with_id(who, place_order=self._order())
        if ask == 12:
            return _with_id(who, place_group=self._pair())
        if ask == 13:
            body = matching.ReplaceOrder(order_id=some_id, order=self._order())
            return _with_id(who, replace_order=body)
        if ask == 14:
            amend = matching.AmendOrder(order_id=some_id, quantity_lots=self.random.randint(1, 9))
            if self.random.random() < 0.6:
                amend.price_ticks = self.random.choice(PRICES)
            return _with_id(who, amend_order=amend)
        if ask == 15:
            return _with_id(who, cancel_all=matching.CancelAll())
        if ask == 16:
            phase = self.random.choice(PHASES)
            return _with_id(set_phase=matching.SetPhase(instrument=INSTRUMENT, phase=phase))
        return _with_id(who, cancel_order=matching.CancelOrder(order_id=some_id))

    def _order(self) -> matching.PlaceOrder:
        self.orders += 1
        chance = self.random
        order = matching.PlaceOrder(
            instrument=INSTRUMENT,
            side=chance.choice((types.SIDE_BUY, types.SIDE_SELL)),
            type=types.ORDER_TYPE_LIMIT,
            time_in_force=chance.choice(_FORCES),
            self_trade_prevention=chance.choice(_MODES),
            price_ticks=chance.choice(PRICES),
            quantity_lots=chance.randint(1, 20),
        )
        if chance.random() < 0.2:
            order.time_in_force = types.TIME_IN_FORCE_GTC
            order.display_lots = chance.randint(1, 4)
        if chance.random() < 0.4:
            self._make_other(order)
        return order

    def _make_other(self, order: matching.PlaceOrder) -> None:
        chance = self.random
        order.display_lots = 0
        order.type = chance.choice(_OTHERS)
        if order.type not in _LIMITS:
            order.price_ticks = 0
            order.time_in_force = types.TIME_IN_FORCE_IOC
        if order.type in (*_STOPS, *_LIMITS):
            order.trigger_ticks = chance.choice(PRICES)
        if order.type == types.ORDER_TYPE_TRAILING_STOP:
            order.trail_ticks = chance.randint(1, 4)

    def _pair(self) -> matching.PlaceGroup:
        first, second = self._order(), self._order()
        second.side = first.side
        for order, kind in ((first, types.ORDER_TYPE_LIMIT), (second, types.ORDER_TYPE_STOP)):
            quantity, side = order.quantity_lots, order.side
            order.Clear()
            order.instrument, order.side, order.type = INSTRUMENT, side, kind
            order.quantity_lots = quantity
        first.time_in_force, first.post_only = types.TIME_IN_FORCE_GTC, True
        first.price_ticks = self.random.choice(PRICES)
        second.time_in_force = types.TIME_IN_FORCE_IOC
        second.trigger_ticks = self.random.choice(PRICES)
        return matching.PlaceGroup(kind=types.GROUP_KIND_OCO, first=first, second=second)


def _with_id(account: int = 0, **kind: object) -> matching.Command:
    return matching.Command(request_id=bytes(16), account=account, **kind)  # type: ignore[arg-type]


def _record(*batches: matching.SubmitRequest) -> matching.CommandRecord:
    return matching.CommandRecord(requests=[batch.SerializeToString() for batch in batches])


def _market() -> list[matching.Command]:
    assets = [types.Asset(asset=number, code="XAB"[number]) for number in (1, 2)]
    market = types.Instrument(
        symbol="A-B",
        base_asset=1,
        quote_asset=2,
        lot_minor=1,
        tick_units=1,
        phase=types.PHASE_CONTINUOUS,
        min_quantity_lots=1,
        max_quantity_lots=1_000,
        max_notional_minor=2**62,
        market_protection_ppm=1_000_000,
        fees=[types.FeeRate()],
    )
    return [
        _with_id(use_rules=matching.UseRules(version=2)),
        *[_with_id(add_asset=matching.AddAsset(asset=asset)) for asset in assets],
        _with_id(add_instrument=matching.AddInstrument(instrument=market)),
        _with_id(set_guards=matching.SetGuards(instrument=INSTRUMENT, reference_ticks=MIDDLE)),
    ]
