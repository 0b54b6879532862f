"""A room's readers: each shard has a place and a lag of its own, and stops alone."""

import asyncio

import pytest

from bourse.types import v1 as types
from services.marketdata.tape import TapeLost
from services.runtime.clock import SystemClock
from services.runtime.config import ConfigError, PostgresConfig
from services.runtime.events import EventUnreadable, GapInEvents
from services.runtime.holds import Held
from services.runtime.log import (
    CutAway,
    LogUnavailable,
    PastEnd,
    RolledBack,
    TopicUnknown,
    TopicUnsound,
    events_topic,
)
from services.runtime.main import run
from services.runtime.memory_log import MemoryLog
from services.runtime.place import WriterReplaced
from services.runtime.postgres import SchemaNewer
from services.runtime.readers import Progress, Reached, Readers
from services.runtime.telemetry import Telemetry

TOPIC = events_topic(1)
OF_THE_SHARD = (
    RolledBack(TOPIC, 6, 5),
    CutAway(TOPIC, 6, 9),
    PastEnd(TOPIC, 6, 5),
    TopicUnsound("a hole"),
    GapInEvents("something is missing"),
    EventUnreadable("no event record"),
    TapeLost("another tape"),
)
OF_THE_ROOM = (
    WriterReplaced("another process writes"),
    SchemaNewer("a newer version wrote this"),
    ConfigError("not a number"),
    LogUnavailable("away"),
    TopicUnknown("nobody made it"),
    ValueError("our own mistake"),
)


class Still:
    """A reader that stands somewhere; what it fails with, if it does, is put into `fails`."""

    def __init__(self, shard: int, sequence: int, next_offset: int) -> None:
        self.topic = events_topic(shard)
        self.stopped = ""
        self.has_stopped = asyncio.Event()
        self.fails: asyncio.Queue[Exception] = asyncio.Queue()
        self._reached = Reached(sequence, next_offset)

    async def stop(self, why: str) -> None:
        self.stopped = why
        self.has_stopped.set()

    async def run(self) -> None:
        raise await self.fails.get()

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


def two() -> tuple[Readers[Still], Still, Still]:
    first, second = Still(0, 70, 5), Still(1, 30, 2)
    return Readers(MemoryLog(), SystemClock(), [first, second]), first, second


@pytest.mark.parametrize("error", OF_THE_SHARD, ids=lambda error: type(error).__name__)
def test_what_is_about_one_shard_stops_its_reader_alone(error: Exception) -> None:
    async def story() -> None:
        readers, first, second = two()
        following = asyncio.create_task(run(*readers.run()))
        second.fails.put_nowait(error)
        await second.has_stopped.wait()
        assert (first.stopped, second.stopped) == ("", str(error))
        assert not following.done()
        first.fails.put_nowait(CutAway(events_topic(0), 70, 90))
        with pytest.raises(CutAway):
            await following
        assert first.stopped == "", "with the last one the room ends"

    asyncio.run(asyncio.wait_for(story(), 10))


@pytest.mark.parametrize("error", OF_THE_ROOM, ids=lambda error: type(error).__name__)
def test_everything_else_ends_the_room(error: Exception) -> None:
    async def story() -> None:
        readers, _, second = two()
        second.fails.put_nowait(error)
        with pytest.raises(type(error)):
            await run(*readers.run())

    asyncio.run(asyncio.wait_for(story(), 10))


@pytest.mark.parametrize("error", OF_THE_SHARD, ids=lambda error: type(error).__name__)
def test_with_one_shard_the_room_ends(error: Exception) -> None:
    async def story() -> None:
        alone = Still(0, 70, 5)
        alone.fails.put_nowait(error)
        with pytest.raises(type(error)):
            await run(*Readers(MemoryLog(), SystemClock(), [alone]).run())

    asyncio.run(asyncio.wait_for(story(), 10))


def test_one_that_has_stopped_says_so_and_is_not_run() -> None:
    async def story() -> None:
        log = MemoryLog()
        await log.create(events_topic(0))
        first, second = Still(0, 0, 0), Still(1, 30, 2)
        readers = Readers(log, SystemClock(), [first, second])
        await second.stop("it was rolled back")
        assert len([part.close() for part in readers.run()]) == 1
        assert await readers.places() == [
            types.ReaderPlace(),
            # Nobody has made its topic: that nobody knows how far its log goes is no failure.
            types.ReaderPlace(
                shard=1,
                sequence=30,
                next_offset=2,
                stopped="it was rolled back",
                lag_unknown=True,
            ),
        ]

    asyncio.run(story())


class Silent(MemoryLog):
    """A log out of reach in the way that is hardest to notice: it does not answer."""

    hangs = False

    async def end(self, topic: str) -> int:
        if self.hangs:
            await asyncio.Event().wait()
        return await super().end(topic)


def test_a_log_that_does_not_answer_leaves_the_lag_that_was_known_last() -> None:
    async def story() -> None:
        log, clock = Silent(), SystemClock()
        await log.create(events_topic(0))
        await log.append(events_topic(0), [b"record"] * 9, clock_us=clock.now_us())
        readers = Readers(log, clock, [Still(0, 30, 2)])
        (known,) = await readers.places()
        log.hangs = True
        (now,) = await readers.places()
        assert (known.lag_records, known.lag_unknown) == (7, False)
        assert (now.lag_records, now.lag_unknown) == (7, True)

    asyncio.run(asyncio.wait_for(story(), 10))


def test_how_many_have_stopped_is_counted() -> None:
    async def story() -> None:
        readers, _, second = two()
        telemetry = Telemetry("orders")
        parts = list(readers.keep("orders", PostgresConfig(), telemetry))
        assert telemetry.read()["stopped_shards"] == 0
        await second.stop("it was rolled back")
        assert telemetry.read()["stopped_shards"] == 1
        for part in parts:
            part.close()

    asyncio.run(story())


def test_who_waits_for_one_that_stops_waits_no_longer() -> None:
    async def story() -> None:
        progress = Progress(TOPIC)
        waiting = asyncio.create_task(progress.until(lambda: False, 3600))
        await asyncio.sleep(0)
        assert not waiting.done()
        await progress.stop("it was rolled back")
        assert not await waiting
        assert not await progress.until(lambda: False, 3600)
        assert await progress.until(lambda: True, 0), "what it had come to it has come to"

    asyncio.run(asyncio.wait_for(story(), 10))
