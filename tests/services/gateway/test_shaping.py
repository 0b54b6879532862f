"""R-SHAPE and what else is a 400: every mistake named, in one answer, with its pointer."""

import json
from typing import Any

import msgspec
import pytest

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain.instruments import Market
from services.gateway import shapes, shaping, translate
from services.gateway.problems import Problem
from services.gateway.reading import Reader
from tests.services.gateway.world import MARKETS

ORDERS = Reader(shapes.NewOrder)
AMENDMENTS = Reader(shapes.Amendment)
LIMIT = {"instrument": "BTC-USD", "side": "buy", "price": "101.5", "quantity": "0.2"}
MARKET = {"instrument": "BTC-USD", "side": "buy", "type": "market", "quantity": "0.2"}
ASSETS = {asset.asset: asset for asset in MARKETS.assets}
BTC_USD = Market(MARKETS.instruments[0], base=MARKETS.assets[1], quote=MARKETS.assets[0])


def placed(**fields: Any) -> matching.PlaceOrder:
    """The command of an order, all the way through."""
    order = ORDERS.body(json.dumps(fields).encode())
    words = shaping.order_words(order, shaping.check_order(order), BTC_USD, "sig-1")
    command = translate.place_order(words)
    if isinstance(command, list):
        raise shaping.misfit(command)
    return command


def refused(body: bytes) -> tuple[str, list[str]]:
    """The code and the pointers of an order that is refused for its looks."""
    with pytest.raises(Problem) as caught:
        shaping.check_order(ORDERS.body(body))
    return caught.value.code, [error.pointer for error in caught.value.errors]


@pytest.mark.parametrize(
    ("change", "code", "pointers"),
    [
        ({"price": None}, "invalid_value", ["/price"]),
        ({"price": 101.5}, "invalid_value", ["/price"]),
        ({"price": 101}, "invalid_value", ["/price"]),
        ({"price": "1e2"}, "invalid_value", ["/price"]),
        ({"price": "0"}, "invalid_value", ["/price"]),
        ({"price": "0.000"}, "invalid_value", ["/price"]),
        ({"price": "-1"}, "invalid_value", ["/price"]),
        ({"price": "1\n"}, "invalid_value", ["/price"]),
        ({"price": "", "quantity": "x"}, "invalid_value", ["/price", "/quantity"]),
        ({"side": "Buy"}, "invalid_value", ["/side"]),
        ({"type": "iceberg"}, "invalid_value", ["/type"]),
        ({"time_in_force": "day"}, "invalid_value", ["/time_in_force"]),
        ({"post_only": "true"}, "invalid_value", ["/post_only"]),
        ({"post_only": 1}, "invalid_value", ["/post_only"]),
        ({"self_trade_prevention": "off"}, "invalid_value", ["/self_trade_prevention"]),
        ({"client_order_id": ""}, "invalid_value", ["/client_order_id"]),
        ({"client_order_id": "a\n"}, "invalid_value", ["/client_order_id"]),
        ({"client_order_id": "x" * 37}, "invalid_value", ["/client_order_id"]),
        ({"client_order_id": 7}, "invalid_value", ["/client_order_id"]),
        ({"quote_quantity": "5"}, "invalid_value", ["/quote_quantity", "/quote_quantity"]),
        ({"post_only": True, "time_in_force": "ioc"}, "invalid_value", ["/post_only"]),
        ({"post_only": True, "time_in_force": "fok"}, "invalid_value", ["/post_only"]),
        ({"Price": "1"}, "unknown_field", ["/Price"]),
        ({"a/b~c": 1, "side": 2}, "unknown_field", ["/a~1b~0c", "/side"]),
    ],
)
def test_a_limit_order_that_looks_wrong(
    change: dict[str, Any], code: str, pointers: list[str]
) -> None:
    assert refused(json.dumps(LIMIT | change).encode()) == (code, pointers)


