"""What the check takes and refuses of the orders, groups and replacements that rules 2 know."""

from typing import Final

import pytest

from bourse.matching import v1 as matching
from bourse.matching.v1 import PlaceOrder, SubmitRequest
from bourse.types import v1 as types
from tests.native.codec_library import Refused, library
from tests.native.test_codec_shape import LIMIT, MARKET, asked, in_session, placed, through_c

GTD: Final = types.TIME_IN_FORCE_GTD
GFA: Final = types.TIME_IN_FORCE_GFA
FOK: Final = types.TIME_IN_FORCE_FOK
OCO: Final = types.GROUP_KIND_OCO
BRACKET: Final = types.GROUP_KIND_BRACKET
MOST: Final = 2**62


def changed(order: PlaceOrder, **changes: object) -> PlaceOrder:
    made = PlaceOrder()
    made.CopyFrom(order)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


STOP: Final = changed(MARKET, type=types.ORDER_TYPE_STOP, trigger_ticks=5)
STOP_LIMIT: Final = changed(LIMIT, type=types.ORDER_TYPE_STOP_LIMIT, trigger_ticks=5)
TRAILING: Final = changed(MARKET, type=types.ORDER_TYPE_TRAILING_STOP, trail_ticks=5)
POST_ONLY: Final = changed(LIMIT, post_only=True)
# Of a bracket whose entry is LIMIT.
OTHER: Final = types.SIDE_SELL if LIMIT.side == types.SIDE_BUY else types.SIDE_BUY
WAITS: Final = changed(STOP, side=OTHER, quantity_lots=0)
RESTS: Final = changed(LIMIT, side=OTHER, quantity_lots=0)
LEG: Final = changed(STOP, side=LIMIT.side)


def one(order: PlaceOrder, **changes: object) -> SubmitRequest:
    return in_session(placed(order, **changes))


def group(kind: types.GroupKind, *orders: PlaceOrder) -> SubmitRequest:
    members = dict(zip(("first", "second", "third"), orders, strict=False))
    return in_session(asked(place_group=matching.PlaceGroup(kind=kind, **members)))


def replaced(order: PlaceOrder, order_id: int = 0, client_order_id: str = "") -> SubmitRequest:
    body = matching.ReplaceOrder(order=order, order_id=order_id, client_order_id=client_order_id)
    return in_session(asked(replace_order=body))


