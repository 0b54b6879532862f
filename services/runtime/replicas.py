"""The replicas of a shard: a row each in Postgres, written by themselves twice a second.

By these rows a person, or a replica, sees who lives, how far each has come and whether they agree.
Nothing in trading waits for them: a replica that cannot write its row goes on without. Who is alive
is judged by the clock of Postgres alone. A row stays when its replica dies, so that it can be asked
why, until another process listens in the same place; an orderly end removes it.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog

from services.runtime.config import PostgresConfig
from services.runtime.postgres import Connection, open_schema
from services.runtime.postgres_wake import GONE, Opened

SCHEMA: Final = "runtime"

WRITE_S: Final = 0.5
"""How often a replica describes itself."""

LIVE_US: Final = 3_000_000
"""One that has not been seen for longer is taken for dead."""

_ANSWER_S: Final = 2.0

_WRITE: Final = """
    insert into replica
        (shard, replica, host, address, applied_offset, sequence, state_hash, epoch)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (shard, replica) do update
        set seen_at = clock_timestamp(), applied_offset = excluded.applied_offset,
            sequence = excluded.sequence, state_hash = excluded.state_hash, epoch = excluded.epoch
"""
_SUCCEED: Final = """
    delete from replica where shard = $1 and replica <> $2 and host = $3 and address = $4
"""
_LEAVE: Final = """
    delete from replica where shard = $1 and replica = $2 and stopped_offset is null
"""
_STOP: Final = """
    update replica set stopped_offset = $3, stopped_why = $4, seen_at = clock_timestamp()
    where shard = $1 and replica = $2
"""
_LIST: Final = """
    select replica, host, address, applied_offset, sequence, state_hash, epoch,
        stopped_offset, coalesce(stopped_why, '') as stopped_why,
        (extract(epoch from started_at) * 1000000)::bigint as started_us,
        (extract(epoch from seen_at) * 1000000)::bigint as seen_us,
        (extract(epoch from clock_timestamp() - seen_at) * 1000000)::bigint as silent_us
    from replica where shard = $1 order by started_at, replica
"""

_log = structlog.get_logger("replicas")


class Standing(NamedTuple):
    """How far a replica has come."""

    applied_offset: int
    """Of the command record applied last; -1: none."""
    sequence: int
    state_hash: int
    epoch: int
    """Of the publisher's lease while this replica holds it, else 0."""


class ReplicaRow(NamedTuple):
    """A replica as it has last described itself."""

    replica: str
    """The random name of its process."""
    host: str
    """The machine it runs on."""
    address: str
    """Where it listens there."""
    started_us: int
    """By the clock of Postgres, microseconds since 1970; so is `seen_us`."""
    seen_us: int
    silent_us: int
    """So long it has not been seen."""
    applied_offset: int
    sequence: int
    state_hash: str
    """Sixteen hexadecimal digits."""
    epoch: int
    stopped_offset: int | None
    """The command record it has stopped at; None: it goes on."""
    stopped_why: str

    @property
    def is_live(self) -> bool:
        """Whether its process still describes itself."""
        return self.silent_us <= LIVE_US


async def list_replicas(connection: Connection, shard: int) -> list[ReplicaRow]:
    """All known replicas of a shard, the oldest first; the dead ones too, see `is_live`."""
    rows = await connection.fetch(_LIST, shard)
    return [ReplicaRow(**dict(row)) for row in rows]


async def mark_stopped(
    connection: Connection, shard: int, replica: str, offset: int, why: str
) -> None:
    """Say that a replica has stopped at a command record. Its row stays when its process ends."""
    await connection.execute(_STOP, shard, replica, offset, why)


async def open_registry(config: PostgresConfig, patience_s: float = 0) -> Opened:
    """A connection to where the rows are. Raises PostgresError."""
    address = config.address.get_secret_value()
    return await open_schema(address, "replicas", SCHEMA, patience_s=patience_s)


class Registration:
    """One replica's row. `keep` writes it, for ever."""

    def __init__(
        self,
        config: PostgresConfig,
        shard: int,
        replica: str,
        address: str,
        stands: Callable[[], Standing],
    ) -> None:
        self.replica = replica
        self._config = config
        self._shard = shard
        self._address = address
        self._stands = stands
        self._connection: Opened | None = None
        self._writing = asyncio.Lock()

    async def keep(self) -> None:
        """Write the row now and again; remove it when cancelled. Postgres is waited for."""
        try:
            while True:
                await self._attempt(self._write)
                await asyncio.sleep(WRITE_S)
        finally:
            await self._attempt(self._leave)
            self._drop()

    async def others_live(self) -> bool:
        """Whether another replica of the shard lives. Raises what Postgres raises, TimeoutError."""
        async with asyncio.timeout(_ANSWER_S):
            connection = await open_registry(self._config)
            try:
                rows = await list_replicas(connection, self._shard)
            finally:
                connection.terminate()
        return any(row.is_live and row.replica != self.replica for row in rows)

    async def stopped(self, offset: int, why: str) -> None:
        """Say that this replica has stopped at a record, if Postgres can be reached just now."""
        await self._attempt(self._write)
        await self._attempt(lambda each: mark_stopped(each, self._shard, self.replica, offset, why))

    async def _attempt(self, action: Callable[[Opened], Awaitable[None]]) -> None:
        try:
            async with self._writing, asyncio.timeout(_ANSWER_S):
                if self._connection is None or self._connection.is_closed():
                    self._connection = await open_registry(self._config)
                    # What is written twice a second need not wait for the disk.
                    await self._connection.execute("set synchronous_commit = off")
                await action(self._connection)
        except (*GONE, TimeoutError) as error:
            _log.warning("replica_is_not_written", why=str(error))
            self._drop()

    async def _write(self, connection: Opened) -> None:
        now = self._stands()
        name = (self._shard, self.replica, socket.gethostname(), self._address)
        await connection.execute(_SUCCEED, *name)
        await connection.execute(
            _WRITE, *name, now.applied_offset, now.sequence, f"{now.state_hash:016x}", now.epoch
        )

    async def _leave(self, connection: Opened) -> None:
        await connection.execute(_LEAVE, self._shard, self.replica)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None
