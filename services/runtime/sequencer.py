"""Order entry of a shard: batches come in by streams, go into the log, and are answered.

A batch is checked, queued, appended with whatever else has come meanwhile, applied, answered: in
this order, and nothing is answered before the log has made it durable. One append is under way at
a time, so nothing overtakes. Whoever applies the log (the `Follower`) applies the records of other
replicas in between; a record of ours is applied as what the log says it is.

An append of unknown outcome is made again until one is known: the core passes over what it has
applied, and the answers of then are given again. A log that is out of reach is waited for, but not
for ever: what has not been sent is refused, what may have been sent is answered as unknown.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Final, Protocol

import structlog

from bourse.matching import v1 as matching
from services.domain.clock import Clock
from services.runtime.clock import Stopwatch, stopwatch_us
from services.runtime.crash import crash_point
from services.runtime.intake import MAX_BATCH_BYTES, Checked, Entry, Limits, Queue, Stream
from services.runtime.log import (
    CLOCKS_APART_US,
    Appended,
    ClockApart,
    Log,
    LogError,
    LogUnavailable,
    OutcomeUnknown,
)

_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.5

_log = structlog.get_logger("sequencer")


class Answered(Protocol):
    """A piece of the answer to one batch of a record."""

    @property
    def batch(self) -> int:
        """Index of the batch in its record."""

    @property
    def piece(self) -> bytes:
        """A piece of an encoded SubmitResponse."""

    @property
    def done(self) -> bool:
        """No more pieces follow."""

    @property
    def status(self) -> int:
        """BatchStatus."""


class Follower(Protocol):
    """Who applies the log, and so knows the answers."""

    def check(self, batch: bytes) -> Checked | str:
        """What is in the batch, or the sentence that refuses it."""

    def full(self) -> str:
        """Why nothing more can be taken at the moment; empty if it can."""

    def expect(self, flight: "Flight | None") -> None:
        """Answer this record once its like is applied."""

    async def reach(self, appended: Appended, body: bytes) -> None:
        """Apply the log up to, and with, a record that was appended."""

    async def answer_again(self, command_offset: int, session: int, number: int) -> bytes | None:
        """What a batch was answered when it was applied; None if that is no longer known."""


class Flight:
    """A record on its way into the log, and the batches in it."""

    def __init__(self, shard: int, entries: list[Entry], made_us: int) -> None:
        self.entries = entries
        self.body = wrap(shard, [entry.body for entry in entries])
        self.made_us = made_us
        """When it was made, by the stopwatch: before its first append."""
        self.in_doubt = False
        """An append of it has an unknown outcome."""
        self.answered = False
        """Its like was applied, or it was given up without having been sent."""
        self.again: list[Entry] = []
        """Batches that had been applied before: their answers must be looked up."""

    def take(self, answers: Iterable[Answered]) -> None:
        """Take what one part of the applied record answers."""
        for answer in answers:
            entry = self.entries[answer.batch]
            entry.pieces.append(answer.piece)
            if not answer.done:
                continue
            if answer.status == matching.BATCH_STATUS_REPEATED and _in_session(entry):
                self.again.append(entry)
            else:
                entry.settle(b"".join(entry.pieces))

    def refuse(self, status: matching.BatchStatus, why: str) -> None:
        """Answer all of its batches alike."""
        for entry in self.entries:
            entry.refuse(status, why)


class Sequencer:
    """Puts batches into the log of a shard and sees to it that each is answered."""

    def __init__(
        self,
        log: Log,
        topic: str,
        shard: int,
        follower: Follower,
        clock: Clock,
        limits: Limits | None = None,
        stopwatch: Stopwatch = stopwatch_us,
    ) -> None:
        self._log = log
        self._topic = topic
        self._shard = shard
        self._follower = follower
        self._clock = clock
        self._limits = limits or Limits()
        self._stopwatch = stopwatch
        self._queue = Queue(self._limits)
        self._closed = ""
        self._idle = asyncio.Event()
        self._idle.set()
        # In the order in which they came, so that a simulated stop is the same each time.
        self._streams: dict[Stream, None] = {}
        self._lookups: set[asyncio.Task[None]] = set()
        self.malformed = 0
        """Batches refused because they did not parse, since start."""
        self.unavailable = 0
        """Batches refused for want of room or of a log, since start."""

    @property
    def queued_batches(self) -> int:
        """Batches that wait for the next record."""
        return len(self._queue)

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the next record."""
        return self._queue.bytes

    async def submit(self, requests: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Encoded SubmitRequests in; an encoded SubmitResponse for each, in the same order.

        Ends when the requests have ended, or the sequencer is closed, and all are answered. When
        the stream is lost, what was queued is applied all the same.
        """
        stream = Stream()
        self._streams[stream] = None
        if self._closed:
            stream.end()
        taking = asyncio.create_task(self._take(requests, stream))
        try:
            while not stream.ended or stream.entries:
                await stream.changed.wait()
                stream.changed.clear()
                for answer in stream.ready():
                    yield answer
        finally:
            self._streams.pop(stream, None)
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    def offer(self, body: bytes) -> Entry:
        """Queue a batch of the house's own, such as a tick. Nobody waits for its answer."""
        entry = Entry(body, None)
        self._admit(entry)
        return entry

    async def run(self) -> None:
        """Append, apply, answer; never ends. Raises LogError where waiting cannot help."""
        while True:
            await self._queue.filled.wait()
            flight = Flight(self._shard, self._queue.take(), self._stopwatch())
            self._follower.expect(flight)
            await self._carry(flight)
            self._follower.expect(None)
            if not flight.answered:
                # It is in the log, and whoever applied it must not say any more what became of it.
                for stream in self._streams:
                    stream.break_off()
            if not self._queue:
                self._idle.set()

    async def close(self, why: str) -> None:
        """Refuse whatever comes from now on, wait until what has come is answered, end the streams.

        A gateway sends to another replica what it still wants to send.
        """
        self._closed = why
        for stream in self._streams:
            stream.end()
        await self._idle.wait()

    async def _take(self, requests: AsyncIterator[bytes], stream: Stream) -> None:
        try:
            async for body in requests:
                entry = Entry(body, stream)
                stream.entries.append(entry)
                self._admit(entry)
                await stream.room()
        finally:
            stream.end()

    def _admit(self, entry: Entry) -> None:
        """Queue a batch, or refuse it at once."""
        checked = self._check(entry.body)
        if isinstance(checked, str):
            self.malformed += 1
            entry.refuse(matching.BATCH_STATUS_MALFORMED, checked)
            return
        entry.checked = checked
        why = self._closed or self._follower.full()
        if not why and not self._queue.offer(entry, only_cancels=checked.only_cancels):
            why = "The queue is full."
        if why:
            self.unavailable += 1
            entry.refuse(matching.BATCH_STATUS_UNAVAILABLE, why)
        else:
            self._idle.clear()

    def _check(self, body: bytes) -> Checked | str:
        if len(body) > MAX_BATCH_BYTES:
            return f"A batch of {len(body)} bytes; {MAX_BATCH_BYTES} is the most."
        return self._follower.check(body)

    async def _carry(self, flight: Flight) -> None:
        """Bring a record into the log and have it answered, or give it up unsent."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._limits.patience_s
        pause_s = _FIRST_PAUSE_S
        while not flight.answered:
            why = await self._attempt(flight)
            if not why:
                break
            _log.warning("append_again", topic=self._topic, why=why, in_doubt=flight.in_doubt)
            if clock() > deadline:
                self._give_up(flight, why)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self._look_up(flight)

    async def _attempt(self, flight: Flight) -> str:
        """Append once and apply. Empty, or why the record is not in the log as far as we know."""
        # What may be in the log already needs no room: it will be applied in any case.
        if not flight.in_doubt and (why := self._follower.full()):
            return why
        sent_us = self._clock.now_us()
        try:
            # Nobody waits for commands but whoever sent them: other replicas look by themselves.
            appended = await self._log.append(
                self._topic, [flight.body], clock_us=sent_us, ring=False
            )
        except OutcomeUnknown as error:
            flight.in_doubt = True
            return str(error)
        except LogUnavailable as error:
            return str(error)
        self._compare_clocks(sent_us, appended.time_us)
        crash_point("matching.after_append")
        await self._reach(appended, flight)
        return ""

    async def _reach(self, appended: Appended, flight: Flight) -> None:
        """Have the record applied. It is durable, but what stands before it may be out of reach."""
        try:
            async with asyncio.timeout(self._limits.patience_s):
                await self._follower.reach(appended, flight.body)
        except TimeoutError:
            why = "It is durable, and the log before it is out of reach."
            flight.refuse(matching.BATCH_STATUS_UNKNOWN, why)
            await self._follower.reach(appended, flight.body)

    def _compare_clocks(self, sent_us: int, log_us: int) -> None:
        """Stop at a record whose time is not ours. A log that can refuse one has done so."""
        now_us = self._clock.now_us()
        if not sent_us - CLOCKS_APART_US <= log_us <= now_us + CLOCKS_APART_US:
            raise ClockApart(self._topic, now_us, log_us)

    def _give_up(self, flight: Flight, why: str) -> None:
        """Nothing waits for ever. A record in doubt stays on its way, for nothing may pass it."""
        if flight.in_doubt:
            flight.refuse(matching.BATCH_STATUS_UNKNOWN, why)
        else:
            flight.refuse(matching.BATCH_STATUS_UNAVAILABLE, why)
            flight.answered = True
            self.unavailable += len(flight.entries)
        for entry in self._queue.clear():
            self.unavailable += 1
            entry.refuse(matching.BATCH_STATUS_UNAVAILABLE, why)

    def _look_up(self, flight: Flight) -> None:
        """Find the answers of batches that had been applied before; nobody waits for that."""
        for entry in flight.again:
            task = asyncio.create_task(self._answer_again(entry))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)

    async def _answer_again(self, entry: Entry) -> None:
        repeated = matching.SubmitResponse.FromString(b"".join(entry.pieces))
        why = "It was applied before, and the events of then are no longer here."
        try:
            answer = await self._follower.answer_again(
                repeated.command_offset, repeated.session, repeated.number
            )
        except LogError as error:
            answer, why = None, f"It was applied before, and the events cannot be read: {error}"
        if answer is None:
            entry.refuse(matching.BATCH_STATUS_UNKNOWN, why)
        else:
            entry.settle(answer)


def wrap(shard: int, batches: Iterable[bytes]) -> bytes:
    """An encoded CommandRecord around encoded batches, which stand in it byte for byte."""
    pieces = [b"\x08" + _varint(shard)] if shard else []
    for batch in batches:
        pieces.append(b"\x12" + _varint(len(batch)))
        pieces.append(batch)
    return b"".join(pieces)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _in_session(entry: Entry) -> bool:
    return entry.checked is not None and entry.checked.session != 0