GOOD: Final = {
    "a stop": one(STOP),
    "a stop by quote": one(STOP, quantity_lots=0, quote_minor=5),
    "a take profit by mark": one(STOP, type=5, trigger_by=types.TRIGGER_BY_MARK_PRICE),
    "a stop limit": one(STOP_LIMIT, time_in_force=FOK),
    "a stop limit that hides": one(STOP_LIMIT, time_in_force=GTD, expires_us=1, display_lots=1),
    "a take profit limit": one(STOP_LIMIT, type=types.ORDER_TYPE_TAKE_PROFIT_LIMIT),
    "a trailing stop": one(TRAILING, activation_ticks=MOST),
    "a trailing stop by parts": one(TRAILING, trail_ticks=0, trail_ppm=500_000),
    "a protected market order": one(MARKET, protection_ticks=MOST),
    "an end": one(POST_ONLY, time_in_force=GTD, expires_us=1),
    "an iceberg for an auction": one(LIMIT, time_in_force=GFA, display_lots=1),
    "a minimum": one(LIMIT, min_fill_lots=LIMIT.quantity_lots),
    "an OCO that waits": group(OCO, LEG, changed(LEG, type=5)),
    "an OCO of which one rests": group(OCO, changed(POST_ONLY, display_lots=1), LEG),
    "a bracket of two": group(BRACKET, LIMIT, WAITS),
    "a bracket of three": group(BRACKET, LIMIT, RESTS, WAITS),
    "a bracket around a market order": group(BRACKET, changed(MARKET, side=LIMIT.side), WAITS),
    "the highest exit": group(BRACKET, LIMIT, changed(RESTS, price_ticks=MOST)),
    "a replacement": replaced(STOP, order_id=1),
    "a replacement by name": replaced(LIMIT, client_order_id="a"),
}
BAD: Final = {
    "a stop without a trigger": one(STOP, trigger_ticks=0),
    "a trigger below zero": one(STOP, trigger_ticks=-1),
    "a trigger out of range": one(STOP, trigger_ticks=MOST + 1),
    "a trigger of a limit order": one(LIMIT, trigger_ticks=5),
    "a limit order by mark": one(LIMIT, trigger_by=types.TRIGGER_BY_MARK_PRICE),
    "a stop with a price": one(STOP, price_ticks=5),
    "a stop that rests": one(STOP, time_in_force=types.TIME_IN_FORCE_GTC),
    "a stop that hides": one(STOP, display_lots=1),
    "a stop by nothing": one(STOP, quantity_lots=0),
    "a stop limit without a price": one(STOP_LIMIT, price_ticks=0),
    "a stop limit by quote": one(STOP_LIMIT, quantity_lots=0, quote_minor=5),
    "a post-only stop limit": one(STOP_LIMIT, post_only=True),
    "a stop limit for an auction": one(STOP_LIMIT, time_in_force=GFA),
    "a protected stop limit": one(STOP_LIMIT, protection_ticks=5),
    "a minimum of a stop limit": one(STOP_LIMIT, min_fill_lots=1),
    "a trailing stop with a trigger": one(TRAILING, trigger_ticks=5),
    "a trailing stop without a distance": one(TRAILING, trail_ticks=0),
    "a trailing stop of two distances": one(TRAILING, trail_ppm=5),
    "a distance below zero": one(TRAILING, trail_ticks=-1),
    "a distance above half": one(TRAILING, trail_ticks=0, trail_ppm=500_001),
    "an activation below zero": one(TRAILING, activation_ticks=-1),
    "an activation out of range": one(TRAILING, activation_ticks=MOST + 1),
    "an activation of a stop": one(STOP, activation_ticks=5),
    "a protection below zero": one(MARKET, protection_ticks=-1),
    "a protected limit order": one(LIMIT, protection_ticks=5),
    "GTD without an end": one(LIMIT, time_in_force=GTD),
    "an end without GTD": one(LIMIT, expires_us=1),
    "an end below zero": one(LIMIT, time_in_force=GTD, expires_us=-1),
    "a tip below zero": one(LIMIT, display_lots=-1),
    "a tip of what never rests": one(LIMIT, time_in_force=FOK, display_lots=1),
    "a minimum below zero": one(LIMIT, min_fill_lots=-1),
    "a minimum above the quantity": one(LIMIT, min_fill_lots=LIMIT.quantity_lots + 1),
    "a minimum of FOK": one(LIMIT, time_in_force=FOK, min_fill_lots=1),
    "a minimum at an auction": one(LIMIT, time_in_force=GFA, min_fill_lots=1),
    "a minimum of post-only": one(POST_ONLY, min_fill_lots=1),
    "a market order at an auction": one(MARKET, time_in_force=GFA),
    "a group of no kind": group(types.GROUP_KIND_UNSPECIFIED, LEG, LEG),
    "a group of one": group(OCO, LEG),
    "an OCO of three": group(OCO, LEG, LEG, LEG),
    "an OCO of two that rest": group(OCO, POST_ONLY, POST_ONLY),
    "an OCO of two markets": group(OCO, LEG, changed(LEG, instrument=2048)),
    "an OCO of two sides": group(OCO, LEG, changed(LEG, side=OTHER)),
    "an OCO of what may trade at once": group(OCO, LEG, LIMIT),
    "an OCO with an empty third": group(OCO, LEG, LEG, PlaceOrder()),
    "a bracket whose entry waits": group(BRACKET, LEG, WAITS),
    "a bracket whose entry is by quote": group(
        BRACKET, changed(MARKET, side=LIMIT.side, quantity_lots=0, quote_minor=5), WAITS
    ),
    "a bracket with an empty third": group(BRACKET, LIMIT, WAITS, PlaceOrder()),
    "a bracket of two exits that rest": group(BRACKET, LIMIT, RESTS, RESTS),
    "an exit of the same side": group(BRACKET, LIMIT, changed(WAITS, side=LIMIT.side)),
    "an exit elsewhere": group(BRACKET, LIMIT, changed(WAITS, instrument=2048)),
    "an exit of its own quantity": group(BRACKET, LIMIT, changed(WAITS, quantity_lots=1)),
    "an exit that hides": group(BRACKET, LIMIT, changed(RESTS, display_lots=1)),
    "an exit that is post-only": group(BRACKET, LIMIT, changed(RESTS, post_only=True)),
    "an exit at once": group(BRACKET, LIMIT, changed(RESTS, time_in_force=FOK)),
    "an exit at the market": group(BRACKET, LIMIT, changed(MARKET, side=OTHER, quantity_lots=0)),
    "an exit out of range": group(BRACKET, LIMIT, changed(RESTS, price_ticks=MOST + 1)),
    "a replacement of nothing": replaced(LIMIT),
    "a replacement of two": replaced(LIMIT, order_id=1, client_order_id="a"),
    "a replacement by nothing": replaced(PlaceOrder(), order_id=1),
    "a replacement without an order": in_session(
        asked(replace_order=matching.ReplaceOrder(order_id=1))
    ),
}


@pytest.mark.parametrize("what", GOOD)
def test_taken(what: str) -> None:
    assert through_c(GOOD[what].SerializeToString()) == GOOD[what]


@pytest.mark.parametrize("what", BAD)
def test_refused(what: str) -> None:
    assert isinstance(library().batch(BAD[what].SerializeToString()), Refused)
