"""The real stores, once a session: an embedded Postgres and an embedded ClickHouse of our own."""

import asyncio
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from services.runtime.clickhouse import open_clickhouse
from services.runtime.config import ClickHouseConfig, clickhouse_address, postgres_dsn
from services.runtime.embedded import EmbeddedPostgres, start_postgres, stop_postgres
from services.runtime.embedded_kafka import prepare_kafka, start_kafka, stop_kafka
from tests.kafka import HEAP_MB, forget_topics, need_kafka
from tests.kafka_doors import Doors

_numbers = itertools.count()


@contextmanager
def folder_for_postgres() -> Iterator[Path]:
    """An empty folder that a Postgres can live in, removed at the end.

    Not below pytest's own: every session that starts closes that to other users, and the embedded
    Postgres of a root is another user.
    """
    folder = Path(tempfile.mkdtemp(prefix="bourse-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A data folder for a test that starts a Postgres, or a whole house, of its own."""
    with folder_for_postgres() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """A server for the whole session. Tests that kill it start one of their own instead."""
    with folder_for_postgres() as data:
        # Tests kill processes and never the power, so the disk need not be waited for.
        settings = {"shared_buffers": "64MB", "max_wal_size": "1GB", "fsync": "off"}
        yield start_postgres(data, settings)
        stop_postgres(data, "immediate")


@pytest.fixture
def postgres(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """The DSN of an empty database for this test alone."""
    with _database(postgres_server.data) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def postgres_of_module(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """The DSN of an empty database that the tests of a module share."""
    with _database(postgres_server.data) as dsn:
        yield dsn


@contextmanager
def _database(data: Path) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    asyncio.run(_execute(data, f"create database {name} template template0"))
    yield postgres_dsn(data, name)
    asyncio.run(_execute(data, f"drop database {name} with (force)"))


async def _execute(data: Path, statement: str) -> None:
    connection = await asyncpg.connect(postgres_dsn(data, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


class Kafka(NamedTuple):
    """A running broker."""

    address: str
    """Of the door that asks nobody who he is."""
    doors: Doors


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One broker for the whole session. Tests that kill it start their own."""
    need_kafka()
    data = tmp_path_factory.mktemp("kafka")
    place = prepare_kafka(data)
    doors = Doors(data, place)
    try:
        start_kafka(data, heap_mb=HEAP_MB, quick=True, settings=doors.settings())
        asyncio.run(doors.introduce())
        yield Kafka(place.address, doors)
    finally:
        stop_kafka(data, "immediate")


@pytest.fixture
def kafka(kafka_server: Kafka) -> str:
    """The address of a Kafka without a topic, for this test alone."""
    forget_topics(kafka_server.address)
    return kafka_server.address


@pytest.fixture
def kafka_doors(kafka: str, kafka_server: Kafka) -> Doors:
    """The other ways into that Kafka."""
    return kafka_server.doors


class ClickHouse(NamedTuple):
    """A running owner of an embedded ClickHouse."""

    data: Path
    process: subprocess.Popen[bytes]

    def config(self) -> ClickHouseConfig:
        """What `open_clickhouse` wants."""
        return ClickHouseConfig(address=clickhouse_address(self.data))


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """An owner for the whole session. Tests that kill it start one of their own instead."""
    with clickhouse_owner(tmp_path_factory.mktemp("clickhouse")) as owner:
        yield owner


@pytest.fixture
def clickhouse(clickhouse_server: ClickHouse) -> Iterator[tuple[ClickHouseConfig, str]]:
    """The settings of ClickHouse, and the name of an empty database for this test alone."""
    config, name = clickhouse_server.config(), f"test_{next(_numbers)}"
    yield config, name
    asyncio.run(_drop(config, name))


@contextmanager
def clickhouse_owner(data: Path) -> Iterator[ClickHouse]:
    """`python -m services.clickhouse` on a data folder, once it answers; ended at the end."""
    command = [sys.executable, "-m", "services.clickhouse", "--data", str(data)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
    owner = ClickHouse(data, process)
    try:
        asyncio.run(_answers(owner.config()))
        yield owner
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _answers(config: ClickHouseConfig) -> None:
    client = await open_clickhouse(config)
    await client.close()


async def _drop(config: ClickHouseConfig, name: str) -> None:
    client = await open_clickhouse(config)
    await client.command("DROP DATABASE IF EXISTS {name:Identifier}", {"name": name})
    await client.close()
