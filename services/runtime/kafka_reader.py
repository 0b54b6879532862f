"""Reading a topic of the log in Kafka: one connection, a long poll, no trust after it was lost.

Brokers and leaders change under a reader. Whenever it comes to one anew it sees whether the log
still has, or has ever had, what it wants next, and whether the record it read last is the one that
stands there.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Final

import structlog

from services.runtime.kafka_access import Access, KafkaRefused
from services.runtime.kafka_desk import Desk, NoSuchOffset
from services.runtime.log import (
    READ_BATCH_BYTES,
    CutAway,
    LogUnavailable,
    PastEnd,
    Record,
    RolledBack,
)

LOOK_S: Final = 0.5
"""A log that cannot be reached is tried this often."""

POLL_S: Final = 2.0
"""So long a broker holds a question until there is something; then it is asked again."""

STALE_S: Final = 2.0
"""Whoever has not looked for so long sees first whether it is still the log that he knows: nothing
tells a reader who does not ask that a topic was deleted and made anew."""

READ_ROWS: Final = 1000
"""Records in a batch at most: a reader should not hold thousands of small ones at once."""

_log = structlog.get_logger("log")


class KafkaReader:
    """One reader of one topic. A connection that is lost is opened again, as often as it takes."""

    def __init__(self, access: Access, topic: str, from_offset: int) -> None:
        self._topic = topic
        self._next_offset = from_offset
        self._desk = Desk(access, topic)
        self._last: Record | None = None
        self._lost = ""
        """Why it cannot be read at the moment, as it was said; empty while it can."""
        self._checked = 0
        """Which opening of the connection was checked: see Link.openings. 0: none."""

    async def batches(self, every_s: float) -> AsyncGenerator[list[Record], None]:
        """See Log.read."""
        clock = asyncio.get_running_loop().time
        while True:
            looked = clock()
            records = await self._look()
            answered = clock()
            for batch in _bounded(records):
                self._next_offset, self._last = batch[-1].offset + 1, batch[-1]
                yield batch
            if every_s > 0 and records and not _is_behind(records):
                await asyncio.sleep(looked + every_s - clock())
            if clock() > answered + STALE_S:
                self._checked = 0

    def drop(self) -> None:
        """Let the connection go."""
        self._desk.link.drop()

    async def _look(self) -> list[Record]:
        """What is there, or comes within `POLL_S`; perhaps nothing.

        Raises CutAway, PastEnd, RolledBack, TopicUnknown, TopicUnsound.
        """
        link = self._desk.link
        try:
            if self._checked != link.openings or not link.is_open:
                await self._check()
            records = await self._desk.records(self._next_offset, wait_s=POLL_S)
        except NoSuchOffset:
            self._checked = 0
            self._say(f"there is no offset {self._next_offset} at the moment")
        except LogUnavailable as error:
            self.drop()
            self._say(str(error), refused=isinstance(error, KafkaRefused))
        else:
            self._say("")
            # What a new connection brought is not believed before that was checked too.
            return records if self._checked == link.openings else []
        await asyncio.sleep(LOOK_S)
        return []

    def _say(self, lost: str, *, refused: bool = False) -> None:
        """Say that the log is lost, and why, and that it is there again: once each."""
        if lost and lost != self._lost:
            # Waiting alone does not mend a refusal: somebody has to look.
            say, event = (_log.error, "log_refused") if refused else (_log.warning, "log_lost")
            say(event, topic=self._topic, why=lost)
        if self._lost and not lost:
            _log.info("log_found", topic=self._topic)
        self._lost = lost

    async def _check(self) -> None:
        """See that our place is in the log, and behind it the record that we read last."""
        await self._desk.link.open()
        opening = self._desk.link.openings
        start, end = await self._desk.start(), await self._desk.end(self._next_offset)
        if self._next_offset > end:
            raise PastEnd(self._topic, self._next_offset, end)
        if self._next_offset < start:
            raise CutAway(self._topic, self._next_offset, start)
        if self._last is not None and self._last.offset >= start:
            found = await self._desk.one(self._last.offset)
            if found is None or found.checksum != self._last.checksum:
                raise RolledBack(self._topic, self._last.offset, end)
        self._checked = opening


def _bounded(records: list[Record]) -> Iterator[list[Record]]:
    """In pieces of the size that a read may yield. One append may be larger."""
    batch: list[Record] = []
    size = 0
    for record in records:
        size += len(record.body)
        if batch and (size > READ_BATCH_BYTES or len(batch) == READ_ROWS):
            yield batch
            batch, size = [], len(record.body)
        batch.append(record)
    if batch:
        yield batch


def _is_behind(records: list[Record]) -> bool:
    """Whether so much came that there is more already."""
    return sum(len(record.body) for record in records) > READ_BATCH_BYTES // 2
