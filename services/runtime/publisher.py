"""Publishing the events of a shard: each part once, in order, by whoever leads; watched by all.

Every replica makes the same parts from the same commands. It keeps each of them until it knows that
the event log has it: the leader because it put it there, the others because they have read it back,
and whoever reads compares. So a new leader goes on exactly after the last part that is in the log.

    PublishedOtherwise    what is in the event log is not what follows from the command log
"""

import asyncio
from collections import deque
from contextlib import aclosing
from typing import Final, NamedTuple

import structlog

from bourse.matching import v1 as matching
from services.domain.clock import Clock
from services.runtime.crash import crash_point
from services.runtime.events import EventKey
from services.runtime.final import NeedsMending
from services.runtime.log import (
    MAX_APPEND_BYTES,
    Log,
    LogUnavailable,
    OutcomeUnknown,
    PastEnd,
)
from services.runtime.tail import Tail

RETAINED_BYTES: Final = 64 * 1024 * 1024
"""Parts that are not known to be in the event log; at so much, no more commands are taken."""

APPEND_PARTS: Final = 1024
"""Parts in one append at most."""

LOOK_S: Final = 0.05
"""How often one who does not lead looks at what was published."""

REST: Final = 2.0
"""After an append, so many times its duration pass until the next: events gather meanwhile, and the
disk, which events share with the commands that people wait for, is left to these."""

SHORTEST_REST_S: Final = 0.005
"""Under load, so much later at most an event is published. Each append costs as much CPU as a batch
of commands, and one that is under way holds up the next command's."""

LONGEST_REST_S: Final = 0.02

BEHIND_BYTES: Final = MAX_APPEND_BYTES // 2
"""With so much to publish there is no rest: falling further behind would stop order entry."""

_PAUSE_S: Final = 0.2
_BACKWARDS: Final = 4096
"""How far before its place a part may be looked for, where others were published twice."""

_log = structlog.get_logger("publisher")


class PublishedOtherwise(NeedsMending):
    """The event log does not say what follows from the command log. Nothing more may be said.

    `command_offset` is that of the first command record of which this is so.
    """

    def __init__(self, what: str, command_offset: int) -> None:
        super().__init__(what)
        self.command_offset = command_offset


NOTHING: Final = EventKey(-1, 0)
"""Before the first key of all."""


class Part(NamedTuple):
    """An event part of ours that may not be in the event log yet."""

    key: EventKey
    body: bytes


