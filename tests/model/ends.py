"""How orders end, and what that does to the orders they belong to."""

from bourse.types import v1 as types
from tests.model.book import gives, hide, hold, leave, state_resting, touch
from tests.model.state import IDS, State


def end(
    s: State,
    order: types.Order,
    state: types.OrderState,
    reason: types.EndReason = types.END_REASON_UNSPECIFIED,
) -> None:
    """It leaves the book, its hold is released, and the memory of its name begins to run."""
    freed = hold(s, order)
    if freed:
        s.move(order.account, gives(s, order), freed, -freed)
    if order.order_id in s.orders:
        leave(s, order)
    touch(s, order)
    order.state = state
    order.reason = reason
    if order.client_order_id:
        s.names[order.account, order.client_order_id].ended_us = s.clock_us


def close(s: State, order: types.Order, state: types.OrderState, reason: types.EndReason) -> None:
    """End an order where it rests or waits, state it, and see to what belongs to it."""
    rested = order.state == types.ORDER_STATE_OPEN
    end(s, order, state, reason)
    if rested:
        state_resting(s, order)
    else:
        s.state_order(order)
    follow_up(s, order)


def close_all(s: State, orders: list[types.Order], reason: types.EndReason) -> None:
    """Cancel those of the orders that have not ended meanwhile."""
    for order in orders:
        if order.order_id in s.orders:
            close(s, order, types.ORDER_STATE_CANCELLED, reason)


def decrement(s: State, order: types.Order, lots: int, price_ticks: int) -> None:
    """Take lots off an order, or off an order by quote what they cost at this price."""
    touch(s, order)
    if order.quote_minor:
        order.quote_minor -= price_ticks * lots * s.instruments[order.instrument].tick_lot_minor
        return
    freed = hold(s, order, lots)
    if freed:
        s.move(order.account, gives(s, order), freed, -freed)
    order.quantity_lots -= lots
    order.remaining_lots -= lots
    hide(s, order)


# --- What belongs together ------------------------------------------------------------------


def follow_up(s: State, order: types.Order, lots: int = 0) -> None:
    """After an order has ended, or so many lots of it have traded where it rests."""
    other = linked(s, order) if order.reason != types.END_REASON_LINKED else None
    ended = order.order_id not in s.orders
    if other and (ended or (lots and other.remaining_lots <= lots)):
        close(s, other, types.ORDER_STATE_CANCELLED, types.END_REASON_LINKED)
    elif other and lots:
        decrement(s, other, lots, 0)
        if other.state == types.ORDER_STATE_OPEN:
            state_resting(s, other)
        else:
            s.state_order(other)
    if ended:
        release(s, order)


def linked(s: State, order: types.Order) -> types.Order | None:
    """The live order of which at most one of the two may trade."""
    others = {
        types.GROUP_KIND_OCO: {0: 1, 1: 0},
        types.GROUP_KIND_BRACKET: {1: 2, 2: 1},
    }.get(order.group_kind, {})
    return of_group(s, order, others.get(order.group_member, -1))


def of_group(s: State, order: types.Order, member: int) -> types.Order | None:
    """The live order at a place of an order's group, if it is in one."""
    other = s.orders.get(order.group + member * IDS)
    found = other and (other.group, other.group_member) == (order.group, member)
    return other if order.group and found else None


def release(s: State, entry: types.Order) -> None:
    """The exits of an entry that has ended know how much there is to sell or to buy back."""
    if entry.group_kind != types.GROUP_KIND_BRACKET or entry.group_member:
        return
    for member in (1, 2):
        exit_order = of_group(s, entry, member)
        if exit_order:
            exit_order.quantity_lots = exit_order.remaining_lots = lots_got(s, entry)
            s.queue.append(exit_order)


def lots_got(s: State, entry: types.Order) -> int:
    """What an entry sold, or the whole lots of what it received after fees."""
    if entry.side == types.SIDE_SELL:
        return entry.filled_lots
    lot_minor = s.instruments[entry.instrument].lot_minor
    return (entry.filled_lots * lot_minor - entry.fee_minor) // lot_minor
