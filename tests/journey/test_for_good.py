"""What starting again would not mend: `bourse up` says the sentence of the room, and stops."""

import asyncio
import json
import struct
from pathlib import Path

import asyncpg
import pytest

from services.matching.store import FORMAT
from services.runtime.embedded import start_postgres, stop_postgres
from tests.journey.house import House

NEWER = """
    create schema {schema};
    create table {schema}.schema_version (
        version int primary key, name text not null, sha256 text not null,
        applied_at timestamptz not null default clock_timestamp()
    );
    insert into {schema}.schema_version (version, name, sha256)
        select n, 'later', 'x' from generate_series(1, 99) n;
"""


async def run(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statements)
    await connection.close()


def tables_of_a_newer_one(data: Path, schema: str) -> None:
    """Leave a room's tables as a Bourse that knows 99 migrations would."""
    server = start_postgres(data)
    asyncio.run(run(server.dsn, NEWER.format(schema=schema)))
    stop_postgres(data)


def snapshot_of_a_newer_one(data: Path) -> None:
    """Leave a snapshot in a format that nobody knows yet."""
    folder = data / "snapshots" / "0"
    folder.mkdir(parents=True)
    (folder / f"{7:020}.snapshot").write_bytes(struct.pack("<8sI", b"BOURSESN", 99) + bytes(200))


def given_up(data: Path) -> str:
    """Start a house that cannot be; all that it said until it ended by itself."""
    birth = {"format": 1, "demo": False, "complete": True}
    (data / "bourse.json").write_text(json.dumps(birth))
    house = House(data, "--no-demo")
    assert house.wait() == 1
    return house.all_said()


@pytest.mark.parametrize("room", ["ledger", "marketdata", "accounts"])
def test_tables_of_a_newer_version_end_the_house(data_folder: Path, room: str) -> None:
    tables_of_a_newer_one(data_folder, room)
    said = given_up(data_folder)
    last = said.splitlines()[-1]
    assert last.startswith(f"{room} cannot go on. The data of {room} is of version 99,"), said
    assert last.endswith("Use that one, or restore a backup.")
    assert f"{room} starts again" not in said
    assert "Nothing is lost" not in last


def test_a_log_of_a_newer_version_ends_the_house(data_folder: Path) -> None:
    tables_of_a_newer_one(data_folder, "runtime")
    last = given_up(data_folder).splitlines()[-1]
    assert "cannot go on. The data of runtime is of version 99," in last


def test_a_snapshot_of_a_newer_version_ends_the_house(data_folder: Path) -> None:
    snapshot_of_a_newer_one(data_folder)
    last = given_up(data_folder).splitlines()[-1]
    assert last.startswith("matching cannot go on. ")
    assert f"has format 99, and this Bourse knows {FORMAT}" in last
