"""R-SHAPE of orders with terms: what is taken passes the engine's codec, what is not is named."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain.words import ORDER_TYPE_OF, SIDE_OF, TIME_IN_FORCE_OF, TRIGGER_OF
from services.gateway import shaping, terms, translate
from services.gateway.problems import Problem
from services.matching import core
from tests.services.gateway.test_shaping import BTC_USD, LIMIT, MARKET, ORDERS, placed, refused

STOP = {**MARKET, "type": "stop", "trigger_price": "90"}
STOP_LIMIT = {**LIMIT, "type": "stop_limit", "trigger_price": "90"}
TAKE_PROFIT = {**MARKET, "type": "take_profit", "trigger_price": "90"}
TAKE_PROFIT_LIMIT = {**LIMIT, "type": "take_profit_limit", "trigger_price": "90"}
TRAILING = {**MARKET, "type": "trailing_stop", "trail": "5"}
GTD = {**LIMIT, "time_in_force": "gtd", "expires_us": 1_800_000_000_000_000}
GFA = {**LIMIT, "time_in_force": "gfa"}
ICEBERG = {**LIMIT, "display_quantity": "0.05"}
LEAST = {**LIMIT, "min_fill_quantity": "0.1"}
PROTECTED = {**MARKET, "protection_price": "110"}


def without(order: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in order.items() if name not in names}


def passes_the_codec(**kind: Any) -> bool:
    """Whether a batch of this one command is well-formed to the engine."""
    command = matching.Command(request_id=b"r" * 16, account=1000, **kind)
    batch = matching.SubmitRequest(session=1, number=1, commands=[command])
    return not isinstance(core.Core.check(batch.SerializeToString()), core.Malformed)


TAKEN = [
    STOP,
    STOP_LIMIT,
    TAKE_PROFIT,
    TAKE_PROFIT_LIMIT,
    TRAILING,
    GTD,
    GFA,
    ICEBERG,
    LEAST,
    PROTECTED,
    {**STOP, "time_in_force": "ioc", "trigger_by": "mark", "protection_price": "80"},
    {**without(STOP, "quantity"), "quote_quantity": "20"},
    {**STOP, "trigger_price": "46116860184273879.04"},
    *({**STOP_LIMIT, "time_in_force": word} for word in ("gtc", "ioc", "fok")),
    {**STOP_LIMIT, "time_in_force": "gtd", "expires_us": 1, "display_quantity": "0.1"},
    {**without(TRAILING, "trail"), "trail_ppm": 500_000, "activation_price": "120"},
    {**without(TRAILING, "quantity"), "quote_quantity": "20", "protection_price": "80"},
    {**GTD, "post_only": True, "display_quantity": "0.1"},
    {**GFA, "display_quantity": "0.1"},
    {**LEAST, "min_fill_quantity": "0.20"},
    {**LEAST, "time_in_force": "ioc"},
    {**LEAST, "display_quantity": "0.1"},
]


ANY_ORDER = st.fixed_dictionaries(
    {"instrument": st.just("BTC-USD"), "side": st.sampled_from(sorted(SIDE_OF))},
    optional={
        "type": st.sampled_from(sorted(ORDER_TYPE_OF)),
        "time_in_force": st.sampled_from(sorted(TIME_IN_FORCE_OF)),
        "post_only": st.booleans(),
        "price": st.just("100"),
        "quantity": st.sampled_from(["0.1", "0.3"]),
        "quote_quantity": st.just("20"),
        "trigger_price": st.just("90"),
        "trigger_by": st.sampled_from(sorted(TRIGGER_OF)),
        "trail": st.just("5"),
        "trail_ppm": st.just(9),
        "activation_price": st.just("95"),
        "expires_us": st.just(9),
        "display_quantity": st.just("0.2"),
        "min_fill_quantity": st.just("0.2"),
        "protection_price": st.just("99"),
    },
)


def as_sent(order: dict[str, Any]) -> matching.PlaceOrder:
    """The command that an order would be, whether its shape is right or not."""
    asked = ORDERS.body(json.dumps(order).encode())
    decimals, _ = shaping.look_at(asked)
    decimals = decimals._replace(terms=terms.read(asked, None, []))
    command = translate.place_order(shaping.order_words(asked, decimals, BTC_USD, "x"))
    assert isinstance(command, matching.PlaceOrder)
    return command


@settings(max_examples=1000, deadline=None)
@given(ANY_ORDER)
def test_the_edge_takes_what_the_codec_takes(order: dict[str, Any]) -> None:
    _, mistakes = shaping.look_at(ORDERS.body(json.dumps(order).encode()))
    taken = not mistakes.missing and not mistakes.wrong
    assert taken == passes_the_codec(place_order=as_sent(order))


@pytest.mark.parametrize("order", TAKEN)
def test_what_is_taken_is_well_formed(order: dict[str, Any]) -> None:
    assert passes_the_codec(place_order=placed(**order))


@pytest.mark.parametrize(
    ("order", "code", "pointers"),
    [
        (without(STOP, "trigger_price"), "missing_field", ["/trigger_price"]),
        (without(TAKE_PROFIT_LIMIT, "price"), "missing_field", ["/price"]),
        (without(TRAILING, "trail"), "missing_field", ["/trail"]),
        (without(GTD, "expires_us"), "missing_field", ["/expires_us"]),
        (without(STOP, "quantity"), "missing_field", ["/quantity"]),
        ({**STOP, "trigger_price": "0"}, "invalid_value", ["/trigger_price"]),
        ({**STOP, "trigger_price": 90}, "invalid_value", ["/trigger_price"]),
        ({**STOP, "trigger_by": "index"}, "invalid_value", ["/trigger_by"]),
        ({**STOP, "price": "1"}, "invalid_value", ["/price"]),
        ({**STOP, "time_in_force": "gtc"}, "invalid_value", ["/time_in_force"]),
        ({**STOP, "display_quantity": "0.1"}, "invalid_value", ["/display_quantity"]),
        ({**STOP, "min_fill_quantity": "0.1"}, "invalid_value", ["/min_fill_quantity"]),
        ({**STOP, "post_only": True}, "invalid_value", ["/post_only"]),
        ({**STOP_LIMIT, "post_only": True}, "invalid_value", ["/post_only"]),
        ({**STOP_LIMIT, "time_in_force": "gfa"}, "invalid_value", ["/time_in_force"]),
        ({**STOP_LIMIT, "protection_price": "9"}, "invalid_value", ["/protection_price"]),
        (
            {**without(STOP_LIMIT, "quantity"), "quote_quantity": "20"},
            "invalid_value",
            ["/quote_quantity"],
        ),
        (
            {**STOP_LIMIT, "time_in_force": "ioc", "display_quantity": "0.1"},
            "invalid_value",
            ["/display_quantity"],
        ),
        ({**TRAILING, "trail_ppm": 1}, "invalid_value", ["/trail_ppm"]),
        ({**TRAILING, "trail_ppm": 500_001}, "invalid_value", ["/trail_ppm"]),
        ({**TRAILING, "trigger_price": "90"}, "invalid_value", ["/trigger_price"]),
        ({**LIMIT, "trigger_price": "90"}, "invalid_value", ["/trigger_price"]),
        ({**LIMIT, "trigger_by": "last"}, "invalid_value", ["/trigger_by"]),
        ({**LIMIT, "trail": "1"}, "invalid_value", ["/trail"]),
        ({**MARKET, "activation_price": "1"}, "invalid_value", ["/activation_price"]),
        ({**LIMIT, "expires_us": 1}, "invalid_value", ["/expires_us"]),
        ({**GTD, "expires_us": 0}, "invalid_value", ["/expires_us"]),
        ({**GTD, "expires_us": "1"}, "invalid_value", ["/expires_us"]),
        ({**MARKET, "time_in_force": "gtd", "expires_us": 1}, "invalid_value", ["/time_in_force"]),
        ({**GFA, "post_only": True}, "invalid_value", ["/post_only"]),
        ({**GFA, "min_fill_quantity": "0.1"}, "invalid_value", ["/min_fill_quantity"]),
        ({**ICEBERG, "time_in_force": "fok"}, "invalid_value", ["/display_quantity"]),
        ({**LEAST, "time_in_force": "fok"}, "invalid_value", ["/min_fill_quantity"]),
        ({**LEAST, "post_only": True}, "invalid_value", ["/min_fill_quantity"]),
        ({**LEAST, "min_fill_quantity": "0.2001"}, "invalid_value", ["/min_fill_quantity"]),
        ({**LIMIT, "protection_price": "1"}, "invalid_value", ["/protection_price"]),
    ],
)
def test_terms_that_look_wrong(order: dict[str, Any], code: str, pointers: list[str]) -> None:
    assert refused(json.dumps(order).encode()) == (code, pointers)


@pytest.mark.parametrize(
    ("order", "code", "pointers"),
    [
        ({**STOP, "trigger_price": "90.001"}, "price_off_tick", ["/trigger_price"]),
        ({**TRAILING, "trail": "0.001"}, "price_off_tick", ["/trail"]),
        ({**TRAILING, "activation_price": "0.001"}, "price_off_tick", ["/activation_price"]),
        ({**PROTECTED, "protection_price": "0.001"}, "price_off_tick", ["/protection_price"]),
        ({**ICEBERG, "display_quantity": "0.00001"}, "quantity_off_lot", ["/display_quantity"]),
        ({**LEAST, "min_fill_quantity": "0.00001"}, "quantity_off_lot", ["/min_fill_quantity"]),
        ({**STOP, "trigger_price": "46116860184273879.05"}, "invalid_value", ["/trigger_price"]),
        ({**STOP, "trigger_price": "9" * 30}, "invalid_value", ["/trigger_price"]),
    ],
)
def test_terms_that_do_not_fit_the_instrument(
    order: dict[str, Any], code: str, pointers: list[str]
) -> None:
    with pytest.raises(Problem) as caught:
        placed(**order)
    assert caught.value.code == code
    assert [error.pointer for error in caught.value.errors] == pointers


def test_all_terms_reach_the_command() -> None:
    waits = {**STOP, "trigger_by": "mark", "protection_price": "80"}
    assert placed(**waits) == matching.PlaceOrder(
        instrument=1024,
        side=types.SIDE_BUY,
        type=types.ORDER_TYPE_STOP,
        time_in_force=types.TIME_IN_FORCE_IOC,
        quantity_lots=2_000,
        client_order_id="sig-1",
        trigger_ticks=9_000,
        trigger_by=types.TRIGGER_BY_MARK_PRICE,
        protection_ticks=8_000,
    )
    follows = placed(**{**TRAILING, "activation_price": "120"})
    assert (follows.trail_ticks, follows.activation_ticks) == (500, 12_000)
    rests = placed(**{**GTD, "display_quantity": "0.05", "min_fill_quantity": "0.1"})
    assert (rests.expires_us, rests.display_lots, rests.min_fill_lots) == (
        1_800_000_000_000_000,
        500,
        1_000,
    )


def test_a_plain_order_has_no_terms() -> None:
    order = ORDERS.body(json.dumps(LIMIT).encode())
    assert shaping.check_order(order).terms is None


def test_terms_and_fees_in_two_assets_are_shown() -> None:
    order = types.Order(
        order_id=2048,
        side=types.SIDE_BUY,
        type=types.ORDER_TYPE_TRAILING_STOP,
        time_in_force=types.TIME_IN_FORCE_IOC,
        state=types.ORDER_STATE_FILLED,
        quantity_lots=10,
        filled_lots=10,
        fee_minor=5,
        other_fee_asset=1,
        other_fee_minor=7,
        trigger_ticks=9_500,
        trigger_by=types.TRIGGER_BY_LAST_PRICE,
        trail_ppm=50_000,
        activation_ticks=9_900,
        peak_ticks=10_000,
        triggered_us=17,
        protection_ticks=11_000,
        group=1024,
        group_kind=types.GROUP_KIND_OCO,
    )
    trades = [
        matching.TradeEvent(trade_id=1, maker_order_id=2048, lots=4, maker_fee_minor=5),
        matching.TradeEvent(
            trade_id=2, taker_order_id=2048, lots=6, taker_fee_minor=7, taker_fee_asset=1
        ),
    ]
    assets = {1: BTC_USD.quote, 2: BTC_USD.base}
    fills = translate.taken(trades, BTC_USD, order, 17, assets.get)
    shown = translate.order(order, BTC_USD, BTC_USD.base, fills, BTC_USD.quote)
    assert (shown.trigger_price, shown.trigger_by, shown.trail_ppm) == ("95", "last", 50_000)
    assert (shown.activation_price, shown.peak_price, shown.triggered_us) == ("99", "100", 17)
    assert (shown.protection_price, shown.group, shown.group_kind) == ("110", "1024", "oco")
    assert [(fee.asset, fee.amount) for fee in shown.fees] == [
        ("BTC", "0.00000005"),
        ("USD", "0.00000007"),
    ]
    told = [(fill.liquidity, fill.fee.asset, fill.fee.amount) for fill in fills]
    assert told == [("maker", "BTC", "0.00000005"), ("taker", "USD", "0.00000007")]
