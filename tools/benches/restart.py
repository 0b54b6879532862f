"""A start of matching after a million commands: from its snapshot, and from the log's beginning.

Both are whole starts of the process, the loading of Python and of its libraries included, until it
serves; the replay also compares every event that follows with the one that was published.
"""

import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import uvloop

from bourse.matching import v1 as matching
from tools.benches.shard import (
    BATCH,
    Commands,
    batches,
    folder_beside_the_data,
    opening_batches,
    postgres,
    process,
    published,
    send,
    shard,
)

COMMANDS: Final = 1_000_000
PORTION_BATCHES: Final = 1000
"""Sent at once; then the events of them are waited for, for a slow disk's sake."""


def bench_restart(runs: int, opening: Sequence[bytes], commands: Commands) -> dict[str, Any]:
    """Seconds from snapshot, seconds and commands a second of a full replay, all of them whole."""
    first = opening_batches(opening)
    with folder_beside_the_data() as data, postgres(data):
        with process(data):
            uvloop.run(_fill(data, first, batches(commands, len(first))))
        from_snapshot = [_start(data) for _ in range(runs)]
        replayed = []
        for _ in range(runs):
            shutil.rmtree(data / "snapshots")
            replayed.append(_start(data))
    snapshot_s, replay_s = statistics.median(from_snapshot), statistics.median(replayed)
    return {
        "commands": COMMANDS,
        "from_snapshot_s": round(snapshot_s, 2),
        "replay_s": round(replay_s, 2),
        "replay_commands_per_s": round(COMMANDS / replay_s),
    }


async def _fill(data: Path, opening: Sequence[bytes], load: Iterator[bytes]) -> None:
    async with shard(data) as (submit, stub):
        await send(submit, opening)
        for _ in range(COMMANDS // BATCH // PORTION_BATCHES):
            await send(submit, [next(load) for _ in range(PORTION_BATCHES)])
            await published(stub)


def _start(data: Path) -> float:
    """Seconds from the start of the process until it serves."""
    start = time.perf_counter()
    with process(data):
        uvloop.run(_serves(data))
        return time.perf_counter() - start


async def _serves(data: Path) -> None:
    async with shard(data) as (_submit, stub):
        status = await stub.GetStatus(matching.GetStatusRequest())
        assert status.sequence >= COMMANDS
