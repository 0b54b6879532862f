"""The log: named topics of records, each record once, in one order, for ever until it is cut.

Everything above this file speaks to `Log` and cannot tell which implementation it has. One suite,
`tests/services/runtime/test_log.py`, holds all of them to what is written here.

    LogError                  something about the log went wrong
      LogUnavailable          nothing was done; the same call may simply be made again
        ClockApart            nothing was done: the appender's clock is too far from the log's
      OutcomeUnknown          the append may be in the log, or still get there: once, or not at all
      RecordTooLarge          nothing was done and never will be: the caller must make it smaller
      TopicUnknown            nothing was done: nobody has created this topic
      CutAway                 the records asked for have been cut off the log
      PastEnd                 the reader stands beyond the end: the log lost records, or is another
      RolledBack              what a reader read last is gone, or another record stands there
      TopicUnsound            a hole, somebody else's record, or settings that would lose records
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from services.runtime.final import ShardNeedsMending

if TYPE_CHECKING:
    from services.runtime.config import LogConfig

MAX_RECORD_BYTES: Final = 512 * 1024
"""The size of a command record, and at which the core closes an event part."""

MAX_BODY_BYTES: Final = MAX_RECORD_BYTES + 16 * 1024
"""What a log takes as one record: a full event part and the envelope around it."""

MAX_APPEND_BYTES: Final = 8 * 1024 * 1024
"""What a log takes in one append, all its records together."""

READ_BATCH_BYTES: Final = 4 * 1024 * 1024
"""A read yields at most this much at a time, or one record if that alone is more."""

CLOCKS_APART_US: Final = 2_000_000
"""How far the appender's clock may be from the log's before the append is refused."""

_AGAIN_S: Final = 0.5
_TRIES: Final = 6


class LogError(Exception):
    """Something about the log went wrong; the subclass says what is known of the outcome."""


class LogUnavailable(LogError):
    """Nothing was done. The same call may be made again."""


class ClockApart(LogUnavailable):
    """Nothing was done: the appender's clock is over `CLOCKS_APART_US` from the log's."""

    def __init__(self, topic: str, appender_us: int, log_us: int) -> None:
        super().__init__(
            f"The clock of this machine is {(appender_us - log_us) / 1e6:+.3f} s from the clock of"
            f" the log ({topic}); the limit is {CLOCKS_APART_US / 1e6:g} s. Set the clocks of both."
        )
        self.appender_us = appender_us
        self.log_us = log_us


class OutcomeUnknown(LogError):
    """The answer to an append was lost.

    Its records are in the log all together once, or not at all, and may still arrive for some
    seconds.
    """


class RecordTooLarge(LogError):
    """Nothing was done: a record above `MAX_BODY_BYTES`, or an append above `MAX_APPEND_BYTES`."""


class TopicUnknown(LogError):
    """Nothing was done: nobody has created this topic."""


class CutAway(LogError, ShardNeedsMending):
    """The record asked for has been cut off the log. `start` is the oldest offset still there."""

    def __init__(self, topic: str, offset: int, start: int) -> None:
        super().__init__(
            f"{topic} has been cut below offset {start}, and offset {offset} was asked for."
            " Restore from a snapshot or a backup that is newer."
        )
        self.start = start


class PastEnd(LogError, ShardNeedsMending):
    """A reader stands beyond the end of the log. `end` is the next offset to be given."""

    def __init__(self, topic: str, offset: int, end: int) -> None:
        super().__init__(
            f"{topic} ends at offset {end}, and offset {offset} was asked for: this log has lost"
            " records, or it is not the log that was read before."
        )
        self.end = end


class RolledBack(LogError, ShardNeedsMending):
    """The record that was read last is not in the log any more, or another one is in its place."""

    def __init__(self, topic: str, offset: int, end: int) -> None:
        found = "is not there" if offset >= end else "is another one now"
        super().__init__(
            f"Offset {offset} of {topic} was read before and {found}: this log was rolled back, or"
            " it is not the log that was read. Bring back the newest log, or restore everything"
            " that reads it from one backup."
        )


class TopicUnsound(LogError, ShardNeedsMending):
    """A topic is not as this log makes it. Says what was found, and how to put it right."""


class Record(NamedTuple):
    """One record as the log keeps it."""

    offset: int
    """Its place in the topic: 0, 1, 2, … without gaps. Never shown to the public."""
    time_us: int
    """When the log took it, by the log's own clock. In Postgres never smaller than the time of the
    record before it; in Kafka, where a clock may be set back and leaders change, it may be. Whoever
    wants a time that never goes back takes the greatest seen, as the core does."""
    body: bytes

    @property
    def checksum(self) -> int:
        """By which a record is known again at its place, 0..2^32-1: its bytes, and when it came."""
        return zlib.crc32(self.body, self.time_us & 0xFFFFFFFF)


class Appended(NamedTuple):
    """Where an append went: its records stand side by side from `first_offset`, at one time."""

    first_offset: int
    time_us: int


class Log(Protocol):
    """A log of topics. Any number of tasks may call at once; connections mend themselves."""

    async def create(self, topic: str) -> None:
        """Make the topic with the settings its durability needs. Does nothing if it is there."""
        ...

    async def append(
        self, topic: str, bodies: Sequence[bytes], *, clock_us: int, ring: bool = True
    ) -> Appended:
        """Put records at the end, together and next to each other; durable once this returns.

        `clock_us` is the caller's clock; a log that cannot compare it with its own before it takes
        the records (Kafka) leaves that to the caller, who is given their time. Without `ring`
        readers of other processes that wait need not be woken, and find the records when they next
        look, which costs less. Appends of one caller to one topic happen in the order they are
        made; those of several callers in any order, never interleaved.
        Raises LogUnavailable, ClockApart, RecordTooLarge or TopicUnknown (nothing was done), or
        OutcomeUnknown. ValueError for no records at all.
        """
        ...

    def read(
        self, topic: str, from_offset: int, *, every_s: float = 0.0
    ) -> AsyncGenerator[list[Record], None]:
        """All records from `from_offset` on, in order, without gaps; waits for more and never ends.

        A batch is never empty and at most `READ_BATCH_BYTES`. With `every_s` 0 a new record is
        yielded at once; otherwise the reader looks at most that often (unless it is behind), which
        costs log and reader less. A log that cannot be reached is waited for. Whoever stops before
        the end, which is everybody, closes the generator (`contextlib.aclosing`).
        Raises CutAway, PastEnd or TopicUnknown.
        """
        ...

    async def one(self, topic: str, offset: int) -> Record | None:
        """The record at `offset`, or None if it is not in the log (cut, or not yet written)."""
        ...

    async def start(self, topic: str) -> int:
        """The oldest offset kept; equal to `end` if the topic is empty."""
        ...

    async def end(self, topic: str) -> int:
        """The offset the next record will have. Everything below it is durable."""
        ...

    async def cut(self, topic: str, below: int) -> int:
        """Forget records below `below`, as far as they fill whole partitions.

        Returns the new `start`, which is at most `below`.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. Appends under way end with OutcomeUnknown, reads stop."""
        ...


def commands_topic(shard: int) -> str:
    """Where the commands of a shard are put in order."""
    return f"bourse.commands.{shard}"


def events_topic(shard: int) -> str:
    """Where the events of a shard are published."""
    return f"bourse.events.{shard}"


async def open_log(config: "LogConfig") -> Log:
    """The log that the configuration names. Raises LogUnavailable if it cannot be reached."""
    # Imported here so that whoever needs only the interface loads no driver.
    if config.address.get_secret_value().startswith("kafka:"):
        from services.runtime.kafka_log import open_kafka_log

        return await open_kafka_log(config)
    from services.runtime.postgres_log import open_postgres_log

    return await open_postgres_log(config)


async def still_has(log: Log, topic: str, offset: int, checksum: int) -> None:
    """See that the record somebody read last is the one that stands there now.

    One that has been cut since cannot be compared, and need not be. A log out of reach is waited
    for. Raises RolledBack, TopicUnknown.
    """
    for _ in range(_TRIES):
        record, start, end = await _look_for(log, topic, offset)
        if record is not None or not start <= offset < end:
            break
        # A broker that has just become the leader learns only then how much of it is durable.
        await asyncio.sleep(_AGAIN_S)
    if record is None and offset < start:
        return
    if record is None:
        raise RolledBack(topic, offset, end)
    if record.checksum != checksum:
        raise RolledBack(topic, offset, offset + 1)


async def _look_for(log: Log, topic: str, offset: int) -> tuple[Record | None, int, int]:
    """A record, and where its topic starts and ends if it is not there. Waits for the log."""
    while True:
        try:
            if record := await log.one(topic, offset):
                return record, 0, 0
            return None, await log.start(topic), await log.end(topic)
        except LogUnavailable:
            await asyncio.sleep(_AGAIN_S)


def check_sizes(bodies: Sequence[bytes]) -> None:
    """What every implementation checks before it sends. Raises RecordTooLarge, ValueError."""
    if not bodies:
        raise ValueError("an append needs at least one record")
    largest, together = max(map(len, bodies)), sum(map(len, bodies))
    if largest > MAX_BODY_BYTES:
        raise RecordTooLarge(f"A record of {largest} bytes; the log takes {MAX_BODY_BYTES}.")
    if together > MAX_APPEND_BYTES:
        raise RecordTooLarge(f"An append of {together} bytes; the log takes {MAX_APPEND_BYTES}.")
