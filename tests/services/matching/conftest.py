"""The logs that the stories are told over."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from pydantic import SecretStr

from services.runtime.config import LogConfig
from services.runtime.log import Log
from services.runtime.memory_log import MemoryLog
from services.runtime.postgres_log import open_postgres_log

OpenLog = Callable[[], AbstractAsyncContextManager[Log]]


@pytest.fixture(params=["memory", "postgres"])
def open_log(request: pytest.FixtureRequest) -> OpenLog:
    """Opens a log. In Postgres, each opening is as another process would see the same log."""
    if request.param == "memory":
        memory = MemoryLog()

        @asynccontextmanager
        async def open_memory() -> AsyncIterator[Log]:
            yield memory

        return open_memory
    address = SecretStr(request.getfixturevalue("postgres"))

    @asynccontextmanager
    async def open_postgres() -> AsyncIterator[Log]:
        log = await open_postgres_log(LogConfig(address=address))
        try:
            yield log
        finally:
            await log.close()

    return open_postgres
