"""The worlds that random commands are asked in: how large their numbers are."""

from dataclasses import dataclass
from typing import Final

from bourse.types import v1 as types


@dataclass(frozen=True)
class World:
    """How large the numbers are."""

    prices: tuple[int, ...]
    lots: tuple[int, ...]
    credits: tuple[int, ...]
    markets: tuple[types.Instrument, ...]
    edges: bool = False
    """Whether numbers are looked for at which something ends: as much as a market takes, an account
    can pay, an asset may have; the last price inside a band; the end of time."""


def market(symbol: str, base: int, quote: int, **fields: int) -> types.Instrument:
    """An instrument with wide limits; fields as in the contract."""
    made = types.Instrument(
        symbol=symbol,
        base_asset=base,
        quote_asset=quote,
        lot_minor=1,
        tick_units=1,
        phase=types.PHASE_CONTINUOUS,
        min_quantity_lots=1,
        max_quantity_lots=1_000,
        max_notional_minor=1_000_000,
        market_protection_ppm=50_000,
    )
    for name, value in fields.items():
        setattr(made, name, value)
    made.fees.add(tier=0, maker_fee_ppm=-300, taker_fee_ppm=10_000)
    made.fees.add(tier=2, maker_fee_ppm=700, taker_fee_ppm=0)
    return made


SMALL: Final = World(
    prices=tuple(range(95, 106)),
    lots=(1, 1, 2, 3, 5, 8, 20),
    credits=(1, 50, 1_000, 5_000, 20_000),
    markets=(
        market("A-C", 1, 3, lot_minor=3, tick_units=2),
        market("B-C", 2, 3),
        market(
            "B-A",
            2,
            1,
            max_quantity_lots=10,
            min_quantity_lots=2,
            min_notional_minor=200,
            max_notional_minor=800,
        ),
    ),
)

_POWERS: Final = (1, 2, 3, 1_000, 2**20, 2**31, 2**32 + 1, 2**42, 2**50 - 1, 2**61, 2**62 - 1)
LARGE: Final = World(
    prices=(*_POWERS, 2**62),
    lots=(*_POWERS, 2**62),
    credits=(2**20, 2**40, 2**58, 2**58, 2**59, 2**59, 2**60, 2**62 - 5),
    markets=(
        market("A-C", 1, 3, max_quantity_lots=2**62, max_notional_minor=2**62),
        market(
            "B-C",
            2,
            3,
            lot_minor=2**31,
            max_quantity_lots=2**31,
            max_notional_minor=2**62,
            market_protection_ppm=1_000_000,
        ),
        market(
            "B-A", 2, 1, tick_units=2**40, max_quantity_lots=2**62, max_notional_minor=2**62 - 1
        ),
    ),
)

_MILLION: Final = 10**6
EDGES: Final = World(
    prices=(1, 1, 1, 2, 3, _MILLION, 2**31, 2**61, 2**62 - 1, 2**62, 2**62, 2**63 - 1),
    lots=(1, 1, 2, 99, 100, 101, _MILLION - 1, _MILLION, _MILLION + 1, 2**62, 2**63 - 1),
    credits=(1, _MILLION, 2**31, 2**42, 2**59, 2**60, 2**61, 2**62, 2**63 - 1),
    markets=(
        market(
            "A-C",
            1,
            3,
            max_quantity_lots=2**62,
            max_notional_minor=2**62,
            market_protection_ppm=1_000_000,
        ),
        market(
            "B-C",
            2,
            3,
            lot_minor=_MILLION,
            max_quantity_lots=2**62 // _MILLION,
            max_notional_minor=2**62,
            market_protection_ppm=1,
        ),
        market("B-A", 2, 1, tick_units=2**61, max_quantity_lots=2**62, max_notional_minor=2**62),
    ),
    edges=True,
)
"""Few numbers between the least and the most: at times one account owns nearly everything. Each
history has only some of the prices, so that orders meet.
"""
