"""A house of real processes under load and faults; its clients' journals held against what is."""

import argparse
import asyncio
import json
import math
import secrets
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.chaos.disk import drop_disk, small_disk
from tests.chaos.house import House
from tests.chaos.story import Report, run

DISK_MB: Final = 2_000
DISK_MB_A_FAULT: Final = 5
"""A run leaves so much. A large disk takes long to fill, so it has no more than it may need."""

_console: Final = Console(stderr=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What it can be told."""
    parser.add_argument("faults", type=int, help="how many faults")
    parser.add_argument("--seed", type=int, help="where to begin; else anywhere")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end after so many")
    parser.add_argument("--log", choices=["postgres", "kafka"], default="postgres")
    parser.add_argument("--shards", type=int, default=1, help="of matching, 1..16")
    parser.add_argument("--replicas", type=int, default=2, help="of each shard, 1..9")
    parser.add_argument(
        "--keep", type=Path, help="a folder for the rooms' own words, and what was done"
    )
    parser.add_argument("--json", action="store_true", help="the report as one line of JSON")


def soak(given: argparse.Namespace) -> bool:
    """Whether every promise held."""
    seed = secrets.randbits(32) if given.seed is None else given.seed
    data = Path(tempfile.mkdtemp(prefix="bourse-chaos-"))
    # The embedded Postgres of a root runs as somebody else, who must be let through.
    data.chmod(0o711)
    own_disk = small_disk(data, DISK_MB + DISK_MB_A_FAULT * given.faults)
    if not own_disk:
        _console.print("The disk is not filled: only root can mount one that may be.")
    try:
        house = House(data, given.replicas, given.log, given.shards)
        report = _shown(house, seed, given, own_disk)
        _keep(data, report, given.keep)
    finally:
        if own_disk:
            drop_disk(data)
        shutil.rmtree(data, ignore_errors=True)
    _say(report, given.json)
    return not report.violations


def _shown(house: House, seed: int, given: argparse.Namespace, own_disk: bool) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=_console, transient=True) as bar:
        task = bar.add_task(f"seed {seed}", total=given.faults)

        def tell(report: Report) -> None:
            bar.update(task, completed=report.faults, description=report.trace[-1][:50])

        within_s = given.minutes * 60
        going = run(house, seed, given.faults, within_s=within_s, own_disk=own_disk, tell=tell)
        return asyncio.run(going)


def _keep(data: Path, report: Report, folder: Path | None) -> None:
    if folder is not None:
        with suppress(OSError):
            shutil.copytree(data / "logs", folder, dirs_exist_ok=True)
            for log in (*data.glob("postgres/server.log"), *data.glob("kafka/*/server.log")):
                shutil.copy(log, folder / f"{log.parts[-2]}-server.log")
            (folder / "faults.txt").write_text("\n".join(report.trace) + "\n")


def _say(report: Report, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.as_json()))
        return
    where = f"log on {report.log}, shards: {report.shards}"
    table = Table("injected", "times", title=f"seed {report.seed}, {where}")
    for name, times in report.injected.most_common():
        table.add_row(name, str(times))
    out = Console()
    out.print(table)
    out.print(
        f"{report.faults} faults in {report.seconds:,.0f} s; {report.restarts} restarts;"
        f" {report.orders:,} orders acknowledged, {report.unknown:,} unknown,"
        f" {report.not_taken:,} not taken; {report.rest_orders:,} by REST with"
        f" {report.rest_repeats:,} repeats; {report.deposits:,} deposits; at the longest"
        f" {report.longest_rest_s:.1f} s until the house was whole again"
    )
    out.print(
        f"{report.looks:,} times balances were read, {report.looks_in_transit:,} of them with money"
        f" between shards; {report.moves:,} moves, of which a client asked for"
        f" {sum(report.asked_moves.values()):,}: {report.asked_moves}; {report.rest_short:,} times"
        " money did not come to an order in time"
    )
    for held in report.checked:
        out.print(f"[green]holds[/]  {held}")
    for broken in report.violations:
        out.print("[bold red]BROKEN[/]", end="  ")
        out.print(broken, markup=False)
    if report.violations:
        print("\n".join(report.trace), file=sys.stderr)
