"""Questions to the leader of one topic: where it starts and ends, records from an offset, a cut.

All of them may be asked twice without harm, and are, when the first broker asked was not, or not
any more, the leader.
"""

import asyncio
from typing import Any, Final

from aiokafka.errors import for_code
from aiokafka.protocol.admin import DeleteRecordsRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

from services.runtime.kafka_access import Access, not_allowed
from services.runtime.kafka_link import (
    ANSWER_S,
    DOUBT_S,
    MOVED,
    NO_ERROR,
    OUT_OF_RANGE,
    Link,
    NoAnswer,
)
from services.runtime.kafka_records import decode
from services.runtime.log import READ_BATCH_BYTES, LogUnavailable, Record

SETTLE_S: Final = 3.0
"""A leader that was deposed while it slept may not know it for a moment, and say the log ends where
it ended then. Where there are several brokers it is asked again for so long before that counts."""

_AGAIN_S: Final = 0.1
_TRIES: Final = 2
_LATEST: Final = -1
_EARLIEST: Final = -2
_ANY_REPLICA: Final = -1
_UNCOMMITTED: Final = 0
_CUT_MS: Final = 5_000


class NoSuchOffset(Exception):
    """The offset asked for is not in the log: cut away, or beyond the end."""


class Desk:
    """One connection to the leader of a topic, for questions one after the other."""

    def __init__(self, access: Access, topic: str) -> None:
        self.link = Link(access, topic)
        self._topic = topic
        self._known_end = 0

    async def start(self) -> int:
        """See Log.start."""
        return await self._offset(_EARLIEST)

    async def end(self, known_end: int = 0) -> int:
        """See Log.end. `known_end`: where it ends at least, as somebody knows."""
        self._known_end = max(known_end, self._known_end)
        clock = asyncio.get_running_loop().time
        end, deadline = await self._offset(_LATEST), clock() + SETTLE_S
        while end < self._known_end and self.link.brokers > 1 and clock() < deadline:
            self.link.drop()
            await asyncio.sleep(_AGAIN_S)
            end = await self._offset(_LATEST)
        self._known_end = max(end, self._known_end)
        return end

    async def one(self, offset: int) -> Record | None:
        """See Log.one."""
        try:
            records = await self.records(offset, max_bytes=1)
        except NoSuchOffset:
            return None
        return records[0] if records else None

    async def records(
        self, offset: int, *, wait_s: float = 0.0, max_bytes: int = READ_BATCH_BYTES
    ) -> list[Record]:
        """What stands from an offset on, as much as is sent at once: at least one append, if there
        is one. Waits so long for the first. Raises NoSuchOffset, LogUnavailable, TopicUnknown,
        TopicUnsound.
        """
        wanted = [(self._topic, [(0, offset, max_bytes)])]
        request = FetchRequest(int(wait_s * 1000), 1, max_bytes, _UNCOMMITTED, wanted)
        answer = await self._ask(request, held_s=wait_s)
        return decode(self._topic, answer[-1] or b"", offset)

    async def cut(self, below: int) -> int:
        """Forget what stands below an offset, which is at most the end. Gives the new start."""
        answer = await self._ask(DeleteRecordsRequest([(self._topic, [(0, below)])], _CUT_MS))
        return int(answer[1])

    async def _offset(self, which: int) -> int:
        request = OffsetRequest(_ANY_REPLICA, _UNCOMMITTED, [(self._topic, [(0, which)])])
        return int((await self._ask(request))[3])

    async def _ask(self, request: Any, *, held_s: float = 0.0) -> Any:
        """What the leader says of the partition, which it may hold back for so long."""
        why = ""
        for _ in range(_TRIES):
            try:
                answer = await self.link.ask(
                    request, within_s=held_s + ANSWER_S, doubt_s=held_s + DOUBT_S
                )
            except NoAnswer as error:
                why = str(error)
                continue
            found = _partition_of(answer)
            error_code = _error_of(request, found)
            if error_code == NO_ERROR:
                return found
            if error_code == OUT_OF_RANGE:
                raise NoSuchOffset
            if refused := not_allowed(self._topic, error_code):
                raise refused
            why = f"Kafka said {error_code} ({for_code(error_code).__name__})"
            if error_code in MOVED:
                self.link.drop()
        raise LogUnavailable(f"{self._topic} cannot be asked: {why}")


def _partition_of(answer: Any) -> Any:
    return answer.topics[0][1][0]


def _error_of(request: Any, partition: Any) -> int:
    """Where it stands among the fields of a partition differs."""
    return int(partition[2 if isinstance(request, DeleteRecordsRequest) else 1])