@pytest.mark.parametrize(
    ("change", "code", "pointers"),
    [
        ({"price": "1"}, "invalid_value", ["/price"]),
        ({"time_in_force": "gtc"}, "invalid_value", ["/time_in_force"]),
        ({"time_in_force": "fok"}, "invalid_value", ["/time_in_force"]),
        ({"post_only": True}, "invalid_value", ["/post_only"]),
        ({"quote_quantity": "5"}, "invalid_value", ["/quote_quantity"]),
    ],
)
def test_a_market_order_that_looks_wrong(
    change: dict[str, Any], code: str, pointers: list[str]
) -> None:
    assert refused(json.dumps(MARKET | change).encode()) == (code, pointers)


@pytest.mark.parametrize("field", ["instrument", "side", "price", "quantity"])
def test_a_limit_order_needs(field: str) -> None:
    without = {name: value for name, value in LIMIT.items() if name != field}
    assert refused(json.dumps(without).encode()) == ("missing_field", [f"/{field}"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"),
        (b"{", "malformed_json"),
        (b"{}x", "malformed_json"),
        (b'{"instrument":}', "malformed_json"),
        (b'{"instrument":"\xff"}', "malformed_json"),
        (b'{"price":' + b"[" * 60_000, "malformed_json"),
        (b"[]", "invalid_value"),
        (b"[" * 60_000, "invalid_value"),
        (b"null", "invalid_value"),
        (b'"text"', "invalid_value"),
    ],
)
def test_what_is_no_object(body: bytes, code: str) -> None:
    assert refused(body)[0] == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", "missing_field"),
        (b'{"price":"0"}', "invalid_value"),
        (b'{"quantity":1}', "invalid_value"),
        (b'{"side":"buy"}', "unknown_field"),
    ],
)
def test_an_amendment_that_looks_wrong(body: bytes, code: str) -> None:
    with pytest.raises(Problem) as caught:
        shaping.check_amendment(AMENDMENTS.body(body))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("change", "code", "pointers"),
    [
        ({"price": "101.505"}, "price_off_tick", ["/price"]),
        ({"quantity": "0.00005"}, "quantity_off_lot", ["/quantity"]),
        ({"price": "1.001", "quantity": "0.00005"}, "price_off_tick", ["/price", "/quantity"]),
        ({"price": "0." + "0" * 5000 + "1"}, "price_off_tick", ["/price"]),
        ({"price": "92233720368547758.08"}, "invalid_value", ["/price"]),
        ({"price": "1.001", "quantity": "9" * 30}, "invalid_value", ["/quantity"]),
    ],
)
def test_what_does_not_fit_the_instrument(
    change: dict[str, Any], code: str, pointers: list[str]
) -> None:
    with pytest.raises(Problem) as caught:
        placed(**(LIMIT | change))
    assert caught.value.code == code
    assert [error.pointer for error in caught.value.errors] == pointers


def test_a_limit_order_becomes_a_command() -> None:
    assert placed(**LIMIT) == matching.PlaceOrder(
        instrument=1024,
        side=types.SIDE_BUY,
        type=types.ORDER_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_GTC,
        price_ticks=10_150,
        quantity_lots=2_000,
        client_order_id="sig-1",
    )


def test_the_same_order_in_other_digits_is_the_same_command() -> None:
    assert placed(**LIMIT) == placed(**(LIMIT | {"price": "0101.50", "quantity": "0.2000"}))
    explicit = {"type": "limit", "time_in_force": "gtc", "post_only": False}
    assert placed(**LIMIT) == placed(**(LIMIT | explicit))


def test_market_orders_become_commands() -> None:
    by_quantity = placed(**MARKET, client_order_id="m-1", self_trade_prevention="none")
    assert by_quantity == matching.PlaceOrder(
        instrument=1024,
        side=types.SIDE_BUY,
        type=types.ORDER_TYPE_MARKET,
        time_in_force=types.TIME_IN_FORCE_IOC,
        quantity_lots=2_000,
        self_trade_prevention=types.SELF_TRADE_PREVENTION_NONE,
        client_order_id="m-1",
    )
    quote = {name: value for name, value in MARKET.items() if name != "quantity"}
    by_quote = placed(**quote, quote_quantity="20.3", time_in_force="ioc")
    assert (by_quote.quote_minor, by_quote.quantity_lots) == (2_030_000_000, 0)


