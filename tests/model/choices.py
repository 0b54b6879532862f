"""What every asker of random commands chooses among: few accounts, markets, prices and names."""

from random import Random
from typing import Final, TypeVar

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.features import READY
from tests.model.model import Model
from tests.model.phases import CONTINUOUS, GATHERS
from tests.model.state import FEES
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
T = TypeVar("T")


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
        self.traced = random.choice((1, 50))

    def command(self, account: int) -> matching.Command:
        self.asked += 1
        command = matching.Command(
            request_id=self.asked.to_bytes(16, "big"), account=account, causation=self.asked % 3
        )
        if self.asked % self.traced == 0:
            command.trace = b"trace" * 12
        return command

    def has(self, feature: str, times: int = 1) -> bool:
        """The feature may be used, and this time, one in so many, it is."""
        return feature in self.features and self.one_in(times)

    def soon_us(self) -> int:
        """A time of the clock that will come."""
        return self.model.clock_us + self.random.choice(
            (1, SECOND_US, 4 * SECOND_US, 20 * SECOND_US)
        )

    def account(self) -> int:
        stranger = 2_000 + self.random.randrange(40)
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

    def price(self) -> int:
        return self.random.choice(self.world.prices)

    def one_in(self, times: int) -> bool:
        return self.random.randrange(times) == 0

    def weighted(self, ways: list[tuple[int, T]]) -> T:
        may = [(weight, way) for weight, way in ways if weight]
        return self.random.choices([way for _, way in may], [weight for weight, _ in may])[0]
