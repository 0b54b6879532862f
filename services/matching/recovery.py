"""Where a replica starts: with the newest snapshot that holds, else with nothing.

Whether one holds is found out in one way only, by `believe`: its bytes are what was written, its
command record stands in the command log as it was, the last event part of that record names its
state hash, the core restores it, which walks everything and checks every invariant, and has that
hash itself. Whoever has done so and did not write the snapshot may put its proof beside it; a start
is a new process and so does it for one that has none yet. So an orderly stop need not wait for a
proof, and still no start rests on a snapshot that nobody has checked.
"""

import asyncio
import os
import socket
from typing import NamedTuple

import structlog

from bourse.matching import v1 as matching
from services.matching.core import BrokenSnapshot, Core
from services.matching.store import Proof, Snapshot, SnapshotBroken, SnapshotStore, digest_of
from services.runtime.events import EventKey
from services.runtime.log import CutAway, Log, commands_topic, events_topic, still_has
from services.runtime.publisher import NOTHING, published
from services.runtime.storage import StorageError

_log = structlog.get_logger("matching")


class NotPublished(SnapshotBroken):
    """The event log does not yet say anything of the snapshot's record, and may later."""


class Recovered(NamedTuple):
    """Where a replica starts."""

    core: Core
    last_key: EventKey
    """All events up to this one are published and agree with the core."""
    event_offset: int
    """Offset on the event log behind it."""
    snapshot: Snapshot | None
    """What the core was made from; None: it is empty."""
    proof: Proof | None = None
    """What this process has found out about the snapshot."""


async def recover(log: Log, shard: int, store: SnapshotStore) -> Recovered:
    """The core of the newest snapshot that holds, else an empty one.

    Raises CutAway if the log does not reach back far enough, RolledBack if it has forgotten what a
    snapshot has seen, SnapshotNewer, StorageError, CoreError.
    """
    for kept in await store.kept():
        if kept.is_refuted:
            continue
        try:
            snapshot, body = await store.read(kept.offset)
            found = await believe(log, snapshot, body)
        except SnapshotBroken as error:
            _log.warning("snapshot_passed_over", why=str(error))
            continue
        if not kept.is_proven:
            await _put_down(store, found)
        return found
    commands = await log.start(commands_topic(shard))
    events = await log.start(events_topic(shard))
    if commands or events:
        topic = commands_topic(shard) if commands else events_topic(shard)
        raise CutAway(topic, 0, commands or events)
    return Recovered(Core(shard), NOTHING, 0, None)


async def _put_down(store: SnapshotStore, found: Recovered) -> None:
    assert found.snapshot is not None
    assert found.proof is not None
    try:
        await store.prove(found.snapshot.offset, found.proof)
    except StorageError as error:
        # The start does not need it: it has seen for itself.
        _log.warning("proof_not_kept", why=str(error))


async def believe(log: Log, snapshot: Snapshot, body: bytes) -> Recovered:
    """Make a core of a snapshot, once everything says the same.

    Raises SnapshotBroken (NotPublished), RolledBack, LogUnavailable, CoreError.
    """
    offset = snapshot.offset
    if snapshot.checksum is not None:
        # Before its events are looked for: a log that has lost the record has lost these too.
        await still_has(log, commands_topic(snapshot.shard), offset, snapshot.checksum)
    topic = events_topic(snapshot.shard)
    parts = await published(log, topic, offset, await log.end(topic))
    last = matching.EventRecord.FromString(parts[-1][1]) if parts else matching.EventRecord()
    if not last.last:
        raise NotPublished(f"The events of record {offset} are not published.")
    if last.state_hash != snapshot.state_hash:
        raise SnapshotBroken(f"The events of record {offset} say another state.")
    core = await asyncio.to_thread(_restore, body)
    facts = core.facts()
    if (facts.next_offset, facts.state_hash) != (offset + 1, snapshot.state_hash):
        raise SnapshotBroken(f"The snapshot of record {offset} holds another state.")
    proof = Proof(digest_of(body), f"{snapshot.state_hash:016x}", parts[0][0], this_process())
    key = EventKey(offset, last.part)
    return Recovered(core, key, parts[-1][0] + 1, snapshot, proof)


def this_process() -> str:
    """The machine and the process, for a proof."""
    return f"{socket.gethostname()} {os.getpid()}"


def _restore(body: bytes) -> Core:
    """Raises SnapshotBroken; CoreError if only another core, or more memory, would do."""
    try:
        return Core.restore(body)
    except BrokenSnapshot as error:
        raise SnapshotBroken(str(error)) from error
