"""Postgres for the rooms: opening it, keeping its schemas, and what a lost commit means.

A room keeps its tables in a schema of its own name, made by the numbered files of
`services/<room>/migrations/NNNN_name.sql`. A file is run once, in a transaction, and never changed
after a release: what comes later is another file.

    PostgresError           Postgres cannot be used as it is; a sentence
      PostgresUnavailable   it cannot be reached
        PostgresRefused     it does not let us in: the address, the user or the password is wrong
      SchemaNewer           the data was written by a newer Bourse
      MigrationChanged      a migration is not the one that was run
    CommitUnknown           a transaction may have happened: read what it would have written
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import asyncpg
from asyncpg.transaction import Transaction

from services.runtime.config import PostgresConfig
from services.runtime.final import NeedsMending

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection

PATIENCE_S: Final = 30.0
"""How long a starting room waits for its Postgres."""

UNREACHABLE: Final = (OSError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)
"""What opening a connection raises while a server is down, starting or full."""

WRONG_SETTINGS: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
    ValueError,
)
"""What opening a connection raises where user, password, database or address are wrong."""

LOST: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What using a connection raises that was, or is just being, lost; refused statements too."""

_SERVICES: Final = Path(__file__).resolve().parents[1]
_FILE_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_SETTINGS: Final = {"synchronous_commit": "on", "timezone": "UTC", "jit": "off"}


class PostgresError(Exception):
    """Postgres cannot be used as it is; says why in a sentence."""


class PostgresUnavailable(PostgresError):
    """It cannot be reached."""


class PostgresRefused(PostgresUnavailable, NeedsMending):
    """It answers and does not let us in, nor will it before somebody changes a setting."""


class SchemaNewer(PostgresError, NeedsMending):
    """The data was written by a newer Bourse than this one."""


class MigrationChanged(PostgresError, NeedsMending):
    """A migration is not the one that was run on this data."""


class CommitUnknown(Exception):
    """The answer to a commit was lost. Read what the transaction would have written, then go on."""


AWAY: Final = (
    *UNREACHABLE,
    CommitUnknown,
    PostgresUnavailable,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    # A connection that is used between a server's last words and its end.
    asyncpg.InternalClientError,
)
"""What a transaction can end with when Postgres goes away: read what became of it, and go on."""


async def open_postgres(config: PostgresConfig, room: str) -> Pool:
    """A pool on the room's schema, its migrations done. Waits for a server that is starting.

    Raises PostgresError.
    """
    address = config.address.get_secret_value()
    connection = await connect(address, room)
    try:
        await migrate(connection, room)
    finally:
        await connection.close()
    return await asyncpg.create_pool(
        address,
        min_size=1,
        max_size=config.connections,
        server_settings={**_SETTINGS, "search_path": room, "application_name": f"bourse {room}"},
    )


async def connect(
    address: str, name: str, *, patience_s: float = PATIENCE_S, **settings: str
) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection, after as many tries as fit in `patience_s`.

    Raises PostgresUnavailable; PostgresRefused at once.
    """
    deadline = time.monotonic() + patience_s
    wanted = {**_SETTINGS, "application_name": f"bourse {name}", **settings}
    while True:
        try:
            return await asyncpg.connect(address, server_settings=wanted, timeout=10)
        except (*UNREACHABLE, TimeoutError) as error:
            if time.monotonic() >= deadline:
                raise PostgresUnavailable(f"Postgres does not answer: {error}") from error
        except WRONG_SETTINGS as error:
            raise PostgresRefused(f"Postgres refuses {name}: {error}") from error
        except asyncpg.PostgresError as error:
            raise PostgresUnavailable(f"Postgres refuses {name}: {error}") from error
        await asyncio.sleep(0.1)


async def open_schema(
    address: str, name: str, schema: str, *, patience_s: float = 0, **settings: str
) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection on a schema, its migrations done. Raises as `connect` and `migrate` do."""
    connection = await connect(address, name, patience_s=patience_s, **settings)
    try:
        await migrate(connection, schema)
    except BaseException:
        # Given up in the middle, it would hold the lock of all who migrate.
        connection.terminate()
        raise
    return connection


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A transaction that is committed at the end of the block, or rolled back by an exception.

    Raises CommitUnknown if the commit was sent and its answer did not come; PostgresUnavailable if
    the connection could not be had or was lost before that (nothing was written); whatever else the
    block raises.
    """
    try:
        connection = await pool.acquire()
    except UNREACHABLE as error:
        raise PostgresUnavailable(f"Postgres does not answer: {error}") from error
    try:
        under_way = connection.transaction()
        try:
            await under_way.start()
            yield connection
        except LOST as error:
            if not await _roll_back(connection, under_way):
                raise PostgresUnavailable(f"Postgres was lost: {error}") from error
            raise
        except BaseException:
            await _roll_back(connection, under_way)
            raise
        await _commit(connection, under_way)
    finally:
        await pool.release(connection)


def _terminate(connection: Connection) -> None:
    try:
        connection.terminate()
    except asyncpg.InterfaceError:
        # The pool has taken it back already, as it does when a connection breaks.
        return


async def _roll_back(connection: Connection, under_way: Transaction) -> bool:
    """Whether the connection is still good. One that is gone has rolled back already."""
    try:
        await under_way.rollback()
    except LOST:
        _terminate(connection)
        return False
    return True


async def _commit(connection: Connection, under_way: Transaction) -> None:
    try:
        await under_way.commit()
    except asyncpg.IntegrityConstraintViolationError:
        # Deferred constraints speak at the commit. This is an answer: nothing was written.
        raise
    except LOST as error:
        _terminate(connection)
        raise CommitUnknown(f"The answer to a commit was lost: {error}") from error


class _Migration(NamedTuple):
    version: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


_HISTORY: Final = """
    create table if not exists schema_version (
        version int primary key,
        name text not null,
        sha256 text not null,
        applied_at timestamptz not null default clock_timestamp()
    )
