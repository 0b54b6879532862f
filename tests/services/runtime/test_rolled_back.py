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
import grpc
import pytest
from pydantic import SecretStr

from bourse.ledger import v1 as ledger
from bourse.ledger.v1.rpc import LedgerServiceStub
from bourse.matching import v1 as matching
from bourse.notifications import v1 as notifications
from bourse.notifications.v1.rpc import NotificationsServiceStub
from bourse.orders import v1 as orders
from bourse.orders.v1.rpc import OrdersServiceStub
from bourse.types import v1 as types
from services.runtime.config import LogConfig, PostgresConfig
from services.runtime.log import events_topic, open_log
from services.runtime.place import same_log
from services.runtime.postgres import open_postgres
from services.runtime.rpc import open_channel
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


async def publish(dsn: str, first: int, count: int, topic: str = TOPIC) -> None:
    """Put so many event records on a log, each of one refused command."""
    log = await open_log(LogConfig(address=SecretStr(dsn)))
    for offset in range(first, first + count):
        record = matching.EventRecord(
            command_offset=offset, last=True, first_sequence=offset + 1, time_us=1_000_000 + offset
        )
        record.commands.add(request_id=bytes(16), refusal=matching.REFUSAL_ACCOUNT_SUSPENDED)
        await put(log, record.SerializeToString(), topic=topic)
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
def room(
    name: str, data: Path, rooms: str, log: str, shards: int = 1
) -> "Iterator[subprocess.Popen[str]]":
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
        "BOURSE_POSTGRES_ADDRESS": rooms,
        "BOURSE_LOG_ADDRESS": log,
        # Notifications know a log again by what they have indexed.
        "BOURSE_NOTIFICATIONS_BLOCK_RECORDS": "1",
        "BOURSE_MATCHING_ADDRESS": ";".join(f"unix:{data}/core{n}.sock" for n in range(shards)),
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


async def _of_ledger(channel: grpc.aio.Channel) -> list[types.ReaderPlace]:
    said = await LedgerServiceStub(channel).GetStatus(ledger.GetStatusRequest())
    return [books.place for books in said.shards]


async def _of_orders(channel: grpc.aio.Channel) -> list[types.ReaderPlace]:
    return list((await OrdersServiceStub(channel).GetStatus(orders.GetStatusRequest())).places)


async def _of_notifications(channel: grpc.aio.Channel) -> list[types.ReaderPlace]:
    stub = NotificationsServiceStub(channel)
    return list((await stub.GetStatus(notifications.GetStatusRequest())).places)


PLACES = {"ledger": _of_ledger, "orders": _of_orders, "notifications": _of_notifications}


async def places_at(name: str, data: Path, *next_offsets: int) -> list[types.ReaderPlace]:
    """Where a running room stands, once it stands there."""
    async with open_channel(f"unix:{data}/run/{name}.sock") as channel, asyncio.timeout(WAIT_S):
        await channel.channel_ready()
        places: list[types.ReaderPlace] = []
        while [one.next_offset for one in places] != [*next_offsets]:
            await asyncio.sleep(0.05)
            places = await PLACES[name](channel)
    return places


@pytest.mark.parametrize("name", PLACES)
def test_of_two_shards_the_other_goes_on(postgres: str, tmp_path: Path, name: str) -> None:
    """The process stays until no shard is left; each shard's log is where it was in the copy."""
    other = events_topic(1)
    for topic in (TOPIC, other):
        asyncio.run(publish(postgres, 0, 5, topic))
    with older_log(postgres) as older:
        asyncio.run(publish(postgres, 5, 3))
        with room(name, tmp_path, postgres, postgres, shards=2):
            before = asyncio.run(places_at(name, tmp_path, 8, 5))
        assert [place.stopped for place in before] == ["", ""]
        asyncio.run(publish(older, 5, 2, other))
        with room(name, tmp_path, postgres, older, shards=2) as process:
            first, second = asyncio.run(places_at(name, tmp_path, 8, 7))
            assert "this log was rolled back" in first.stopped
            assert (first.sequence, second.sequence, second.stopped) == (8, 7, "")
            process.terminate()
            _, said = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0
        assert said.count("this log was rolled back") == 1


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
