"""What every log promises. One suite, run over each implementation."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from services.runtime.config import LogConfig
from services.runtime.log import (
    CLOCKS_APART_US,
    MAX_APPEND_BYTES,
    MAX_BODY_BYTES,
    READ_BATCH_BYTES,
    Appended,
    ClockApart,
    CutAway,
    Log,
    LogUnavailable,
    OutcomeUnknown,
    PastEnd,
    Record,
    RecordTooLarge,
    RolledBack,
    TopicUnknown,
    open_log,
)
from services.runtime.memory_log import Fault, MemoryLog
from tests.kafka import kafka_config

TOPIC = "bourse.commands.0"
PARTITION = 8
Story = Callable[[Log], Coroutine[Any, Any, None]]


@dataclass
class House:
    """Where logs come from. Opening twice gives the same log, as two processes would see it."""

    open: Callable[[], Awaitable[Log]]
    roll_back: Callable[[], Awaitable[None]] | None = None
    """Take the last record off the topic, below readers that have it. Kafka is rolled back in
    test_kafka_log.py: it needs a broker of its own."""
    refuses_clocks: bool = True
    """It compares the appender's clock with its own before it takes anything."""

    def run(self, story: Story) -> None:
        """Open the log, make the topic, tell the story, close."""

        async def told() -> None:
            log = await self.open()
            try:
                await log.create(TOPIC)
                await asyncio.wait_for(story(log), 60)
            finally:
                await log.close()

        asyncio.run(told())


