"""A start of matching after a million commands: from its snapshot, and from the log's beginning.

Both are whole starts of the process, the loading of Python and of its libraries included, until it
serves; the replay also compares every event that follows with the one that was published. Beside
them, what the loading of those libraries takes by itself.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import uvloop

from bourse.matching import v1 as matching
from tools.benches.market import Trader, opening_records
from tools.benches.shape import Asked, Figures, grouped
from tools.benches.shard import (
    BATCH,
    ROOT,
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


RUNS: Final = 5


def measure(asked: Asked) -> Figures:
    """Seconds from snapshot, seconds and commands a second of a full replay, all of them whole."""
    runs, portions = asked.runs_or(RUNS), asked.size(COMMANDS // BATCH // PORTION_BATCHES, 0)
    trader = Trader()
    first = opening_batches(opening_records(trader))
    load = batches(iter(trader.batch, None), len(first))
    with folder_beside_the_data() as data, postgres(data):
        with process(data):
            uvloop.run(_fill(data, first, load, portions))
        commands = portions * PORTION_BATCHES * BATCH
        from_snapshot = [_start(data, commands) for _ in range(runs)]
        replayed = []
        for _ in range(runs):
            shutil.rmtree(data / "snapshots")
            replayed.append(_start(data, commands))
    loading_s = statistics.median(_load() for _ in range(runs))
    snapshot_s, replay_s = statistics.median(from_snapshot), statistics.median(replayed)
    return {
        "runs": runs,
        "loading_s": round(loading_s, 2),
        "commands": commands,
        "from_snapshot_s": round(snapshot_s, 2),
        "from_snapshot_s_of_runs": [round(one, 2) for one in from_snapshot],
        "replay_s": round(replay_s, 2),
        "replay_s_of_runs": [round(one, 2) for one in replayed],
        "replay_commands_per_s": round(commands / replay_s),
    }


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    commands, rate = grouped(figures["commands"]), grouped(figures["replay_commands_per_s"])
    return [
        f"After {commands} commands matching serves {figures['from_snapshot_s']} s after its start"
        f" from a snapshot (aim: 2). Loading Python and its libraries alone takes"
        f" {figures['loading_s']} s.",
        f"Without one it replays the whole log in {figures['replay_s']} s:"
        f" {rate} commands/s (aim: 500,000).",
    ]


async def _fill(data: Path, opening: Sequence[bytes], load: Iterator[bytes], portions: int) -> None:
    async with shard(data) as (submit, stub):
        await send(submit, opening)
        for _ in range(portions):
            await send(submit, [next(load) for _ in range(PORTION_BATCHES)])
            await published(stub)


def _start(data: Path, commands: int) -> float:
    """Seconds from the start of the process until it serves."""
    start = time.perf_counter()
    with process(data):
        uvloop.run(_serves(data, commands))
        return time.perf_counter() - start


def _load() -> float:
    """Seconds that the libraries of a matching process take to load."""
    start = time.perf_counter()
    command = [sys.executable, "-c", "import services.matching.__main__"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}"}
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    return time.perf_counter() - start


async def _serves(data: Path, commands: int) -> None:
    async with shard(data) as (_submit, stub):
        status = await stub.GetStatus(matching.GetStatusRequest())
        assert status.sequence >= commands
