"""Both real stores at once, empty for each test."""

import asyncio
from collections.abc import Iterator

import pytest

from services.runtime.clickhouse import open_clickhouse
from services.runtime.config import ClickHouseConfig
from tests.services.marketdata.world import Stores


@pytest.fixture
def stores(postgres: str, clickhouse: tuple[ClickHouseConfig, str]) -> Iterator[Stores]:
    """An empty database in each; a second one of ClickHouse if a second shard makes it."""
    yield postgres, clickhouse
    asyncio.run(_drop_second(*clickhouse))


async def _drop_second(config: ClickHouseConfig, database: str) -> None:
    client = await open_clickhouse(config)
    await client.command(f"DROP DATABASE IF EXISTS {database}_1")
    await client.close()
