"""The book: who rests where; what an order gives, receives and holds; how far it reaches."""

from collections.abc import Iterator
from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.phases import GATHERS
from tests.model.state import State

PPM: Final = 1_000_000
OPPOSITE: Final = {types.SIDE_BUY: types.SIDE_SELL, types.SIDE_SELL: types.SIDE_BUY}

Reasons = Iterator[tuple[bool, matching.Refusal]]
"""Refusals in order of precedence, each with whether it holds; later ones rely on earlier."""


def first(reasons: Reasons) -> matching.Refusal:
    """The first refusal that holds, or 0."""
    return next((refusal for holds, refusal in reasons if holds), matching.REFUSAL_UNSPECIFIED)


def rest(s: State, order: types.Order) -> None:
    """To the back of its price, showing as much as it shows at most."""
    queue = s.books[order.instrument, order.side]
    sign = -1 if order.side == types.SIDE_BUY else 1
    queue.append(order)
    queue.sort(key=lambda other: sign * other.price_ticks)
    s.orders[order.order_id] = order
    s.shown[order.order_id] = order.display_lots or order.remaining_lots
    hide(s, order)
    s.give_place(order)


def hide(s: State, order: types.Order) -> None:
    """It shows no more than it has: what comes off it came off the hidden part first."""
    if order.order_id in s.shown:
        s.shown[order.order_id] = min(s.shown[order.order_id], order.remaining_lots)


def leave(s: State, order: types.Order) -> None:
    """Out of the book, or out of wherever it waits."""
    for queue in (s.books[order.instrument, order.side], s.queue):
        queue[:] = [other for other in queue if other is not order]
    del s.orders[order.order_id]
    del s.places[order.order_id]
    s.shown.pop(order.order_id, None)
    s.dormant.discard(order.order_id)


def within(s: State, order: types.Order, limit_ticks: int) -> Iterator[types.Order]:
    """The resting orders that the order would meet up to a price, first met first."""
    sign = 1 if order.side == types.SIDE_BUY else -1
    for maker in s.books[order.instrument, OPPOSITE[order.side]]:
        if sign * maker.price_ticks <= sign * limit_ticks:
            yield maker


def best_opposite(s: State, order: types.Order) -> int:
    """The best price of the other side in ticks, 0 if nobody is there."""
    queue = s.books[order.instrument, OPPOSITE[order.side]]
    return queue[0].price_ticks if queue else 0


def reach(s: State, order: types.Order) -> int:
    """The worst price the order may trade at, ticks, as the order itself and its market have it."""
    if order.price_ticks:
        return order.price_ticks
    best = best_opposite(s, order)
    away = best * s.instruments[order.instrument].market_protection_ppm // PPM
    own = order.protection_ticks
    if order.side == types.SIDE_BUY:
        return min(best + away, own or best + away)
    return max(1, best - away, own)


def hold(s: State, order: types.Order, lots: int | None = None) -> int:
    """What the order holds for so many of its lots, or for all that remain; in what it gives."""
    lots = order.remaining_lots if lots is None else lots
    instrument = s.instruments[order.instrument]
    if not order.price_ticks or order.state == types.ORDER_STATE_WAITING:
        return 0
    if order.side == types.SIDE_SELL:
        return lots * instrument.lot_minor
    return order.price_ticks * lots * instrument.tick_lot_minor


def gives(s: State, order: types.Order) -> int:
    """The asset the order pays with."""
    instrument = s.instruments[order.instrument]
    return instrument.quote_asset if order.side == types.SIDE_BUY else instrument.base_asset


def receives(s: State, order: types.Order) -> int:
    instrument = s.instruments[order.instrument]
    return instrument.base_asset if order.side == types.SIDE_BUY else instrument.quote_asset


def touch(s: State, order: types.Order) -> None:
    order.updated_us = s.clock_us
    order.sequence = s.sequence


def state_resting(s: State, order: types.Order) -> None:
    """What is said of a resting order after a change: itself, its level, what it pays from."""
    s.state_order(order)
    s.state_level(order)
    s.state_balance(order.account, gives(s, order))


def put_phase(s: State, instrument: types.Instrument, phase: types.Phase, until_us: int) -> None:
    if phase != instrument.phase and GATHERS & {phase, instrument.phase}:
        s.gathered.add(instrument.instrument)
    instrument.phase = phase
    instrument.phase_until_us = until_us
    s.state_instrument(instrument)
