"""A replica: follows the command log of its shard, applies it to a core, keeps what follows.

Everything that changes the core goes through `_apply`, in the order of the log: own records as well
as those of other replicas, after a start as well as in the middle of the day.

    ReplicaStopped        this replica cannot go on, and must not; a sentence
      RecordFailed        its core broke a rule of its own at a command record
    FellBehind            the log has been cut above it: another start begins with a newer snapshot
"""

import asyncio
from contextlib import aclosing
from typing import Final, NamedTuple

import structlog

from services.matching.answers import answers_from_events
from services.matching.core import Core, CoreError, CoreFailed, Facts, Malformed
from services.matching.state import NEVER_US, Progress, SnapshotPace, may_serve, snapshot_due
from services.matching.store import Kept, Snapshot, SnapshotStore
from services.runtime.clock import Stopwatch, stopwatch_us
from services.runtime.crash import crash_point
from services.runtime.final import NeedsMending
from services.runtime.intake import Checked
from services.runtime.log import (
    Appended,
    CutAway,
    Log,
    LogUnavailable,
    PastEnd,
    Record,
    RolledBack,
    commands_topic,
    still_has,
)
from services.runtime.publisher import Publisher
from services.runtime.sequencer import Flight
from services.runtime.skips import NONE, Skips, is_skipped
from services.runtime.storage import StorageError
from services.runtime.tail import Tail

LOOK_S: Final = 0.05
"""A replica that appends nothing itself looks at the log's end this often."""

COMPARE_US: Final = 1_000_000
"""How often it looks whether the log still has what it has read."""

WAIT_S: Final = 2.0
"""A question waits so long for what it wants to see."""

_PAUSE_S: Final = 30.0
"""Until the next try, where a snapshot could not be kept: orders wait while a state is written."""

_log = structlog.get_logger("matching")


class ReplicaStopped(NeedsMending):
    """This replica cannot go on. Says why in a sentence."""


class RecordFailed(ReplicaStopped):
    """The core failed at a record, of which nothing was published. `core_failed` says at what."""

    def __init__(self, topic: str, record: Record, core_failed: CoreFailed) -> None:
        super().__init__(f"{topic} cannot be followed any further. {core_failed}")
        self.record = record
        self.core_failed = core_failed


class FellBehind(Exception):
    """The log has been cut above where this replica stands: it starts again, from further on."""


class Lagging(Exception):
    """This replica does not stand where an answer could be given."""


class Halted(NamedTuple):
    """The state after the record that halted the shard."""

    snapshot: Snapshot
    pieces: list[bytes]


