"""A shard on which random commands of every kind were asked, by rules 2."""

from random import Random

from bourse.matching import v1 as matching
from tests.model.features import ALL
from tests.model.model import Model
from tests.model.worlds import SMALL
from tests.model.writer import Writer
from tests.services.shard import START_US, Shard


class Wandering(Shard):
    """Three assets, three markets, a few accounts, and everything that may happen to them."""

    def __init__(self, seed: int = 1) -> None:
        self.model = Model(0)
        self.records: list[matching.EventRecord] = []
        self._published = 0
        self._writer = Writer(Random(seed), self.model, SMALL, ALL)
        self._writer.time_us = START_US
        self._opening = self._writer.opening()

    def wander(self, records: int) -> None:
        """So many more records."""
        for _ in range(records):
            asked = self._opening.pop(0) if self._opening else self._writer.record(12)
            events, _ = self.model.apply(len(self.records), self._writer.pass_time(), asked)
            copy = matching.EventRecord()
            copy.CopyFrom(events)
            self.records.append(copy)
