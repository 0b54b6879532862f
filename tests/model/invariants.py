"""What must hold of the model after each record, or the model itself is wrong."""

from collections import Counter

from bourse.types import v1 as types
from tests.model.book import gives, hold
from tests.model.ends import linked
from tests.model.phases import CONTINUOUS, POST_ONLY
from tests.model.prices import meets, price_of, watching
from tests.model.reasons import TRAILING
from tests.model.state import CAP, FEES, State


def broken(s: State) -> str:
    """The sentence of the first invariant that does not hold, or nothing."""
    return _orders(s) or _balances(s) or _books(s) or _waiting(s)


def _orders(s: State) -> str:
    for order in s.orders.values():
        rests = order.state == types.ORDER_STATE_OPEN
        if not rests and order.state != types.ORDER_STATE_WAITING:
            return f"order {order.order_id} lives but has ended"
        if rests and not 1 <= s.shown[order.order_id] <= order.remaining_lots:
            return f"order {order.order_id} shows what it does not have"
        if order.filled_lots + order.remaining_lots != order.quantity_lots:
            return f"the lots of order {order.order_id} do not add up"
        if not s.stands_still and 0 != order.expires_us <= s.record.time_us:
            return f"order {order.order_id} lives past its end"
    if any(order.account == FEES for order in s.orders.values()):
        return "the fee account trades"
    booked = [order.order_id for book in s.books.values() for order in book]
    if sorted(booked) != sorted(s.shown):
        return "the books do not hold the open orders"
    return "" if s.places.keys() == s.orders.keys() else "an order has no place"


def _balances(s: State) -> str:
    held: Counter[tuple[int, int]] = Counter()
    for order in s.orders.values():
        held[order.account, gives(s, order)] += hold(s, order)
    for key, balance in s.balances.items():
        if balance.held_minor != held.pop(key, 0) or balance.available_minor < 0:
            return f"balance {key} does not hold what its open orders hold"
    if any(held.values()):
        return f"orders hold what nobody has: {held}"
    if any(s.owned(asset) > CAP for asset in s.assets):
        return "there is more of an asset than there may be"
    return ""


def _books(s: State) -> str:
    for number, instrument in s.instruments.items():
        bids = [(-o.price_ticks, s.places[o.order_id]) for o in s.books[number, types.SIDE_BUY]]
        asks = [(o.price_ticks, s.places[o.order_id]) for o in s.books[number, types.SIDE_SELL]]
        crossed = bids and asks and -bids[0][0] >= asks[0][0]
        if crossed and instrument.phase in (CONTINUOUS, POST_ONLY):
            return f"the book of {number} is crossed"
        if bids != sorted(bids) or asks != sorted(asks):
            return f"the book of {number} is out of order"
    return ""


def _waiting(s: State) -> str:
    if s.queue:
        return "the queue is not empty"
    for number, instrument in s.instruments.items():
        waiting = [o for o in s.orders.values() if o.instrument == number and o.trigger_by]
        if sum(order.type == types.ORDER_TYPE_TRAILING_STOP for order in waiting) > TRAILING:
            return f"more trailing stops wait in {number} than may"
        if instrument.phase != CONTINUOUS:
            continue
        for trigger_by in (types.TRIGGER_BY_LAST_PRICE, types.TRIGGER_BY_MARK_PRICE):
            for order in watching(s, number, trigger_by):
                if meets(order, price_of(s, order)):
                    return f"order {order.order_id} waits for a price that is there"
    for order_id in s.dormant:
        order = s.orders[order_id]
        entry_lives = order.group in s.orders
        if entry_lives != (order.quantity_lots == 0):
            return f"exit {order_id} does not know whether its entry lives"
        if linked(s, order) is None and order.group_member == 2:
            return f"exit {order_id} outlived the other one"
    return ""
