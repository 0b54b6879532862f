"""Halted replicas keep their state apart, and skipped records are the ones that were agreed on."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from bourse.matching import v1 as matching
from services.matching.core import Core
from services.matching.reader import FellBehind, Lagging, Replica
from services.matching.state import SnapshotPace
from services.matching.stops import Stops
from services.runtime.clock import SystemClock
from services.runtime.final import NeedsMending
from services.runtime.intake import Entry
from services.runtime.log import CutAway
from services.runtime.memory_log import Fault, MemoryLog
from services.runtime.publisher import PublishedOtherwise, Publisher
from services.runtime.sequencer import Flight
from services.runtime.skips import SkipMistaken, Skips, append_skip, read_skips
from tests.services.matching.rig import (
    ALICE,
    COMMANDS,
    EVENTS,
    NEVER,
    USD,
    Running,
    batch,
    buy,
    command,
    credit,
    open_market,
    running,
    snapshots_in,
    tell,
)


async def _no_mark(_offset: int, _why: str) -> None:
    return None


def stops_of(own: Running, data: Path) -> Stops:
    return Stops(own.log, SystemClock(), own.replica, snapshots_in(data), data, "anna", _no_mark)


def test_a_halted_replica_keeps_its_state_and_goes_on_after_a_resume(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(MemoryLog(), tmp_path) as own:
            session = await open_market(own)
            await own.one(batch(session, 2, command(use_rules=matching.UseRules(version=3))))
            stops = stops_of(own, tmp_path)
            keeping = asyncio.create_task(stops.keep_halted())
            halt = matching.Halt(sequence=own.replica.facts.sequence)
            await own.one(batch(0, 0, command(halt=halt)))
            facts = own.replica.facts
            refused = await own.one(batch(0, 5, credit(ALICE, USD, 7), source=1))
            assert refused.status == matching.BATCH_STATUS_HALTED
            folder = tmp_path / "halted" / "0"
            await stops.kept.wait()
            name = f"{facts.next_offset - 1:020}-{facts.state_hash:016x}.snapshot"
            assert (folder / name).exists()
            said = json.loads(next(folder.glob("*-anna.json")).read_text())
            assert said["state_hash"] == f"{facts.state_hash:016x}"
            resume = matching.Resume(sequence=facts.halt_sequence)
            await own.one(batch(session, 3, command(resume=resume)))
            taken = await own.one(batch(0, 5, credit(ALICE, USD, 7), source=1))
            assert taken.status == matching.BATCH_STATUS_APPLIED
            await stops._halt(PublishedOtherwise("It differs.", facts.next_offset))
            assert len(list(folder.glob("*-anna.json"))) == 2, "at the second Halt as well"
            keeping.cancel()

    tell(story())


def test_one_that_is_over_takes_and_keeps_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(MemoryLog(), tmp_path) as own:
            session = await open_market(own)
            own.replica.over = "It is over."
            answer = await own.one(
                batch(session, 2, command(use_rules=matching.UseRules(version=2)))
            )
            assert (answer.status, answer.detail) == (
                matching.BATCH_STATUS_UNAVAILABLE,
                "It is over.",
            )
            with pytest.raises(Lagging, match="It is over"):
                await own.replica.take_snapshot()
            own.replica._pace = SnapshotPace(records=1, commands=1)
            own.replica._snapshot_wanted.set()
            while own.replica._snapshot_wanted.is_set():
                assert not any(task.done() for task in own.tasks), "nothing else ends with it"
                await asyncio.sleep(0.01)

    tell(story())


def test_one_that_is_over_tells_nobody_what_it_makes_of_anything(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(MemoryLog(), tmp_path) as own:
            session = await open_market(own)
            entry = Entry(batch(session, 2, buy(ALICE, 1, 100)), None)
            flight = Flight(0, [entry], 0)
            own.replica.expect(flight)
            own.replica.over = "It is over."
            now_us = SystemClock().now_us()
            appended = await own.log.append(COMMANDS, [flight.body], clock_us=now_us)
            await own.applied_up_to(appended.first_offset + 1)
            assert entry.answer is None
            with pytest.raises(Lagging, match="It is over"):
                await own.replica.stand()

    tell(story())


def test_what_one_that_is_over_has_in_the_log_is_asked_of_another(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path) as own:
            session = await open_market(own)
            _sequencing, following, *_others = own.tasks
            following.cancel()
            log.faults.append(Fault.DONE)
            asking = asyncio.create_task(own.ask(batch(session, 2, buy(ALICE, 1, 100))))
            while True:
                flight = own.replica._expected
                if flight is not None and flight.in_doubt:
                    break
                await asyncio.sleep(0)
            own.replica.over = "It is over."
            assert await asking == [], "the stream ends, and whoever sent it goes elsewhere"

    tell(story())


def test_one_that_slept_through_a_cut_starts_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(MemoryLog(), tmp_path) as own:

            async def wakes() -> None:
                raise CutAway(EVENTS, 1, 8)

            with pytest.raises(FellBehind):
                await stops_of(own, tmp_path).watch(wakes())
            assert not issubclass(FellBehind, NeedsMending)

    tell(story())


def replica_with(own: Running, data: Path, skips: Skips) -> Replica:
    """Another replica of the same log, at its beginning."""
    publisher = Publisher(own.log, EVENTS, SystemClock())
    return Replica(Core(0), own.log, publisher, snapshots_in(data), NEVER, skips=skips)


def test_a_skipped_record_is_the_one_that_was_agreed_on_or_nothing_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(MemoryLog(), tmp_path) as own:
            await open_market(own)
            offset = own.replica.facts.next_offset - 1
            assert await read_skips(own.log, 0) == {}
            record = await own.log.one(COMMANDS, offset)
            assert record is not None
            row = matching.SkippedRecord(
                offset=offset,
                sha256=hashlib.sha256(record.body).digest(),
                proposed_by="ann",
                confirmed_by="bob",
                time_us=SystemClock().now_us(),
            )
            await append_skip(own.log, row)
            skips = await read_skips(own.log, 0)
            assert skips == {offset: row}
            other = replica_with(own, tmp_path, skips)
            await follow_to(other, offset + 1)
            assert other.facts.sequence == own.replica.facts.sequence
            assert other.facts.balance_hash == 0, "nothing was credited"
            row.sha256 = bytes(32)
            with pytest.raises(SkipMistaken, match="ann and bob"):
                await follow_to(replica_with(own, tmp_path, {offset: row}), offset + 1)

    tell(story())


async def follow_to(replica: Replica, next_offset: int) -> None:
    """Follow the log so far. Raises what following raises."""

    async def come() -> None:
        while replica.facts.next_offset < next_offset:
            await replica.change()

    tasks = {asyncio.create_task(replica.follow()), asyncio.create_task(come())}
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    for task in done:
        task.result()