class Replica:
    """One shard's core, kept at the end of its command log."""

    # Long because all that a replica remembers is named here.
    def __init__(
        self,
        core: Core,
        log: Log,
        publisher: Publisher,
        store: SnapshotStore,
        pace: SnapshotPace,
        stopwatch: Stopwatch = stopwatch_us,
        skips: Skips = NONE,
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
        self._skips = skips
        self.over = ""
        """Why this replica takes, keeps and tells nothing more; empty: it goes on."""
        self.halted: Halted | None = None
        """Where the shard was halted, until that is kept."""
        self.at_halt = asyncio.Event()
        self._snapshotting = asyncio.Lock()
        self._snapshot_wanted = asyncio.Event()
        self.taken_at_us: dict[int, int] = {}
        """Which of the snapshots that are there this replica took, and when."""
        self.snapshot_taken = asyncio.Event()
        """Set when this replica has taken one; cleared by whoever looks."""
        self._last: Record | None = None
        """The record applied last; None where the core has not moved since it was made."""
        self._has_lost_log = False
        """What answers next may be another log, or this one as it was before."""
        self._compared_at_us = NEVER_US
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
        if self.over:
            return self.over
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
        elif not (self._expected is None or self._expected.answered or self.over):
            # What was applied at this offset was another record: the log has forgotten that one.
            raise RolledBack(self._topic, offset, self.facts.next_offset)
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
            await self._compare(looked_us)
            async with self._reading:
                await self._apply_up_to(end, as_room_allows=True)
        except LogUnavailable as error:
            await self._wait_for_log(error)
            return
        if self.facts.next_offset >= end:
            self._is_fresh(looked_us)

    async def _compare(self, now_us: int) -> None:
        """See that the log has what was applied last: it may have been reached anew unseen."""
        if not self._has_lost_log and now_us - self._compared_at_us < COMPARE_US:
            return
        if self._last is not None:
            await still_has(self._log, self._topic, self._last.offset, self._last.checksum)
        self._has_lost_log, self._compared_at_us = False, now_us

    async def _wait_for_log(self, error: LogUnavailable) -> None:
        self._has_lost_log = True
        _log.warning("log_out_of_reach", topic=self._topic, why=str(error))
        await asyncio.sleep(LOOK_S)

    async def _apply_up_to(self, end: int, *, as_room_allows: bool = False) -> None:
        try:
            async with aclosing(self._tail.records(self.facts.next_offset, end)) as records:
                async for record in records:
                    if as_room_allows and self._publisher.is_full():
                        return
                    if record.offset == self.facts.next_offset:
                        self._apply(record)
        except CutAway as error:
            raise FellBehind(str(error)) from error

    def _apply(self, record: Record) -> None:
        """Apply one record. Between its first part and its last nothing else happens."""
        flight = self._flight_of(record)
        try:
            work = self.core.apply
            if is_skipped(self._skips, self._topic, record):
                work = self.core.skip
            # All of it, or nothing of it, is published and answered: it may fail at its last part.
            parts = list(work(record.offset, record.time_us, record.body))
        except CoreFailed as error:
            raise RecordFailed(self._topic, record, error) from error
        except CoreError as error:
            raise ReplicaStopped(
                f"{self._topic} cannot be followed any further. {error}"
            ) from error
        for number, part in enumerate(parts):
            self._publisher.put(record.offset, number, part.events)
            if flight is not None:
                flight.take(part.answers)
        if flight is not None:
            flight.answered = True
        self._last = record
        self._applied()

    def _flight_of(self, record: Record) -> Flight | None:
        """Our own record, if this is it, or its like from an append whose outcome we do not know.

        The same bytes mean the same batches, so what they are answered now is their answer. One
        that is over, for what it makes may be wrong, answers nobody: another replica is asked then.
        """
        flight = self._expected
        if flight is None or self.over or flight.answered or flight.body != record.body:
            return None
        return flight

    def _applied(self) -> None:
        was_halted, self.facts = self.facts.halt_sequence, self.core.facts()
        if self.facts.halt_sequence != was_halted:
            self._note_halt()
        self.progress.applied_at_us = self.stopwatch()
        if self._snapshot_is_due():
            self._snapshot_wanted.set()
        self._wake()

    def _note_halt(self) -> None:
        """Keep the state at a Halt as it is: the replicas' are going to be compared."""
        self.halted = None
        if self.facts.halt_sequence:
            self.halted = Halted(self._snapshot_of(self.facts), list(self.core.snapshot()))
            self.at_halt.set()
        _log.warning("halted" if self.halted else "resumed", sequence=self.facts.sequence)

    # --- being asked ------------------------------------------------------------------------

    async def stand(self, after_sequence: int = 0) -> None:
        """Wait until questions may be answered, at this sequence or later. Raises Lagging."""
        if self.over:
            raise Lagging(self.over.rstrip("."))
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
                await self.see_snapshots()
                if self._snapshot_is_due():
                    await self.take_snapshot()
            except Lagging as error:
                # It has come to its end meanwhile, and whoever ends it needs the others until then.
                _log.info("no_snapshot", why=str(error))
            except StorageError as error:
                _log.error("no_snapshot", why=str(error))
                await asyncio.sleep(_PAUSE_S)
            self._snapshot_wanted.clear()

    async def see_snapshots(self) -> list[Kept]:
        """All that are there, newest first. What others took counts for the pace of this one."""
        kept = await self._store.kept()
        there = {one.offset for one in kept}
        self.taken_at_us = {one: at for one, at in self.taken_at_us.items() if one in there}
        newest = max((one.offset + 1 for one in kept if not one.is_refuted), default=0)
        if newest > self.progress.snapshot_next_offset:
            self.progress.snapshot_next_offset = newest
            self.progress.snapshot_sequence = self.facts.sequence
        return kept

    async def take_snapshot(self) -> Snapshot:
        """Bring the state as it is now to the storage. Raises Lagging if there is no state yet.

        The core writes it in one go, and order entry waits for that; the storage is not waited for.
        """
        async with self._snapshotting:
            facts = self.facts
            if self.over:
                raise Lagging(self.over.rstrip("."))
            if facts.next_offset == 0:
                raise Lagging("Nothing has been applied yet")
            offset = facts.next_offset - 1
            snapshot = self._snapshot_of(facts)
            pieces = list(self.core.snapshot())
            await self._store.write(snapshot, pieces)
            self.taken_at_us[offset] = self.stopwatch()
            # Not before: one that could not be kept stays due.
            if facts.next_offset > self.progress.snapshot_next_offset:
                self.progress.snapshot_next_offset = facts.next_offset
                self.progress.snapshot_sequence = facts.sequence
            if self._publisher.last_key.command_offset < offset:
                crash_point("matching.snapshot_before_publish")
            await self._store.prune(self._publisher.last_key.command_offset)
            self.snapshot_taken.set()
            return snapshot

    def _snapshot_of(self, facts: Facts) -> Snapshot:
        checksum = None if self._last is None else self._last.checksum
        offset = facts.next_offset - 1
        return Snapshot(facts.shard, offset, facts.sequence, facts.state_hash, checksum)

    def _snapshot_is_due(self) -> bool:
        facts, leads = self.facts, self._publisher.leading
        return not facts.halt_sequence and snapshot_due(
            self.progress, self._pace, facts.next_offset, facts.sequence, leads=leads
        )
