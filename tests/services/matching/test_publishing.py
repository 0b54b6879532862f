"""Stories of publishing: one leader, two at once, a new one, a record that says otherwise."""

import asyncio
from pathlib import Path

import pytest

from bourse.matching import v1 as matching
from services.runtime.clock import SystemClock
from services.runtime.events import EventKey
from services.runtime.log import Log
from services.runtime.memory_log import Fault, MemoryLog
from services.runtime.publisher import PublishedOtherwise, key_of, published
from tests.services.matching.conftest import OpenLog
from tests.services.matching.rig import (
    ALICE,
    BOB,
    COMMANDS,
    EVENTS,
    Running,
    batch,
    buy,
    events,
    open_market,
    published_keys,
    running,
    sell,
    tell,
    tick,
)


async def _trade(shard: Running, session: int, first: int, count: int) -> None:
    orders = (
        batch(session, number, sell(ALICE, 2, 100), buy(BOB, 1, 100))
        for number in range(first, first + count)
    )
    for order in orders:
        assert (await shard.one(order)).status == matching.BATCH_STATUS_APPLIED


async def _offsets(log: Log) -> list[int]:
    return [key.command_offset for key in await published_keys(log)]


def test_every_record_is_published_once_a_tick_too(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path) as shard:
            session = await open_market(shard)
            await shard.one(tick())
            await _trade(shard, session, 2, 10)
            await shard.publisher.flushed()
            records = await events(log)
            assert [record.command_offset for record in records] == list(range(14))
            assert all(record.last for record in records)
            assert records[-1].state_hash == shard.replica.facts.state_hash

    tell(story())


def test_two_replicas_apply_the_same(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            open_log() as log,
            open_log() as other_log,
            running(log, tmp_path / "a") as one,
            running(other_log, tmp_path / "b", leading=False) as other,
        ):
            first = await open_market(one)
            second = await other.open_session()
            await asyncio.gather(_trade(one, first, 2, 40), _trade(other, second, 1, 40))
            end = await log.end(COMMANDS)
            await one.applied_up_to(end)
            await other.applied_up_to(end)
            assert one.replica.facts == other.replica.facts
            await one.publisher.flushed()
            await other.publisher.flushed()
            assert await _offsets(log) == list(range(end))

    tell(story())


def test_two_publishers_at_once_leave_no_gap(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            open_log() as log,
            open_log() as other_log,
            running(log, tmp_path / "a") as one,
            running(other_log, tmp_path / "b") as other,
        ):
            first = await open_market(one)
            second = await other.open_session()
            await asyncio.gather(_trade(one, first, 2, 40), _trade(other, second, 1, 40))
            end = await log.end(COMMANDS)
            await one.applied_up_to(end)
            await other.applied_up_to(end)
            await one.publisher.flushed()
            await other.publisher.flushed()
            assert await _offsets(log) == list(range(end))
            assert await log.end(EVENTS) > end, "two that publish at once publish some parts twice"

    tell(story())


def test_a_new_leader_goes_on_exactly_where_the_old_one_stopped(
    open_log: OpenLog, tmp_path: Path
) -> None:
    async def story() -> None:
        async with (
            open_log() as log,
            open_log() as other_log,
            running(log, tmp_path / "a") as one,
            running(other_log, tmp_path / "b", leading=False) as other,
        ):
            session = await open_market(one)
            await _trade(one, session, 2, 5)
            await one.publisher.flushed()
            one.publisher.lead(False)
            await _trade(one, session, 7, 5)
            end = await log.end(COMMANDS)
            assert await log.end(EVENTS) < end
            await other.applied_up_to(end)
            other.publisher.lead(True)
            await other.publisher.flushed()
            await one.publisher.flushed()
            assert await log.end(EVENTS) == end
            assert await _offsets(log) == list(range(end))

    tell(story())


@pytest.mark.parametrize("fault", [Fault.DONE, Fault.LOST, Fault.LATE])
def test_a_doubtful_append_of_events_leaves_no_gap(fault: Fault, tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path, leading=False) as shard:
            session = await open_market(shard)
            await _trade(shard, session, 2, 5)
            log.faults.append(fault)
            shard.publisher.lead(True)
            await shard.publisher.flushed()
            await _trade(shard, session, 7, 5)
            await shard.publisher.flushed()
            end = await log.end(COMMANDS)
            assert await _offsets(log) == list(range(end))
            assert (await log.end(EVENTS) > end) is (fault is Fault.LATE)

    tell(story())


def test_a_replica_that_disagrees_with_what_was_published_stops(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path / "a") as one:
            session = await open_market(one)
            await _trade(one, session, 2, 5)
            await one.publisher.flushed()
        records = log._topics[EVENTS].records
        forged = matching.EventRecord.FromString(records[-1].body)
        forged.trades[0].lots += 1
        records[-1] = records[-1]._replace(body=forged.SerializeToString())
        async with running(log, tmp_path / "b") as other:
            failure = await other.failure()
            assert isinstance(failure, PublishedOtherwise)
            assert "is not what this replica made of the same command" in str(failure)

    tell(story())


def test_a_gap_in_what_was_published_stops_the_replica(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path / "a") as one:
            session = await open_market(one)
            await _trade(one, session, 2, 5)
            await one.publisher.flushed()
        records = log._topics[EVENTS].records
        records[3:] = [record._replace(offset=record.offset - 1) for record in records[4:]]
        async with running(log, tmp_path / "b") as other:
            failure = await other.failure()
            assert isinstance(failure, PublishedOtherwise)
            assert "stands where part 0 of 3 belongs" in str(failure)

    tell(story())


def _record(command_offset: int, part: int, *, last: bool = True) -> bytes:
    return matching.EventRecord(
        shard=5, command_offset=command_offset, part=part, last=last, time_us=7
    ).SerializeToString()


@pytest.mark.parametrize("offset", [0, 1, 127, 128, 300_000, 1 << 40])
@pytest.mark.parametrize("part", [0, 1, 200])
def test_a_key_is_read_from_the_head_of_a_record(offset: int, part: int) -> None:
    assert key_of(_record(offset, part)) == EventKey(offset, part)


def test_the_parts_of_a_record_are_found_among_repeats() -> None:
    async def story() -> None:
        log = MemoryLog()
        await log.create(EVENTS)
        keys = [(0, 0), (1, 0), (1, 1), (0, 0), (1, 0), (1, 1), (2, 0), (3, 0), (1, 1), (2, 0)]
        await log.append(EVENTS, [_record(*key) for key in keys], clock_us=SystemClock().now_us())
        wanted = {0: 1, 1: 2, 2: 1, 3: 1, 4: 0}
        found = {offset: await published(log, EVENTS, offset, len(keys)) for offset in wanted}
        assert {offset: len(parts) for offset, parts in found.items()} == wanted
        assert [key_of(body) for _, body in found[1]] == [EventKey(1, 0), EventKey(1, 1)]
        assert await published(log, EVENTS, 3, 7) == []

    tell(story())


def test_all_parts_are_found_where_a_repeat_ends_in_the_middle_of_a_record() -> None:
    async def story() -> None:
        log = MemoryLog()
        await log.create(EVENTS)
        keys = [(4, 0), (5, 0), (5, 1), (4, 0), (5, 0), (6, 0)]
        bodies = [_record(*key, last=key != (5, 0)) for key in keys]
        await log.append(EVENTS, bodies, clock_us=SystemClock().now_us())
        assert [offset for offset, _ in await published(log, EVENTS, 5, len(keys))] == [1, 2]

    tell(story())
