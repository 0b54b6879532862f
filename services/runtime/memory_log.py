"""The log in memory, for tests: the same promises without the disk, and faults on demand."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from enum import Enum, auto

from services.runtime.log import (
    CLOCKS_APART_US,
    READ_BATCH_BYTES,
    Appended,
    ClockApart,
    CutAway,
    LogUnavailable,
    OutcomeUnknown,
    PastEnd,
    Record,
    RolledBack,
    TopicUnknown,
    check_sizes,
)


class Fault(Enum):
    """What can happen to an append instead of what should."""

    UNAVAILABLE = auto()
    """Refused; nothing was done."""
    LOST = auto()
    """The outcome is unknown, and it never happened."""
    DONE = auto()
    """The outcome is unknown, and it did happen."""
    LATE = auto()
    """The outcome is unknown, and it happens after the next append to that topic."""


def _system_clock_us() -> int:
    return time.time_ns() // 1000


class _Topic:
    """The records of a topic from `first` on, and whoever waits for more."""

    def __init__(self) -> None:
        self.first = 0
        self.records: list[Record] = []
        self.grown = asyncio.Condition()

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    def put(self, bodies: Sequence[bytes], now_us: int) -> Appended:
        time_us = max(now_us, self.records[-1].time_us if self.records else 0)
        first = self.end
        self.records += [Record(first + n, time_us, bytes(body)) for n, body in enumerate(bodies)]
        return Appended(first, time_us)

    def batch(self, offset: int) -> list[Record]:
        """What follows from an offset, in bounds; one record in any case."""
        batch: list[Record] = []
        room = READ_BATCH_BYTES
        for record in self.records[offset - self.first :]:
            room -= len(record.body)
            if batch and room < 0:
                break
            batch.append(record)
        return batch


class MemoryLog:
    """See `services.runtime.log.Log`. Lives as long as this object, in one event loop.

    `faults` holds what shall happen to the next appends, in order, whatever their topic.
    """

    def __init__(
        self, *, partition_records: int = 65_536, clock_us: Callable[[], int] = _system_clock_us
    ) -> None:
        self.faults: deque[Fault] = deque()
        self._partition_records = partition_records
        self._clock_us = clock_us
        self._topics: dict[str, _Topic] = {}
        self._late: defaultdict[str, list[Sequence[bytes]]] = defaultdict(list)

    async def create(self, topic: str) -> None:
        """See Log.create."""
        self._topics.setdefault(topic, _Topic())

    async def append(
        self, topic: str, bodies: Sequence[bytes], *, clock_us: int, ring: bool = True
    ) -> Appended:
        """See Log.append."""
        check_sizes(bodies)
        found, now_us = self._find(topic), self._clock_us()
        if abs(now_us - clock_us) > CLOCKS_APART_US:
            raise ClockApart(topic, clock_us, now_us)
        fault = self.faults.popleft() if self.faults else None
        if fault is Fault.UNAVAILABLE:
            raise LogUnavailable("The log did nothing, as it was told.")
        if fault is Fault.LOST:
            raise OutcomeUnknown("The append was lost, as it was told.")
        if fault is Fault.LATE:
            self._late[topic].append(bodies)
            raise OutcomeUnknown("The append comes late, as it was told.")
        appended = found.put(bodies, now_us)
        for late in self._late.pop(topic, []):
            found.put(late, now_us)
        async with found.grown:
            found.grown.notify_all()
        if fault is Fault.DONE:
            raise OutcomeUnknown("The answer was lost, as it was told.")
        return appended

    async def read(
        self, topic: str, from_offset: int, *, every_s: float = 0.0
    ) -> AsyncGenerator[list[Record], None]:
        """See Log.read."""
        found, offset = self._find(topic), from_offset
        last: Record | None = None
        while True:
            _compare(topic, found, last)
            if offset > found.end:
                raise PastEnd(topic, offset, found.end)
            if offset < found.first:
                raise CutAway(topic, offset, found.first)
            if batch := found.batch(offset):
                offset, last = batch[-1].offset + 1, batch[-1]
                yield batch
                await asyncio.sleep(every_s)
            else:
                async with found.grown:
                    await found.grown.wait()

    async def one(self, topic: str, offset: int) -> Record | None:
        """See Log.one."""
        found = self._find(topic)
        return found.records[offset - found.first] if found.first <= offset < found.end else None

    async def start(self, topic: str) -> int:
        """See Log.start."""
        return self._find(topic).first

    async def end(self, topic: str) -> int:
        """See Log.end."""
        return self._find(topic).end

    async def cut(self, topic: str, below: int) -> int:
        """See Log.cut."""
        found = self._find(topic)
        whole = min(below, found.end) // self._partition_records * self._partition_records
        if whole > found.first:
            del found.records[: whole - found.first]
            found.first = whole
        return found.first

    async def close(self) -> None:
        """See Log.close. What was appended stays, for whoever opens "the same log" again."""

    def roll_back(self, topic: str) -> None:
        """Lose the last record, as a log does that was restored from an older backup."""
        self._find(topic).records.pop()

    def _find(self, topic: str) -> _Topic:
        if topic not in self._topics:
            raise TopicUnknown(f"There is no topic {topic}.")
        return self._topics[topic]


def _compare(topic: str, found: _Topic, last: Record | None) -> None:
    """Raise RolledBack if another record stands where the last one was read."""
    if last is None or not found.first <= last.offset < found.end:
        return
    if found.records[last.offset - found.first].checksum != last.checksum:
        raise RolledBack(topic, last.offset, found.end)