class Publisher:
    """The event log of a shard, as one replica sees it and, when it leads, continues it."""

    def __init__(
        self, log: Log, topic: str, clock: Clock, *, retained_bytes: int = RETAINED_BYTES
    ) -> None:
        self._log = log
        self._topic = topic
        self._clock = clock
        self._limit_bytes = retained_bytes
        self._tail = Tail(log, topic)
        self._retained: deque[Part] = deque()
        self._woken = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._position = 0
        self._knows_end = False
        self.leading = False
        """This replica publishes. Set by `lead`."""
        self.last_key = NOTHING
        """Of the last part that is known to be in the event log."""
        self.retained_bytes = 0
        """Bytes of parts that are not known to be in the event log."""

    def start_after(self, key: EventKey, position: int) -> None:
        """Say what is known: all up to `key` stands in the event log below `position`."""
        self.last_key, self._position = key, position

    def lead(self, leading: bool) -> None:
        """Publish from now on, or only watch."""
        self.leading, self._knows_end = leading, False
        self._woken.set()

    def put(self, command_offset: int, part: int, body: bytes) -> None:
        """Take a part of a record that was applied here. Parts come in the order of their keys."""
        self._retained.append(Part(EventKey(command_offset, part), body))
        self.retained_bytes += len(body)
        if self.is_full():
            self._room.clear()
        self._empty.clear()
        self._woken.set()

    def is_full(self) -> bool:
        """No more commands may be taken until something is known to be in the event log."""
        return self.retained_bytes >= self._limit_bytes

    async def room(self) -> None:
        """Wait until not full."""
        await self._room.wait()

    async def flushed(self) -> None:
        """Wait until all that was put is known to be in the event log."""
        await self._empty.wait()

    async def run(self) -> None:
        """Publish or watch, without end.

        Raises PublishedOtherwise, PastEnd, CutAway or TopicUnknown: then this replica must stop.
        """
        while True:
            try:
                await (self._lead() if self.leading else self._watch())
            except (OutcomeUnknown, LogUnavailable) as error:
                # Whatever became of the append, the event log is asked before anything is sent.
                self._knows_end = False
                _log.warning("publish_again", topic=self._topic, why=str(error))
                await asyncio.sleep(_PAUSE_S)

    async def parts_of(self, command_offset: int) -> list[bytes]:
        """All parts of a command record that was applied here; empty if they are gone.

        Raises LogUnavailable.
        """
        own = {
            kept.key.part: kept.body
            for kept in self._retained
            if kept.key.command_offset == command_offset
        }
        if 0 not in own:
            found = await published(self._log, self._topic, command_offset, self._position)
            own |= {key_of(body).part: body for _offset, body in found}
        return [own[part] for part in sorted(own)] if 0 in own else []

    async def _watch(self) -> None:
        await self._read_back()
        if self.leading:
            return
        await asyncio.sleep(LOOK_S)

    async def _lead(self) -> None:
        if not self._knows_end:
            await self._read_back()
            self._knows_end = True
        self._woken.clear()
        if self._retained:
            await self._publish()
        elif self.leading:
            await self._woken.wait()
            # What has woken us has answers too: these go out first.
            await asyncio.sleep(0)

    async def _publish(self) -> None:
        """Append what is next; then see what stands in the log by it, own or another's."""
        parts = self._next_parts()
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        crash_point("matching.before_publish")
        appended = await self._log.append(
            self._topic, [part.body for part in parts], clock_us=self._clock.now_us()
        )
        crash_point("matching.after_publish")
        await self._see_up_to(appended.first_offset)
        for part in parts:
            self._see(part.body)
        self._position = appended.first_offset + len(parts)
        if self.retained_bytes < BEHIND_BYTES:
            rest_s = max(REST * (clock() - begun_s), SHORTEST_REST_S)
            await asyncio.sleep(min(rest_s, LONGEST_REST_S))

    def _next_parts(self) -> list[Part]:
        parts: list[Part] = []
        room = MAX_APPEND_BYTES
        for part in self._retained:
            room -= len(part.body)
            if room < 0 or len(parts) == APPEND_PARTS:
                break
            parts.append(part)
        return parts

    async def _read_back(self) -> None:
        """See everything that is in the event log."""
        end = await self._log.end(self._topic)
        if end < self._position:
            raise PastEnd(self._topic, self._position, end)
        await self._see_up_to(end)

    async def _see_up_to(self, end: int) -> None:
        async with aclosing(self._tail.records(self._position, end)) as records:
            async for record in records:
                while not self._see(record.body):
                    # Another replica was faster: it cannot be judged before it is applied here.
                    self._woken.clear()
                    await self._woken.wait()
                self._position = record.offset + 1

    def _see(self, body: bytes) -> bool:
        """Take note of a part in the event log; False if ours is not there yet to compare."""
        expected = self._retained[0] if self._retained else None
        if expected is not None and expected.body == body:
            self._drop(expected)
            return True
        key = key_of(body)
        if key <= self.last_key:
            return True
        if expected is None:
            return False
        what = "is not what this replica made of the same command"
        if key != expected.key:
            what = f"stands where part {expected.key.part} of {expected.key.command_offset} belongs"
        raise PublishedOtherwise(
            f"In {self._topic}, part {key.part} of command record {key.command_offset} {what}."
            " This replica stops before it says otherwise: see `bourse shard status`, and compare"
            " the versions of the replicas.",
            expected.key.command_offset,
        )

    def _drop(self, part: Part) -> None:
        self._retained.popleft()
        self.last_key = part.key
        self.retained_bytes -= len(part.body)
        if not self.is_full():
            self._room.set()
        if not self._retained:
            self._empty.set()


def key_of(body: bytes) -> EventKey:
    """The key of an encoded EventRecord; only its head is read."""
    values = [0, 0, 0, 0]
    at = 0
    while at < len(body) and body[at] in (0x08, 0x10, 0x18):
        field, at = body[at] >> 3, at + 1
        shift = 0
        while body[at] & 128:
            values[field] |= (body[at] & 127) << shift
            shift, at = shift + 7, at + 1
        values[field] |= body[at] << shift
        at += 1
    return EventKey(values[2], values[3])


async def published(log: Log, topic: str, command_offset: int, end: int) -> list[tuple[int, bytes]]:
    """The parts of a command record in the event log below `end`: event offset and bytes of each.

    In order, without repeats; empty if none is there. Raises LogUnavailable.
    """
    first = await _place_of(log, topic, EventKey(command_offset, 0), end)
    found = await _parts_from(log, topic, command_offset, first, end)
    if found and not matching.EventRecord.FromString(found[-1][1]).last:
        # Not all is there yet; or it began in a repeat that ends with fewer parts than there are.
        begin = max(await log.start(topic), first - _BACKWARDS)
        found = await _parts_from(log, topic, command_offset, begin, end)
    return found


async def _parts_from(
    log: Log, topic: str, command_offset: int, first: int, end: int
) -> list[tuple[int, bytes]]:
    """The parts of a command record from an offset on, as far as they stand there in order."""
    found: list[tuple[int, bytes]] = []
    tail = Tail(log, topic)
    try:
        async with aclosing(tail.records(first, end)) as records:
            async for record in records:
                key = key_of(record.body)
                if key == EventKey(command_offset, len(found)):
                    found.append((record.offset, record.body))
                elif key.command_offset > command_offset:
                    break
    finally:
        await tail.close()
    return found


async def _place_of(log: Log, topic: str, wanted: EventKey, end: int) -> int:
    """An offset at which, or after which, the part stands if it is there at all.

    Keys ascend but for repeats. Where the halving ends beside a repeat, the part stands before it.
    """
    low, high = await log.start(topic), end
    while low < high:
        middle = (low + high) // 2
        record = await log.one(topic, middle)
        if record is not None and key_of(record.body) >= wanted:
            high = middle
        else:
            low = middle + 1
    record = await log.one(topic, low)
    if record is not None and key_of(record.body) == wanted:
        return low
    return max(await log.start(topic), low - _BACKWARDS)
