"""Money between shards: two real cores and the books, and whatever may happen between two steps.

Each seed is so many random histories on an embedded Postgres of our own; after every step the money
of both shards and what is between them is counted.
"""

import argparse
import json
import secrets
import shutil
import tempfile
import time
import traceback
from pathlib import Path
from typing import Final

from bourse.ledger import v1 as ledger
from services.runtime.config import postgres_dsn
from services.runtime.embedded import start_postgres, stop_postgres
from tests.services.ledger.test_moving import Wandered, wander

HISTORIES: Final = 20
"""Of a seed."""

# The process that writes dies in these histories, and the power never goes.
SETTINGS: Final = {"shared_buffers": "64MB", "max_wal_size": "1GB", "fsync": "off"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What it can be told."""
    parser.add_argument("--seconds", type=float, default=60.0, help="stop after so long (60)")
    parser.add_argument("--seed", type=int, help="where to begin; else anywhere")
    parser.add_argument("--steps", type=int, default=150, help="of a history (150)")
    parser.add_argument("--json", action="store_true", help="the report as one line of JSON")


def soak(given: argparse.Namespace) -> bool:
    """Whether all money was where it belongs. Ends with the first seed in which it was not."""
    data = Path(tempfile.mkdtemp(prefix="bourse-soak-"))
    try:
        start_postgres(data, SETTINGS)
        return _until_over(postgres_dsn(data, "postgres"), given)
    finally:
        stop_postgres(data, "immediate")
        shutil.rmtree(data, ignore_errors=True)


def _until_over(dsn: str, given: argparse.Namespace) -> bool:
    first = secrets.randbits(40) if given.seed is None else given.seed
    seed, began, all_of_them, why = first, time.monotonic(), Wandered(), ""
    while not why and time.monotonic() - began < given.seconds:
        try:
            all_of_them.add(wander(dsn, HISTORIES, given.steps, chance=seed))
        except Exception:
            why = traceback.format_exc()
        if not given.json:
            took_s = time.monotonic() - began
            print(
                f"seed {seed}: {'broken' if why else 'holds'}; {all_of_them}, {took_s:.0f} s",
                flush=True,
            )
        seed += 1
    return _say(first, seed - 1, time.monotonic() - began, all_of_them, why, given.json)


def _say(first: int, last: int, seconds: float, found: Wandered, why: str, as_json: bool) -> bool:
    ends = {
        ledger.MoveState.Name(state).removeprefix("MOVE_STATE_").lower(): count
        for state, count in sorted(found.ends.items())
    }
    said = {
        "first": first,
        "last": last,
        "seconds": round(seconds, 3),
        "histories": found.histories,
        "steps": found.steps,
        "moves": ends,
        "broken": {str(last): why} if why else {},
    }
    if as_json:
        print(json.dumps(said))
        return not why
    if why:
        print(why)
    print(f"moves: {', '.join(f'{count:,} {end}' for end, count in ends.items()) or 'none'}")
    print(f"broken: {last}" if why else "All money was where it belongs, after every step.")
    return not why
