"""One way to keep a place on an event log: the same table in every room, moved by one writer."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from services.runtime import postgres as house
from services.runtime.config import PostgresConfig
from services.runtime.events import EventKey, Position
from services.runtime.place import (
    NOWHERE,
    Place,
    PlaceMoved,
    WriterReplaced,
    advance,
    find,
    hold,
    take_over,
)
from services.runtime.postgres import Connection, Pool, migrate, open_postgres, transaction
from tests.house.tree import ROOT

TOPIC = "bourse.events.0"
ROOMS = ("ledger", "orders", "marketdata", "notifications")
FURTHER = Position(7, EventKey(5, 1), False)

Story = Callable[[Pool], Awaitable[None]]


def tell(dsn: str, room: str, story: Story) -> None:
    """Run a story on a room's tables, brought to today's version."""

    async def main() -> None:
        async with asyncio.timeout(30):
            pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), room)
            await story(pool)
            await pool.close()

    asyncio.run(main())


async def move(pool: Pool, before: Place, after: Place) -> None:
    """A transaction that moves the place."""
    async with transaction(pool) as tx:
        await advance(tx, TOPIC, before, after)


_SHAPE = """
    select string_agg(column_name || ' ' || data_type || ' ' || is_nullable, ', '
                      order by ordinal_position)
    from information_schema.columns
    where table_schema = current_schema() and table_name = 'consumer_offset'
"""


def test_every_room_has_the_same_table(postgres: str) -> None:
    shapes: dict[str, str] = {}

    for room in ROOMS:

        async def look(pool: Pool, room: str = room) -> None:
            shapes[room] = await pool.fetchval(_SHAPE)

        tell(postgres, room, look)
    assert len(set(shapes.values())) == 1, shapes
    assert "record_ended boolean NO" in shapes["ledger"]


def test_only_the_place_module_knows_the_table() -> None:
    """Its columns are written once, whoever keeps a place."""
    files = [*(ROOT / "services").glob("*/*.py")]
    assert files
    knows = {
        file.relative_to(ROOT / "services").as_posix()
        for file in files
        if "writer_epoch" in file.read_text()
    }
    assert knows == {"runtime/place.py"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_place_is_taken_over_moved_and_found(postgres: str, room: str) -> None:
    async def story(pool: Pool) -> None:
        first = await take_over(pool, TOPIC)
        assert first == NOWHERE._replace(epoch=1)
        after = first.then(FURTHER, 40)
        await move(pool, first, after)
        assert await find(pool, TOPIC, 1) == after == Place(FURTHER, 40, 1)
        second = await take_over(pool, TOPIC)
        assert second == after._replace(epoch=2)
        assert await find(pool, TOPIC) == second

    tell(postgres, room, story)


def test_a_sequence_never_goes_back() -> None:
    place = Place(FURTHER, 40, 1)
    assert place.then(Position(8, EventKey(5, 2)), 39).sequence == 40


Act = Callable[[Connection, Place], Awaitable[None]]


async def advancing(tx: Connection, at: Place) -> None:
    await advance(tx, TOPIC, at, at.then(FURTHER, 40))


async def holding(tx: Connection, at: Place) -> None:
    await hold(tx, TOPIC, at)


async def try_to_write(pool: Pool, act: Act, at: Place) -> None:
    """A transaction that writes, and only then looks at the place."""
    async with transaction(pool) as tx:
        await tx.execute("insert into written values (1)")
        await act(tx, at)


@pytest.mark.parametrize("act", [advancing, holding])
def test_whoever_is_behind_or_replaced_writes_nothing(postgres: str, act: Act) -> None:
    async def story(pool: Pool) -> None:
        await pool.execute("create table written (n int)")
        start = await take_over(pool, TOPIC)
        await move(pool, start, start.then(FURTHER, 40))
        with pytest.raises(PlaceMoved, match="is offset 7, not 0"):
            await try_to_write(pool, act, start)
        now = await take_over(pool, TOPIC)
        with pytest.raises(WriterReplaced, match="epoch 2, and this one under 1"):
            await try_to_write(pool, act, now._replace(epoch=1))
        with pytest.raises(WriterReplaced, match="Stop one of them"):
            await find(pool, TOPIC, 1)
        assert await pool.fetchval("select count(*) from written") == 0
        await try_to_write(pool, act, now)
        assert await pool.fetchval("select count(*) from written") == 1

    tell(postgres, "orders", story)


def test_a_place_that_is_gone_is_nobodys(postgres: str) -> None:
    async def story(pool: Pool) -> None:
        await take_over(pool, TOPIC)
        await pool.execute("delete from consumer_offset")
        with pytest.raises(WriterReplaced, match="is gone from its table"):
            await find(pool, TOPIC, 1)

    tell(postgres, "orders", story)


def test_a_place_that_is_held_waits_for_nobody_else_to_move_it(postgres: str) -> None:
    async def story(pool: Pool) -> None:
        start = await take_over(pool, TOPIC)
        async with transaction(pool) as tx:
            await hold(tx, TOPIC, start)
            moving = asyncio.create_task(move(pool, start, start.then(FURTHER, 40)))
            replacing = asyncio.create_task(take_over(pool, TOPIC))
            done, _ = await asyncio.wait([moving, replacing], timeout=0.3)
            assert not done
        await asyncio.wait([moving, replacing])
        assert replacing.result().epoch == 2
        if moving.exception() is not None:
            assert isinstance(moving.exception(), WriterReplaced)

    tell(postgres, "orders", story)


# --- Data folders of before -----------------------------------------------------------------

PLACE_BEFORE = """
    insert into consumer_offset values ('bourse.events.0', 7, 5, 1, false, 40, 3)
