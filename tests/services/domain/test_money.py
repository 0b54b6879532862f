"""Decimals outside, integers inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bourse.types import v1 as types
from services.domain import money
from services.domain.instruments import Market, Misfit, amount_minor, amount_text
from services.domain.money import Plain

USD = types.Asset(asset=1, code="USD", decimals=8)
BTC = types.Asset(asset=2, code="BTC", decimals=8)
BTC_USD = Market(
    types.Instrument(
        instrument=1024,
        symbol="BTC-USD",
        lot_minor=10_000,
        tick_units=1,
        tick_scale=2,
        fees=[types.FeeRate(tier=0, taker_fee_ppm=7), types.FeeRate(tier=3, taker_fee_ppm=5)],
    ),
    BTC,
    USD,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Plain(0, 0)),
        ("0.0", Plain(0, 0)),
        ("1", Plain(1, 0)),
        ("0.1", Plain(1, 1)),
        ("0.10", Plain(1, 1)),
        ("007.50", Plain(75, 1)),
        ("100", Plain(100, 0)),
        ("9223372036854775807", Plain(2**63 - 1, 0)),
        ("0.000000000000000001", Plain(1, 18)),
        ("0.1000000000000000000001", Plain(1000000000000000001, 19)),
        ("0." + "0" * 60_000 + "1", Plain(1, 19)),
        ("1" + "0" * 36, Plain(10**36, 0)),
    ],
)
def test_a_plain_decimal_is_read(text: str, value: Plain) -> None:
    assert money.read(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1e-1",
        "1E5",
        "-1",
        "+1",
        ".5",
        "5.",
        "1.2.3",
        "1,5",
        "0x1",
        "NaN",
        "inf",
        "1 ",
        " 1",
        "1\n",
        "1_000",
        "١",
        "1" + "0" * 37,
        "9" * 60000,
    ],
)
def test_anything_else_is_not_a_decimal(text: str) -> None:
    assert money.read(text) is None


@pytest.mark.parametrize(
    ("units", "scale", "text"),
    [
        (0, 0, "0"),
        (0, 8, "0"),
        (1, 0, "1"),
        (100, 0, "100"),
        (1, 8, "0.00000001"),
        (100_000_000, 8, "1"),
        (120_000_000, 8, "1.2"),
        (-5, 2, "-0.05"),
        (-500, 2, "-5"),
        (123, 2, "1.23"),
        (10, 1, "1"),
    ],
)
def test_money_is_written_without_needless_zeros(units: int, scale: int, text: str) -> None:
    assert money.write(units, scale) == text


@given(st.integers(0, 2**63 - 1), st.integers(0, 18))
def test_what_is_written_is_read_again(units: int, scale: int) -> None:
    value = money.read(money.write(units, scale))
    assert value is not None
    assert money.steps(value, Plain(1, scale)) == (units, True)


@pytest.mark.parametrize(
    ("price", "ticks"),
    [
        ("0.01", 1),
        ("101.5", 10_150),
        ("0.001", Misfit.OFF_GRID),
        ("101.505", Misfit.OFF_GRID),
        ("0.0100000000000000000001", Misfit.OFF_GRID),
        ("92233720368547758.07", 2**63 - 1),
        ("92233720368547758.08", Misfit.TOO_LARGE),
        ("92233720368547758.085", Misfit.TOO_LARGE),
    ],
)
def test_a_price_is_a_number_of_ticks(price: str, ticks: int | Misfit) -> None:
    assert BTC_USD.ticks(_plain(price)) == ticks


@pytest.mark.parametrize(
    ("quantity", "lots"),
    [
        ("0.0001", 1),
        ("2", 20_000),
        ("0.00015", Misfit.OFF_GRID),
        ("1" + "0" * 30, Misfit.TOO_LARGE),
    ],
)
def test_a_quantity_is_a_number_of_lots(quantity: str, lots: int | Misfit) -> None:
    assert BTC_USD.lots(_plain(quantity)) == lots


def test_amounts_are_in_minor_units_of_their_asset() -> None:
    assert amount_minor(USD, _plain("20.3")) == 2_030_000_000
    assert amount_minor(USD, _plain("0.000000001")) == Misfit.OFF_GRID
    assert amount_text(USD, 2_030_000_000) == "20.3"
    assert BTC_USD.quote_text(1) == "0.00000001"


def test_a_market_writes_its_own_units() -> None:
    assert BTC_USD.price_text(10_150) == "101.5"
    assert BTC_USD.quantity_text(20_000) == "2"
    assert BTC_USD.asset_given(types.SIDE_BUY) == USD
    assert BTC_USD.asset_given(types.SIDE_SELL) == BTC


def test_a_tier_without_a_rate_pays_the_standard() -> None:
    assert [BTC_USD.fees_of_tier(tier).taker_fee_ppm for tier in (0, 1, 3)] == [7, 7, 5]


@given(st.integers(1, 2**62), st.integers(1, 10**6), st.integers(0, 18))
def test_ticks_survive_the_way_out_and_in(ticks: int, tick_units: int, tick_scale: int) -> None:
    market = Market(types.Instrument(tick_units=tick_units, tick_scale=tick_scale), BTC, USD)
    assert market.ticks(_plain(market.price_text(ticks))) == ticks


def _plain(text: str) -> Plain:
    value = money.read(text)
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("value", "other", "above"),
    [("0.21", "0.2", True), ("0.2", "0.20", False), ("0.2", "0.21", False), ("10", "9.9", True)],
)
def test_what_exceeds_what(value: str, other: str, above: bool) -> None:
    first, second = money.read(value), money.read(other)
    assert first is not None
    assert second is not None
    assert money.exceeds(first, second) is above
