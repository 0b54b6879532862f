"""Orders that wait for a price: what they look at, and what a price does to them."""

from typing import Final

from bourse.types import v1 as types
from tests.model.book import PPM
from tests.model.phases import CONTINUOUS
from tests.model.state import CAP, State

WAITS: Final = frozenset(
    {
        types.ORDER_TYPE_STOP,
        types.ORDER_TYPE_STOP_LIMIT,
        types.ORDER_TYPE_TAKE_PROFIT,
        types.ORDER_TYPE_TAKE_PROFIT_LIMIT,
        types.ORDER_TYPE_TRAILING_STOP,
    }
)
TAKES_PROFIT: Final = (types.ORDER_TYPE_TAKE_PROFIT, types.ORDER_TYPE_TAKE_PROFIT_LIMIT)


def is_trailing(order: types.Order) -> bool:
    return order.type == types.ORDER_TYPE_TRAILING_STOP


def by_rise(order: types.Order) -> bool:
    """A rise triggers it: a stop to buy, a take profit to sell. Else a fall does."""
    return (order.side == types.SIDE_BUY) != (order.type in TAKES_PROFIT)


def price_of(s: State, order: types.Order) -> int:
    """The present price it looks at, 0 if there is none."""
    instrument = s.instruments[order.instrument]
    by_mark = order.trigger_by == types.TRIGGER_BY_MARK_PRICE
    return instrument.mark_price_ticks if by_mark else instrument.last_price_ticks


def meets(order: types.Order, price_ticks: int) -> bool:
    """The price triggers it."""
    if not order.trigger_ticks or not price_ticks:
        return False
    above = price_ticks >= order.trigger_ticks
    below = price_ticks <= order.trigger_ticks
    return above if by_rise(order) else below


def follow(order: types.Order, price_ticks: int) -> None:
    """A trailing stop sees a price: perhaps it begins to follow, perhaps its trigger moves."""
    sells = order.side == types.SIDE_SELL
    past = price_ticks >= order.activation_ticks if sells else price_ticks <= order.activation_ticks
    if not price_ticks or not (order.peak_ticks or past or not order.activation_ticks):
        return
    peak = order.peak_ticks or price_ticks
    order.peak_ticks = max(peak, price_ticks) if sells else min(peak, price_ticks)
    behind = order.trail_ticks or max(1, order.peak_ticks * order.trail_ppm // PPM)
    trigger = order.peak_ticks - behind if sells else order.peak_ticks + behind
    order.trigger_ticks = min(max(1, trigger), CAP)


def watching(s: State, instrument: int, by: types.TriggerBy) -> list[types.Order]:
    """The orders that look at a price of a market, ascending ids."""
    queued = {order.order_id for order in s.queue}
    return [
        order
        for number, order in sorted(s.orders.items())
        if order.state == types.ORDER_STATE_WAITING
        and (order.instrument, order.trigger_by) == (instrument, by)
        and number not in s.dormant | queued
    ]


def stands(order: types.Order) -> tuple[bool, int]:
    """Among those that wait for a rise or for a fall, and at which price."""
    if order.trigger_ticks or not is_trailing(order):
        return by_rise(order), order.trigger_ticks
    return order.side == types.SIDE_SELL or not order.activation_ticks, order.activation_ticks or 1


def in_order(s: State, orders: list[types.Order], rise: bool) -> list[types.Order]:
    """As prices come to them: by a rise the lowest first, by a fall the highest."""
    sign = 1 if rise else -1
    found = [order for order in orders if stands(order)[0] == rise]
    return sorted(found, key=lambda o: (sign * stands(o)[1], s.places[o.order_id]))


def price_event(s: State, instrument: int, by: types.TriggerBy, price_ticks: int) -> None:
    """Trailing stops follow the price, then the orders that it meets go to the queue."""
    if s.instruments[instrument].phase != CONTINUOUS or not price_ticks:
        return
    for order in filter(is_trailing, watching(s, instrument, by)):
        follow_in_place(s, order, price_ticks)
    met = [order for order in watching(s, instrument, by) if meets(order, price_ticks)]
    for rise in (True, False):
        s.queue.extend(in_order(s, met, rise))


def follow_in_place(s: State, order: types.Order, price_ticks: int) -> None:
    """It is not stated: there may be a thousand of them at each new price."""
    trigger = order.trigger_ticks
    follow(order, price_ticks)
    if order.trigger_ticks != trigger:
        s.give_place(order)


def wait(s: State, order: types.Order) -> None:
    """From now on it looks at its price, if it is not an exit whose time has not come."""
    s.orders[order.order_id] = order
    s.give_place(order)
    if is_trailing(order) and order.order_id not in s.dormant:
        follow(order, price_of(s, order))
    s.state_order(order)
