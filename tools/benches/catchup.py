"""A replica that starts from a snapshot far back, beside one that runs: how fast it catches up.

It reads the command log, applies it, and compares every event that follows with the one that the
leader has published. The rate is that of the way itself, from its first look at the log to the
log's end; the whole start, the loading of Python and its libraries included, stands beside it.
"""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Final, NamedTuple

import uvloop

from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import MatchingServiceStub
from tools.benches.market import Trader, opening_records
from tools.benches.pair import LOOK_S, Pair
from tools.benches.shape import Asked, Figures, grouped
from tools.benches.shard import (
    BATCH,
    batches,
    folder_beside_the_data,
    opening_batches,
    postgres,
    published,
    send,
)

COMMANDS: Final = 1_000_000
PORTION_BATCHES: Final = 1000
RUNS: Final = 5
NEVER: Final = "1000000000"


class Way(NamedTuple):
    """How one replica came to the log's end."""

    commands: int
    whole_s: float
    """From the start of the process until it serves."""
    on_the_way_s: float
    """Of these, since it was first seen to have applied something."""
    seen_commands: int
    """Applied in that time."""


def measure(asked: Asked) -> Figures:
    """Commands a second, and seconds of a whole start."""
    portions = asked.size(COMMANDS // BATCH // PORTION_BATCHES, 1)
    with folder_beside_the_data() as data, postgres(data):
        ways = uvloop.run(_measure(data, portions, asked.runs_or(RUNS)))
    rates = [way.seen_commands / way.on_the_way_s for way in ways]
    return {
        "runs": len(ways),
        "commands": ways[0].commands,
        "commands_per_s": round(statistics.median(rates)),
        "commands_per_s_of_runs": [round(rate) for rate in rates],
        "whole_s": round(statistics.median(way.whole_s for way in ways), 2),
    }


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    f = figures
    return [
        f"A replica {grouped(f['commands'])} commands behind catches up with"
        f" {grouped(f['commands_per_s'])} commands/s, and serves {f['whole_s']} s after its start.",
    ]


async def _measure(data: Path, portions: int, runs: int) -> list[Way]:
    # No snapshot but the one that is asked for.
    never = {"BOURSE_MATCHING_SNAPSHOT_RECORDS": NEVER, "BOURSE_MATCHING_SNAPSHOT_COMMANDS": NEVER}
    pair = Pair(data, **never)
    try:
        pair.start(0)
        await pair.serving(0)
        commands = await _fill(pair, portions)
        return [await _catch_up(pair, commands) for _ in range(runs)]
    finally:
        pair.stop()
        await pair.choice.close()


async def _fill(pair: Pair, portions: int) -> int:
    """A market, a snapshot of it, and many commands behind that. Returns how many."""
    trader = Trader()
    opening = opening_batches(opening_records(trader))
    stub = MatchingServiceStub(pair.choice.replicas[0])
    await send(pair.submit(0), opening)
    await published(stub)
    await stub.TakeSnapshot(matching.TakeSnapshotRequest())
    load = batches(iter(trader.batch, None), len(opening))
    for _ in range(portions):
        await send(pair.submit(0), [next(load) for _ in range(PORTION_BATCHES)])
        await published(stub)
    return portions * PORTION_BATCHES * BATCH


async def _catch_up(pair: Pair, commands: int) -> Way:
    began = time.perf_counter()
    pair.start(1)
    serving = asyncio.create_task(pair.serving(1))
    moments: list[tuple[float, int]] = []
    while not serving.done():
        said = await pair.status(1)
        if said is not None:
            moments.append((time.perf_counter(), said.sequence))
        await asyncio.sleep(LOOK_S)
    await serving
    end_s, last = time.perf_counter(), await pair.status(1)
    pair.kill(1)
    assert last is not None, "it serves"
    (first_s, first), *_ = [*moments, (began, 0)]
    return Way(commands, end_s - began, end_s - first_s, last.sequence - first)
