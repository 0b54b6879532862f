"""What gateways have sent and nobody has appended yet: streams of batches, and their queue.

Bounded everywhere: the queue refuses, a stream whose answers are not read is not read either.
"""

import asyncio
from collections import deque
from typing import Final, NamedTuple, Protocol

from bourse.matching import v1 as matching
from services.runtime.log import MAX_RECORD_BYTES

MAX_RECORD_BATCHES: Final = 4096
"""Batches in a command record; the core takes no more."""

WRAPPING_BYTES: Final = 4
"""What a batch costs in a record beside its own bytes: a tag, and a length below 2^21."""

HEAD_BYTES: Final = 3
"""The shard at the head of a record: a tag, and a number below 1024."""

MAX_BATCH_BYTES: Final = MAX_RECORD_BYTES - WRAPPING_BYTES - HEAD_BYTES
"""A larger batch fits into no record."""

STREAM_BATCHES: Final = 1024
"""Batches of a stream that are unanswered or whose answers are unread; then it is not read."""


class Checked(Protocol):
    """What is known of a batch once its shape has been checked."""

    @property
    def session(self) -> int:
        """Its session; 0 for none."""

    @property
    def number(self) -> int:
        """Its number in session or source."""

    @property
    def source(self) -> int:
        """Its source; 0 for none."""

    @property
    def only_cancels(self) -> bool:
        """Cancels and nothing else: it may use the room kept for them."""


class Limits(NamedTuple):
    """How much may wait, and how long."""

    batches: int = 4096
    """Batches in the queue. A tenth is kept for batches that only cancel."""
    bytes: int = 16 * 1024 * 1024
    """Bytes in the queue, of which a tenth is kept likewise."""
    patience_s: float = 5.0
    """So long a batch waits for a log that is out of reach. Seconds."""


class Entry:
    """A batch on its way, and its answer once there is one."""

    __slots__ = ("answer", "body", "checked", "pieces", "stream")

    def __init__(self, body: bytes, stream: "Stream | None") -> None:
        self.body = body
        self.stream = stream
        self.checked: Checked | None = None
        self.pieces: list[bytes] = []
        self.answer: bytes | None = None

    def settle(self, answer: bytes) -> None:
        """Answer it. What was answered stays answered."""
        if self.answer is None:
            self.answer = answer
            if self.stream is not None:
                self.stream.changed.set()

    def refuse(self, status: matching.BatchStatus, why: str) -> None:
        """Answer that nothing is known of it, or that nothing became of it."""
        answer = matching.SubmitResponse(status=status, detail=why)
        if self.checked is not None:
            answer.session = self.checked.session
            answer.number = self.checked.number
            answer.source = self.checked.source
        self.settle(answer.SerializeToString())


class Stream:
    """A gateway's stream: its batches in order, answered in order."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.changed = asyncio.Event()
        """Set when there is an answer, or nothing more to answer."""
        self._read = asyncio.Event()
        self.ended = False
        """No more batches will come."""

    def end(self) -> None:
        """Say that no more batches will come."""
        self.ended = True
        self.changed.set()

    def break_off(self) -> None:
        """End it without the answers that are missing: they are asked of another replica."""
        self.entries.clear()
        self.end()

    def ready(self) -> list[bytes]:
        """The answers whose turn it is."""
        answers = []
        while self.entries and (answer := self.entries[0].answer) is not None:
            answers.append(answer)
            self.entries.popleft()
        self._read.set()
        return answers

    async def room(self) -> None:
        """Wait until the gateway has read enough of its answers."""
        while len(self.entries) >= STREAM_BATCHES:
            self._read.clear()
            await self._read.wait()


class Queue:
    """What waits for the next record. Bounded, with room kept for cancels."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries: deque[Entry] = deque()
        self.bytes = 0
        self.filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def offer(self, entry: Entry, *, only_cancels: bool) -> bool:
        """Take it, if there is room for its kind."""
        tenths = 10 if only_cancels else 9
        size = self.bytes + len(entry.body)
        if len(self._entries) * 10 >= self._limits.batches * tenths:
            return False
        if size * 10 > self._limits.bytes * tenths:
            return False
        self._entries.append(entry)
        self.bytes = size
        self.filled.set()
        return True

    def take(self) -> list[Entry]:
        """As many from the front as one record holds; at least one."""
        taken: list[Entry] = []
        room = MAX_RECORD_BYTES - HEAD_BYTES
        while self._entries and len(taken) < MAX_RECORD_BATCHES:
            room -= len(self._entries[0].body) + WRAPPING_BYTES
            if room < 0:
                break
            taken.append(self._entries.popleft())
        self._taken(taken)
        return taken

    def clear(self) -> list[Entry]:
        """All of them."""
        taken = list(self._entries)
        self._entries.clear()
        self._taken(taken)
        return taken

    def _taken(self, entries: list[Entry]) -> None:
        self.bytes -= sum(len(entry.body) for entry in entries)
        if not self._entries:
            self.filled.clear()
