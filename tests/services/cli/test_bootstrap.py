"""The beginning of an exchange is what the public contract says, and its ids never change."""

import pytest

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.cli.bootstrap import ASSETS, FIRST_MARKET, add_market, funding, request_id
from services.cli.demo import MARKETS
from services.cli.rooms import Markets
from services.cli.terminal import Refused

KNOWN = Markets(matching.WatchMarketsResponse(assets=ASSETS))


def test_the_assets_are_those_of_the_contract() -> None:
    assert [(a.asset, a.code, a.decimals) for a in ASSETS] == [
        (1, "USD", 8),
        (2, "BTC", 8),
        (3, "ETH", 8),
    ]


def test_the_first_market_is_that_of_the_contract() -> None:
    made = add_market(FIRST_MARKET, KNOWN).add_instrument.instrument
    assert made == types.Instrument(
        symbol="BTC-USD",
        base_asset=2,
        quote_asset=1,
        lot_minor=10_000,
        tick_units=1,
        tick_scale=2,
        phase=types.PHASE_CONTINUOUS,
        min_quantity_lots=1,
        max_quantity_lots=10**10,
        min_notional_minor=10**7,
        max_notional_minor=10**16,
        market_protection_ppm=50_000,
        fees=[types.FeeRate(maker_fee_ppm=1000, taker_fee_ppm=2000)],
    )


def test_the_treasury_is_funded_once_with_a_thousand_million_of_each() -> None:
    asked = funding(ASSETS)
    assert [(each.asset, each.amount_minor) for each in asked] == [
        (1, 10**17),
        (2, 10**17),
        (3, 10**17),
    ]
    assert asked == funding(ASSETS), "asking again is the same entry"
    assert len({each.request_id for each in asked}) == 3


def test_ids_of_deeds_stay_the_same_for_ever() -> None:
    """A folder made by an older Bourse has them in its tables; another id would fund it twice."""
    assert request_id("treasury USD").hex() == "f74ecf7f6b62de0bc338eddac2a1c92d"


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.symbol)
def test_every_market_of_the_demo_keeps_to_the_engine_s_bounds(market: object) -> None:
    made = add_market(market, KNOWN).add_instrument.instrument  # type: ignore[arg-type]
    quote_minor = 10 ** ASSETS[made.quote_asset - 1].decimals
    a_tick_of_a_lot = made.lot_minor * made.tick_units * quote_minor
    assert a_tick_of_a_lot % 10 ** (8 + made.tick_scale) == 0
    assert 1 <= made.max_notional_minor <= 2**62
    assert made.max_quantity_lots * made.lot_minor <= 2**62


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"base": "DOGE"}, "no asset DOGE. Known: BTC, ETH, USD"),
        ({"tick": "1e-2"}, "tick size is to be a positive decimal"),
        ({"tick": "0"}, "tick size is to be a positive decimal"),
        ({"lot": "0.000000001"}, "not a whole number of steps: BTC has 8 decimals"),
        ({"min_quantity": "0.00015"}, "not a whole number of lots"),
        ({"max_notional": "100000000000"}, "does not fit 64 bits"),
    ],
)
def test_a_market_that_cannot_be_is_refused_in_a_sentence(
    change: dict[str, str], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        add_market(FIRST_MARKET._replace(**change), KNOWN)  # type: ignore[arg-type]
