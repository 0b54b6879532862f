"""Holds on the logs: who still needs a topic, and from where on, in rows of Postgres.

Whoever reads a topic says now and again how far it has come; the topic is cut below the smallest of
these places (see services/matching/retention.py). A reader that has been silent for long loses its
hold, as does one that an operator releases; it has it again once it speaks. Silence is judged by
the clock of Postgres alone. While a reader that must be there has never spoken nothing is cut.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import structlog

from services.runtime.config import PostgresConfig
from services.runtime.log import Log
from services.runtime.postgres import open_schema
from services.runtime.postgres_wake import GONE, Opened

SCHEMA: Final = "runtime"

EVENT_READERS: Final = ("ledger", "orders", "marketdata", "notifications", "snapshots")
"""Who reads an event log: as long as one of them has no row, it is not cut."""

COMMAND_READERS: Final = ("snapshots",)
"""Who reads a command log from a place that is kept. A running replica is at its end."""

SPEAK_S: Final = 2.0
"""How often a reader says where it is."""

_ANSWER_S: Final = 5.0

_PUT: Final = """
    insert into runtime.hold (topic, reader, next_offset, checksum) values ($1, $2, $3, $4)
    on conflict (topic, reader) do update
        set next_offset = excluded.next_offset, checksum = excluded.checksum,
            seen_at = clock_timestamp(), lost_at = null
"""
_LIST: Final = """
    select topic, reader, next_offset, checksum, lost_at is not null as is_lost,
        (extract(epoch from seen_at) * 1000000)::bigint as seen_us,
        (extract(epoch from clock_timestamp() - seen_at) * 1000000)::bigint as silent_us
    from runtime.hold where $1 = '' or topic = $1 order by topic, reader
"""
_EXPIRE: Final = """
    update runtime.hold set lost_at = clock_timestamp()
    where topic = $1 and lost_at is null
        and (seen_at < clock_timestamp() - make_interval(secs => $2) or next_offset < $3)
    returning reader
"""
_RELEASE: Final = """
    insert into runtime.hold (topic, reader, next_offset, lost_at)
        values ($1, $2, 0, clock_timestamp())
    on conflict (topic, reader) do update set lost_at = clock_timestamp()
"""

_FORGET: Final = "delete from runtime.hold where topic = $1 and reader = $2"

_log = structlog.get_logger("holds")


class Held(NamedTuple):
    """What a reader needs of a topic."""

    next_offset: int
    """Nothing at or above it may be cut."""
    checksum: int | None = None
    """Of the record before it, see Record.checksum; None: that is not known."""


class Hold(NamedTuple):
    """A reader's row."""

    topic: str
    reader: str
    next_offset: int
    checksum: int | None
    is_lost: bool
    seen_us: int
    """When it spoke last, by the clock of Postgres, microseconds since 1970."""
    silent_us: int
    """So long it has not spoken."""


class Holds:
    """The rows, over a connection that mends itself. Raises what Postgres raises, and OSError."""

    def __init__(self, config: PostgresConfig) -> None:
        self._address = config.address.get_secret_value()
        self._connection: Opened | None = None
        self._asking = asyncio.Lock()

    async def put(self, topic: str, reader: str, held: Held) -> None:
        """Say how far a reader is. One that has lost its hold has it again."""
        await self._ask("execute", _PUT, topic, reader, *held)

    async def all(self, topic: str = "") -> list[Hold]:
        """The rows of a topic, or of all topics."""
        rows = await self._ask("fetch", _LIST, topic)
        return [Hold(**dict(row)) for row in rows]

    async def expire(self, topic: str, silent_s: float, start: int) -> list[str]:
        """Take their hold from those who have been silent for so long, or who need what lies before
        the log's start and so have lost already. Returns who they are."""
        return [row["reader"] for row in await self._ask("fetch", _EXPIRE, topic, silent_s, start)]

    async def release(self, topic: str, reader: str) -> None:
        """Take its hold from a reader, until it speaks again; also from one that never spoke."""
        await self._ask("execute", _RELEASE, topic, reader)

    async def forget(self, topic: str, reader: str) -> None:
        """Remove a row, of somebody who was there for once."""
        await self._ask("execute", _FORGET, topic, reader)

    async def pin(self, log: Log, topic: str, reader: str) -> None:
        """Hold a topic as it is now, for somebody who is there for once."""
        start = -1
        # What is cut while we say so would not be held.
        while start != (start := await log.start(topic)):
            await self.put(topic, reader, Held(start))

    async def keep(self, topic: str, reader: str, where: Callable[[], Awaitable[Held]]) -> None:
        """Say where a reader is, for ever. Postgres out of reach is waited for."""
        try:
            while True:
                try:
                    await self.put(topic, reader, await where())
                except (*GONE, TimeoutError) as error:
                    _log.warning("hold_is_not_written", topic=topic, why=str(error))
                await asyncio.sleep(SPEAK_S)
        finally:
            self.close()

    def close(self) -> None:
        """Let the connection go. The rows stay."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None

    async def _ask(self, how: str, query: str, *arguments: Any) -> Any:
        async with self._asking:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    if self._connection is None or self._connection.is_closed():
                        self._connection = await self._open()
                    return await getattr(self._connection, how)(query, *arguments)
            except BaseException:
                self.close()
                raise

    async def _open(self) -> Opened:
        # What is said again in two seconds need not wait for the disk.
        return await open_schema(self._address, "holds", SCHEMA, synchronous_commit="off")


def floor_of(holds: Sequence[Hold], readers: Sequence[str]) -> int | str:
    """Below which offset a topic may be cut, or why it may not be cut at all.

    `readers` are those who must be known; others count too if they hold.
    """
    silent = set(readers) - {hold.reader for hold in holds}
    if silent:
        return f"nobody knows where {', '.join(sorted(silent))} stands"
    held = [hold.next_offset for hold in holds if not hold.is_lost]
    return min(held) if held else "nobody holds it"
