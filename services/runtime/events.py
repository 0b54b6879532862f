"""Following the events of a shard: the one reader of event logs, for every consumer.

A consumer keeps its `Position` where it keeps what it made of the events, in one transaction. Two
publishers may have published the same part, so what is at or below the last key is skipped; nothing
else may ever be missing, so at a gap a consumer stops.

    EventsError           the event log is not what it must be: no further, and let a person look
      GapInEvents         a part is missing
      EventUnreadable     a record is not an event record of this shard
"""

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import Final, NamedTuple, Protocol, TypeVar

from google.protobuf.message import DecodeError

from bourse.matching import v1 as matching
from services.runtime.final import ShardNeedsMending
from services.runtime.log import Log, Record, still_has


class EventsError(ShardNeedsMending):
    """The event log is not what it must be; says why in a sentence."""


class GapInEvents(EventsError):
    """A part is missing."""


class EventUnreadable(EventsError):
    """A record is not an event record."""


class EventKey(NamedTuple):
    """What an event record is about: the same in every copy of it, whoever published it."""

    command_offset: int
    """The offset of its command record on the command log."""
    part: int
    """Which part of what that record caused, from 0."""


class Position(NamedTuple):
    """How far a consumer has come. `BEGINNING` is before everything."""

    next_offset: int
    """Where to read on, an offset on the event log."""
    last_key: EventKey | None
    """The newest part that was consumed; None: none was, and any record may be the first."""
    last_part: bool = True
    """Whether that was the last part of its command record."""
    checksum: int | None = None
    """Of the record just before `next_offset`, see Record.checksum; None: that is not known."""


BEGINNING: Final = Position(0, EventKey(-1, 0))
"""Before the first part of the first command record: that one, and no other, comes next."""


class EventPart(NamedTuple):
    """One event record, and where a consumer stands that has consumed it."""

    record: matching.EventRecord
    position: Position

    @property
    def key(self) -> EventKey:
        """What it is about."""
        assert self.position.last_key is not None, "a part that was read has a key"
        return self.position.last_key


class _Event(Protocol):
    @property
    def command(self) -> int: ...


EventT = TypeVar("EventT", bound=_Event)


async def follow(
    log: Log, topic: str, position: Position, *, pause_s: float = 0.0
) -> AsyncGenerator[list[EventPart], None]:
    """The parts after a position, each once and in order; waits for more and never ends.

    Commit once a batch: it is at most 1,000 parts and 4 MB. With `pause_s` 0 a part is given at
    once; otherwise what came in that time is given together. Close the generator (`aclosing`).
    Raises EventsError once everything before is given, RolledBack, and what Log.read raises.
    """
    await still_there(log, topic, position)
    async with aclosing(log.read(topic, position.next_offset, every_s=pause_s)) as batches:
        async for batch in batches:
            parts, wrong = [], None
            for record in batch:
                try:
                    part = _parse(topic, record)
                    is_news = _is_news(topic, position, part)
                except EventsError as error:
                    wrong = error
                    break
                if is_news:
                    position = part.position
                    parts.append(part)
            if parts:
                yield parts
            if wrong is not None:
                raise wrong


async def still_there(log: Log, topic: str, position: Position) -> None:
    """See that the log is the one a position was taken on. Raises RolledBack, TopicUnknown.

    Done before anything else by whoever has a position from an earlier life: nothing may be written
    that rests on a log which has forgotten.
    """
    if position.checksum is not None:
        await still_has(log, topic, position.next_offset - 1, position.checksum)


def with_commands(
    record: matching.EventRecord, events: Iterable[EventT]
) -> Iterator[tuple[int, matching.CommandMark, EventT]]:
    """Events of a part, each with the sequence and the envelope of the command that caused it.

    `for sequence, command, trade in with_commands(part.record, part.record.trades)`
    """
    # Each look into a repeated field makes a Python object; the list makes each of them once.
    marks, first = list(record.commands), record.first_sequence
    for event in events:
        index = event.command
        yield first + index, marks[index], event


def _parse(topic: str, record: Record) -> EventPart:
    try:
        event = matching.EventRecord.FromString(record.body)
    except DecodeError as error:
        raise EventUnreadable(
            f"Offset {record.offset} of {topic} is not an event record: {error}"
        ) from None
    key = EventKey(event.command_offset, event.part)
    return EventPart(event, Position(record.offset + 1, key, event.last, record.checksum))


def _is_news(topic: str, position: Position, part: EventPart) -> bool:
    """Whether a part comes next (True), or was there before (False). Raises GapInEvents."""
    last = position.last_key
    if last is None:
        return True
    if part.key <= last:
        return False
    following = (
        EventKey(last.command_offset + 1, 0)
        if position.last_part
        else last._replace(part=last.part + 1)
    )
    if part.key != following:
        raise GapInEvents(
            f"{topic} goes from command record {last.command_offset}, part {last.part}"
            f"{' (its last)' if position.last_part else ''}, to command record"
            f" {part.key.command_offset}, part {part.key.part}, at offset"
            f" {part.position.next_offset - 1}. Something between them is missing."
        )
    return True
