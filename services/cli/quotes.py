"""What the demo's bots want: where the price goes, which quotes stand around it, who takes them.

Only decisions, all in ticks and lots; chance is handed in, and `bots.py` talks to the exchange.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple, TypeAlias

from services.domain import money
from services.domain.money import Plain

BUY: Final = "buy"
SELL: Final = "sell"

LEVELS: Final = 6
HALF_SPREAD_PPM: Final = 300
STEP_PPM: Final = 250
TOLERANCE_PPM: Final = 120
"""A quote this near to where it should be stays: moving it would cost its place in the queue."""

WALK_PPM: Final = 200
"""How far the price goes in one step at most."""

PULL: Final = 2000
"""In one step the price comes back by this part of its distance from where it began."""


class Scale(NamedTuple):
    """The tick and the lot of a market, as the public API states them."""

    tick: Plain
    lot: Plain

    def price_text(self, ticks: int) -> str:
        """A price as it is sent."""
        return money.write(ticks * self.tick.digits, self.tick.scale)

    def quantity_text(self, lots: int) -> str:
        """A quantity as it is sent."""
        return money.write(lots * self.lot.digits, self.lot.scale)

    def ticks(self, price: str) -> int:
        """A price that the exchange sent; rounded down if it is off the grid."""
        return money.steps(money.read(price) or Plain(0, 0), self.tick).times

    def lots(self, quantity: str) -> int:
        """A quantity that the exchange sent; rounded down if it is off the grid."""
        return money.steps(money.read(quantity) or Plain(0, 0), self.lot).times


@dataclass
class Walk:
    """A price that wanders, and comes back to where it began in the long run."""

    home_ticks: int
    ticks: int

    def step(self, chance: Random) -> int:
        """The next price; never below half of home nor above twice of it."""
        reach = self.ticks * WALK_PPM // 1_000_000 or 1
        pull = (self.home_ticks - self.ticks) // PULL
        self.begin_at(self.ticks + pull + chance.randint(-reach, reach))
        return self.ticks

    def begin_at(self, ticks: int) -> None:
        """Stand at a price, or at the nearest one that makes sense."""
        self.ticks = min(max(ticks, self.home_ticks // 2, 1), self.home_ticks * 2)


class Quote(NamedTuple):
    """An order a maker wants to have in the book."""

    side: str
    price_ticks: int
    lots: int


class Standing(NamedTuple):
    """An order a maker has in the book."""

    order_id: str
    side: str
    price_ticks: int
    remaining_lots: int


class Move(NamedTuple):
    """Put an order to another price."""

    order_id: str
    price_ticks: int


class TakeBack(NamedTuple):
    """Cancel an order."""

    order_id: str


Change: TypeAlias = Quote | Move | TakeBack
"""What a maker does next; a quote is an order to place."""


def ladder(fair_ticks: int, shift_ppm: int, lots: range, chance: Random) -> list[Quote]:
    """The quotes of a maker around a price, best first on each side.

    `shift_ppm` is how much further out this maker stands than the keenest.
    """
    half = _part(fair_ticks, HALF_SPREAD_PPM + shift_ppm)
    step = _part(fair_ticks, STEP_PPM)
    quotes = []
    for level in range(LEVELS):
        away = half + level * step
        quotes.append(Quote(BUY, max(fair_ticks - away, 1), chance.choice(lots)))
        quotes.append(Quote(SELL, fair_ticks + away, chance.choice(lots)))
    return quotes


def changes(
    standing: Sequence[Standing], wanted: Sequence[Quote], fair_ticks: int, most: int
) -> list[Change]:
    """The few things to do first, at most `most`, so that what stands becomes what is wanted.

    Quotes on the wrong side of the price go before all others, then those nearest to it.
    """
    found: list[tuple[int, Change]] = []
    tolerance = fair_ticks * TOLERANCE_PPM // 1_000_000
    for side in (BUY, SELL):
        have = sorted((o for o in standing if o.side == side), key=lambda o: _edge(side, o))
        want = [quote for quote in wanted if quote.side == side]
        for order, quote in zip(have, want, strict=False):
            if abs(order.price_ticks - quote.price_ticks) > tolerance:
                urgency = _gap(side, order.price_ticks, fair_ticks)
                found.append((urgency, Move(order.order_id, quote.price_ticks)))
        found.extend((0, TakeBack(order.order_id)) for order in have[len(want) :])
        found.extend((_gap(side, q.price_ticks, fair_ticks), q) for q in want[len(have) :])
    return [change for _, change in sorted(found, key=lambda each: each[0])[:most]]


def _edge(side: str, order: Standing) -> int:
    """Sorts the orders of a side, best first."""
    return -order.price_ticks if side == BUY else order.price_ticks


def _gap(side: str, price_ticks: int, fair_ticks: int) -> int:
    """How far a price is from the fair one on its own side; negative on the wrong side."""
    return fair_ticks - price_ticks if side == BUY else price_ticks - fair_ticks


def _part(ticks: int, ppm: int) -> int:
    return max(ticks * ppm // 1_000_000, 1)
