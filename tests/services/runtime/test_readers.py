"""A room's readers: each shard has a place and a lag of its own."""

import asyncio

from services.runtime.clock import SystemClock
from services.runtime.holds import Held
from services.runtime.log import events_topic
from services.runtime.memory_log import MemoryLog
from services.runtime.readers import Reached, Readers


class Still:
    """A reader that stands somewhere."""

    def __init__(self, shard: int, sequence: int, next_offset: int) -> None:
        self.topic = events_topic(shard)
        self.stopped = ""
        self._reached = Reached(sequence, next_offset)

    async def stop(self, why: str) -> None:
        self.stopped = why

    async def run(self) -> None:
        await asyncio.Event().wait()

    def reached(self) -> Reached:
        return self._reached

    async def held(self) -> Held:
        return Held(self._reached.next_offset)


def test_each_shard_has_its_place_and_its_lag() -> None:
    async def story() -> None:
        log, clock = MemoryLog(), SystemClock()
        for shard, records in ((0, 5), (1, 9)):
            await log.create(events_topic(shard))
            bodies = [b"record"] * records
            await log.append(events_topic(shard), bodies, clock_us=clock.now_us())
        readers = Readers(log, clock, [Still(0, 70, 5), Still(1, 30, 2)])
        assert [(at.shard, at.sequence) for at in readers.at()] == [(0, 70), (1, 30)]
        places = await readers.places()
        assert [(p.shard, p.sequence, p.next_offset, p.lag_records) for p in places] == [
            (0, 70, 5, 0),
            (1, 30, 2, 7),
        ]
        assert places[0].lag_ms == 0

    asyncio.run(story())


def test_a_shard_that_there_is_not_has_no_reader() -> None:
    readers = Readers(MemoryLog(), SystemClock(), [Still(0, 0, 0), Still(1, 0, 0)])
    assert readers.get(2) is None
    assert readers.lacks(2) == "There is no shard 2: those here are 0 to 1."
    assert [reader.topic for reader in readers] == ["bourse.events.0", "bourse.events.1"]
