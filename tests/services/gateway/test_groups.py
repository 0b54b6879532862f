"""R-GROUP: what orders that belong together may look like."""

import json
from typing import Any

import pytest

from bourse.matching import v1 as matching
from services.domain.words import GROUP_KIND_OF
from services.gateway import groups, shaping, translate
from services.gateway.problems import Problem
from tests.services.gateway.test_shaping import BTC_USD, LIMIT, MARKET
from tests.services.gateway.test_terms import (
    STOP,
    STOP_LIMIT,
    TRAILING,
    passes_the_codec,
    without,
)

GROUPS = groups.GroupReader()
POST_ONLY = {**LIMIT, "post_only": True}
SELL_STOP = {**without(STOP, "quantity"), "side": "sell"}
SELL_LIMIT = {**without(LIMIT, "quantity"), "side": "sell", "price": "120"}
SELL_TRAILING = {**without(TRAILING, "quantity"), "side": "sell"}


def body(kind: str, *orders: Any, **more: Any) -> bytes:
    return json.dumps({"kind": kind, "orders": orders, **more}).encode()


def as_command(sent: bytes) -> matching.PlaceGroup:
    group = GROUPS.body(sent)
    members = []
    for order, decimals in zip(group.orders, groups.check_group(group), strict=True):
        words = shaping.order_words(order, decimals, BTC_USD, "")
        placed = translate.place_order(words)
        assert isinstance(placed, matching.PlaceOrder)
        members.append(placed)
    kind = matching.PlaceGroup(kind=GROUP_KIND_OF[group.kind])  # type: ignore[arg-type]
    for name, placed in zip(("first", "second", "third"), members, strict=False):
        getattr(kind, name).CopyFrom(placed)
    return kind


@pytest.mark.parametrize(
    "sent",
    [
        body("oco", POST_ONLY, STOP),
        body("oco", STOP, POST_ONLY),
        body("oco", STOP_LIMIT, TRAILING),
        body("bracket", LIMIT, SELL_STOP),
        body("bracket", MARKET, SELL_LIMIT),
        body("bracket", LIMIT, SELL_LIMIT, SELL_STOP),
        body("bracket", {**LIMIT, "time_in_force": "fok"}, SELL_STOP, SELL_TRAILING),
        body("bracket", POST_ONLY, {**SELL_LIMIT, "time_in_force": "gtc"}),
    ],
)
def test_a_group_that_is_taken_is_well_formed(sent: bytes) -> None:
    assert passes_the_codec(place_group=as_command(sent))


@pytest.mark.parametrize(
    ("sent", "code", "pointers"),
    [
        (b"{}", "missing_field", ["/kind", "/orders"]),
        (b"[]", "invalid_value", [""]),
        (b"{", "malformed_json", []),
        (body("pair", STOP, STOP), "invalid_value", ["/kind"]),
        (body("oco", STOP), "invalid_value", ["/orders"]),
        (body("oco", STOP, STOP, STOP, STOP), "invalid_value", ["/orders"]),
        (body("oco", STOP, STOP, linked=True), "unknown_field", ["/linked"]),
        (body("oco", STOP, 7), "invalid_value", ["/orders/1"]),
        (body("oco", {**STOP, "x": 1}, {"side": "up"}), "unknown_field", None),
        (
            b'{"kind":"oco","orders":[' + json.dumps(STOP).encode() + b',{"side":"buy","side":1}]}',
            "missing_field",
            ["/orders/1/instrument", "/orders/1/side", "/orders/1/side"],
        ),
        (body("oco", POST_ONLY, without(STOP, "quantity")), "missing_field", None),
        (body("oco", STOP, {**STOP, "trigger_price": "x"}), "invalid_value", None),
        (body("oco", POST_ONLY, POST_ONLY), "invalid_value", ["/orders/1/post_only"]),
        (body("oco", STOP, LIMIT), "invalid_value", ["/orders/1/type"]),
        (body("oco", STOP, MARKET), "invalid_value", ["/orders/1/type"]),
        (body("oco", STOP, {**STOP, "side": "sell"}), "invalid_value", ["/orders/1/side"]),
        (body("oco", STOP, STOP, STOP), "invalid_value", ["/orders"]),
        (
            body("oco", STOP, {**STOP, "instrument": "X"}),
            "invalid_value",
            ["/orders/1/instrument"],
        ),
        (body("bracket", STOP, SELL_STOP), "invalid_value", ["/orders/0/type"]),
        (
            body("bracket", {**without(MARKET, "quantity"), "quote_quantity": "9"}, SELL_STOP),
            "invalid_value",
            ["/orders/0/quote_quantity"],
        ),
        (body("bracket", LIMIT, without(STOP, "quantity")), "invalid_value", ["/orders/1/side"]),
        (
            body("bracket", LIMIT, {**SELL_STOP, "quantity": "1"}),
            "invalid_value",
            ["/orders/1/quantity"],
        ),
        (
            body("bracket", LIMIT, SELL_LIMIT, SELL_LIMIT),
            "invalid_value",
            ["/orders/2/type"],
        ),
        (
            body("bracket", LIMIT, {**SELL_LIMIT, "post_only": True}),
            "invalid_value",
            ["/orders/1/post_only"],
        ),
        (
            body("bracket", LIMIT, {**SELL_LIMIT, "time_in_force": "ioc"}),
            "invalid_value",
            ["/orders/1/time_in_force"],
        ),
        (
            body("bracket", LIMIT, {**SELL_LIMIT, "display_quantity": "0.1"}),
            "invalid_value",
            ["/orders/1/display_quantity"],
        ),
    ],
)
def test_a_group_that_looks_wrong(sent: bytes, code: str, pointers: list[str] | None) -> None:
    with pytest.raises(Problem) as caught:
        groups.check_group(GROUPS.body(sent))
    assert caught.value.code == code
    if pointers is not None:
        assert [error.pointer for error in caught.value.errors] == pointers
    else:
        assert all(error.pointer.startswith("/orders/") for error in caught.value.errors)
