"""A log that was put back to an older state, below rooms that have read further."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from bourse.matching import v1 as matching
from services.runtime.config import LogConfig, PostgresConfig
from services.runtime.log import open_log
from services.runtime.place import same_log
from services.runtime.postgres import open_postgres
from tests.house.tree import ROOT
from tests.services.shard import TOPIC, put

ROOMS = ("ledger", "orders", "marketdata", "notifications")
WAIT_S = 60


async def run_on(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def publish(dsn: str, first: int, count: int) -> None:
    """Put so many event records on the log, each of one refused command."""
    log = await open_log(LogConfig(address=SecretStr(dsn)))
    for offset in range(first, first + count):
        record = matching.EventRecord(
            command_offset=offset, last=True, first_sequence=offset + 1, time_us=1_000_000 + offset
        )
        record.commands.add(request_id=bytes(16), refusal=matching.REFUSAL_ACCOUNT_SUSPENDED)
        await put(log, record.SerializeToString())
    await log.close()


@contextmanager
def older_log(dsn: str) -> Iterator[str]:
    """The DSN of a copy of a database as it is now."""
    name = dsn.split("/")[3].split("?")[0]
    server = dsn.replace(f"/{name}?", "/postgres?")
    asyncio.run(run_on(server, f"create database {name}_older template {name}"))
    yield dsn.replace(f"/{name}?", f"/{name}_older?")
    asyncio.run(run_on(server, f"drop database {name}_older with (force)"))


@contextmanager
def room(name: str, data: Path, rooms: str, log: str) -> "Iterator[subprocess.Popen[str]]":
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
        "BOURSE_POSTGRES_ADDRESS": rooms,
        "BOURSE_LOG_ADDRESS": log,
    }
    command = [sys.executable, "-m", f"services.{name}", "--data", str(data)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


async def posted(rooms: str, sequence: int = 0) -> list[Any]:
    """What stands in the ledger's tables, once everything up to a sequence does."""
    pool = await open_postgres(PostgresConfig(address=SecretStr(rooms)), "ledger")
    try:
        for _ in range(300):
            if await pool.fetchval(_REACHED, sequence):
                return [await pool.fetch(query) for query in _TABLES]
            await asyncio.sleep(0.1)
        raise AssertionError(f"the ledger has not come to sequence {sequence}")
    finally:
        await pool.close()


_REACHED = "select exists (select from consumer_offset where sequence >= $1)"
_TABLES = (
    "select * from journal order by seq",
    "select * from balance order by account, asset, shard",
    "select * from consumer_offset",
)


@pytest.mark.parametrize("grows_again", [False, True])
def test_a_ledger_above_an_older_log_stops_and_writes_nothing(
    postgres: str, tmp_path: Path, grows_again: bool
) -> None:
    asyncio.run(publish(postgres, 0, 5))
    with older_log(postgres) as older:
        asyncio.run(publish(postgres, 5, 3))
        with room("ledger", tmp_path, postgres, postgres):
            before = asyncio.run(posted(postgres, 8))
        if grows_again:
            asyncio.run(publish(older, 5, 10))
        with room("ledger", tmp_path, postgres, older) as process:
            _, said = process.communicate(timeout=WAIT_S)
        assert process.returncode == 2
        assert "this log was rolled back" in said
        assert asyncio.run(posted(postgres)) == before


@pytest.mark.parametrize("name", ROOMS)
def test_a_place_of_before_checksums_is_taken_as_it_is(postgres: str, name: str) -> None:
    async def story() -> None:
        log = await open_log(LogConfig(address=SecretStr(postgres)))
        await log.create(TOPIC)
        pool = await open_postgres(PostgresConfig(address=SecretStr(postgres)), name)
        await same_log(pool, log, TOPIC)
        await pool.execute(
            "insert into consumer_offset values ($1, 7, 5, 1, true, 40, 3, null)", TOPIC
        )
        await same_log(pool, log, TOPIC)
        await pool.close()
        await log.close()

    asyncio.run(story())
