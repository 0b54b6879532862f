"""`python -m services.matching`: one replica of one shard."""

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.domain.clock import Clock
from services.matching.config import MatchingConfig
from services.matching.reader import Lagging, Replica
from services.matching.recovery import recover
from services.matching.retention import Retention
from services.matching.server import Matching, OrderEntry
from services.matching.snapshots import Snapshots
from services.matching.state import SnapshotPace, tick_due
from services.matching.stops import Stops
from services.matching.store import SnapshotStore
from services.runtime.clock import SystemClock
from services.runtime.config import load
from services.runtime.holds import Holds
from services.runtime.intake import Limits
from services.runtime.lease import Lease
from services.runtime.lease_rows import PostgresLeaseRows
from services.runtime.log import Log, commands_topic, events_topic, open_log
from services.runtime.main import launch, run
from services.runtime.publisher import Publisher
from services.runtime.replicas import Registration, Standing
from services.runtime.rpc import Health, Service, raw_service, serve, service
from services.runtime.sequencer import Sequencer
from services.runtime.skips import read_skips
from services.runtime.storage import open_storage
from services.runtime.telemetry import Telemetry, start_telemetry

STOP_S: Final = 5.0
"""On an orderly stop, what has come has this long to be answered, and events to be published."""

FLUSH_S: Final = 1.0
"""One that cannot go on has this long to publish what came before."""

TICK_LOOK_S: Final = 0.1
"""How often it is asked whether a tick is due."""


class Shard:
    """One replica of a shard, and what its parts do for each other from start to stop."""

    def __init__(
        self, replica: Replica, publisher: Publisher, sequencer: Sequencer, clock: Clock
    ) -> None:
        self.replica = replica
        self.publisher = publisher
        self.sequencer = sequencer
        self.clock = clock
        self.health = Health()

    async def announce(self) -> None:
        """Serve once the core has come to the log's end."""
        while not self.replica.has_caught_up:
            await self.replica.change()
        await self.health.serving(True)

    async def keep_time(self) -> None:
        """While this replica leads, append a tick when a second has passed without a record.

        Sooner if something is due: what waits for time looks at the log's clock alone.
        """
        while True:
            await asyncio.sleep(TICK_LOOK_S)
            due_us = self.replica.facts.next_due_us
            is_due = 0 < due_us <= self.clock.now_us()
            due = tick_due(self.replica.progress, self.replica.stopwatch(), is_due)
            if (
                due
                and self.replica.has_caught_up
                and self.publisher.leading
                and not self.sequencer.queued_batches
            ):
                self.sequencer.offer(_tick())

    async def close(self) -> None:
        """Take nothing more, answer what has come, end the streams."""
        self.replica.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self.replica.over else STOP_S):
                await self.sequencer.close("This replica is stopping.")

    async def leave_snapshot(self) -> None:
        """Let the next start be a short one; but over a Halt it goes again, to say what it sees."""
        if self.replica.facts.halt_sequence:
            return
        with suppress(Lagging):
            await self.replica.take_snapshot()

    async def leave_nothing_unpublished(self) -> None:
        """Publish what follows from the last records, unless another leads."""
        if self.publisher.leading:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S if self.replica.over else STOP_S):
                    await self.publisher.flushed()


