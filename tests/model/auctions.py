"""Call auctions: the one price at which most of what has been gathered trades."""

from typing import NamedTuple

from bourse.types import v1 as types
from tests.model.arrival import fill, state_filled, use_up
from tests.model.book import state_resting
from tests.model.ends import close, decrement, follow_up
from tests.model.guards import reference_ticks
from tests.model.phases import GATHERS
from tests.model.prices import price_event
from tests.model.state import State


class Crossing(NamedTuple):
    """What uncrossing would begin with: ticks, lots, and bids less asks at that price."""

    price_ticks: int = 0
    volume_lots: int = 0
    surplus_lots: int = 0


def crossing(s: State, instrument: types.Instrument) -> Crossing:
    """The greatest volume, then the least surplus, then its side, then the reference."""
    bids, asks = sides(s, instrument)
    if not bids or not asks or bids[0].price_ticks < asks[0].price_ticks:
        return Crossing()
    # Between these prices nothing changes.
    ends = {o.price_ticks for o in bids + asks}
    ends |= {o.price_ticks + 1 for o in bids} | {o.price_ticks - 1 for o in asks}
    found = []
    for price in sorted(ends):
        wanted = sum(o.remaining_lots for o in bids if o.price_ticks >= price)
        offered = sum(o.remaining_lots for o in asks if o.price_ticks <= price)
        found.append(Crossing(price, min(wanted, offered), wanted - offered))
    volume = max(c.volume_lots for c in found)
    found = [c for c in found if c.volume_lots == volume]
    least = min(abs(c.surplus_lots) for c in found)
    found = [c for c in found if abs(c.surplus_lots) == least]
    if all(c.surplus_lots > 0 for c in found):
        return found[-1]
    if all(c.surplus_lots < 0 for c in found):
        return found[0]
    return nearest(found, reference_ticks(instrument))


def nearest(found: list[Crossing], around: int) -> Crossing:
    """The one at the reference, or at the end of the range that is nearer to it."""
    price = min(max(around, found[0].price_ticks), found[-1].price_ticks)
    surplus = [c.surplus_lots for c in found if c.price_ticks <= price][-1]
    return Crossing(price, found[0].volume_lots, surplus)


def sides(s: State, instrument: types.Instrument) -> tuple[list[types.Order], list[types.Order]]:
    number = instrument.instrument
    return s.books[number, types.SIDE_BUY], s.books[number, types.SIDE_SELL]


def uncross(s: State, instrument: types.Instrument) -> None:
    """Trade until the book is no longer crossed, each time at the price of then."""
    bids, asks = sides(s, instrument)
    before = len(s.record.trades)
    while price_ticks := crossing(s, instrument).price_ticks:
        while bids and asks and bids[0].price_ticks >= price_ticks >= asks[0].price_ticks:
            meet(s, bids[0], asks[0], price_ticks)
    if len(s.record.trades) > before:
        price_ticks = s.record.trades[-1].price_ticks
        instrument.reference_ticks = price_ticks
        s.state_instrument(instrument)
        price_event(s, instrument.instrument, types.TRIGGER_BY_LAST_PRICE, price_ticks)


def meet(s: State, bid: types.Order, ask: types.Order, price_ticks: int) -> None:
    """The best bid and the best ask: the one that came later is the taker."""
    later = s.places[bid.order_id] > s.places[ask.order_id]
    taker, maker = (bid, ask) if later else (ask, bid)
    mode = taker.self_trade_prevention
    if bid.account != ask.account or mode == types.SELF_TRADE_PREVENTION_NONE:
        trade(s, taker, maker, price_ticks)
    elif mode == types.SELF_TRADE_PREVENTION_DECREMENT:
        lots = min(bid.remaining_lots, ask.remaining_lots)
        for order in (taker, maker):
            decrement(s, order, lots, price_ticks)
            end_or_state(s, order)
    else:
        if mode != types.SELF_TRADE_PREVENTION_CANCEL_MAKER:
            end_own(s, taker)
        if mode != types.SELF_TRADE_PREVENTION_CANCEL_TAKER:
            end_own(s, maker)


def trade(s: State, taker: types.Order, maker: types.Order, price_ticks: int) -> None:
    lots = min(s.shown[taker.order_id], s.shown[maker.order_id])
    paid = fill(s, taker, maker, lots, price_ticks)
    for order in (taker, maker):
        use_up(s, order, lots)
    for order, charge in zip((taker, maker), paid, strict=True):
        state_filled(s, order, charge)
    for order in (taker, maker):
        follow_up(s, order, lots)


def end_or_state(s: State, order: types.Order) -> None:
    if order.remaining_lots == 0:
        end_own(s, order)
    else:
        state_resting(s, order)


def end_own(s: State, order: types.Order) -> None:
    close(s, order, types.ORDER_STATE_CANCELLED, types.END_REASON_SELF_TRADE)


def state_auctions(s: State) -> None:
    """At the end of a record: what each auction that it touched would come to, or nothing more."""
    for number in sorted(s.gathered):
        instrument = s.instruments[number]
        gathers = instrument.phase in GATHERS
        found = crossing(s, instrument) if gathers else Crossing()
        s.record.auctions.add(
            instrument=number,
            price_ticks=found.price_ticks,
            volume_lots=found.volume_lots,
            surplus_lots=found.surplus_lots,
        )
    s.gathered.clear()
