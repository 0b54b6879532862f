"""What every asker of random commands chooses among: few accounts, markets, prices and names."""

from random import Random
from typing import Final, TypeVar

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.book import PPM
from tests.model.features import READY
from tests.model.model import Model
from tests.model.phases import CONTINUOUS, GATHERS
from tests.model.state import FEES, TOP
from tests.model.worlds import World

PEOPLE: Final = (1000, 1001, 1002, 1003, 1004)
SECOND_US: Final = 1_000_000
MODES: Final = (
    types.SELF_TRADE_PREVENTION_UNSPECIFIED,
    types.SELF_TRADE_PREVENTION_NONE,
    types.SELF_TRADE_PREVENTION_CANCEL_MAKER,
    types.SELF_TRADE_PREVENTION_CANCEL_TAKER,
    types.SELF_TRADE_PREVENTION_CANCEL_BOTH,
    types.SELF_TRADE_PREVENTION_DECREMENT,
)
TAKES: Final = GATHERS | {CONTINUOUS}
END: Final = TOP
"""The largest number that a message carries: the end of time, too."""
T = TypeVar("T")


def _ends_of_bands(at: types.Instrument) -> list[tuple[int, int]]:
    """Up and down, and how far, in millionths."""
    bands = (at.static_band_ppm, at.dynamic_band_ppm, at.market_protection_ppm)
    return [(sign, ppm) for ppm in bands if ppm for sign in (1, -1)]


class Chooser:
    """Looks at the model as it stands, to aim. All choices are the given Random's."""

    def __init__(
        self, random: Random, model: Model, world: World, features: frozenset[str] = READY
    ) -> None:
        self.random = random
        self.model = model
        self.world = world
        self.features = features
        self.time_us = 1_000 * SECOND_US
        self.asked = 0
        self.acting = 0
        self.traced = random.choice((1, 50))
        self.prices = random.sample(world.prices, 4) if world.edges else world.prices

    def command(self, account: int) -> matching.Command:
        self.asked += 1
        self.acting = account
        command = matching.Command(
            request_id=self.asked.to_bytes(16, "big"), account=account, causation=self.asked % 3
        )
        if self.asked % self.traced == 0:
            command.trace = b"trace" * 12
        return command

    def has(self, feature: str, times: int = 1) -> bool:
        """The feature may be used, and this time, one in so many, it is."""
        return feature in self.features and self.one_in(times)

    def at_edge(self, times: int = 2) -> bool:
        """Where the world has edges: this time, one in so many, at one of them."""
        return self.world.edges and self.one_in(times)

    def close_to(self, *numbers: int, most: int = END) -> int:
        """One of the numbers that are possible, one more or one less; within 1 and the most."""
        possible = [number for number in numbers if 1 <= number <= most]
        found = self.random.choice(possible or [most]) + self.random.choice((-1, 0, 0, 0, 1))
        return max(1, min(found, most))

    def soon_us(self) -> int:
        """A time of the clock that will come; the end of time where it has come."""
        if self.at_edge(4):
            return self.close_to(END, self.model.clock_us + 1)
        wait_us = self.random.choice((1, SECOND_US, 4 * SECOND_US, 20 * SECOND_US))
        return min(self.model.clock_us + wait_us, END)

    def account(self) -> int:
        """Mostly one of a few; a stranger more often where there is no room for one."""
        stranger = 2_000 + self.random.randrange(40)
        full = len(self.model.accounts) >= self.model.sizes.accounts
        if full and self.one_in(6):
            return stranger
        return self.random.choice((*PEOPLE * 8, FEES, stranger))

    def asset(self) -> int:
        return self.random.choice((1, 2, 3, 1, 2, 3, 1, 2, 3, 9))

    def instrument(self) -> int:
        """Mostly one that is the newest of its symbol and takes orders; else any, or none."""
        if not self.model.instruments or self.one_in(40):
            return 77
        if self.one_in(20):
            return self.random.choice(list(self.model.instruments))
        newest = {i.symbol: number for number, i in self.model.instruments.items()}
        takes = [n for n in newest.values() if self.model.instruments[n].phase in TAKES]
        if takes and self.features and not self.one_in(4):
            return self.random.choice(takes)
        return self.random.choice(list(newest.values()))

    def market_or_none(self) -> int:
        """A market, and now and then one that there is not."""
        return 77 if self.one_in(12) else self.instrument()

    def price(self, instrument: int = 0, most: int = END) -> int:
        """Any price of the world; or one at an edge of a market's, where the world has edges."""
        at = self.model.instruments.get(instrument)
        if at is None or not self.at_edge():
            return min(self.random.choice(self.prices), most)
        around = (at.reference_ticks, at.last_price_ticks, at.mark_price_ticks)
        ends = [n + sign * (n * ppm // PPM) for n in around for sign, ppm in _ends_of_bands(at)]
        best = [side[0].price_ticks for side in self._sides(instrument) if side]
        if best and self.one_in(2):
            return min(self.random.choice(best), most)
        return self.close_to(*around, *ends, *best, most=most)

    def _sides(self, instrument: int) -> list[list[types.Order]]:
        return [self.model.books[instrument, side] for side in (types.SIDE_BUY, types.SIDE_SELL)]

    def one_in(self, times: int) -> bool:
        return self.random.randrange(times) == 0

    def weighted(self, ways: list[tuple[int, T]]) -> T:
        may = [(weight, way) for weight, way in ways if weight]
        return self.random.choices([way for _, way in may], [weight for weight, _ in may])[0]
