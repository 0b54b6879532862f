"""The phases of a market: which follows which, and what each of them takes."""

from typing import Final

from bourse.types import v1 as types

PRE_OPEN: Final = types.PHASE_PRE_OPEN
OPENING: Final = types.PHASE_OPENING_AUCTION
CONTINUOUS: Final = types.PHASE_CONTINUOUS
VOLATILITY: Final = types.PHASE_VOLATILITY_AUCTION
HALT: Final = types.PHASE_HALT
POST_ONLY: Final = types.PHASE_POST_ONLY
CANCEL_ONLY: Final = types.PHASE_CANCEL_ONLY
CLOSING: Final = types.PHASE_CLOSING_AUCTION
CLOSED: Final = types.PHASE_CLOSED

RULES_1: Final = frozenset({CONTINUOUS, HALT, POST_ONLY, CANCEL_ONLY})
"""The phases that rules 1 know, with every move among them."""
MOVES: Final = {
    PRE_OPEN: {OPENING, CONTINUOUS, HALT, CANCEL_ONLY, CLOSED},
    OPENING: {CONTINUOUS, POST_ONLY, HALT, CANCEL_ONLY, CLOSED},
    CONTINUOUS: {VOLATILITY, POST_ONLY, HALT, CANCEL_ONLY, CLOSING, CLOSED},
    VOLATILITY: {CONTINUOUS, POST_ONLY, HALT, CANCEL_ONLY, CLOSING},
    HALT: {PRE_OPEN, OPENING, CONTINUOUS, POST_ONLY, CANCEL_ONLY, CLOSED},
    POST_ONLY: {CONTINUOUS, HALT, CANCEL_ONLY, CLOSING, CLOSED},
    CANCEL_ONLY: {PRE_OPEN, CONTINUOUS, POST_ONLY, HALT, CLOSED},
    CLOSING: {HALT, CANCEL_ONLY, CLOSED},
    CLOSED: {PRE_OPEN, OPENING, CONTINUOUS, HALT, CANCEL_ONLY},
}
NEXT: Final = {PRE_OPEN: OPENING, OPENING: CONTINUOUS, VOLATILITY: CONTINUOUS, CLOSING: CLOSED}
"""Where a phase that ends by itself leads."""
FIRST: Final = RULES_1 | {PRE_OPEN, CLOSED}
"""The phases a new instrument may be in."""
GATHERS: Final = frozenset({PRE_OPEN, OPENING, VOLATILITY, CLOSING})
"""Orders rest without meeting each other."""
RESTS: Final = (
    types.TIME_IN_FORCE_GTC,
    types.TIME_IN_FORCE_GTD,
    types.TIME_IN_FORCE_GFA,
)
"""The times in force of orders that may rest."""


def takes(phase: types.Phase, order: types.Order) -> bool:
    """The phase takes this order, as it is placed or as it is to be amended to."""
    if phase == CONTINUOUS:
        return order.time_in_force != types.TIME_IN_FORCE_GFA
    if phase == POST_ONLY:
        return order.post_only
    if phase not in GATHERS:
        return False
    if order.state == types.ORDER_STATE_WAITING:
        return True
    bound = order.post_only or order.filled_lots < order.min_fill_lots
    return order.price_ticks > 0 and order.time_in_force in RESTS and not bound
