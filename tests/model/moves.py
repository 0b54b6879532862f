"""What happens when a market goes from one phase to another."""

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.auctions import sides, uncross
from tests.model.book import Reasons, first, put_phase
from tests.model.ends import close
from tests.model.phases import (
    CLOSED,
    CLOSING,
    CONTINUOUS,
    GATHERS,
    MOVES,
    NEXT,
    POST_ONLY,
    RULES_1,
)
from tests.model.prices import WAITS, price_event
from tests.model.state import State


def set_phase(s: State, command: matching.Command) -> matching.Outcome:
    instrument = s.instruments.get(command.set_phase.instrument)
    if refusal := first(why_not_phase(s, command.set_phase, instrument)):
        return matching.Outcome(refusal=refusal)
    assert instrument is not None, "an unknown one was refused"
    move(s, instrument, command.set_phase.phase, command.set_phase.until_us)
    return matching.Outcome()


def why_not_phase(
    s: State, wanted: matching.SetPhase, instrument: types.Instrument | None
) -> Reasons:
    yield instrument is None, matching.REFUSAL_INSTRUMENT_UNKNOWN
    assert instrument is not None, "the reason before holds otherwise"
    ends = wanted.until_us != 0
    wrong = ends and (wanted.until_us <= s.clock_us or wanted.phase not in NEXT)
    yield wrong, matching.REFUSAL_SETTING_INVALID
    to = MOVES[instrument.phase] if s.rules >= 2 else RULES_1
    yield wanted.phase not in to | {instrument.phase}, matching.REFUSAL_PHASE_FORBIDS_IT


def move(s: State, instrument: types.Instrument, phase: types.Phase, until_us: int = 0) -> None:
    """Into a phase, whether the table has the move or not."""
    left = instrument.phase
    put_phase(s, instrument, phase, until_us)
    if left == phase:
        return
    if phase in (CONTINUOUS, POST_ONLY) or (left, phase) == (CLOSING, CLOSED):
        uncross(s, instrument)
    if left in GATHERS and phase not in GATHERS:
        end_auction_orders(s, instrument)
    if phase == CONTINUOUS:
        wake(s, instrument)


def end_auction_orders(s: State, instrument: types.Instrument) -> None:
    """Bids then asks, as they would trade."""
    bids, asks = sides(s, instrument)
    for order in [*bids, *asks]:
        if order.order_id in s.orders and order.time_in_force == types.TIME_IN_FORCE_GFA:
            expired, reason = types.ORDER_STATE_EXPIRED, types.END_REASON_AUCTION_REMAINDER
            close(s, order, expired, reason)


def wake(s: State, instrument: types.Instrument) -> None:
    """What waited for continuous trading goes to the queue: first exits, then by price."""
    number = instrument.instrument
    queued = [order.order_id for order in s.queue]
    for order_id in sorted(s.dormant):
        order = s.orders[order_id]
        out = order.quantity_lots and order_id not in queued
        if order.instrument == number and order.type not in WAITS and out:
            s.queue.append(order)
    price_event(s, number, types.TRIGGER_BY_LAST_PRICE, instrument.last_price_ticks)
    price_event(s, number, types.TRIGGER_BY_MARK_PRICE, instrument.mark_price_ticks)