class Member(Shard):
    """A replica among others, as its configuration wants it: with its lease, row and faces."""

    def __init__(
        self,
        config: MatchingConfig,
        log: Log,
        replica: Replica,
        publisher: Publisher,
        store: SnapshotStore,
    ) -> None:
        limits = Limits(config.queue_batches, config.queue_bytes, config.patience_s)
        topic, clock = commands_topic(config.shard), SystemClock()
        sequencer = Sequencer(log, topic, config.shard, replica, clock, limits)
        super().__init__(replica, publisher, sequencer, clock)
        name = uuid.uuid4().hex
        self.lease = Lease(PostgresLeaseRows(config.postgres), f"matching.{config.shard}", name)
        self.registration = Registration(
            config.postgres, config.shard, name, config.listen_address(), self._stands
        )
        self.stops = Stops(log, clock, replica, store, config.data, name, self.registration.stopped)
        others_live = self.registration.others_live
        self.snapshots = Snapshots(replica, store, publisher, config.data, others_live)
        self.retention = Retention(
            log,
            config.shard,
            store,
            Holds(config.postgres),
            # Who was right is found out from a snapshot before the Halt: until then it stays.
            leads=lambda: publisher.leading and not replica.facts.halt_sequence,
            every_s=config.cut_every_s,
            silent_s=config.silent_s,
        )

    def _stands(self) -> Standing:
        facts = self.replica.facts
        return Standing(facts.next_offset - 1, facts.sequence, facts.state_hash, self.lease.epoch)

    def services(self) -> list[Service]:
        """Its two faces."""
        entry = OrderEntry(self.sequencer)
        asked = Matching(self.replica, self.sequencer, self.publisher, self.lease)
        return [
            raw_service(rpc.ORDER_ENTRY_SERVICE, {"Submit": entry.Submit}),
            service(rpc.MATCHING_SERVICE, rpc.add_MatchingServiceServicer_to_server, asked),
        ]

    def count(self, telemetry: Telemetry) -> None:
        """Name what is counted."""
        telemetry.count("sequence", lambda: self.replica.facts.sequence)
        telemetry.count("queued_batches", lambda: self.sequencer.queued_batches)
        telemetry.count("malformed_batches", lambda: self.sequencer.malformed)
        telemetry.count("unavailable_batches", lambda: self.sequencer.unavailable)
        telemetry.count("retained_bytes", lambda: self.publisher.retained_bytes)
        telemetry.count("proven_snapshot", lambda: self.snapshots.proven_offset)
        telemetry.count("cut_records", lambda: self.retention.cut_records)
        telemetry.count("lost_holds", lambda: self.retention.lost_holds)


async def main() -> None:
    config = load(MatchingConfig)
    telemetry = start_telemetry("matching", config.telemetry)
    log = await open_log(config.log)
    try:
        shard = await _recovered(config, log)
        shard.count(telemetry)
        # Stopped in this order: doors first, so that what follows has an end.
        await run(
            _at_the_end(shard.close),
            serve(config.listen_address(), *shard.services(), health=shard.health),
            shard.announce(),
            shard.keep_time(),
            shard.stops.watch(shard.sequencer.run()),
            shard.stops.watch(shard.replica.follow()),
            shard.stops.keep_halted(),
            shard.replica.snapshots(),
            shard.snapshots.run(),
            shard.retention.run(),
            _at_the_end(shard.leave_snapshot),
            _at_the_end(shard.leave_nothing_unpublished),
            shard.stops.watch(shard.publisher.run()),
            shard.lease.keep(lambda epoch: shard.publisher.lead(epoch != 0)),
            shard.registration.keep(),
            telemetry=telemetry,
        )
    finally:
        await log.close()


async def _recovered(config: MatchingConfig, log: Log) -> Member:
    """The replica as the newest believable snapshot has it."""
    await log.create(commands_topic(config.shard))
    await log.create(events_topic(config.shard))
    storage = open_storage(config.snapshots, str(config.shard))
    store = SnapshotStore(storage, config.shard, config.keep_snapshots)
    found = await recover(log, config.shard, store)
    events = events_topic(config.shard)
    publisher = Publisher(log, events, SystemClock(), retained_bytes=config.retained_bytes)
    publisher.start_after(found.last_key, found.event_offset)
    pace = SnapshotPace(config.snapshot_records, config.snapshot_commands)
    skips = await read_skips(log, config.shard)
    replica = Replica(found.core, log, publisher, store, pace, skips=skips)
    return Member(config, log, replica, publisher, store)


async def _at_the_end(action: Callable[[], Awaitable[None]]) -> None:
    """Do nothing until told to stop, and then this."""
    try:
        await asyncio.Event().wait()
    finally:
        await action()


def _tick() -> bytes:
    command = matching.Command(request_id=os.urandom(16), tick=matching.Tick())
    return matching.SubmitRequest(commands=[command]).SerializeToString()


if __name__ == "__main__":
    launch(main)
