"""Reading what others have put between, whichever way is the cheapest."""

import asyncio
from contextlib import aclosing

import pytest

from services.runtime.clock import SystemClock
from services.runtime.log import (
    CutAway,
    LogUnavailable,
    PastEnd,
    Record,
    RolledBack,
    still_has,
)
from services.runtime.memory_log import MemoryLog
from services.runtime.tail import FEW_RECORDS, Tail

TOPIC = "bourse.commands.0"


async def _log(records: int, partition_records: int = 65_536) -> MemoryLog:
    log = MemoryLog(partition_records=partition_records)
    await log.create(TOPIC)
    bodies = [b"%d" % number for number in range(records)]
    await log.append(TOPIC, bodies, clock_us=SystemClock().now_us())
    return log


async def _read(tail: Tail, start: int, end: int) -> list[bytes]:
    async with aclosing(tail.records(start, end)) as records:
        return [record.body async for record in records]


def _bodies(start: int, end: int) -> list[bytes]:
    return [b"%d" % number for number in range(start, end)]


@pytest.mark.parametrize(
    "spans",
    [
        [(0, 0)],
        [(0, 1), (1, 2), (5, 5 + FEW_RECORDS)],
        [(0, 100), (100, 300), (300, 301), (301, 302)],
        [(0, 100), (150, 152), (152, 300), (400, 500)],
        [(200, 300), (0, 50), (50, 51)],
    ],
)
def test_every_span_is_read_whole(spans: list[tuple[int, int]]) -> None:
    async def story() -> None:
        tail = Tail(await _log(500), TOPIC)
        for start, end in spans:
            assert await _read(tail, start, end) == _bodies(start, end)
        await tail.close()

    asyncio.run(asyncio.wait_for(story(), 30))


def test_a_reader_that_was_left_in_the_middle_misses_nothing() -> None:
    async def story() -> None:
        tail = Tail(await _log(500), TOPIC)
        async with aclosing(tail.records(0, 100)) as records:
            async for record in records:
                if record.offset == 30:
                    break
        assert await _read(tail, 31, 500) == _bodies(31, 500)
        await tail.close()

    asyncio.run(asyncio.wait_for(story(), 30))


@pytest.mark.parametrize("end", [3, 100])
def test_what_was_cut_away_is_not_passed_over(end: int) -> None:
    async def story() -> None:
        log = await _log(200, partition_records=10)
        await log.cut(TOPIC, 50)
        with pytest.raises(CutAway):
            await _read(Tail(log, TOPIC), 0, end)

    asyncio.run(asyncio.wait_for(story(), 30))


class _Forgetful(MemoryLog):
    """Gives no record for once, as a leader that does not know yet what of its log is durable."""

    times = 1

    async def one(self, topic: str, offset: int) -> Record | None:
        self.times -= 1
        return None if self.times >= 0 else await super().one(topic, offset)


async def _record(log: MemoryLog, offset: int) -> Record:
    record = await MemoryLog.one(log, TOPIC, offset)
    assert record is not None
    return record


def test_a_record_that_is_not_to_be_had_for_a_moment_is_neither_cut_nor_lost() -> None:
    async def story() -> None:
        log = _Forgetful()
        await log.create(TOPIC)
        await log.append(TOPIC, _bodies(0, 3), clock_us=SystemClock().now_us())
        tail = Tail(log, TOPIC)
        with pytest.raises(LogUnavailable):
            await _read(tail, 0, 3)
        assert await _read(tail, 0, 3) == _bodies(0, 3)
        with pytest.raises(PastEnd):
            await _read(tail, 3, 4)
        log.times = 1
        await still_has(log, TOPIC, 1, (await _record(log, 1)).checksum)
        with pytest.raises(RolledBack):
            await still_has(log, TOPIC, 1, 0)

    asyncio.run(asyncio.wait_for(story(), 30))


def test_whoever_loses_patience_in_the_middle_can_ask_again() -> None:
    async def story() -> None:
        log = await _log(500)
        tail = Tail(log, TOPIC)
        assert await _read(tail, 0, 500) == _bodies(0, 500)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await _read(tail, 500, 510)
        bodies = _bodies(500, 510)
        await log.append(TOPIC, bodies, clock_us=SystemClock().now_us())
        assert await _read(tail, 500, 510) == bodies

    asyncio.run(asyncio.wait_for(story(), 30))
