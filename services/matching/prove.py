"""`python -m services.matching.prove --data FOLDER OFFSET`: does a snapshot hold?

A process of its own, short and with little claim on the machine, for what it restores nobody has
seen yet: whatever is in it, no replica falls with it. It leaves a `.proof` or a `.refuted` beside
the snapshot, or neither where it could not find out.
"""

import argparse
import asyncio
import os
from pathlib import Path
from typing import Final

import structlog

from services.matching.config import MatchingConfig
from services.matching.recovery import NotPublished, believe, this_process
from services.matching.store import Proof, SnapshotBroken, SnapshotGone, SnapshotStore
from services.runtime.config import load
from services.runtime.log import Log, open_log
from services.runtime.main import launch
from services.runtime.storage import open_storage
from services.runtime.telemetry import start_telemetry

NICENESS: Final = 10
PATIENCE_S: Final = 60.0
"""A leader publishes what a snapshot stands after within so long, or is dead: later, then."""

LOOK_S: Final = 0.25

_log = structlog.get_logger("prove")


async def main() -> None:
    """Prove the snapshot that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m services.matching.prove")
    parser.add_argument("offset", type=int, help="the snapshot's command record")
    parser.add_argument("--data", type=Path, help="the data folder")
    chosen = parser.parse_args()
    os.nice(NICENESS)
    config = load(MatchingConfig, ["--data", str(chosen.data)] if chosen.data else [])
    start_telemetry("matching", config.telemetry)
    storage = open_storage(config.snapshots, str(config.shard))
    store = SnapshotStore(storage, config.shard, config.keep_snapshots)
    log = await open_log(config.log)
    try:
        await prove(log, store, chosen.offset)
    finally:
        await log.close()


async def prove(log: Log, store: SnapshotStore, offset: int) -> None:
    """Restore a snapshot once its events are published, and put down what came of it."""
    try:
        proof = await _proof(log, store, offset)
    except SnapshotGone as error:
        _log.info("snapshot_not_judged", offset=offset, why=str(error))
        return
    except SnapshotBroken as error:
        _log.error("snapshot_refuted", offset=offset, why=str(error))
        await store.refute(offset, str(error), this_process())
        return
    await store.prove(offset, proof)
    _log.info("snapshot_proven", offset=offset)


async def _proof(log: Log, store: SnapshotStore, offset: int) -> Proof:
    """Raises TimeoutError if its events are not published in time; SnapshotBroken."""
    snapshot, body = await store.read(offset)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                found = await believe(log, snapshot, body)
            except NotPublished:
                await asyncio.sleep(LOOK_S)
                continue
            assert found.proof is not None, "of a snapshot there is one"
            return found.proof


if __name__ == "__main__":
    launch(main)
