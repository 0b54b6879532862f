"""Placing, amending and cancelling orders: why not, and what follows when there is no reason."""

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.arrival import arrive, end, need
from tests.model.book import (
    Reasons,
    best_opposite,
    first,
    gives,
    hold,
    leave,
    receives,
    state_resting,
    touch,
    within,
)
from tests.model.state import FEES, IDS, TOP, Name, State


def place(s: State, command: matching.Command) -> matching.Outcome:
    body = command.place_order
    name = s.names.get((command.account, body.client_order_id))
    if name and name.body == body:
        return matching.Outcome(repeated=True, order=types.Order(order_id=name.order_id))
    order = new_order(s, command)
    if refusal := first(why_not_place(s, command, order)):
        return refused(s, refusal, order, 0)
    s.orders_given += 1
    order.fee_asset = receives(s, order)
    s.meet(order.account)
    s.move(order.account, receives(s, order), 0)
    if order.client_order_id:
        s.names[order.account, order.client_order_id] = Name(body, order.order_id)
    held = hold(s, order)
    if held:
        s.move(order.account, gives(s, order), -held, held)
    arrive(s, order)
    return matching.Outcome(order=order)


def new_order(s: State, command: matching.Command) -> types.Order:
    body = command.place_order
    settings = s.accounts.get(command.account) or matching.SetAccount()
    default = settings.self_trade_prevention or types.SELF_TRADE_PREVENTION_CANCEL_TAKER
    return types.Order(
        order_id=(s.orders_given + 1) * IDS + s.shard,
        account=command.account,
        instrument=body.instrument,
        side=body.side,
        type=body.type,
        time_in_force=body.time_in_force,
        post_only=body.post_only,
        self_trade_prevention=body.self_trade_prevention or default,
        client_order_id=body.client_order_id,
        price_ticks=body.price_ticks,
        quantity_lots=body.quantity_lots,
        quote_minor=body.quote_minor,
        state=types.ORDER_STATE_OPEN,
        remaining_lots=body.quantity_lots,
        created_us=s.clock_us,
        updated_us=s.clock_us,
        sequence=s.sequence,
    )


def why_not_place(s: State, command: matching.Command, order: types.Order) -> Reasons:
    name = (order.account, order.client_order_id)
    yield name in s.names, matching.REFUSAL_CLIENT_ORDER_ID_REUSED
    yield s.expired(command), matching.REFUSAL_EXPIRED_IN_TRANSIT
    yield suspended(s, order.account), matching.REFUSAL_ACCOUNT_SUSPENDED
    yield order.instrument not in s.instruments, matching.REFUSAL_INSTRUMENT_UNKNOWN
    yield from why_not_size(s, order)
    may_rest = order.time_in_force == types.TIME_IN_FORCE_GTC
    open_orders = sum(other.account == order.account for other in s.orders.values())
    too_many = may_rest and open_orders >= s.sizes.orders_per_account
    yield too_many, matching.REFUSAL_TOO_MANY_OPEN_ORDERS
    no_order = may_rest and len(s.orders) >= s.sizes.orders
    no_name = order.client_order_id and len(s.names) >= s.sizes.client_order_ids
    no_balance = s.full(order.account, receives(s, order))
    yield bool(no_order or no_name or no_balance), matching.REFUSAL_CAPACITY_FULL
    yield from why_not_now(s, order, 0)


def why_not_size(s: State, order: types.Order) -> Reasons:
    """Phase, quantity and notional, for an order as it is placed or as it is to be amended to."""
    instrument = s.instruments[order.instrument]
    post_only = instrument.phase == types.PHASE_POST_ONLY and order.post_only
    takes = instrument.phase == types.PHASE_CONTINUOUS or post_only
    yield not takes, matching.REFUSAL_MARKET_NOT_OPEN
    lots = order.quantity_lots
    by_lots = not order.quote_minor
    too_small = by_lots and lots < instrument.min_quantity_lots
    yield too_small, matching.REFUSAL_QUANTITY_TOO_SMALL
    yield by_lots and lots > instrument.max_quantity_lots, matching.REFUSAL_QUANTITY_TOO_LARGE
    yield by_lots and lots <= order.filled_lots, matching.REFUSAL_QUANTITY_BELOW_FILLED
    price = order.price_ticks or best_opposite(s, order)
    notional = order.quote_minor or price * lots * instrument.tick_lot_minor
    known = notional > 0
    too_small = known and notional < instrument.min_notional_minor
    yield too_small, matching.REFUSAL_NOTIONAL_TOO_SMALL
    too_large = known and notional > instrument.max_notional_minor
    yield too_large, matching.REFUSAL_NOTIONAL_TOO_LARGE