"""
BEFORE = {
    "ledger": PLACE_BEFORE,
    "orders": PLACE_BEFORE,
    "marketdata": """
        insert into consumer_offset
        values ('bourse.events.0', 7, 5, 1, false, 40, 99, 12, 9, 3)
    """,
    "notifications": """
        insert into block values (0, 4, 3, 0, true, 1, 30, 98, '{1000}'),
            (4, 7, 5, 1, false, 31, 40, 99, '{1001}')
    """,
}


@pytest.fixture
def first_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes a room's tables as its first version had them, and puts something in."""

    def make(dsn: str, room: str) -> None:
        folder = tmp_path / room / "migrations"
        folder.mkdir(parents=True)
        [first] = (ROOT / "services" / room / "migrations").glob("0001_*.sql")
        shutil.copy(first, folder)
        with monkeypatch.context() as patch:
            patch.setattr(house, "_SERVICES", tmp_path)
            asyncio.run(fill(dsn, room))

    async def fill(dsn: str, room: str) -> None:
        connection = await asyncpg.connect(dsn)
        await migrate(connection, room)
        await connection.execute(BEFORE[room])
        await connection.close()

    return make


@pytest.mark.parametrize("room", ROOMS)
def test_a_folder_of_the_first_version_goes_on_where_it_stood(
    postgres: str, room: str, first_version: Callable[[str, str], None]
) -> None:
    first_version(postgres, room)

    async def story(pool: Pool) -> None:
        place = await take_over(pool, TOPIC)
        assert place[:2] == (FURTHER, 40)
        if room == "marketdata":
            rows = await pool.fetch("select * from tape")
            assert [tuple(row) for row in rows] == [(TOPIC, 99, 12, 9, 0)], (
                "from the first record on"
            )
        if room == "notifications":
            blocks = await pool.fetch("select * from block order by first_offset")
            assert [tuple(row) for row in blocks] == [
                (0, 4, 1, 30, 98, [1000], 0),
                (4, 7, 31, 40, 99, [1001], 0),
            ], "of the first shard"

    tell(postgres, room, story)