"""


async def migrate(connection: Connection, schema: str) -> None:
    """Bring a room's schema to the newest file of its folder. Several may try at once.

    Raises SchemaNewer or MigrationChanged, and then has changed nothing.
    """
    if not schema.isidentifier():
        raise ValueError(f"{schema!r} is not the name of a schema")
    files = migrations(_SERVICES / schema / "migrations")
    if await _is_newest(connection, schema, files):
        return
    await connection.execute("select pg_advisory_lock(hashtextextended($1, 0))", f"bourse.{schema}")
    try:
        await connection.execute(f'create schema if not exists "{schema}"')
        await connection.execute("select set_config('search_path', $1, false)", schema)
        await connection.execute(_HISTORY)
        for file in files[await _version(connection, schema, files) :]:
            await _run(connection, file)
    finally:
        await connection.execute("select pg_advisory_unlock_all()")


_FIND_HISTORY: Final = """
    select set_config('search_path', $1, false), to_regclass(format('%I.schema_version', $1::text))
"""


async def _is_newest(connection: Connection, schema: str, files: list[_Migration]) -> bool:
    """Whether nothing is left to be done; then the connection is on the schema.

    Asked without the lock: those who lost their connections all come back at once, and would wait
    for each other, and for what is left of those who gave up waiting.
    """
    found = await connection.fetchrow(_FIND_HISTORY, schema)
    is_there = found is not None and found[1] is not None
    return is_there and await _version(connection, schema, files) == len(files)


def migrations(folder: Path) -> list[_Migration]:
    """The files of a folder in order. Raises ValueError unless they are 0001, 0002, …"""
    found = []
    for number, file in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None or int(match[1]) != number:
            raise ValueError(f"{file} should be called {number:04}_name.sql")
        found.append(_Migration(number, file.name, file.read_text(encoding="utf-8")))
    return found


async def _version(connection: Connection, schema: str, files: list[_Migration]) -> int:
    """How many of the files were run, once they are known to be these."""
    done: list[Any] = await connection.fetch(
        "select version, sha256 from schema_version order by version"
    )
    if len(done) > len(files):
        raise SchemaNewer(
            f"The data of {schema} is of version {len(done)}, and this Bourse knows {len(files)}:"
            " it was written by a newer one. Use that one, or restore a backup."
        )
    for row, file in zip(done, files, strict=False):
        if row["sha256"] != file.digest:
            raise MigrationChanged(
                f"{schema}/{file.name} is not the file that was run on this data. Put it back and"
                " write the change as a new file; a data folder for trials can be removed instead."
            )
    return len(done)


async def _run(connection: Connection, file: _Migration) -> None:
    async with connection.transaction():
        await connection.execute(file.text)
        await connection.execute(
            "insert into schema_version (version, name, sha256) values ($1, $2, $3)",
            file.version,
            file.name,
            file.digest,
        )
