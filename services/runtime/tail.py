"""Reading a topic up to a known end, by whoever mostly knows what stands there already.

A replica knows its own appends and reads only what others put between. So a few records are asked
for one by one; a reader is opened where there is more to read, and kept while it is of use.
"""

from collections.abc import AsyncGenerator
from typing import Final

from services.runtime.log import CutAway, Log, LogError, LogUnavailable, PastEnd, Record

FEW_RECORDS: Final = 8
"""Up to so many are asked for singly: opening a reader costs as much as a dozen questions."""

EVERY_S: Final = 0.01
"""A kept reader looks at most this often; its owner looks only when it knows there is more."""


class Tail:
    """The end of a topic. One caller at a time."""

    def __init__(self, log: Log, topic: str) -> None:
        self._log = log
        self._topic = topic
        self._reader: AsyncGenerator[list[Record], None] | None = None
        self._batch: list[Record] = []
        self._reads_next = 0

    async def records(self, start: int, end: int) -> AsyncGenerator[Record, None]:
        """The records from `start` up to, not with, `end`, all of which are in the log.

        Raises CutAway, PastEnd, LogUnavailable, TopicUnknown.
        """
        offset = start
        while offset < end:
            if self._reader is None or offset != self._reads_next:
                if end - offset <= FEW_RECORDS:
                    record = await self._one(offset)
                    offset += 1
                    yield record
                    continue
                await self._open(offset)
            for record in await self._next(end):
                offset = record.offset + 1
                yield record

    async def close(self) -> None:
        """Let the reader go."""
        if self._reader is not None:
            await self._reader.aclose()
        self._reader, self._batch = None, []

    async def _one(self, offset: int) -> Record:
        record = await self._log.one(self._topic, offset)
        if record is None:
            raise await self._why_not(offset)
        return record

    async def _why_not(self, offset: int) -> LogError:
        """Why a record is not to be had that was in the log a moment ago."""
        start = await self._log.start(self._topic)
        if offset < start:
            return CutAway(self._topic, offset, start)
        end = await self._log.end(self._topic)
        if offset >= end:
            return PastEnd(self._topic, offset, end)
        # A broker that has just become the leader learns only then how much of its log is durable.
        return LogUnavailable(f"{self._topic} did not give offset {offset}, and has it.")

    async def _open(self, offset: int) -> None:
        await self.close()
        self._reader = self._log.read(self._topic, offset, every_s=EVERY_S)
        self._reads_next = offset

    async def _next(self, end: int) -> list[Record]:
        """What the reader has below `end`; the rest of its batch waits for the next time."""
        assert self._reader is not None, "opened before it is asked"
        batch = self._batch or await self._read(self._reader)
        first = batch[0].offset
        wanted, self._batch = batch[: end - first], batch[end - first :]
        self._reads_next = wanted[-1].offset + 1
        return wanted

    async def _read(self, reader: AsyncGenerator[list[Record], None]) -> list[Record]:
        try:
            return await anext(reader)
        except BaseException:
            # Whatever ends a question ends its reader too, also that its asker has lost patience.
            self._reader = None
            raise
