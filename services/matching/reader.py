"""A replica: follows the command log of its shard, applies it to a core, keeps what follows.

Everything that changes the core goes through `_apply`, in the order of the log: own records as well
as those of other replicas, after a start as well as in the middle of the day.

    ReplicaStopped        this replica cannot go on, and must not; a sentence
"""

import asyncio
from contextlib import aclosing
from typing import Final, NamedTuple

import structlog

from bourse.matching import v1 as matching
from services.matching.answers import answers_from_events
from services.matching.core import BrokenSnapshot, Core, CoreError, Facts, Malformed
from services.matching.state import NEVER_US, Progress, SnapshotPace, may_serve, snapshot_due
from services.matching.store import Snapshot, SnapshotBroken, SnapshotStore
from services.runtime.clock import Stopwatch, stopwatch_us
from services.runtime.crash import crash_point
from services.runtime.events import EventKey
from services.runtime.final import NeedsMending
from services.runtime.intake import Checked
from services.runtime.log import (
    Appended,
    CutAway,
    Log,
    LogUnavailable,
    PastEnd,
    Record,
    commands_topic,
    events_topic,
)
from services.runtime.publisher import NOTHING, Publisher, published
from services.runtime.sequencer import Flight
from services.runtime.tail import Tail

LOOK_S: Final = 0.05
"""A replica that appends nothing itself looks at the log's end this often."""

WAIT_S: Final = 2.0
"""A question waits so long for what it wants to see."""

_log = structlog.get_logger("matching")


class ReplicaStopped(NeedsMending):
    """This replica cannot go on. Says why in a sentence."""


class Lagging(Exception):
    """This replica does not stand where an answer could be given."""


