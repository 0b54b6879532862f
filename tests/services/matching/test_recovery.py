"""Stories of a start: from a snapshot to be believed, from an older one, from the beginning."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from bourse.matching import v1 as matching
from services.matching.core import Core
from services.matching.state import SnapshotPace
from services.matching.store import Snapshot, SnapshotNewer
from services.runtime.intake import Entry, Limits
from services.runtime.log import Appended, CutAway, Log, PastEnd, RolledBack
from services.runtime.memory_log import MemoryLog
from services.runtime.sequencer import Flight
from tests.services.matching.conftest import OpenLog
from tests.services.matching.rig import (
    ALICE,
    BOB,
    COMMANDS,
    EVENTS,
    Running,
    batch,
    buy,
    cancel_all,
    open_market,
    published_keys,
    running,
    sell,
    snapshots_in,
    tell,
)


async def _trade(shard: Running, session: int, first: int, count: int) -> None:
    """Batches `first`, … of a session: orders that rest, trade and are cancelled."""
    for number in range(first, first + count):
        commands = [
            sell(ALICE, 3 + number % 5, 100 + number % 7, name=f"a{number}"),
            buy(BOB, 1 + number % 4, 103 + number % 3),
        ]
        if number % 11 == 0:
            commands.append(cancel_all(ALICE))
        answer = await shard.one(batch(session, number, *commands))
        assert answer.status == matching.BATCH_STATUS_APPLIED


async def _replayed(log: Log) -> int:
    """The state hash of a core that has applied the whole command log, and nothing else."""
    core = Core(0)
    for offset in range(await log.end(COMMANDS)):
        record = await log.one(COMMANDS, offset)
        assert record is not None
        assert list(core.apply(*record))[-1].last
    assert core.validate() == 0
    return core.facts().state_hash


def test_a_restart_from_a_snapshot_is_as_good_as_a_replay(
    open_log: OpenLog, tmp_path: Path
) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path) as shard:
            session = await open_market(shard)
            await _trade(shard, session, 2, 30)
            await shard.publisher.flushed()
            taken = await shard.replica.take_snapshot()
            await _trade(shard, session, 32, 30)
            await shard.publisher.flushed()
            before = shard.replica.facts
        async with open_log() as log, running(log, tmp_path) as shard:
            assert shard.recovered_offset == taken.offset
            assert shard.replica.facts == before
            assert shard.replica.facts.state_hash == await _replayed(log)
            assert shard.replica.core.validate() == 0

    tell(story())


def test_a_batch_is_known_again_after_a_crash(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path, leading=False) as shard:
            session = await open_market(shard)
            order = batch(session, 2, sell(ALICE, 5, 100))
            first = await shard.one(order)
        async with open_log() as log, running(log, tmp_path) as shard:
            again = await shard.one(order)
            assert again.status == matching.BATCH_STATUS_REPEATED
            assert again.outcomes == first.outcomes
            assert again.first_sequence == first.first_sequence

    tell(story())


def test_what_was_acknowledged_is_published_after_a_crash(
    open_log: OpenLog, tmp_path: Path
) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path, leading=False) as shard:
            session = await open_market(shard)
            await _trade(shard, session, 2, 20)
            assert await log.end(EVENTS) == 0
        async with open_log() as log, running(log, tmp_path) as shard:
            await shard.publisher.flushed()
            assert [key.command_offset for key in await published_keys(log)] == list(
                range(await log.end(COMMANDS))
            )

    tell(story())


def test_a_snapshot_whose_events_were_never_published_is_passed_over(
    open_log: OpenLog, tmp_path: Path
) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path, leading=False) as shard:
            session = await open_market(shard)
            shard.publisher.lead(True)
            await shard.publisher.flushed()
            believable = await shard.replica.take_snapshot()
            shard.publisher.lead(False)
            await _trade(shard, session, 2, 10)
            await shard.replica.take_snapshot()
            before = shard.replica.facts.state_hash
        async with open_log() as log, running(log, tmp_path) as shard:
            assert shard.recovered_offset == believable.offset
            assert shard.replica.facts.state_hash == before
            await shard.publisher.flushed()
            newest = await shard.replica.take_snapshot()
        async with open_log() as log, running(log, tmp_path) as shard:
            assert shard.recovered_offset == newest.offset

    tell(story())


def test_other_process_settings_change_nothing(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path / "a") as shard:
            session = await open_market(shard)
            await _trade(shard, session, 2, 40)
            await shard.publisher.flushed()
            before = shard.replica.facts
        often = SnapshotPace(records=3, commands=1_000_000)
        async with (
            open_log() as log,
            running(
                log,
                tmp_path / "b",
                pace=often,
                limits=Limits(batches=10, bytes=10_000),
                retained_bytes=3000,
            ) as shard,
        ):
            assert shard.replica.facts == before

    tell(story())


def test_only_the_newest_few_snapshots_and_a_believable_one_are_kept(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(MemoryLog(), tmp_path) as shard:
            session = await open_market(shard)
            await shard.publisher.flushed()
            believable = await shard.replica.take_snapshot()
            shard.publisher.lead(False)
            offsets = []
            for number in range(2, 8):
                await shard.one(batch(session, number, sell(ALICE, 1, 100)))
                offsets.append((await shard.replica.take_snapshot()).offset)
            kept = [one.offset for one in await snapshots_in(tmp_path).kept()]
            assert kept == [*reversed(offsets[-3:]), believable.offset]

    tell(story())


@pytest.mark.parametrize("damage", [b"", b"\x00", b"cut"])
def test_a_damaged_snapshot_is_passed_over(damage: bytes, tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path) as shard:
            session = await open_market(shard)
            await shard.publisher.flushed()
            older = await shard.replica.take_snapshot()
            await shard.one(batch(session, 2, sell(ALICE, 1, 100)))
            await shard.publisher.flushed()
            await shard.replica.take_snapshot()
            _damage(newest_file(tmp_path), damage)
            before = shard.replica.facts
        async with running(log, tmp_path) as shard:
            assert shard.recovered_offset == older.offset
            assert shard.replica.facts == before

    tell(story())


def newest_file(data: Path) -> Path:
    return max((data / "snapshots" / "0").glob("*.snapshot"))


def _damage(file: Path, damage: bytes) -> None:
    content = bytearray(file.read_bytes())
    if not damage:
        content.clear()
    elif damage == b"cut":
        del content[-1]
    else:
        content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_snapshot_of_another_state_is_not_believed(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path) as shard:
            await open_market(shard)
            await shard.publisher.flushed()
            facts = shard.replica.facts
            forged = Snapshot(0, facts.next_offset - 1, facts.sequence, facts.state_hash ^ 1)
            await snapshots_in(tmp_path).write(forged, list(shard.replica.core.snapshot()))
        async with running(log, tmp_path) as shard:
            assert shard.recovered_offset is None
            assert shard.replica.facts == facts

    tell(story())


def test_a_snapshot_of_a_newer_bourse_stops_the_start(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path) as shard:
            await open_market(shard)
            await shard.publisher.flushed()
            await shard.replica.take_snapshot()
        file = newest_file(tmp_path)
        content = bytearray(file.read_bytes())
        content[8:12] = (3).to_bytes(4, "little")
        file.write_bytes(content)
        with pytest.raises(SnapshotNewer, match="written by a newer one"):
            async with running(log, tmp_path):
                pass

    tell(story())


def test_half_a_snapshot_of_a_dead_process_is_swept_up(tmp_path: Path) -> None:
    here = socket.gethostname().replace(".", "-")
    folder = tmp_path / "snapshots" / "0"
    half = folder / f"{7:020}.snapshot.{here}.{1 << 30}.new"
    folder.mkdir(parents=True)
    half.write_bytes(b"half")
    assert asyncio.run(snapshots_in(tmp_path).kept()) == []
    assert not half.exists()


def test_half_a_snapshot_of_another_machine_is_left_alone_for_a_day(tmp_path: Path) -> None:
    half = tmp_path / "snapshots" / "0" / f"{7:020}.snapshot.elsewhere.{1 << 30}.new"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    assert asyncio.run(snapshots_in(tmp_path).kept()) == []
    assert half.exists(), "whether its process lives cannot be seen from here"
    os.utime(half, (0, 0))
    assert asyncio.run(snapshots_in(tmp_path).kept()) == []
    assert not half.exists()


def test_what_is_no_snapshot_is_not_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots" / "0"
    folder.mkdir(parents=True)
    (folder / "copy of 7.snapshot").write_bytes(b"")
    (folder / ".DS_Store").write_bytes(b"")
    store = snapshots_in(tmp_path)
    assert asyncio.run(store.kept()) == []
    asyncio.run(store.prune(0))
    assert len(list(folder.iterdir())) == 2


def test_a_log_that_was_cut_needs_a_snapshot(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog(partition_records=2)
        async with running(log, tmp_path) as shard:
            session = await open_market(shard)
            await _trade(shard, session, 2, 10)
            await shard.publisher.flushed()
        await log.cut(COMMANDS, 4)
        with pytest.raises(CutAway, match="Restore from a snapshot"):
            async with running(log, tmp_path):
                pass

    tell(story())


def test_a_log_that_has_lost_records_stops_the_replica(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path) as shard:
            await open_market(shard)
            await shard.publisher.flushed()
            del log._topics[COMMANDS].records[-1]
            failure = await shard.failure()
            assert isinstance(failure, PastEnd)

    tell(story())


def test_a_log_that_has_another_record_than_was_read_stops_the_replica(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path) as shard:
            await open_market(shard)
            records = log._topics[COMMANDS].records
            records[-1] = records[-1]._replace(body=records[0].body)
            assert isinstance(await shard.failure(), RolledBack)

    tell(story())


def test_an_append_at_the_offset_of_another_record_stops_the_replica(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(MemoryLog(), tmp_path) as shard:
            await open_market(shard)
            flight = Flight(0, [Entry(batch(0, 2), None)], 0)
            shard.replica.expect(flight)
            taken = Appended(shard.replica.facts.next_offset - 1, 0)
            with pytest.raises(RolledBack):
                await shard.replica.reach(taken, flight.body)

    tell(story())


def test_snapshots_are_taken_by_themselves(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        pace = SnapshotPace(records=5, commands=1_000_000)
        async with running(log, tmp_path, pace=pace) as shard:
            session = await open_market(shard)
            await _trade(shard, session, 2, 20)
            await shard.publisher.flushed()
            for _ in range(1000):
                if await snapshots_in(tmp_path).kept():
                    break
                await asyncio.sleep(0.01)
        async with running(log, tmp_path) as shard:
            assert shard.recovered_offset is not None

    tell(story())
