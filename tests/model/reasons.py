"""Why an order is not taken, in the order of precedence."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.arrival import need
from tests.model.book import Reasons, best_opposite, gives, hold, receives, within
from tests.model.guards import outside_static_band
from tests.model.phases import RESTS, takes
from tests.model.prices import follow, is_trailing, meets, price_of
from tests.model.state import FEES, TOP, State

TRAILING: Final = 1_024
"""How many trailing stops may wait in an instrument."""
TIPS: Final = 100
"""In how many pieces an iceberg may show itself: each of them is a fill to state."""
SECOND_US: Final = 1_000_000


class Beside(NamedTuple):
    """Orders that count as placed while another is judged, and one that counts as gone."""

    placed: Sequence[types.Order] = ()
    gone: types.Order | None = None


ALONE: Final = Beside()

# --- The command ----------------------------------------------------------------------------


def why_nothing(s: State, command: matching.Command) -> Reasons:
    """What stands against doing anything at all now."""
    yield s.halt_sequence != 0, matching.REFUSAL_SHARD_HALTED
    yield s.expired(command), matching.REFUSAL_EXPIRED_IN_TRANSIT


def why_not_command(s: State, command: matching.Command) -> Reasons:
    """What concerns a command that places or changes orders, whatever is in it."""
    yield from why_nothing(s, command)
    yield suspended(s, command.account), matching.REFUSAL_ACCOUNT_SUSPENDED
    yield too_old(s, command), matching.REFUSAL_RULES_TOO_OLD
    yield not let_through(s, command.account), matching.REFUSAL_TOO_MANY_COMMANDS


def suspended(s: State, account: int) -> bool:
    """It may only cancel. So may the fee account, which has to be able to pay rebates."""
    return account == FEES or (account in s.accounts and s.accounts[account].suspended)


NEW_FIELDS: Final = {
    "place_order": (
        "trigger_ticks",
        "trigger_by",
        "trail_ticks",
        "trail_ppm",
        "activation_ticks",
        "display_lots",
        "min_fill_lots",
        "expires_us",
        "protection_ticks",
    ),
    "set_account": ("max_open_orders", "max_commands_per_second", "pays_fee_asset"),
    "set_phase": ("until_us",),
}
NEW_KINDS: Final = frozenset(
    {
        "replace_order",
        "place_group",
        "set_guards",
        "set_mark",
        "set_dead_man",
        "kill",
        "set_fee_market",
    }
)


def too_old(s: State, command: matching.Command) -> bool:
    """The command, or a field of it, belongs to rules 2, and the rules are older."""
    kind = command.WhichOneof("kind") or ""
    body = getattr(command, kind)
    new = any(getattr(body, name) for name in NEW_FIELDS.get(kind, ()))
    if kind == "place_order":
        new = new or body.type > types.ORDER_TYPE_MARKET
        new = new or body.time_in_force > types.TIME_IN_FORCE_FOK
    return (s.rules < 2 and (new or kind in NEW_KINDS)) or (s.rules < 3 and kind == "resume")


def let_through(s: State, account: int) -> bool:
    """Count one more in this second of the clock, unless the account had as many as it may."""
    settings = s.accounts.get(account)
    most = settings.max_commands_per_second if settings else 0
    second, count = s.let_through.get(account, (0, 0))
    if not most:
        return True
    now = s.clock_us // SECOND_US
    count = count if second == now else 0
    if count < most:
        s.let_through[account] = now, count + 1
    return count < most


# --- The order ------------------------------------------------------------------------------


def why_not_order(s: State, order: types.Order, beside: Beside) -> Reasons:
    """Everything that can be said against placing an order in a market that there is."""
    yield from why_not_size(s, order)
    yield would_trigger(s, order), matching.REFUSAL_WOULD_TRIGGER
    yield from why_not_room(s, order, beside)
    yield from why_not_now(s, order, beside)


def why_not_exit(s: State, order: types.Order, beside: Beside) -> Reasons:
    """The same for an exit that waits for its entry."""
    yield expiry_passed(s, order), matching.REFUSAL_EXPIRY_PASSED
    yield outside_static_band(s, order), matching.REFUSAL_PRICE_OUTSIDE_BAND
    yield from why_not_room(s, order, beside)


def why_not_size(s: State, order: types.Order) -> Reasons:
    """Phase, expiry, quantity, notional and band, as it is placed or is to be amended to."""
    instrument = s.instruments[order.instrument]
    yield not takes(instrument.phase, order), matching.REFUSAL_MARKET_NOT_OPEN
    yield expiry_passed(s, order), matching.REFUSAL_EXPIRY_PASSED
    lots = order.quantity_lots
    by_lots = not order.quote_minor
    tip = order.display_lots or lots
    too_small = min(lots, tip) < instrument.min_quantity_lots or tip * TIPS < lots
    yield by_lots and too_small, matching.REFUSAL_QUANTITY_TOO_SMALL
    yield by_lots and lots > instrument.max_quantity_lots, matching.REFUSAL_QUANTITY_TOO_LARGE
    yield by_lots and lots <= order.filled_lots, matching.REFUSAL_QUANTITY_BELOW_FILLED
    worth = notional(s, order)
    too_small = worth is not None and worth < instrument.min_notional_minor
    yield too_small, matching.REFUSAL_NOTIONAL_TOO_SMALL
    too_large = worth is not None and worth > instrument.max_notional_minor
    yield too_large, matching.REFUSAL_NOTIONAL_TOO_LARGE
    yield outside_static_band(s, order), matching.REFUSAL_PRICE_OUTSIDE_BAND


def would_trigger(s: State, order: types.Order) -> bool:
    """It is to wait for a price that is there already."""
    if order.state != types.ORDER_STATE_WAITING:
        return False
    now = types.Order()
    now.CopyFrom(order)
    if is_trailing(now):
        follow(now, price_of(s, now))
    return meets(now, price_of(s, now))


def expiry_passed(s: State, order: types.Order) -> bool:
    return 0 != order.expires_us <= s.clock_us


def notional(s: State, order: types.Order) -> int | None:
    """What the limits are held against, or nothing where there is no price to say so."""
    waits = order.state == types.ORDER_STATE_WAITING
    if waits and is_trailing(order):
        return None
    ahead = order.trigger_ticks if waits else best_opposite(s, order)
    price = order.price_ticks or ahead
    lot = price * s.instruments[order.instrument].tick_lot_minor
    return order.quote_minor or order.quantity_lots * lot or None


def why_not_room(s: State, order: types.Order, beside: Beside) -> Reasons:
    """The account's open orders, the pools and memories."""
    stays = may_stay(order)
    others = [*s.orders.values(), *filter(may_stay, beside.placed)]
    others = [other for other in others if other is not beside.gone]
    settings = s.accounts.get(order.account)
    most = (settings.max_open_orders if settings else 0) or s.sizes.orders_per_account
    of_account = sum(other.account == order.account for other in others)
    yield stays and of_account >= most, matching.REFUSAL_TOO_MANY_OPEN_ORDERS
    no_order = stays and len(others) >= s.sizes.orders
    names = len(s.names) + sum(bool(other.client_order_id) for other in beside.placed)
    no_name = bool(order.client_order_id) and names >= s.sizes.client_order_ids
    trailing = [o for o in others if is_trailing(o) and o.instrument == order.instrument]
    no_trail = is_trailing(order) and len(trailing) >= TRAILING
    full = no_order or no_name or no_balance(s, order, beside) or no_trail
    yield full, matching.REFUSAL_CAPACITY_FULL


