"""ClickHouse for the rooms: one client, whether it is embedded or a server of its own.

ClickHouseUnavailable   it cannot be reached; a sentence
  ClickHouseRefused     it does not let us in: the address, the user or the password is wrong
"""

import asyncio
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

import clickhouse_connect
from clickhouse_connect.driver import options
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from services.runtime.config import ClickHouseConfig
from services.runtime.final import NeedsMending

PATIENCE_S: Final = 30.0
"""How long a starting room waits for its ClickHouse."""

_EMBEDDED: Final = "embedded:"

_WRONG_SETTINGS: Final = frozenset({192, 193, 194, 497, 516})
"""ClickHouse's codes for an unknown user, a wrong or missing password, and too few rights."""

# The driver looks for these at its first insert, which then stands still for seconds and takes
# 150 MB for what we never hand it. Here they are "not installed", as far as the driver can see.
vars(options).update(np=None, pd=None, pd_time_test=None, arrow=None, pl=None)


class ClickHouseUnavailable(Exception):
    """It cannot be reached; says why in a sentence."""


class ClickHouseRefused(ClickHouseUnavailable, NeedsMending):
    """It answers and does not let us in, nor will it before somebody changes a setting."""


async def open_clickhouse(
    config: ClickHouseConfig, database: str = "", *, patience_s: float = PATIENCE_S
) -> AsyncClient:
    """A client, on a database that is made if it is missing. Waits for a server that is starting.

    `database` empty: the one in the address. A client may be used by many tasks at once.
    Raises ClickHouseUnavailable.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return await _open(_address(config), database)
        except (ClickHouseError, OSError, TimeoutError) as error:
            if isinstance(error, DatabaseError) and error.code is not None:
                raise _refusal(config, error.code)(f"ClickHouse refuses us: {error}") from error
            if time.monotonic() >= deadline:
                raise ClickHouseUnavailable(f"ClickHouse does not answer: {error}") from error
        await asyncio.sleep(0.1)


def _refusal(config: ClickHouseConfig, code: int) -> type[ClickHouseUnavailable]:
    """What a refusal means. An embedded one may be a stranger at the port ours had before."""
    is_ours = config.address.startswith(_EMBEDDED)
    return ClickHouseRefused if code in _WRONG_SETTINGS and not is_ours else ClickHouseUnavailable


async def _open(address: str, database: str) -> AsyncClient:
    # One statement at a time from each task, and rows of a few bytes: packing them costs more.
    client = await clickhouse_connect.get_async_client(
        dsn=address, compress=False, autogenerate_session_id=False
    )
    try:
        if database:
            create = "CREATE DATABASE IF NOT EXISTS {name:Identifier}"
            await client.command(create, {"name": database})
            client.database = database
    except BaseException:
        # Nobody else knows of it yet.
        await client.close()
        raise
    return client


def _address(config: ClickHouseConfig) -> str:
    """The address with its password, as the driver wants it. Raises OSError."""
    if config.address.startswith(_EMBEDDED):
        port_file = Path(config.address.removeprefix(_EMBEDDED))
        try:
            port, key = int(port_file.read_text()), port_file.with_suffix(".key").read_text()
        except ValueError as error:
            raise OSError(f"{port_file} holds no port") from error
        return f"http://bourse:{quote(key, safe='')}@127.0.0.1:{port}"
    password = config.password.get_secret_value()
    if not password:
        return config.address
    scheme, _, rest = config.address.partition("://")
    user, _, host = rest.rpartition("@")
    return f"{scheme}://{user or 'default'}:{quote(password, safe='')}@{host}"
