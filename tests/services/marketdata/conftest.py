"""Both real stores at once, empty for each test."""

import pytest

from services.runtime.config import ClickHouseConfig
from tests.services.marketdata.world import Stores


@pytest.fixture
def stores(postgres: str, clickhouse: tuple[ClickHouseConfig, str]) -> Stores:
    """An empty database in each."""
    return postgres, clickhouse
