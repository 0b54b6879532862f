"""Placing, amending and cancelling orders: what follows when there is no reason against it."""

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.arrival import arrive
from tests.model.book import (
    Reasons,
    first,
    gives,
    hide,
    hold,
    leave,
    receives,
    state_resting,
    touch,
)
from tests.model.ends import close_all
from tests.model.prices import WAITS, wait
from tests.model.reasons import (
    ALONE,
    refused,
    why_not_command,
    why_not_now,
    why_not_order,
    why_not_size,
    why_nothing,
)
from tests.model.state import IDS, Name, State

Body = matching.PlaceOrder | matching.PlaceGroup | matching.ReplaceOrder


def place(s: State, command: matching.Command) -> matching.Outcome:
    body = command.place_order
    name = s.names.get((command.account, body.client_order_id))
    if name and name.body == body:
        return matching.Outcome(repeated=True, order=types.Order(order_id=name.order_id))
    order = new_order(s, command.account, body)
    if refusal := first(why_not_place(s, command, order)):
        return refused(s, refusal, order)
    take_in(s, order, body)
    s.own = [order]
    start(s, order)
    return matching.Outcome(order=order)


def new_order(s: State, account: int, body: matching.PlaceOrder, member: int = 0) -> types.Order:
    settings = s.accounts.get(account) or matching.SetAccount()
    default = settings.self_trade_prevention or types.SELF_TRADE_PREVENTION_CANCEL_TAKER
    waits = body.type in WAITS
    order = types.Order(
        order_id=(s.orders_given + 1 + member) * IDS + s.shard,
        account=account,
        self_trade_prevention=body.self_trade_prevention or default,
        state=types.ORDER_STATE_WAITING if waits else types.ORDER_STATE_OPEN,
        remaining_lots=body.quantity_lots,
        created_us=s.clock_us,
        updated_us=s.clock_us,
        sequence=s.sequence,
    )
    for field in AS_SENT:
        setattr(order, field, getattr(body, field))
    if waits:
        order.trigger_by = body.trigger_by or types.TRIGGER_BY_LAST_PRICE
    return order


AS_SENT = (
    "instrument",
    "side",
    "type",
    "time_in_force",
    "post_only",
    "client_order_id",
    "price_ticks",
    "quantity_lots",
    "quote_minor",
    "trigger_ticks",
    "trail_ticks",
    "trail_ppm",
    "activation_ticks",
    "display_lots",
    "min_fill_lots",
    "expires_us",
    "protection_ticks",
)


def why_not_place(s: State, command: matching.Command, order: types.Order) -> Reasons:
    name = (order.account, order.client_order_id)
    yield name in s.names, matching.REFUSAL_CLIENT_ORDER_ID_REUSED
    yield from why_not_command(s, command)
    yield order.instrument not in s.instruments, matching.REFUSAL_INSTRUMENT_UNKNOWN
    yield from why_not_order(s, order, ALONE)


def take_in(s: State, order: types.Order, body: Body) -> None:
    """It has an id, is remembered, and its account has a balance for what it receives."""
    s.orders_given += 1
    order.fee_asset = receives(s, order)
    s.meet(order.account)
    s.move(order.account, receives(s, order), 0)
    if order.client_order_id:
        s.names[order.account, order.client_order_id] = Name(body, order.order_id)


def start(s: State, order: types.Order) -> None:
    """It waits, or its hold is taken and it arrives."""
    if order.state == types.ORDER_STATE_WAITING:
        wait(s, order)
        return
    held = hold(s, order)
    if held:
        s.move(order.account, gives(s, order), -held, held)
    arrive(s, order)


# --- Amending -------------------------------------------------------------------------------


