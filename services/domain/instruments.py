"""An instrument with the names and scales of its assets: how its prices and quantities are written.

The core knows ticks, lots and minor units; this is where they meet decimals.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bourse.types import v1 as types
from services.domain import money
from services.domain.money import Plain

STANDARD_TIER: Final = 0


class Misfit(Enum):
    """Why a decimal is no count of an instrument's units."""

    TOO_LARGE = "does not fit 64 bits inside"
    OFF_GRID = "is not a whole number of steps"


@dataclass(frozen=True, slots=True)
class Market:
    """One instrument with its two assets, all as the core states them."""

    instrument: types.Instrument
    base: types.Asset
    quote: types.Asset

    @property
    def id(self) -> int:
        """The instrument's number."""
        return self.instrument.instrument

    @property
    def symbol(self) -> str:
        """The instrument's name."""
        return self.instrument.symbol

    def price_text(self, ticks: int) -> str:
        """A price in quote for one unit of base."""
        return money.write(ticks * self.instrument.tick_units, self.instrument.tick_scale)

    def quantity_text(self, lots: int) -> str:
        """A quantity in units of base."""
        return money.write(lots * self.instrument.lot_minor, self.base.decimals)

    def quote_text(self, amount_minor: int) -> str:
        """An amount of the quote asset."""
        return money.write(amount_minor, self.quote.decimals)

    def ticks(self, price: Plain) -> int | Misfit:
        """A price as a number of ticks."""
        return _count(price, Plain(self.instrument.tick_units, self.instrument.tick_scale))

    def lots(self, quantity: Plain) -> int | Misfit:
        """A quantity of base as a number of lots."""
        return _count(quantity, Plain(self.instrument.lot_minor, self.base.decimals))

    def quote_minor(self, amount: Plain) -> int | Misfit:
        """An amount of quote in minor units."""
        return _count(amount, Plain(1, self.quote.decimals))

    def asset_given(self, side: int) -> types.Asset:
        """What an order of that side pays with: quote for a buy, base for a sell."""
        return self.quote if side == types.SIDE_BUY else self.base

    def fees_of_tier(self, tier: int) -> types.FeeRate:
        """The rates of a tier; the standard ones if it has none of its own."""
        return _rate(self.instrument.fees, tier)


def amount_text(asset: types.Asset, amount_minor: int) -> str:
    """An amount of an asset as a decimal, without its name."""
    return money.write(amount_minor, asset.decimals)


def amount_minor(asset: types.Asset, amount: Plain) -> int | Misfit:
    """A decimal amount of an asset in minor units."""
    return _count(amount, Plain(1, asset.decimals))


def _count(value: Plain, unit: Plain) -> int | Misfit:
    # Too large comes first: at the edge a 400 goes before a 422.
    times, exact = money.steps(value, unit)
    if times > money.TOP:
        return Misfit.TOO_LARGE
    return times if exact else Misfit.OFF_GRID


def _rate(fees: Iterable[types.FeeRate], tier: int) -> types.FeeRate:
    by_tier = {fee.tier: fee for fee in fees}
    return by_tier.get(tier) or by_tier.get(STANDARD_TIER) or types.FeeRate()
