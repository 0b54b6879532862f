"""Simulated houses on a virtual clock: the protocol's real code under faults, seed after seed."""

import argparse
import itertools
import json
import re
import secrets
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.simulation.series import series
from tests.simulation.story import Verdict

_console: Final = Console(stderr=True)
_RANGE: Final = re.compile(r"(\d+)\.\.(\d+)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What it can be told."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--seed", type=int, help="this one alone, with all that happens in it")
    which.add_argument("--seeds", type=_seeds, metavar="A..B", help="all from A to B")
    parser.add_argument("--seconds", type=float, help="stop after so long; without seeds, 60")
    parser.add_argument("--json", action="store_true", help="the report as one line of JSON")


def soak(given: argparse.Namespace) -> bool:
    """Whether every promise held in every seed. Ends with the first seed in which one did not."""
    if given.seed is not None:
        (verdict,) = series([given.seed])
        return _say([verdict], 0.0, given.json, whole=True)
    seeds: Iterable[int] = given.seeds or itertools.count(secrets.randbits(40))
    seconds = given.seconds or (None if given.seeds else 60.0)
    began = time.monotonic()
    verdicts = list(_shown(seeds, len(given.seeds) if given.seeds else None, seconds))
    return _say(verdicts, time.monotonic() - began, given.json, whole=False)


def _seeds(text: str) -> range:
    found = _RANGE.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError("give them as A..B")
    return range(int(found[1]), int(found[2]) + 1)


def _shown(seeds: Iterable[int], total: int | None, seconds: float | None) -> Iterator[Verdict]:
    """Verdicts up to the first bad one, or until the time is over, with a bar meanwhile."""
    columns = (TextColumn("seed {task.description}"), BarColumn(), MofNCompleteColumn())
    until = None if seconds is None else time.monotonic() + seconds
    with Progress(*columns, TimeElapsedColumn(), console=_console, transient=True) as bar:
        task = bar.add_task("", total=total)
        for verdict in series(seeds):
            bar.update(task, advance=1, description=str(verdict.seed))
            yield verdict
            if verdict.why or (until is not None and time.monotonic() > until):
                return


def _say(verdicts: list[Verdict], seconds: float, as_json: bool, *, whole: bool) -> bool:
    counts = sum((verdict.counts for verdict in verdicts), Counter[str]())
    broken = [verdict for verdict in verdicts if verdict.why]
    virtual_s = sum(verdict.virtual_us for verdict in verdicts) / 1_000_000
    if as_json:
        said = {
            "first": verdicts[0].seed,
            "last": verdicts[-1].seed,
            "seeds": len(verdicts),
            "seconds": round(seconds, 3),
            "virtual_seconds": round(virtual_s, 3),
            "counts": dict(sorted(counts.items())),
            "broken": {str(verdict.seed): verdict.why for verdict in broken},
        }
        print(json.dumps(said))
        return not broken
    for verdict in verdicts if whole else broken:
        print(verdict)
        if verdict.cause:
            traceback.print_exception(verdict.cause)
    pace = f", {len(verdicts) / seconds * 60:,.0f} a minute" if seconds else ""
    print(
        f"{len(verdicts):,} seeds from {verdicts[0].seed} on{pace}: {virtual_s:,.0f} virtual s, "
        + ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    )
    print(f"broken: {broken[0].seed}" if broken else "Every promise held.")
    return not broken