def amend(s: State, command: matching.Command) -> matching.Outcome:
    order = find(s, command.account, command.amend_order)
    wanted = types.Order()
    if order:
        wanted.CopyFrom(order)
        wanted.price_ticks = command.amend_order.price_ticks or order.price_ticks
        wanted.quantity_lots = command.amend_order.quantity_lots or order.quantity_lots
        wanted.remaining_lots = wanted.quantity_lots - order.filled_lots
    if refusal := first(why_not_amend(s, command, order, wanted)):
        return refused(s, refusal, wanted, held=hold(s, order) if order else 0)
    assert order is not None, "an order that was not found was refused"
    s.own = [order]
    change(s, order, wanted)
    return matching.Outcome(order=order)


def why_not_amend(
    s: State, command: matching.Command, order: types.Order | None, wanted: types.Order
) -> Reasons:
    yield from why_not_command(s, command)
    yield order is None, missing(s, command.account, command.amend_order)
    assert order is not None, "the reason before holds otherwise"
    yield order.state == types.ORDER_STATE_WAITING, matching.REFUSAL_MARKET_NOT_OPEN
    yield from why_not_size(s, wanted)
    yield from why_not_now(s, wanted, held=hold(s, order))


def change(s: State, order: types.Order, wanted: types.Order) -> None:
    """Keep the place if the price stays and the total does not grow; else leave and arrive anew."""
    more = hold(s, wanted) - hold(s, order)
    s.move(order.account, gives(s, order), -more, more)
    left_ticks = order.price_ticks
    keeps = wanted.price_ticks == left_ticks and wanted.quantity_lots <= order.quantity_lots
    if not keeps:
        leave(s, order)
    order.price_ticks = wanted.price_ticks
    order.quantity_lots = wanted.quantity_lots
    order.remaining_lots = wanted.remaining_lots
    touch(s, order)
    if keeps:
        hide(s, order)
        state_resting(s, order)
    else:
        s.state_level(order, left_ticks)
        arrive(s, order)


# --- Cancelling -----------------------------------------------------------------------------


def cancel(s: State, command: matching.Command) -> matching.Outcome:
    order = find(s, command.account, command.cancel_order)
    if refusal := first(why_nothing(s, command)):
        return matching.Outcome(refusal=refusal)
    if order is None:
        return matching.Outcome(refusal=missing(s, command.account, command.cancel_order))
    s.own = [order]
    close_all(s, [order], by(command.cancel_order.by_operator))
    return matching.Outcome(order=order)


def cancel_all(s: State, command: matching.Command) -> matching.Outcome:
    instrument = command.cancel_all.instrument
    if refusal := first(why_nothing(s, command)):
        return matching.Outcome(refusal=refusal)
    if instrument and instrument not in s.instruments:
        return matching.Outcome(refusal=matching.REFUSAL_INSTRUMENT_UNKNOWN)
    orders = [o for o in orders_of(s, command.account) if instrument in (0, o.instrument)]
    close_all(s, orders, by(command.cancel_all.by_operator))
    return matching.Outcome()


def orders_of(s: State, account: int) -> list[types.Order]:
    """Open and waiting, ascending ids."""
    return [order for _, order in sorted(s.orders.items()) if order.account == account]


def by(operator: bool) -> types.EndReason:
    return types.END_REASON_BY_OPERATOR if operator else types.END_REASON_BY_OWNER


# --- Which order ----------------------------------------------------------------------------

By = matching.AmendOrder | matching.CancelOrder | matching.ReplaceOrder


def find(s: State, account: int, named: By) -> types.Order | None:
    """The account's open or waiting order of that id or name."""
    name = s.names.get((account, named.client_order_id))
    order = s.orders.get(named.order_id or (name.order_id if name else 0))
    return order if order and order.account == account else None


def missing(s: State, account: int, named: By) -> matching.Refusal:
    """Why an order was not found: it has ended, or there never was one, or it is another's."""
    counter, shard = divmod(named.order_id, IDS)
    given = shard == s.shard and 0 < counter <= s.orders_given and named.order_id not in s.orders
    known = not named.order_id and (account, named.client_order_id) in s.names
    return matching.REFUSAL_ORDER_ENDED if given or known else matching.REFUSAL_ORDER_UNKNOWN
