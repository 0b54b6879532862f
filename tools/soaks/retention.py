"""`tools/soak retention`: a house trades, forgets what nobody needs, and does not grow for ever.

Its partitions are small and its days are seconds, so that what takes weeks elsewhere takes minutes
here. The books, history and tape grow with trade and are meant to, and a snapshot is as large as
the state of its shard: these are shown, not judged.
"""

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from services.cli.verify import Core, all_checks
from tests.integration.retaining import SMALL, Sample, samples
from tests.integration.rooms import House
from tests.integration.trading import Traders

SAMPLES: Final = 24
"""Lines of the table."""

SLACK: Final = 1.5
"""What is kept at the most in the last third may be so much more than in the middle one: where a
log, an index or a folder grew with what is put into it, it would be twice as much again."""

COLUMNS: Final[Sequence[tuple[str, Callable[[Sample], str]]]] = (
    ("s", lambda each: f"{each.seconds:.0f}"),
    ("commands", lambda each: f"{each.commands:,}"),
    ("kept", lambda each: f"{each.commands_kept:,}"),
    ("events", lambda each: f"{each.events:,}"),
    ("kept", lambda each: f"{each.events_kept:,}"),
    ("log MB", lambda each: f"{each.log_bytes / 1e6:.1f}"),
    ("WAL MB", lambda each: f"{each.wal_bytes / 1e6:.1f}"),
    ("snapshots", lambda each: f"{each.snapshots}"),
    ("their MB", lambda each: f"{each.snapshot_bytes / 1e6:.2f}"),
    ("index MB", lambda each: f"{each.index_bytes / 1e6:.2f}"),
    ("books MB", lambda each: f"{each.history_bytes / 1e6:.1f}"),
    ("tape MB", lambda each: f"{each.tape_bytes / 1e6:.1f}"),
)
LEVEL: Final = ("commands_kept", "events_kept", "log_bytes", "snapshots", "index_bytes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("minutes", type=float, nargs="?", default=5.0, help="how long (5)")
    parser.add_argument("--seed", type=int, default=1, help="of the orders")


def soak(given: argparse.Namespace) -> bool:
    """Whether what is kept came to a level, and every invariant held at the end."""
    data = Path(tempfile.mkdtemp(prefix="bourse-soak-"))
    try:
        return asyncio.run(_soak(House(data, settings=SMALL), given.minutes * 60, given.seed))
    finally:
        shutil.rmtree(data, ignore_errors=True)


async def _soak(house: House, seconds: float, seed: int) -> bool:
    print(f"seed {seed}, {seconds:.0f} s, partitions of {SMALL['BOURSE_LOG_PARTITION_RECORDS']}")
    try:
        await house.start()
        rooms = house.rooms()
        traders = Traders(rooms, seed)
        await traders.open()
        stop = asyncio.Event()
        load = asyncio.create_task(traders.trade(stop, at_once=8))
        taken = await _table(house, seconds)
        stop.set()
        await load
        broken = [check async for check in all_checks(rooms, Core()) if not check.ok]
        await rooms.close()
    finally:
        house.stop()
    for check in broken:
        print(f"does not hold: {check.name}: {check.detail}")
    # Each says what it found, so all are asked.
    levels = [_is_level(taken, name) for name in LEVEL]
    return all(levels) and not broken


async def _table(house: House, seconds: float) -> list[Sample]:
    """Print a line for each sample; all of them at the end."""
    print("  ".join(f"{title:>12}" for title, _ in COLUMNS))
    taken: list[Sample] = []
    async with aclosing(samples(house, seconds / SAMPLES)) as coming:
        async for sample in coming:
            taken.append(sample)
            print("  ".join(f"{show(sample):>12}" for _, show in COLUMNS), flush=True)
            if sample.seconds >= seconds:
                return taken
    raise AssertionError("samples never end")


def _is_level(taken: Sequence[Sample], name: str) -> bool:
    """Whether the last third of a column is about what the middle one is."""
    third = len(taken) // 3
    middle, last = (
        max(getattr(each, name) for each in part) for part in (taken[third:-third], taken[-third:])
    )
    level = last <= SLACK * middle
    print(f"{name}: {middle:,} and then {last:,}: {'level' if level else 'GROWS'}")
    return bool(level)