@pytest.fixture(params=["memory", "postgres", "kafka"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    if request.param == "memory":
        memory = MemoryLog(partition_records=PARTITION)

        async def open_memory() -> Log:
            return memory

        async def roll_back_memory() -> None:
            memory.roll_back(TOPIC)

        yield House(open_memory, roll_back_memory)
        return
    address = request.getfixturevalue(request.param)
    if request.param == "kafka":
        on_kafka = kafka_config(address, partition_records=PARTITION)
        yield House(lambda: open_log(on_kafka), refuses_clocks=False)
        return
    config = LogConfig(address=SecretStr(address), partition_records=PARTITION)
    yield House(lambda: open_log(config), lambda: roll_back_postgres(address))


async def roll_back_postgres(dsn: str) -> None:
    """Take the last record off and end all connections, as a restore of an older backup does."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "runtime"})
    await connection.execute(
        "delete from record where record_offset = (select next_offset - 1 from topic)"
    )
    await connection.execute("update topic set next_offset = next_offset - 1")
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    await connection.close()


def now_us() -> int:
    return time.time_ns() // 1000


async def put(log: Log, *bodies: bytes) -> Appended:
    return await log.append(TOPIC, list(bodies), clock_us=now_us())


async def take(log: Log, count: int, from_offset: int = 0, every_s: float = 0.0) -> list[Record]:
    """The next records, as many as asked for."""
    records: list[Record] = []
    async with aclosing(log.read(TOPIC, from_offset, every_s=every_s)) as batches:
        async for batch in batches:
            records += batch
            if len(records) >= count:
                return records
    raise AssertionError("a read ended")


def test_records_come_back_in_order_with_their_offsets_times_and_bytes(house: House) -> None:
    async def story(log: Log) -> None:
        bodies = [b"", b"a", bytes(range(256)) * 80, b"\0" * 3000]
        before = now_us()
        first = await put(log, bodies[0])
        rest = await put(log, *bodies[1:])
        assert (first.first_offset, rest.first_offset) == (0, 1)
        assert before - CLOCKS_APART_US <= first.time_us <= rest.time_us
        records = await take(log, 4)
        assert [record.offset for record in records] == [0, 1, 2, 3]
        assert [record.body for record in records] == bodies
        assert [record.time_us for record in records] == [first.time_us] + [rest.time_us] * 3

    house.run(story)


def test_an_empty_topic_starts_and_ends_at_nought(house: House) -> None:
    async def story(log: Log) -> None:
        assert (await log.start(TOPIC), await log.end(TOPIC)) == (0, 0)
        assert await log.one(TOPIC, 0) is None
        await put(log, b"a", b"b")
        assert (await log.start(TOPIC), await log.end(TOPIC)) == (0, 2)

    house.run(story)


def test_creating_again_changes_nothing(house: House) -> None:
    async def story(log: Log) -> None:
        await put(log, b"a")
        await asyncio.gather(log.create(TOPIC), log.create(TOPIC), log.create("bourse.events.0"))
        assert await log.end(TOPIC) == 1
        assert await log.end("bourse.events.0") == 0

    house.run(story)


def test_a_topic_nobody_created_is_unknown(house: House) -> None:
    async def story(log: Log) -> None:
        with pytest.raises(TopicUnknown):
            await log.append("nowhere", [b"a"], clock_us=now_us())
        with pytest.raises(TopicUnknown):
            await log.end("nowhere")
        with pytest.raises(TopicUnknown):
            await log.one("nowhere", 0)
        with pytest.raises(TopicUnknown):
            await log.cut("nowhere", 1)
        with pytest.raises(TopicUnknown):
            await anext(log.read("nowhere", 0))

    house.run(story)


def test_two_appenders_at_once_leave_no_gap_and_do_not_interleave(house: House) -> None:
    async def story(log: Log) -> None:
        other = await house.open()

        async def write(through: Log, name: int) -> list[int]:
            offsets = []
            for n in range(60):
                bodies = [b"%d %d %d" % (name, n, part) for part in range(3)]
                offsets.append((await put(through, *bodies)).first_offset)
            return offsets

        written = await asyncio.gather(write(log, 0), write(other, 1), write(log, 2))
        records = await take(log, 540)
        await other.close()
        assert [record.offset for record in records] == list(range(540))
        assert [record.time_us for record in records] == sorted(r.time_us for r in records)
        for name, offsets in enumerate(written):
            assert offsets == sorted(offsets)
            for n, offset in enumerate(offsets):
                assert [records[offset + part].body for part in range(3)] == [
                    b"%d %d %d" % (name, n, part) for part in range(3)
                ]

    house.run(story)


def test_appends_of_one_caller_happen_in_the_order_they_are_made(house: House) -> None:
    async def story(log: Log) -> None:
        made = [asyncio.create_task(put(log, b"%d" % n)) for n in range(40)]
        appended = await asyncio.gather(*made)
        assert [where.first_offset for where in appended] == list(range(40))

    house.run(story)


@pytest.mark.parametrize("every_s", [0.0, 0.02])
def test_a_waiting_reader_gets_what_another_process_appends(house: House, every_s: float) -> None:
    async def story(log: Log) -> None:
        other = await house.open()
        waiting = [asyncio.create_task(take(log, 30, 0, every_s)) for _ in range(3)]
        for n in range(30):
            await put(other, b"%d" % n)
            await asyncio.sleep(0.002 if n % 3 else 0.05)
        for records in await asyncio.gather(*waiting):
            assert [record.body for record in records] == [b"%d" % n for n in range(30)]
        await other.close()

    house.run(story)


def test_reading_starts_anywhere_and_the_end_is_a_place_to_wait(house: House) -> None:
    async def story(log: Log) -> None:
        await put(log, *[b"%d" % n for n in range(20)])
        for place in (0, 7, 8, 9, 19):
            records = await take(log, 20 - place, place)
            assert [record.offset for record in records] == list(range(place, 20))
        at_the_end = asyncio.create_task(take(log, 1, 20))
        await asyncio.sleep(0.05)
        assert not at_the_end.done()
        await put(log, b"20")
        assert (await at_the_end)[0].body == b"20"
        assert (await log.one(TOPIC, 13)) == (await take(log, 1, 13))[0]

    house.run(story)


def test_a_reader_beyond_the_end_is_told_so(house: House) -> None:
    async def story(log: Log) -> None:
        await put(log, b"a")
        with pytest.raises(PastEnd, match="ends at offset 1, and offset 5 was asked for"):
            await anext(log.read(TOPIC, 5))

    house.run(story)


def test_a_batch_is_bounded_by_bytes_and_large_records_still_come(house: House) -> None:
    async def story(log: Log) -> None:
        for n in range(6):
            await put(log, *[bytes([n]) * MAX_BODY_BYTES] * 3)
        seen = 0
        async with aclosing(log.read(TOPIC, 0)) as batches:
            async for batch in batches:
                assert sum(len(record.body) for record in batch) <= READ_BATCH_BYTES
                for record in batch:
                    assert record.body == bytes([record.offset // 3]) * MAX_BODY_BYTES
                seen += len(batch)
                if seen == 18:
                    break

    house.run(story)


def test_what_was_appended_is_there_when_the_log_is_opened_again(house: House) -> None:
    async def first(log: Log) -> None:
        await put(log, b"a", b"b")

    async def second(log: Log) -> None:
        assert (await put(log, b"c")).first_offset == 2
        assert [record.body for record in await take(log, 3)] == [b"a", b"b", b"c"]

    house.run(first)
    house.run(second)


def test_readers_that_wait_find_what_was_appended_without_a_ring(house: House) -> None:
    async def story(log: Log) -> None:
        other = await house.open()
        near, far = (asyncio.create_task(take(reader, 1)) for reader in (log, other))
        await asyncio.sleep(0.1)
        await log.append(TOPIC, [b"a"], clock_us=now_us(), ring=False)
        found = await asyncio.gather(near, far)
        assert [[record.body for record in records] for records in found] == [[b"a"], [b"a"]]
        if other is not log:
            await other.close()

    house.run(story)


def test_a_cut_takes_whole_partitions_and_says_so_to_readers(house: House) -> None:
    async def story(log: Log) -> None:
        await put(log, *[b"%d" % n for n in range(3 * PARTITION + 2)])
        assert await log.cut(TOPIC, PARTITION - 1) == 0
        assert await log.cut(TOPIC, 2 * PARTITION + 1) == 2 * PARTITION
        assert await log.cut(TOPIC, 3) == 2 * PARTITION, "a cut never gives anything back"
        assert await log.start(TOPIC) == 2 * PARTITION
        assert await log.one(TOPIC, PARTITION) is None
        with pytest.raises(CutAway) as caught:
            await anext(log.read(TOPIC, PARTITION))
        assert caught.value.start == 2 * PARTITION
        rest = await take(log, PARTITION + 2, 2 * PARTITION)
        assert rest[0].body == b"%d" % (2 * PARTITION)

    house.run(story)


def test_a_cut_of_everything_leaves_the_offsets_going_on(house: House) -> None:
    async def story(log: Log) -> None:
        await put(log, *[b"x"] * (2 * PARTITION))
        assert await log.cut(TOPIC, 10_000) == 2 * PARTITION
        assert await log.end(TOPIC) == 2 * PARTITION
        assert (await put(log, b"y")).first_offset == 2 * PARTITION
        assert [record.body for record in await take(log, 1, 2 * PARTITION)] == [b"y"]

    house.run(story)


def test_a_reader_whose_place_is_cut_while_it_is_away_is_told(house: House) -> None:
    async def story(log: Log) -> None:
        await put(log, b"a")
        batches = log.read(TOPIC, 0)
        assert len(await anext(batches)) == 1
        await put(log, *[b"x"] * (3 * PARTITION))
        await log.cut(TOPIC, 2 * PARTITION)
        with pytest.raises(CutAway):
            await anext(batches)

    house.run(story)


@pytest.mark.parametrize("house", ["memory", "postgres"], indirect=True)
@pytest.mark.parametrize("another", [False, True])
def test_a_reader_is_told_that_what_it_read_last_is_gone_or_another(
    house: House, another: bool
) -> None:
    async def story(log: Log) -> None:
        assert house.roll_back is not None
        await put(log, b"a", b"b")
        batches = log.read(TOPIC, 0)
        assert [record.body for record in await anext(batches)] == [b"a", b"b"]
        await house.roll_back()
        if another:
            await eventually_put(log, b"c")
            await put(log, b"d")
        with pytest.raises(RolledBack if another else PastEnd, match=r"[Oo]ffset 1|offset 2"):
            await anext(batches)

    house.run(story)


async def eventually_put(log: Log, body: bytes) -> None:
    """Append over connections of which each may turn out to be lost."""
    while True:
        try:
            await put(log, body)
            return
        except OutcomeUnknown:
            continue


def test_a_record_too_large_does_nothing(house: House) -> None:
    async def story(log: Log) -> None:
        with pytest.raises(RecordTooLarge):
            await put(log, b"a", b"x" * (MAX_BODY_BYTES + 1))
        with pytest.raises(RecordTooLarge):
            await put(log, *[b"x" * MAX_BODY_BYTES] * (MAX_APPEND_BYTES // MAX_BODY_BYTES + 1))
        with pytest.raises(ValueError, match="at least one"):
            await put(log)
        assert await log.end(TOPIC) == 0

    house.run(story)


@pytest.mark.parametrize("apart_us", [-CLOCKS_APART_US - 500_000, CLOCKS_APART_US + 500_000])
def test_clocks_too_far_apart_do_nothing(house: House, apart_us: int) -> None:
    async def story(log: Log) -> None:
        if house.refuses_clocks:
            with pytest.raises(ClockApart, match="Set the clocks") as caught:
                await log.append(TOPIC, [b"a"], clock_us=now_us() + apart_us)
            assert abs(caught.value.log_us - now_us()) < CLOCKS_APART_US
            assert await log.end(TOPIC) == 0
        nearly = apart_us * 3 // 5
        await log.append(TOPIC, [b"a"], clock_us=now_us() + nearly)
        record = await log.one(TOPIC, 0)
        assert record is not None
        assert abs(record.time_us - now_us()) < CLOCKS_APART_US, "the time is the log's"

    house.run(story)


def test_the_faults_of_the_memory_log_are_what_they_say() -> None:
    async def story() -> None:
        log = MemoryLog()
        await log.create(TOPIC)
        log.faults += [Fault.UNAVAILABLE, Fault.LOST, Fault.DONE, Fault.LATE]
        with pytest.raises(LogUnavailable):
            await put(log, b"refused")
        for body in (b"lost", b"done", b"late"):
            with pytest.raises(OutcomeUnknown):
                await put(log, body)
        await put(log, b"fine")
        assert [record.body for record in await take(log, 3)] == [b"done", b"fine", b"late"]

    asyncio.run(story())


def test_time_never_goes_back() -> None:
    times = iter([5_000_000, 4_000_000, 6_000_000])

    async def story() -> None:
        log = MemoryLog(clock_us=lambda: next(times))
        await log.create(TOPIC)
        given = [(await log.append(TOPIC, [b"a"], clock_us=5_000_000)).time_us for _ in range(3)]
        assert given == [5_000_000, 5_000_000, 6_000_000]

    asyncio.run(story())