class Replica:
    """One shard's core, kept at the end of its command log."""

    def __init__(
        self,
        core: Core,
        log: Log,
        publisher: Publisher,
        store: SnapshotStore,
        pace: SnapshotPace,
        stopwatch: Stopwatch = stopwatch_us,
    ) -> None:
        self.core = core
        self.is_closed = False
        """This replica is about to stop."""
        self.facts: Facts = core.facts()
        """The core's numbers after the last applied record."""
        # What the core was made from is on disk already.
        self.progress = Progress(
            snapshot_next_offset=self.facts.next_offset, snapshot_sequence=self.facts.sequence
        )
        self._topic = commands_topic(self.facts.shard)
        self._log = log
        self._tail = Tail(log, self._topic)
        self._reading = asyncio.Lock()
        self._publisher = publisher
        self._store = store
        self._pace = pace
        self.stopwatch = stopwatch
        self._snapshotting = asyncio.Lock()
        self._snapshot_wanted = asyncio.Event()
        self._expected: Flight | None = None
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def has_caught_up(self) -> bool:
        """It has been at the log's end since it started."""
        return self.progress.fresh_at_us > NEVER_US

    # --- what the sequencer asks ------------------------------------------------------------

    def check(self, batch: bytes) -> Checked | str:
        """What is in the batch, or the sentence that refuses it."""
        checked = Core.check(batch)
        if isinstance(checked, Malformed):
            return f"Not a well-formed batch; byte {checked.where} is the first that is wrong."
        return checked

    def full(self) -> str:
        """Why nothing more can be taken at the moment; empty if it can."""
        if self._publisher.is_full():
            return "Too many events wait to be published."
        return "" if self.has_caught_up else "This replica has not yet come to the log's end."

    def expect(self, flight: Flight | None) -> None:
        """Answer this record once its like is applied."""
        self._expected = flight

    async def reach(self, appended: Appended, body: bytes) -> None:
        """Apply the log up to, and with, a record that was appended."""
        offset = appended.first_offset
        while self.facts.next_offset < offset:
            try:
                async with self._reading:
                    await self._apply_up_to(offset)
            except LogUnavailable as error:
                await self._wait_for_log(error)
        if self.facts.next_offset == offset:
            self._apply(Record(offset, appended.time_us, body))
        if self._expected is not None:
            # When it was made its append had not begun, so nothing stood in the log behind it.
            self._is_fresh(self._expected.made_us)

    async def answer_again(self, command_offset: int, session: int, number: int) -> bytes | None:
        """What a batch was answered when it was applied; None if that is no longer known."""
        parts = await self._publisher.parts_of(command_offset)
        try:
            return answers_from_events(parts, session, number)
        except LookupError:
            return None

    # --- following the log ------------------------------------------------------------------

    async def follow(self) -> None:
        """Keep the core at the log's end, without end.

        Raises ReplicaStopped, and of LogError what waiting cannot mend.
        """
        while True:
            if self.stopwatch() - self.progress.fresh_at_us >= LOOK_S * 1_000_000:
                await self._look()
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        await self._publisher.room()
        looked_us, known = self.stopwatch(), self.facts.next_offset
        try:
            end = await self._log.end(self._topic)
            if end < known:
                raise PastEnd(self._topic, known, end)
            async with self._reading:
                await self._apply_up_to(end, as_room_allows=True)
        except LogUnavailable as error:
            await self._wait_for_log(error)
            return
        if self.facts.next_offset >= end:
            self._is_fresh(looked_us)

    async def _wait_for_log(self, error: LogUnavailable) -> None:
        _log.warning("log_out_of_reach", topic=self._topic, why=str(error))
        await asyncio.sleep(LOOK_S)

    async def _apply_up_to(self, end: int, *, as_room_allows: bool = False) -> None:
        async with aclosing(self._tail.records(self.facts.next_offset, end)) as records:
            async for record in records:
                if as_room_allows and self._publisher.is_full():
                    return
                if record.offset == self.facts.next_offset:
                    self._apply(record)

    def _apply(self, record: Record) -> None:
        """Apply one record. Between its first part and its last nothing else happens."""
        flight = self._flight_of(record)
        try:
            parts = self.core.apply(record.offset, record.time_us, record.body)
            for number, part in enumerate(parts):
                self._publisher.put(record.offset, number, part.events)
                if flight is not None:
                    flight.take(part.answers)
        except CoreError as error:
            raise ReplicaStopped(
                f"{self._topic} cannot be followed any further. {error}"
            ) from error
        if flight is not None:
            flight.answered = True
        self._applied()

    def _flight_of(self, record: Record) -> Flight | None:
        """Our own record, if this is it, or its like from an append whose outcome we do not know.

        The same bytes mean the same batches, so what they are answered now is their answer.
        """
        flight = self._expected
        if flight is None or flight.answered or flight.body != record.body:
            return None
        return flight

    def _applied(self) -> None:
        self.facts = self.core.facts()
        self.progress.applied_at_us = self.stopwatch()
        if snapshot_due(self.progress, self._pace, self.facts.next_offset, self.facts.sequence):
            self._snapshot_wanted.set()
        self._wake()

    # --- being asked ------------------------------------------------------------------------

    async def stand(self, after_sequence: int = 0) -> None:
        """Wait until questions may be answered, at this sequence or later. Raises Lagging."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not self._stands(after_sequence):
                    await self.change()
        except TimeoutError:
            raise Lagging(
                f"This replica is at sequence {self.facts.sequence}, before {after_sequence}"
                if self.facts.sequence < after_sequence
                else f"This replica, at sequence {self.facts.sequence}, is behind the log's end"
            ) from None

    async def change(self) -> None:
        """Wait until something was applied, or the log's end was seen."""
        change = asyncio.get_running_loop().create_future()
        self._waiting.append(change)
        await change

    def close(self) -> None:
        """Tell those who wait for changes that there will be none."""
        self.is_closed = True
        self._wake()

    def _stands(self, after_sequence: int) -> bool:
        fresh = may_serve(self.progress, self.stopwatch())
        return fresh and self.facts.sequence >= after_sequence

    def _is_fresh(self, at_us: int) -> None:
        if at_us > self.progress.fresh_at_us:
            self.progress.fresh_at_us = at_us
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            if not change.done():
                change.set_result(None)

    # --- snapshots --------------------------------------------------------------------------

    async def snapshots(self) -> None:
        """Take one whenever it is due, without end."""
        while True:
            await self._snapshot_wanted.wait()
            try:
                await self.take_snapshot()
            except OSError as error:
                _log.error("no_snapshot", why=str(error))

    async def take_snapshot(self) -> Snapshot:
        """Bring the state as it is now to the disk. Raises Lagging if there is no state yet.

        The core writes it in one go, and order entry waits for that; the disk is not waited for.
        """
        async with self._snapshotting:
            self._snapshot_wanted.clear()
            facts = self.facts
            if facts.next_offset == 0:
                raise Lagging("Nothing has been applied yet")
            offset = facts.next_offset - 1
            snapshot = Snapshot(facts.shard, offset, facts.sequence, facts.state_hash)
            self.progress.snapshot_next_offset = facts.next_offset
            self.progress.snapshot_sequence = facts.sequence
            pieces = list(self.core.snapshot())
            await asyncio.to_thread(self._store.write, snapshot, pieces)
            if self._publisher.last_key.command_offset < offset:
                crash_point("matching.snapshot_before_publish")
            published_offset = self._publisher.last_key.command_offset
            await asyncio.to_thread(self._store.prune, published_offset)
            return snapshot


