"""The log in Postgres when Postgres, its connections or its clock misbehave."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest
from pydantic import SecretStr

from services.runtime import postgres_log
from services.runtime.config import LogConfig
from services.runtime.embedded import start_postgres, stop_postgres
from services.runtime.log import Appended, LogUnavailable, OutcomeUnknown, Record, TopicUnknown
from services.runtime.postgres_log import PostgresLog, open_postgres_log

TOPIC = "bourse.commands.0"
Admin: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Story = Callable[[PostgresLog, Admin], Coroutine[Any, Any, None]]

KILL_APPENDERS = """
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and application_name like 'bourse log bourse%'
"""
KILL_ALL = """
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and application_name like 'bourse%'
"""
KILL_READERS = """
    select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database()
    and (application_name like 'bourse reads%' or application_name like 'bourse log listener%')
"""


def config(dsn: str, **settings: Any) -> LogConfig:
    return LogConfig(address=SecretStr(dsn), **settings)


def tell(dsn: str, story: Story, **settings: Any) -> None:
    async def told() -> None:
        async with opened(config(dsn, **settings)) as log:
            await log.create(TOPIC)
            admin = await asyncpg.connect(dsn, server_settings={"search_path": "runtime"})
            try:
                await asyncio.wait_for(story(log, admin), 60)
            finally:
                await admin.close()

    asyncio.run(told())


@asynccontextmanager
async def opened(settings: LogConfig) -> AsyncGenerator[PostgresLog, None]:
    log = await open_postgres_log(settings)
    try:
        yield log
    finally:
        await log.close()


async def put(log: PostgresLog, body: bytes) -> Appended:
    return await log.append(TOPIC, [body], clock_us=time.time_ns() // 1000)


async def everything(log: PostgresLog) -> list[Record]:
    end, records = await log.end(TOPIC), list[Record]()
    async with aclosing(log.read(TOPIC, 0)) as batches:
        while len(records) < end:
            records += await anext(batches)
    return records


async def waits_for_the_row(admin: Admin, waits: bool = True) -> None:
    """Until an append stands in the middle: begun, and waiting for the topic's row. Or until none
    does any more."""
    query = """select count(*) from pg_stat_activity where wait_event_type = 'Lock'
               and application_name like 'bourse log bourse%'"""
    while bool(await admin.fetchval(query)) != waits:  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.01)


def test_an_append_killed_before_its_commit_is_unknown_and_not_in_the_log(postgres: str) -> None:
    async def story(log: PostgresLog, admin: Admin) -> None:
        await put(log, b"before")
        async with admin.transaction():
            await admin.execute("select * from topic for update")
            killed = asyncio.create_task(put(log, b"killed"))
            await waits_for_the_row(admin)
            await admin.execute(KILL_APPENDERS)
            with pytest.raises(OutcomeUnknown):
                await killed
        assert (await put(log, b"after")).first_offset == 1
        assert [record.body for record in await everything(log)] == [b"before", b"after"]

    tell(postgres, story)


def test_an_append_we_gave_up_may_still_arrive_but_once_and_before_our_next(postgres: str) -> None:
    async def story(log: PostgresLog, admin: Admin) -> None:
        await put(log, b"before")
        async with admin.transaction():
            await admin.execute("select * from topic for update")
            given_up = asyncio.create_task(put(log, b"given up"))
            await waits_for_the_row(admin)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            following = asyncio.create_task(put(log, b"after"))
            await asyncio.sleep(0.05)
        await following
        bodies = [record.body for record in await everything(log)]
        assert bodies in ([b"before", b"given up", b"after"], [b"before", b"after"])

    tell(postgres, story)


def test_an_append_that_takes_too_long_is_unknown(postgres: str) -> None:
    async def story(log: PostgresLog, admin: Admin) -> None:
        async with admin.transaction():
            await admin.execute("select * from topic for update")
            # The server's own limit and ours are the same: whichever speaks first, nothing is kept.
            with pytest.raises((OutcomeUnknown, LogUnavailable)):
                await put(log, b"slow")
            # On a busy machine the server's limit may come a good while after ours.
            await waits_for_the_row(admin, waits=False)
        await put(log, b"after")
        assert [record.body for record in await everything(log)] == [b"after"]

    tell(postgres, story, append_timeout_s=0.3)


def test_each_append_is_in_the_log_at_most_once_whatever_is_killed(postgres: str) -> None:
    async def story(log: PostgresLog, admin: Admin) -> None:
        durable, unknown, refused = set[bytes](), set[bytes](), set[bytes]()

        async def write(name: int) -> None:
            for n in range(150):
                body = b"%d %d" % (name, n)
                try:
                    await put(log, body)
                    durable.add(body)
                except OutcomeUnknown:
                    unknown.add(body)
                except LogUnavailable:
                    refused.add(body)

        async def kill() -> None:
            for n in range(40):
                await admin.execute(KILL_ALL if n % 4 == 0 else KILL_APPENDERS)
                await asyncio.sleep(0.003 + 0.0007 * (n % 7))

        await asyncio.gather(write(0), write(1), kill())
        records = await everything(log)
        found = [record.body for record in records]
        assert [record.offset for record in records] == list(range(len(records)))
        assert len(found) == len(set(found)), "nothing twice"
        assert durable <= set(found), "nothing acknowledged is missing"
        assert not refused & set(found), "what was refused did nothing"
        assert set(found) <= durable | unknown
        assert len(durable) > 100

    tell(postgres, story)


@pytest.mark.parametrize("every_s", [0.0, 0.02])
def test_a_reader_goes_on_where_it_was_when_its_connection_is_lost(
    postgres: str, every_s: float
) -> None:
    async def story(log: PostgresLog, admin: Admin) -> None:
        seen: list[bytes] = []
        progress = asyncio.Event()

        async def read() -> None:
            async with aclosing(log.read(TOPIC, 0, every_s=every_s)) as batches:
                while len(seen) < 60:
                    seen.extend(record.body for record in await anext(batches))
                    progress.set()

        reader = asyncio.create_task(read())
        for n in range(60):
            await put(log, b"%d" % n)
            if n % 20 == 10:
                while len(seen) <= n:
                    progress.clear()
                    await progress.wait()
                assert await admin.fetchval(KILL_READERS) > 0
        await reader
        assert seen == [b"%d" % n for n in range(60)]

    tell(postgres, story)


def test_a_ring_that_is_lost_only_delays(postgres: str) -> None:
    async def story(log: PostgresLog, admin: Admin) -> None:
        reader = asyncio.create_task(anext(log.read(TOPIC, 0)))
        await asyncio.sleep(0.1)
        # As an appender does that dies between its commit and its ring.
        await admin.execute(
            "select * from append($1, $2, $3, $4)", TOPIC, [b"a"], time.time_ns() // 1000, 10**6
        )
        assert [record.body for record in await reader] == [b"a"]

    tell(postgres, story)


def test_time_never_goes_back_even_if_the_clock_of_the_server_does(postgres: str) -> None:
    async def story(log: PostgresLog, admin: Admin) -> None:
        later_us = time.time_ns() // 1000 + 3_600_000_000
        await admin.execute("update topic set last_time_us = $1", later_us)
        assert [(await put(log, b"a")).time_us for _ in range(3)] == [later_us] * 3

    tell(postgres, story)


def test_bodies_are_stored_as_they_are(postgres: str) -> None:
    async def story(log: PostgresLog, admin: Admin) -> None:
        for _ in range(4):
            await put(log, b"\0" * 100_000)
        size = "select pg_total_relation_size(oid) from pg_class where relname = 'record_1_0'"
        assert await admin.fetchval(size) > 400_000
        compressed = "select count(pg_column_compression(body)) from record"
        assert await admin.fetchval(compressed) == 0

    tell(postgres, story)


def test_a_partition_is_there_before_its_first_record(postgres: str) -> None:
    async def story(log: PostgresLog, admin: Admin) -> None:
        for n in range(1, 9):
            await put(log, b"a")
            tables = "select count(*) from pg_class where relname ~ '^record_1_[0-9]+$'"
            assert await admin.fetchval(tables) == n // 4 + 1

    tell(postgres, story, partition_records=4)


def test_a_log_that_is_down_says_so_and_is_good_again_afterwards(data_folder: Path) -> None:
    small = {"shared_buffers": "16MB", "fsync": "off"}
    server = start_postgres(data_folder, small)

    async def story() -> None:
        async with opened(config(server.dsn)) as log:
            await log.create(TOPIC)
            await put(log, b"before")
            reader = asyncio.create_task(read_two(log))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(stop_postgres, data_folder, "immediate")
            for _ in range(2):
                with pytest.raises((LogUnavailable, OutcomeUnknown)):
                    await put(log, b"down")
            with pytest.raises(LogUnavailable):
                await log.end(TOPIC)
            await asyncio.to_thread(start_postgres, data_folder, small)
            assert (await put(log, b"after")).first_offset == 1
            assert await reader == [b"before", b"after"]

    async def read_two(log: PostgresLog) -> list[bytes]:
        bodies: list[bytes] = []
        async with aclosing(log.read(TOPIC, 0)) as batches:
            while len(bodies) < 2:
                bodies += [record.body for record in await anext(batches)]
        return bodies

    try:
        asyncio.run(asyncio.wait_for(story(), 60))
    finally:
        stop_postgres(data_folder)


def test_a_question_that_is_not_answered_is_given_up_and_asked_again_elsewhere(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_log, "ANSWER_S", 0.3)

    async def story(log: PostgresLog, admin: Admin) -> None:
        await put(log, b"a")
        # Locked against everybody, it does not answer; nor does a machine that has vanished.
        async with admin.transaction():
            await admin.execute("lock table topic in access exclusive mode")
            with pytest.raises(LogUnavailable, match="has not answered"):
                await log.end(TOPIC)
        assert await log.end(TOPIC) == 1

    tell(postgres, story)


def test_a_topic_that_is_gone_is_noticed(postgres: str) -> None:
    async def story(log: PostgresLog, admin: Admin) -> None:
        await put(log, b"a")
        await admin.execute("delete from topic")
        with pytest.raises(TopicUnknown):
            await put(log, b"b")

    tell(postgres, story)


def test_a_cut_waits_for_nobody_and_holds_nobody_up(postgres: str) -> None:
    async def story(log: PostgresLog, admin: Admin) -> None:
        for _ in range(9):
            await put(log, b"a")
        async with admin.transaction():
            # As a dump does, for as long as it takes.
            await admin.execute("select count(*) from record")
            with pytest.raises(LogUnavailable, match="lock timeout"):
                await log.cut(TOPIC, 8)
            assert (await put(log, b"b")).first_offset == 9
        assert await log.cut(TOPIC, 8) == 8

    tell(postgres, story, partition_records=2)
