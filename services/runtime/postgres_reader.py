"""Reading a topic of the log in Postgres: one connection, batches of a bounded size, no polling."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, NamedTuple

import asyncpg
import structlog

from services.runtime.log import (
    READ_BATCH_BYTES,
    CutAway,
    PastEnd,
    Record,
    RolledBack,
    TopicUnknown,
    TopicUnsound,
)
from services.runtime.postgres import connect
from services.runtime.postgres_wake import GONE, Opened, Wakes

SCHEMA: Final = "runtime"
LOOK_S: Final = 0.5
"""A reader looks this often even if nobody rings, for a ring can be lost."""

ANSWER_S: Final = 30.0
"""How long an answer may take: a machine that has vanished gives none, and nobody says so."""

READ_ROWS: Final = 1000
"""Records in a batch at most: a reader should not hold thousands of small ones at once."""

_AGAIN: Final = "select time_us, body from record where topic_id = $1 and record_offset = $2"
ENDS: Final = "select id, partition_records, start_offset, next_offset from topic where name = $1"

# A reader wants rows by an index, in order; without statistics the planner could not know.
_PLANS: Final = {"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_sort": "off"}

_log = structlog.get_logger("log")


class _Place(NamedTuple):
    """Where a topic's records are."""

    topic_id: int
    partition_records: int

    def query(self, offset: int) -> str:
        """Read from an offset ($1), at most so many bytes ($2) but one record in any case.

        The partition is named outright: planning over all of them costs more than the reading.
        """
        table = f"record_{self.topic_id}_{offset // self.partition_records}"
        return f"""
            select record_offset, time_us, body from (
                select record_offset, time_us, body,
                    sum(octet_length(body)) over (
                        order by record_offset rows unbounded preceding) as bytes_so_far
                from (
                    select record_offset, time_us, body from {table}
                    where topic_id = {self.topic_id} and record_offset >= $1
                    order by record_offset limit {READ_ROWS}) as following
            ) as counted
            where bytes_so_far <= $2 or record_offset = $1
        """  # noqa: S608 - made of three integers of our own


class PostgresReader:
    """One reader of one topic. A connection that is lost is opened again, as often as it takes."""

    def __init__(self, address: str, topic: str, from_offset: int, wakes: Wakes) -> None:
        self._address = address
        self._topic = topic
        self._next_offset = from_offset
        self._wakes = wakes
        self._connection: Opened | None = None
        self._last: Record | None = None
        self._place = _Place(0, 1)

    async def batches(self, every_s: float) -> AsyncGenerator[list[Record], None]:
        """See Log.read."""
        with self._wakes.event(self._topic) as grown:
            if every_s > 0:
                async with aclosing(self._now_and_then(every_s, grown)) as batches:
                    async for batch in batches:
                        yield batch
            async with self._wakes.heard(self._topic):
                while True:
                    yield await self._next(grown)

    def drop(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None

    async def _now_and_then(
        self, every_s: float, grown: asyncio.Event
    ) -> AsyncGenerator[list[Record], None]:
        """Look at most every `every_s`. While records keep coming nobody needs to ring for us:
        every process that listens is woken by every ring of any topic."""
        clock = asyncio.get_running_loop().time
        while True:
            looked = clock()
            batch = await self._look()
            if not batch:
                async with self._wakes.heard(self._topic):
                    batch = await self._next(grown)
            yield batch
            if not _is_behind(batch):
                await asyncio.sleep(looked + every_s - clock())

    async def _next(self, grown: asyncio.Event) -> list[Record]:
        """The next records, however long they take. In this order no ring falls between."""
        while True:
            grown.clear()
            await self._wakes.listen(self._topic)
            if batch := await self._look():
                return batch
            try:
                async with asyncio.timeout(LOOK_S):
                    await grown.wait()
            except TimeoutError:
                continue

    async def _look(self) -> list[Record]:
        """What is there now, perhaps nothing. Raises CutAway, PastEnd, TopicUnknown."""
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._open()
            query = self._place.query(self._next_offset)
            rows = await self._connection.fetch(
                query, self._next_offset, READ_BATCH_BYTES, timeout=ANSWER_S
            )
        except asyncpg.UndefinedTableError:
            # A partition is there from before its first record until it is cut.
            self.drop()
            return []
        except (*GONE, TimeoutError) as error:
            self.drop()
            _log.warning("log_lost", topic=self._topic, why=str(error) or "no answer")
            await asyncio.sleep(LOOK_S)
            return []
        return self._in_order(rows)

    async def _open(self) -> Opened:
        """Connect, and see whether this is still the log that we have read."""
        connection = await connect(
            self._address, f"reads {self._topic}", patience_s=0, search_path=SCHEMA, **_PLANS
        )
        try:
            await self._check(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _check(self, connection: Opened) -> None:
        """See that our place is in the log, and behind it the record that we read last."""
        ends = await connection.fetchrow(ENDS, self._topic, timeout=ANSWER_S)
        if ends is None:
            raise TopicUnknown(f"There is no topic {self._topic}.")
        if self._next_offset > ends["next_offset"]:
            raise PastEnd(self._topic, self._next_offset, ends["next_offset"])
        if self._next_offset < ends["start_offset"]:
            raise CutAway(self._topic, self._next_offset, ends["start_offset"])
        await self._compare(connection, ends)
        self._place = _Place(ends["id"], ends["partition_records"])

    async def _compare(self, connection: Opened, ends: asyncpg.Record) -> None:
        """Raise RolledBack unless the record that was read last is the one that stands there."""
        last = self._last
        if last is None or last.offset < ends["start_offset"]:
            return
        row = await connection.fetchrow(_AGAIN, ends["id"], last.offset, timeout=ANSWER_S)
        found = None if row is None else Record(last.offset, row[0], row[1])
        if found is None or found.checksum != last.checksum:
            raise RolledBack(self._topic, last.offset, ends["next_offset"])

    def _in_order(self, rows: list[asyncpg.Record]) -> list[Record]:
        batch = [Record(row[0], row[1], row[2]) for row in rows]
        if not batch:
            return batch
        first, last = batch[0].offset, batch[-1].offset
        if first != self._next_offset or last - first + 1 != len(batch):
            raise TopicUnsound(f"{self._topic} has a hole at or after offset {self._next_offset}.")
        self._next_offset, self._last = last + 1, batch[-1]
        return batch


def _is_behind(batch: list[Record]) -> bool:
    """Whether a batch was as full as it may be, so that there is more already."""
    if len(batch) == READ_ROWS:
        return True
    return sum(len(record.body) for record in batch) > READ_BATCH_BYTES // 2