class Recovered(NamedTuple):
    """Where a replica starts."""

    core: Core
    last_key: EventKey
    """All events up to this one are published and agree with the core."""
    event_offset: int
    """Offset on the event log behind it."""
    snapshot: Snapshot | None
    """What the core was made from; None: it is empty."""


async def recover(log: Log, shard: int, store: SnapshotStore) -> Recovered:
    """The core of the newest snapshot that can be believed, else an empty one.

    Raises CutAway if the log does not reach back far enough, SnapshotNewer, CoreError.
    """
    for file in store.files():
        try:
            snapshot, body = await asyncio.to_thread(store.read, file)
            return await _believe(log, snapshot, body)
        except SnapshotBroken as error:
            _log.warning("snapshot_passed_over", why=str(error))
    commands = await log.start(commands_topic(shard))
    events = await log.start(events_topic(shard))
    if commands or events:
        topic = commands_topic(shard) if commands else events_topic(shard)
        raise CutAway(topic, 0, commands or events)
    return Recovered(Core(shard), NOTHING, 0, None)


async def _believe(log: Log, snapshot: Snapshot, body: bytes) -> Recovered:
    """Make a core of a snapshot, once the event log says the same. Raises SnapshotBroken."""
    topic = events_topic(snapshot.shard)
    parts = await published(log, topic, snapshot.offset, await log.end(topic))
    if not parts:
        raise SnapshotBroken(f"The events of record {snapshot.offset} are not published.")
    event_offset, last_bytes = parts[-1]
    last = matching.EventRecord.FromString(last_bytes)
    if not last.last or last.state_hash != snapshot.state_hash:
        raise SnapshotBroken(f"The events of record {snapshot.offset} say another state.")
    core = await asyncio.to_thread(_restore, body)
    facts = core.facts()
    if (facts.next_offset, facts.state_hash) != (snapshot.offset + 1, snapshot.state_hash):
        raise SnapshotBroken(f"The snapshot of record {snapshot.offset} holds another state.")
    key = EventKey(snapshot.offset, last.part)
    return Recovered(core, key, event_offset + 1, snapshot)


def _restore(body: bytes) -> Core:
    """Raises SnapshotBroken; CoreError if only another core, or more memory, would do."""
    try:
        return Core.restore(body)
    except BrokenSnapshot as error:
        raise SnapshotBroken(str(error)) from error
