"""`python -m services.matching.judge --data FOLDER --halt OFFSET [--from OFFSET]`: who was right?

Replays the command log from a snapshot, or from its beginning, up to the record that halted the
shard, and prints what state it comes to, as one JSON object. A process of its own, which has not
seen what the replicas have seen. It changes nothing.
"""

import argparse
import asyncio
import json
import os
from contextlib import aclosing
from typing import Final, NamedTuple

import structlog
from google.protobuf.json_format import MessageToDict

from bourse.matching import v1 as matching
from services.matching.config import MatchingConfig
from services.matching.core import Core, CoreFailed
from services.matching.recovery import believe
from services.matching.store import SnapshotBroken, SnapshotStore
from services.runtime.config import load
from services.runtime.final import NeedsMending
from services.runtime.log import Log, commands_topic, open_log
from services.runtime.main import launch
from services.runtime.skips import is_skipped, read_skips
from services.runtime.storage import open_storage
from services.runtime.tail import Tail
from services.runtime.telemetry import start_telemetry

NICENESS: Final = 10

_log = structlog.get_logger("judge")


class CannotJudge(NeedsMending):
    """There is no Halt at that record, or nothing to begin with. A sentence."""


class Judgement(NamedTuple):
    """What came of it."""

    halt_sequence: int
    """Of the Halt that holds after the record."""
    halt_offset: int
    first_difference: int
    """The command record of which somebody saw other events than its own."""
    began: int
    """The snapshot's command record; -1: it began with nothing."""
    sequence: int
    state_hash: str
    """After the record; sixteen hexadecimal digits."""


async def main() -> None:
    """Judge as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m services.matching.judge")
    parser.add_argument("--halt", type=int, required=True, help="the record with the Halt")
    parser.add_argument("--from", type=int, dest="begin", help="a snapshot's command record")
    chosen, others = parser.parse_known_args()
    os.nice(NICENESS)
    config = load(MatchingConfig, others)
    start_telemetry("matching", config.telemetry)
    storage = open_storage(config.snapshots, str(config.shard))
    store = SnapshotStore(storage, config.shard, config.keep_snapshots)
    log = await open_log(config.log)
    try:
        said = await judge(log, config.shard, store, chosen.halt, chosen.begin)
    finally:
        await log.close()
    # A line that is no log line: it is read by whoever has asked.
    print(json.dumps(said._asdict()), flush=True)


async def judge(
    log: Log, shard: int, store: SnapshotStore, halt_offset: int, begin: int | None
) -> Judgement:
    """The state after the record with the Halt, as a replay has it.

    Raises CannotJudge, LogError.
    """
    topic = commands_topic(shard)
    halt = await halt_at(log, topic, halt_offset)
    core, began = await _beginning(log, shard, store, halt.command_offset, begin)
    _log.info("judging", begins=began, halt=halt_offset, said=MessageToDict(halt))
    skips, tail = await read_skips(log, shard), Tail(log, topic)
    try:
        async with aclosing(tail.records(core.facts().next_offset, halt_offset + 1)) as records:
            async for record in records:
                work = core.skip if is_skipped(skips, topic, record) else core.apply
                for _part in work(record.offset, record.time_us, record.body):
                    # It is the state that is asked for.
                    continue
                await asyncio.sleep(0)
    except CoreFailed as error:
        raise CannotJudge(f"The replay broke a rule itself. {error}") from error
    finally:
        await tail.close()
    facts = core.facts()
    return Judgement(
        halt_sequence=facts.halt_sequence,
        halt_offset=halt_offset,
        first_difference=halt.command_offset,
        began=began,
        sequence=facts.sequence,
        state_hash=f"{facts.state_hash:016x}",
    )


async def halt_at(log: Log, topic: str, offset: int) -> matching.Halt:
    """The Halt in a command record. Raises CannotJudge."""
    record = await log.one(topic, offset)
    body = matching.CommandRecord.FromString(record.body) if record else matching.CommandRecord()
    for request in body.requests:
        for command in matching.SubmitRequest.FromString(request).commands:
            if command.HasField("halt"):
                return command.halt
    raise CannotJudge(f"There is no Halt in record {offset} of {topic}.")


async def _beginning(
    log: Log, shard: int, store: SnapshotStore, before: int, wanted: int | None
) -> tuple[Core, int]:
    """A core as it was before anybody differed, and its snapshot's record; -1 for an empty one."""
    for kept in await store.kept():
        if kept.offset >= before or kept.is_refuted or wanted not in (None, kept.offset):
            continue
        try:
            found = await believe(log, *await store.read(kept.offset))
        except SnapshotBroken as error:
            _log.warning("snapshot_passed_over", why=str(error))
            continue
        return found.core, kept.offset
    if wanted is not None and wanted >= 0:
        raise CannotJudge(f"There is no sound snapshot of record {wanted}, before {before}.")
    start = await log.start(commands_topic(shard))
    if start:
        raise CannotJudge(f"The log begins at {start}, and no snapshot before {before} holds.")
    return Core(shard), -1


if __name__ == "__main__":
    launch(main)
