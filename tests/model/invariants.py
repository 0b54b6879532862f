"""What must hold of the model after each record, or the model itself is wrong."""

from collections import Counter

from bourse.types import v1 as types
from tests.model.book import gives, hold
from tests.model.state import CAP, FEES, State


def broken(s: State) -> str:
    """The sentence of the first invariant that does not hold, or nothing."""
    held: Counter[tuple[int, int]] = Counter()
    for order in s.orders.values():
        held[order.account, gives(s, order)] += hold(s, order)
        if order.state != types.ORDER_STATE_OPEN or order.remaining_lots < 1:
            return f"order {order.order_id} rests but is not open"
        if order.filled_lots + order.remaining_lots != order.quantity_lots:
            return f"the lots of order {order.order_id} do not add up"
    for key, balance in s.balances.items():
        if balance.held_minor != held.pop(key, 0) or balance.available_minor < 0:
            return f"balance {key} does not hold what its open orders hold"
    if held:
        return f"orders hold what nobody has: {held}"
    if any(s.owned(asset) > CAP for asset in s.assets):
        return "there is more of an asset than there may be"
    if any(order.account == FEES for order in s.orders.values()):
        return "the fee account trades"
    return _crossed(s)


def _crossed(s: State) -> str:
    for instrument in s.instruments:
        bids = [o.price_ticks for o in s.books[instrument, types.SIDE_BUY]]
        asks = [o.price_ticks for o in s.books[instrument, types.SIDE_SELL]]
        if bids and asks and bids[0] >= asks[0]:
            return f"the book of {instrument} is crossed"
        if bids != sorted(bids, reverse=True) or asks != sorted(asks):
            return f"the book of {instrument} is out of order"
    return ""
