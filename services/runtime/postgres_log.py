"""The log in Postgres, for one machine: see migrations/0001_log.sql for its tables and functions.

A topic's row is locked from the giving of offsets to the commit, so a reader never sees a record
whose predecessor it cannot see, and offsets have no gaps. An append is one round trip. Each topic
we append to has a connection of its own (appends to different topics wait for their disk together),
each reader has one (postgres_reader.py), and the rest goes over one more.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg

from services.runtime.config import LogConfig
from services.runtime.log import (
    CLOCKS_APART_US,
    Appended,
    ClockApart,
    LogError,
    LogUnavailable,
    OutcomeUnknown,
    Record,
    TopicUnknown,
    check_sizes,
)
from services.runtime.postgres import (
    LOST,
    PostgresRefused,
    PostgresUnavailable,
    connect,
    migrate,
)
from services.runtime.postgres_reader import ENDS, SCHEMA, PostgresReader
from services.runtime.postgres_wake import GONE, Opened, Wakes

if TYPE_CHECKING:
    Statement: TypeAlias = asyncpg.prepared_stmt.PreparedStatement[asyncpg.Record]
else:
    Statement = Any

ANSWER_S: Final = 10.0
"""How long an answer to a short question may take; an append has a limit of its own."""

# As the function `append` does where there is nothing special: a statement alone takes a fifth less
# of the server's CPU. No row means that nothing was done, and that there is something special.
_APPEND: Final = """
    with grown as (
        update topic
            set next_offset = next_offset + cardinality($2::bytea[]),
                last_time_us = greatest(
                    last_time_us, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
            where name = $1 and next_offset + cardinality($2::bytea[]) < partitioned_to
                and abs((extract(epoch from clock_timestamp()) * 1000000)::bigint - $3) <= $4
            returning id, next_offset - cardinality($2::bytea[]) as first_offset,
                last_time_us as time_us
    ), put as (
        insert into record (topic_id, record_offset, time_us, body)
            select id, first_offset + n - 1, time_us, b
            from grown, unnest($2::bytea[]) with ordinality as u (b, n)
    )
    select first_offset, time_us from grown
"""
# A partition to be made, a clock that is apart, a topic that is not there.
_APPEND_SPECIAL: Final = "select first_offset, time_us from append($1, $2, $3, $4)"
_CREATE: Final = "select create_topic($1, $2)"
# A partition is dropped under a lock that waits for whoever reads any of them, such as a backup,
# and all appends would wait behind it. So it is given up soon; the next cut is never far.
_CUT: Final = "select set_config('lock_timeout', '200ms', true), cut($1, $2)"
_ONE: Final = """
    select r.record_offset, r.time_us, r.body
    from topic t left join record r on r.topic_id = t.id and r.record_offset = $2
    where t.name = $1
"""
_CLOCKS_APART: Final = "BO001"
_NO_TOPIC: Final = "BO002"


async def open_postgres_log(config: LogConfig) -> "PostgresLog":
    """The log at an address, its tables made. Waits for a server that is starting.

    Raises LogUnavailable.
    """
    log = PostgresLog(config)
    await log.prepare()
    return log


class PostgresLog:
    """See `services.runtime.log.Log`."""

    def __init__(self, config: LogConfig) -> None:
        self._config = config
        self._address = config.address.get_secret_value()
        self._appenders: dict[str, _Appender] = {}
        self._desk: Opened | None = None
        self._desk_lock = asyncio.Lock()
        self._wakes = Wakes(self._address)

    async def prepare(self) -> None:
        """Make the tables. Raises LogUnavailable; of PostgresError what waiting cannot mend."""
        try:
            connection = await connect(self._address, "log")
        except PostgresRefused:
            raise
        except PostgresUnavailable as error:
            raise LogUnavailable(str(error)) from error
        try:
            await migrate(connection, SCHEMA)
        finally:
            await connection.close()

    async def create(self, topic: str) -> None:
        """See Log.create."""
        await self._ask(_CREATE, topic, self._config.partition_records)

    async def append(
        self, topic: str, bodies: Sequence[bytes], *, clock_us: int, ring: bool = True
    ) -> Appended:
        """See Log.append."""
        check_sizes(bodies)
        appender = self._appenders.get(topic)
        if appender is None:
            appender = self._appenders[topic] = _Appender(topic, self._config)
        appended = await appender.append(bodies, clock_us)
        if ring:
            self._wakes.ring(topic)
        else:
            self._wakes.wake(topic)
        return appended

    async def read(
        self, topic: str, from_offset: int, *, every_s: float = 0.0
    ) -> AsyncGenerator[list[Record], None]:
        """See Log.read."""
        reader = PostgresReader(self._address, topic, from_offset, self._wakes)
        try:
            async with aclosing(reader.batches(every_s)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            reader.drop()

    async def one(self, topic: str, offset: int) -> Record | None:
        """See Log.one."""
        row = await self._ask(_ONE, topic, offset)
        return None if row[0] is None else Record(*row)

    async def start(self, topic: str) -> int:
        """See Log.start."""
        return int((await self._ask(ENDS, topic))["start_offset"])

    async def end(self, topic: str) -> int:
        """See Log.end."""
        return int((await self._ask(ENDS, topic))["next_offset"])

    async def cut(self, topic: str, below: int) -> int:
        """See Log.cut."""
        return int((await self._ask(_CUT, topic, below))[1])

    async def close(self) -> None:
        """See Log.close."""
        await self._wakes.close()
        for appender in self._appenders.values():
            appender.drop()
        if self._desk is not None:
            self._desk.terminate()

    async def _ask(self, query: str, topic: str, *arguments: object) -> asyncpg.Record:
        """Ask one question over the shared connection. Raises LogUnavailable or TopicUnknown."""
        async with self._desk_lock:
            try:
                if self._desk is None or self._desk.is_closed():
                    self._desk = await connect(
                        self._address, "log", patience_s=0, search_path=SCHEMA
                    )
                row = await self._desk.fetchrow(query, topic, *arguments, timeout=ANSWER_S)
            except TimeoutError as error:
                if self._desk is not None:
                    self._desk.terminate()
                why = f"The log did nothing: it has not answered for {ANSWER_S:g} s."
                raise LogUnavailable(why) from error
            except GONE as error:
                raise _nothing_done(topic, error) from error
        if row is None:
            raise TopicUnknown(f"There is no topic {topic}.")
        return row


class _Appender:
    """One topic's connection for appends. One append at a time, in the order of the calls."""

    def __init__(self, topic: str, config: LogConfig) -> None:
        self._topic = topic
        self._address = config.address.get_secret_value()
        self._timeout_s = config.append_timeout_s
        self._one_at_a_time = asyncio.Lock()
        self._connection: Opened | None = None
        self._statement: Statement | None = None

    async def append(self, bodies: Sequence[bytes], clock_us: int) -> Appended:
        async with self._one_at_a_time:
            connection, statement = await self._ready()
            asked, limit_s = (self._topic, bodies, clock_us, CLOCKS_APART_US), self._timeout_s
            try:
                row = await statement.fetchrow(*asked, timeout=limit_s)
                if row is None:
                    row = await connection.fetchrow(_APPEND_SPECIAL, *asked, timeout=limit_s)
            except asyncpg.PostgresError as error:
                if _ended_the_connection(error):
                    raise self._unknown(error) from error
                raise _refused(self._topic, clock_us, error) from error
            except (*LOST, TimeoutError) as error:
                raise self._unknown(error) from error
            except asyncio.CancelledError:
                self.drop()
                raise
        assert row is not None, "a function with two results gives a row"
        return Appended(row[0], row[1])

    def drop(self) -> None:
        """Let the connection go; the next append opens another."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = self._statement = None

    async def _ready(self) -> tuple[Opened, Statement]:
        """A live connection with an append prepared. Nothing has been sent if this fails."""
        if self._statement is None or self._connection is None or self._connection.is_closed():
            self.drop()
            # What we have given up must not hold the topic's row for longer than we waited for it.
            limit = f"{int(self._timeout_s * 1000)}ms"
            try:
                self._connection = await connect(
                    self._address,
                    f"log {self._topic}",
                    patience_s=0,
                    search_path=SCHEMA,
                    statement_timeout=limit,
                )
                self._statement = await self._connection.prepare(_APPEND)
            except GONE as error:
                self.drop()
                raise LogUnavailable(f"The log cannot be reached: {error}") from error
        return self._connection, self._statement

    def _unknown(self, error: Exception) -> OutcomeUnknown:
        self.drop()
        return OutcomeUnknown(f"The answer to an append to {self._topic} was lost: {error!r}")


def _ended_the_connection(error: asyncpg.PostgresError) -> bool:
    """Whether the server said it as its last word: then it may have committed before."""
    return getattr(error, "severity_en", None) in ("FATAL", "PANIC", None)


def _refused(topic: str, clock_us: int, error: asyncpg.PostgresError) -> LogError:
    """What the server's answer means; it has rolled back."""
    if error.sqlstate == _CLOCKS_APART:
        return ClockApart(topic, clock_us, int(getattr(error, "detail", 0)))
    return _nothing_done(topic, error)


def _nothing_done(topic: str, error: Exception) -> LogError:
    if getattr(error, "sqlstate", None) == _NO_TOPIC:
        return TopicUnknown(f"There is no topic {topic}.")
    return LogUnavailable(f"The log did nothing: {error}")