def why_not_now(s: State, order: types.Order, held: int) -> Reasons:
    """What the book and the balance say; `held` is what the order holds already."""
    crosses = order.post_only and next(within(s, order, order.price_ticks), None) is not None
    yield crosses, matching.REFUSAL_POST_ONLY_WOULD_TRADE
    available = s.balance(order.account, gives(s, order)).available_minor
    lacks = max(0, need(s, order) - held) > available
    yield lacks, matching.REFUSAL_INSUFFICIENT_BALANCE


def refused(s: State, refusal: matching.Refusal, order: types.Order, held: int) -> matching.Outcome:
    if refusal != matching.REFUSAL_INSUFFICIENT_BALANCE:
        return matching.Outcome(refusal=refusal)
    return matching.Outcome(
        refusal=refusal,
        needed_minor=min(need(s, order) - held, TOP),
        available_minor=s.balance(order.account, gives(s, order)).available_minor,
    )


def amend(s: State, command: matching.Command) -> matching.Outcome:
    order = find(s, command.account, command.amend_order)
    wanted = types.Order()
    if order:
        wanted.CopyFrom(order)
        wanted.price_ticks = command.amend_order.price_ticks or order.price_ticks
        wanted.quantity_lots = command.amend_order.quantity_lots or order.quantity_lots
        wanted.remaining_lots = wanted.quantity_lots - order.filled_lots
    if refusal := first(why_not_amend(s, command, order, wanted)):
        return refused(s, refusal, wanted, hold(s, order) if order else 0)
    assert order is not None, "an order that was not found was refused"
    change(s, order, wanted)
    return matching.Outcome(order=order)


def why_not_amend(
    s: State, command: matching.Command, order: types.Order | None, wanted: types.Order
) -> Reasons:
    yield s.expired(command), matching.REFUSAL_EXPIRED_IN_TRANSIT
    yield suspended(s, command.account), matching.REFUSAL_ACCOUNT_SUSPENDED
    yield order is None, missing(s, command.account, command.amend_order)
    assert order is not None, "the reason before holds otherwise"
    yield from why_not_size(s, wanted)
    yield from why_not_now(s, wanted, hold(s, order))


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
        state_resting(s, order)
    else:
        s.state_level(order, left_ticks)
        arrive(s, order)


def cancel(s: State, command: matching.Command) -> matching.Outcome:
    order = find(s, command.account, command.cancel_order)
    if s.expired(command):
        return matching.Outcome(refusal=matching.REFUSAL_EXPIRED_IN_TRANSIT)
    if order is None:
        return matching.Outcome(refusal=missing(s, command.account, command.cancel_order))
    end_by(s, order, command.cancel_order.by_operator)
    return matching.Outcome(order=order)


def cancel_all(s: State, command: matching.Command) -> matching.Outcome:
    instrument = command.cancel_all.instrument
    if s.expired(command):
        return matching.Outcome(refusal=matching.REFUSAL_EXPIRED_IN_TRANSIT)
    if instrument and instrument not in s.instruments:
        return matching.Outcome(refusal=matching.REFUSAL_INSTRUMENT_UNKNOWN)
    for _, order in sorted(s.orders.items()):
        if order.account == command.account and instrument in (0, order.instrument):
            end_by(s, order, command.cancel_all.by_operator)
    return matching.Outcome()


def end_by(s: State, order: types.Order, by_operator: bool) -> None:
    reason = types.END_REASON_BY_OPERATOR if by_operator else types.END_REASON_BY_OWNER
    end(s, order, types.ORDER_STATE_CANCELLED, reason)
    state_resting(s, order)


def suspended(s: State, account: int) -> bool:
    """It may only cancel. So may the fee account, which has to be able to pay rebates."""
    return account == FEES or (account in s.accounts and s.accounts[account].suspended)


def find(
    s: State, account: int, by: matching.AmendOrder | matching.CancelOrder
) -> types.Order | None:
    """The account's open order of that id or name."""
    name = s.names.get((account, by.client_order_id))
    order = s.orders.get(by.order_id or (name.order_id if name else 0))
    return order if order and order.account == account else None


def missing(
    s: State, account: int, by: matching.AmendOrder | matching.CancelOrder
) -> matching.Refusal:
    """Why an order was not found: it has ended, or there never was one, or it is another's."""
    counter, shard = divmod(by.order_id, IDS)
    given = shard == s.shard and 0 < counter <= s.orders_given and by.order_id not in s.orders
    named = not by.order_id and (account, by.client_order_id) in s.names
    return matching.REFUSAL_ORDER_ENDED if given or named else matching.REFUSAL_ORDER_UNKNOWN
