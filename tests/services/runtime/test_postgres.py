"""Schemas grow one file at a time; a commit whose answer is lost is neither done nor undone."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from services.runtime import postgres as house
from services.runtime.config import PostgresConfig
from services.runtime.final import NeedsMending
from services.runtime.postgres import (
    CommitUnknown,
    MigrationChanged,
    Pool,
    PostgresRefused,
    PostgresUnavailable,
    SchemaNewer,
    connect,
    migrations,
    open_postgres,
    transaction,
)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of migrations of a room called pantry, with one file in it."""
    monkeypatch.setattr(house, "_SERVICES", tmp_path)
    folder = tmp_path / "pantry" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_jar.sql").write_text("create table jar (n int unique deferrable);")
    return folder


@asynccontextmanager
async def opened(dsn: str) -> AsyncGenerator[Pool, None]:
    pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), "pantry")
    try:
        yield pool
    finally:
        pool.terminate()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await asyncio.wait_for(story(), 30)

    asyncio.run(told())


def test_files_are_run_once_and_in_order_by_however_many_start_at_once(
    postgres: str, room: Path
) -> None:
    async def start() -> None:
        async with opened(postgres) as pool:
            await pool.execute("insert into jar values (1) on conflict do nothing")

    async def story() -> None:
        with pytest.raises(asyncpg.PostgresError):
            # Deferrable constraints do not arbitrate: the file below mends that.
            await start()
        (room / "0002_plain.sql").write_text(
            "alter table jar drop constraint jar_n_key; alter table jar add unique (n);"
        )
        await asyncio.gather(*[start() for _ in range(4)])
        async with opened(postgres) as pool:
            assert await pool.fetchval("select current_schema()") == "pantry"
            assert await pool.fetchval("select count(*) from jar") == 1
            rows = await pool.fetch("select version, name from schema_version order by version")
            assert [tuple(row) for row in rows] == [(1, "0001_jar.sql"), (2, "0002_plain.sql")]

    run(story)


def test_where_nothing_is_left_to_be_done_nobody_is_waited_for(postgres: str, room: Path) -> None:
    async def story() -> None:
        async with opened(postgres):
            pass
        other = await asyncpg.connect(postgres)
        await other.execute("select pg_advisory_lock(hashtextextended('bourse.pantry', 0))")
        async with opened(postgres) as pool:
            assert await pool.fetchval("select current_schema()") == "pantry"
        await other.close()

    run(story)


def test_data_of_a_newer_version_is_refused(postgres: str, room: Path) -> None:
    async def story() -> None:
        second = room / "0002_more.sql"
        second.write_text("create table shelf ();")
        async with opened(postgres):
            second.unlink()
        with pytest.raises(SchemaNewer, match="of version 2, and this Bourse knows 1"):
            async with opened(postgres):
                raise AssertionError("it was opened")

    run(story)


def test_a_file_that_was_changed_after_it_was_run_is_refused(postgres: str, room: Path) -> None:
    async def story() -> None:
        async with opened(postgres):
            (room / "0001_jar.sql").write_text("create table jar (n bigint);")
        with pytest.raises(MigrationChanged, match=r"pantry/0001_jar\.sql is not the file"):
            async with opened(postgres):
                raise AssertionError("it was opened")

    run(story)


def test_a_file_that_fails_leaves_nothing_behind(postgres: str, room: Path) -> None:
    async def story() -> None:
        second = room / "0002_wrong.sql"
        second.write_text("create table shelf (); select nonsense;")
        with pytest.raises(asyncpg.UndefinedColumnError):
            async with opened(postgres):
                raise AssertionError("it was opened")
        second.write_text("create table shelf ();")
        async with opened(postgres) as pool:
            assert await pool.fetchval("select count(*) from schema_version") == 2

    run(story)


@pytest.mark.parametrize("name", ["0002_gap.sql", "1_short.sql", "0001-dash.sql"])
def test_files_are_numbered_without_gaps(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match="should be called 0001_name"):
        migrations(tmp_path)


async def write(pool: Pool, *statements: str, then: BaseException | None = None) -> None:
    """One transaction, perhaps failing at its end."""
    async with transaction(pool) as tx:
        for statement in statements:
            await tx.execute(statement)
        if then is not None:
            raise then


def test_a_block_that_fails_is_rolled_back_and_the_connection_is_good(
    postgres: str, room: Path
) -> None:
    async def story() -> None:
        async with opened(postgres) as pool:
            for _ in range(6):
                with pytest.raises(ZeroDivisionError):
                    await write(pool, "insert into jar values (1)", then=ZeroDivisionError())
                with pytest.raises(asyncpg.UndefinedTableError):
                    await write(pool, "insert into jar values (1)", "delete from nothing")
            await write(pool, "insert into jar values (7)")
            assert await pool.fetchval("select array_agg(n) from jar") == [7]

    run(story)


KILL = """
    select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bourse pantry'
"""


def test_a_connection_lost_at_the_commit_leaves_the_outcome_unknown(
    postgres: str, room: Path
) -> None:
    async def lose(pool: Pool, admin: "asyncpg.Connection[asyncpg.Record]") -> None:
        async with transaction(pool) as tx:
            await tx.execute("insert into jar values (1)")
            await admin.execute(KILL)

    async def story() -> None:
        admin = await asyncpg.connect(postgres)
        async with opened(postgres) as pool:
            with pytest.raises(CommitUnknown):
                await lose(pool, admin)
            await write(pool, "insert into jar values (2)")
            assert await pool.fetchval("select array_agg(n) from jar") == [2]
        await admin.close()

    run(story)


def test_a_connection_lost_before_the_commit_has_written_nothing(postgres: str, room: Path) -> None:
    async def story() -> None:
        async with opened(postgres) as pool:
            with pytest.raises(PostgresUnavailable, match="Postgres was lost"):
                await write(pool, "insert into jar values (1)", KILL, "insert into jar values (2)")
            assert await pool.fetchval("select count(*) from jar") == 0

    run(story)


def test_a_constraint_that_speaks_at_the_commit_is_an_answer(postgres: str, room: Path) -> None:
    async def story() -> None:
        async with opened(postgres) as pool:
            with pytest.raises(asyncpg.UniqueViolationError):
                await write(pool, "set constraints all deferred", "insert into jar values (1), (1)")
            assert await pool.fetchval("select count(*) from jar") == 0

    run(story)


@pytest.mark.parametrize("change", ["database", "address"])
def test_what_only_a_setting_can_mend_is_not_waited_for(postgres: str, change: str) -> None:
    wrong = postgres.replace("/test_", "/nobody_") if change == "database" else "postgresql://x:y:z"
    with pytest.raises(PostgresRefused, match="Postgres refuses trial") as refused:
        asyncio.run(connect(wrong, "trial"))
    assert isinstance(refused.value, NeedsMending)


def test_a_server_that_does_not_answer_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PostgresUnavailable, match="Postgres does not answer"):
        asyncio.run(connect(f"postgresql://x@/x?host={tmp_path}", "trial", patience_s=0.2))
