"""What may be cut off the logs, and who stands in the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.matching.prove import prove
from services.matching.retention import Retention
from services.runtime.config import PostgresConfig
from services.runtime.holds import EVENT_READERS, Held, Holds, floor_of
from services.runtime.log import Log
from services.runtime.memory_log import MemoryLog
from tests.services.matching.rig import (
    ALICE,
    COMMANDS,
    EVENTS,
    batch,
    open_market,
    running,
    sell,
    snapshots_in,
    tell,
)

ROOMS = [name for name in EVENT_READERS if name != "snapshots"]
PARTITION = 4


@asynccontextmanager
async def holding(dsn: str) -> AsyncIterator[Holds]:
    holds = Holds(PostgresConfig(address=SecretStr(dsn)))
    try:
        yield holds
    finally:
        holds.close()


async def traded(log: Log, data: Path, holds: Holds, **more: float) -> Retention:
    """A shard's logs with thirty records on each, and a proven snapshot in the middle."""
    store = snapshots_in(data)
    async with running(log, data) as shard:
        session = await open_market(shard)
        for number in range(2, 17):
            await shard.one(batch(session, number, sell(ALICE, 1, 100)))
        await shard.publisher.flushed()
        taken = await shard.replica.take_snapshot()
        await prove(log, store, taken.offset)
        for number in range(17, 32):
            await shard.one(batch(session, number, sell(ALICE, 1, 100)))
        await shard.publisher.flushed()
    silent_s = more.get("silent_s", 3600.0)
    return Retention(log, 0, store, holds, leads=lambda: True, every_s=0.01, silent_s=silent_s)


async def spans(log: Log) -> list[int]:
    return [await log.start(topic) for topic in (COMMANDS, EVENTS)]


def test_a_log_is_cut_below_the_smallest_hold_once_all_are_known(
    postgres: str, tmp_path: Path
) -> None:
    async def story() -> None:
        log = MemoryLog(partition_records=PARTITION)
        async with holding(postgres) as holds:
            retention = await traded(log, tmp_path, holds)
            [proven] = [one.offset for one in await snapshots_in(tmp_path).kept()]
            whole = proven // PARTITION * PARTITION
            await retention.cut()
            # Commands have one reader; of events' nobody else has said where it is.
            assert await spans(log) == [whole, 0]
            for room in ROOMS[1:]:
                await holds.put(EVENTS, room, Held(25))
            await retention.cut()
            assert await spans(log) == [whole, 0]
            await holds.put(EVENTS, ROOMS[0], Held(6))
            await retention.cut()
            assert await spans(log) == [whole, 4]
            await holds.put(EVENTS, ROOMS[0], Held(30))
            await retention.cut()
            assert await spans(log) == [whole, whole]
            assert retention.cut_records == 2 * whole
        async with running(log, tmp_path) as shard:
            assert shard.recovered_offset == proven, "what is left is enough to start from"

    tell(story())


def test_nothing_is_cut_before_a_snapshot_is_proven(postgres: str, tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog(partition_records=PARTITION)
        async with holding(postgres) as holds:
            retention = await traded(log, tmp_path, holds)
            for proof in (tmp_path / "snapshots" / "0").glob("*.proof"):
                proof.unlink()
            await retention.cut()
            assert await spans(log) == [0, 0]
            assert await holds.all() == []

    tell(story())


def test_a_reader_that_is_silent_loses_its_hold_and_has_it_again_once_it_speaks(
    postgres: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        log = MemoryLog(partition_records=PARTITION)
        async with holding(postgres) as holds:
            retention = await traded(log, tmp_path, holds, silent_s=0.3)
            await holds.put(EVENTS, ROOMS[0], Held(6))
            await asyncio.sleep(0.4)
            for room in ROOMS[1:]:
                await holds.put(EVENTS, room, Held(25))
            await retention.cut()
            assert retention.lost_holds == 1
            assert "hold_lost" in capsys.readouterr().out
            lost = {hold.reader for hold in await holds.all(EVENTS) if hold.is_lost}
            assert lost == {ROOMS[0]}
            assert (await log.start(EVENTS)) > 6
            await holds.put(EVENTS, ROOMS[0], Held(26))
            assert not [hold for hold in await holds.all(EVENTS) if hold.is_lost]

    tell(story())


def test_a_hold_on_what_is_cut_already_holds_nothing(postgres: str, tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog(partition_records=PARTITION)
        async with holding(postgres) as holds:
            retention = await traded(log, tmp_path, holds)
            for room in ROOMS:
                await holds.put(EVENTS, room, Held(14))
            await retention.cut()
            assert await log.start(EVENTS) == 12
            await holds.put(EVENTS, ROOMS[0], Held(2))
            for room in ROOMS[1:]:
                await holds.put(EVENTS, room, Held(25))
            await retention.cut()
            assert await log.start(EVENTS) > 12
            assert retention.lost_holds == 1

    tell(story())


def test_nothing_more_is_cut_where_a_proven_snapshot_needs_what_is_gone(
    postgres: str, tmp_path: Path
) -> None:
    async def story() -> None:
        log = MemoryLog(partition_records=PARTITION)
        async with holding(postgres) as holds:
            retention = await traded(log, tmp_path, holds)
            for room in ROOMS:
                await holds.put(EVENTS, room, Held(30))
            gone = await log.cut(EVENTS, 24)
            await retention.cut()
            assert (await spans(log))[1] == gone, "a newer snapshot may rest on what is left"
            assert "snapshots" not in {hold.reader for hold in await holds.all(EVENTS)}

    tell(story())


def test_a_released_reader_is_known_and_holds_nothing(postgres: str) -> None:
    async def story() -> None:
        async with holding(postgres) as holds:
            await holds.release(EVENTS, "orders")
            await holds.put(EVENTS, "ledger", Held(7, 42))
            rows = await holds.all(EVENTS)
            assert [(row.reader, row.is_lost) for row in rows] == [
                ("ledger", False),
                ("orders", True),
            ]
            assert rows[0].checksum == 42
            assert floor_of(rows, ("ledger", "orders")) == 7
            assert floor_of(rows, EVENT_READERS) == (
                "nobody knows where marketdata, notifications, snapshots stands"
            )
            assert floor_of(rows[1:], ("orders",)) == "nobody holds it"

    tell(story())