FILLED_IN_PART = types.Order(
    order_id=1029384,
    instrument=1024,
    side=types.SIDE_BUY,
    type=types.ORDER_TYPE_LIMIT,
    time_in_force=types.TIME_IN_FORCE_GTC,
    self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_TAKER,
    client_order_id="a-1",
    price_ticks=10_150,
    quantity_lots=2_000,
    state=types.ORDER_STATE_OPEN,
    remaining_lots=1_500,
    filled_lots=500,
    filled_quote_minor=507_000_000,
    fee_asset=2,
    fee_minor=10_000,
    created_us=1_700_000_000_000_000,
    updated_us=1_700_000_000_000_000,
    sequence=4711,
)
SHOWN = {
    "order_id": "1029384",
    "client_order_id": "a-1",
    "instrument": "BTC-USD",
    "side": "buy",
    "type": "limit",
    "price": "101.5",
    "quantity": "0.2",
    "quote_quantity": None,
    "time_in_force": "gtc",
    "post_only": False,
    "self_trade_prevention": "cancel_taker",
    "state": "open",
    "reason": None,
    "filled_quantity": "0.05",
    "remaining_quantity": "0.15",
    "filled_quote": "5.07",
    "fees": [{"asset": "BTC", "amount": "0.0001"}],
    "created_us": 1_700_000_000_000_000,
    "updated_us": 1_700_000_000_000_000,
    "sequence": 4711,
    "trigger_price": None,
    "trigger_by": None,
    "trail": None,
    "trail_ppm": None,
    "activation_price": None,
    "peak_price": None,
    "triggered_us": None,
    "expires_us": None,
    "display_quantity": None,
    "min_fill_quantity": None,
    "protection_price": None,
    "group": None,
    "group_kind": None,
    "fills": [
        {
            "trade_id": "88",
            "price": "101.4",
            "quantity": "0.05",
            "fee": {"asset": "BTC", "amount": "0.0001"},
            "liquidity": "taker",
            "time_us": 1_700_000_000_000_000,
        }
    ],
}


def test_an_order_is_shown_as_the_contract_says() -> None:
    trade = matching.TradeEvent(
        trade_id=88,
        price_ticks=10_140,
        lots=500,
        taker_order_id=FILLED_IN_PART.order_id,
        taker_fee_minor=10_000,
    )
    another = matching.TradeEvent(trade_id=89, taker_order_id=1, maker_order_id=2)
    traded = [trade, another]
    at_us = 1_700_000_000_000_000
    fills = translate.taken(traded, BTC_USD, FILLED_IN_PART, at_us, ASSETS.get)
    shown = translate.order(FILLED_IN_PART, BTC_USD, BTC_USD.base, fills)
    assert msgspec.to_builtins(shown) == SHOWN


def test_a_market_order_by_quote_has_no_quantity() -> None:
    order = types.Order(
        order_id=1,
        side=types.SIDE_SELL,
        type=types.ORDER_TYPE_MARKET,
        time_in_force=types.TIME_IN_FORCE_IOC,
        quote_minor=2_030_000_000,
        state=types.ORDER_STATE_EXPIRED,
        reason=types.END_REASON_NO_LIQUIDITY,
    )
    shown = translate.order(order, BTC_USD, BTC_USD.quote)
    assert (shown.quantity, shown.remaining_quantity, shown.price) == (None, None, None)
    assert (shown.quote_quantity, shown.reason, shown.fees) == ("20.3", "no_liquidity", [])
    assert b'"fills"' not in msgspec.json.encode(shown)
