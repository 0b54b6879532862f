"""What replicas say of themselves, as somebody else reads it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
from pydantic import SecretStr

from services.runtime.config import PostgresConfig
from services.runtime.postgres_wake import Opened
from services.runtime.replicas import (
    LIVE_US,
    Registration,
    ReplicaRow,
    Standing,
    list_replicas,
    mark_stopped,
    open_registry,
)


class Known:
    """A registry that a test reads, and replicas that write into it."""

    def __init__(self, config: PostgresConfig, connection: Opened) -> None:
        self.connection = connection
        self.stands = Standing(-1, 0, 0, 0)
        self._config = config
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self.kept: dict[str, Registration] = {}

    def begin(self, name: str, address: str) -> None:
        self.kept[name] = Registration(self._config, 0, name, address, lambda: self.stands)
        self._keeping[name] = asyncio.create_task(self.kept[name].keep())

    async def end(self, *names: str) -> None:
        for name in names or list(self._keeping):
            self._keeping[name].cancel()
            await asyncio.wait([self._keeping[name]])

    async def when(self, wanted: Callable[[list[ReplicaRow]], bool]) -> list[ReplicaRow]:
        # Nobody says that a row has changed.
        while not wanted(rows := await list_replicas(self.connection, 0)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return rows


@asynccontextmanager
async def known(dsn: str) -> AsyncIterator[Known]:
    config = PostgresConfig(address=SecretStr(dsn))
    connection = await open_registry(config, 10)
    made = Known(config, connection)
    try:
        yield made
    finally:
        await made.end()
        await connection.close()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await asyncio.wait_for(story(), 30)

    asyncio.run(told())


def test_replicas_are_seen_where_they_stand_until_they_end(postgres: str) -> None:
    async def story() -> None:
        async with known(postgres) as registry:
            registry.stands = Standing(41, 1000, 0xABC, 7)
            registry.begin("one", "unix:/a")
            registry.begin("two", "unix:/b")
            rows = await registry.when(lambda rows: len(rows) == 2)
            assert {row.address for row in rows} == {"unix:/a", "unix:/b"}
            for row in rows:
                assert (row.applied_offset, row.sequence, row.epoch) == (41, 1000, 7)
                assert row.state_hash == "0000000000000abc"
                assert row.is_live
                assert row.started_us <= row.seen_us
                assert (row.stopped_offset, row.stopped_why) == (None, "")
            registry.stands = Standing(42, 1001, 0xDEF, 0)
            await registry.when(lambda rows: all(row.applied_offset == 42 for row in rows))
            await registry.end("one")
            rows = await registry.when(lambda rows: len(rows) == 1)
            assert rows[0].replica == "two"
            assert await list_replicas(registry.connection, 1) == []

    run(story)


def test_one_that_stopped_stays_until_another_takes_its_place(postgres: str) -> None:
    async def story() -> None:
        async with known(postgres) as registry:
            registry.begin("one", "unix:/a")
            registry.begin("two", "unix:/b")
            await registry.when(lambda rows: len(rows) == 2)
            await registry.kept["one"].stopped(17, "It disagrees.")
            await mark_stopped(registry.connection, 0, "two", 18, "It was told to.")
            registry.stands = Standing(5, 0, 0, 0)
            rows = await registry.when(lambda rows: all(row.applied_offset == 5 for row in rows))
            stopped = {row.replica: (row.stopped_offset, row.stopped_why) for row in rows}
            assert stopped == {"one": (17, "It disagrees."), "two": (18, "It was told to.")}
            await registry.end()
            assert len(await list_replicas(registry.connection, 0)) == 2
            registry.begin("three", "unix:/a")
            rows = await registry.when(lambda rows: any(row.replica == "three" for row in rows))
            assert {row.replica for row in rows} == {"two", "three"}

    run(story)


def test_one_that_is_silent_for_long_is_dead(postgres: str) -> None:
    async def story() -> None:
        async with known(postgres) as registry:
            registry.begin("one", "unix:/a")
            await registry.when(lambda rows: len(rows) == 1)
            await registry.kept["one"].stopped(17, "It disagrees.")
            await registry.end()
            await registry.connection.execute(
                "update replica set seen_at = clock_timestamp() - make_interval(secs => $1)",
                LIVE_US / 1e6,
            )
            (row,) = await list_replicas(registry.connection, 0)
            assert not row.is_live

    run(story)


def test_a_lost_postgres_is_waited_for(postgres: str) -> None:
    async def story() -> None:
        admin = await asyncpg.connect(postgres)
        async with known(postgres) as registry:
            registry.begin("one", "unix:/a")
            await registry.when(lambda rows: len(rows) == 1)
            for offset in range(2):
                registry.stands = Standing(offset, 0, 0, 0)
                await registry.when(lambda rows: rows[0].applied_offset == registry.stands[0])
                await admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = 'bourse replicas' and pid <> $1",
                    registry.connection.get_server_pid(),
                )
            registry.stands = Standing(9, 0, 0, 0)
            await registry.when(lambda rows: rows[0].applied_offset == 9)
        await admin.close()

    run(story)
