"""The real stores, once a session: an embedded Postgres and an embedded ClickHouse of our own."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from services.runtime.config import postgres_dsn
from services.runtime.embedded import EmbeddedPostgres, start_postgres, stop_postgres

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server for the whole session. Tests that kill it start one of their own instead."""
    data = tmp_path_factory.mktemp("postgres")
    yield start_postgres(data, {"shared_buffers": "64MB", "max_wal_size": "1GB"})
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