def may_stay(order: types.Order) -> bool:
    """It may rest or wait, so that it needs a place."""
    return order.state == types.ORDER_STATE_WAITING or order.time_in_force in RESTS


def no_balance(s: State, order: types.Order, beside: Beside) -> bool:
    """There is no room for the account, or for its balance of what the order receives."""
    accounts = {*s.accounts, *(other.account for other in beside.placed)}
    if order.account not in accounts and len(accounts) >= s.sizes.accounts:
        return True
    balances = {*s.balances, *((o.account, receives(s, o)) for o in beside.placed)}
    key = (order.account, receives(s, order))
    return key not in balances and len(balances) >= s.sizes.balances


def why_not_now(s: State, order: types.Order, beside: Beside = ALONE, held: int = 0) -> Reasons:
    """What the book and the balance say; `held` is what the order holds already."""
    crosses = order.post_only and next(within(s, order, order.price_ticks), None) is not None
    yield crosses, matching.REFUSAL_POST_ONLY_WOULD_TRADE
    lacks = max(0, need(s, order) - held) > available(s, order, beside)
    yield lacks, matching.REFUSAL_INSUFFICIENT_BALANCE


def available(s: State, order: types.Order, beside: Beside) -> int:
    """What the order could pay with, minor units."""
    placed = sum(hold(s, other) for other in beside.placed)
    freed = hold(s, beside.gone) if beside.gone else 0
    return s.balance(order.account, gives(s, order)).available_minor + freed - placed


def refused(
    s: State,
    refusal: matching.Refusal,
    order: types.Order,
    beside: Beside = ALONE,
    held: int = 0,
) -> matching.Outcome:
    if refusal != matching.REFUSAL_INSUFFICIENT_BALANCE:
        return matching.Outcome(refusal=refusal)
    return matching.Outcome(
        refusal=refusal,
        needed_minor=min(need(s, order) - held, TOP),
        available_minor=available(s, order, beside),
    )
