"""Order entry as a gateway meets it: a gRPC stream into a process, the log in Postgres, the answer.

A house of its own in a temporary folder: the embedded Postgres and one matching process. The load
comes from this process on the same machine. First as fast as it goes, with so many batches under
way; then at a quarter of that, evenly, each batch timed from the moment it was due. Beside that, in
the same run, what a batch has to wait for in any case: the disk alone, as many bytes as a record
had, each written and brought to the disk by fdatasync; and a bare gRPC server that answers the same
batches at the same pace with as many bytes, and does nothing else.

Between the two loads there is a checkpoint: a Postgres that has run for a while writes into files
it has used before, and a new one has to make room on the disk as it goes.
"""

import contextlib
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
import uvloop

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.runtime.config import postgres_dsn, run_folder
from services.runtime.rpc import open_channel
from tools.benches.disk import disk_alone
from tools.benches.evenly import send_evenly
from tools.benches.market import Trader, opening_records
from tools.benches.shape import Asked, Figures, grouped, quantile_ms
from tools.benches.shard import (
    BATCH,
    ROOT,
    UNDER_WAY,
    Submit,
    batches,
    folder_beside_the_data,
    must_be_applied,
    opening_batches,
    postgres,
    process,
    published,
    send,
    shard,
)
from tools.benches.stream_echo import SERVICE as ECHO_SERVICE

RUNS: Final = 5
FAST_COMMANDS: Final = 1_000_000
PORTION_COMMANDS: Final = 250_000
EVEN_S: Final = 4.0
"""How long the even load lasts in a run."""
LEAST_EVEN: Final = 10
"""Batches of it, however slow the machine."""


class Size(NamedTuple):
    """How much is sent, and in what shape."""

    runs: int
    fast_commands: int
    even_s: float
    part: str = "quarter"
    """What the even load is called, …"""
    divisor: int = 4
    """… and by what the fastest is divided for it."""
    batch: int = BATCH
    """Commands in a batch."""
    under_way: int = UNDER_WAY
    """Batches unanswered at once, as fast as it goes."""
    warm: bool = False
    """Once as fast as it goes before anything counts: a Java that has just started is slow."""


def measure(asked: Asked) -> Figures:
    """Orders a second through the front door, and what one waits at a quarter of that."""
    trader = Trader()
    opening = opening_batches(opening_records(trader))
    load = batches(iter(trader.batch, None), len(opening))
    even_s = asked.seconds or (0.1 if asked.quick else EVEN_S)
    size = Size(asked.runs_or(RUNS), asked.size(FAST_COMMANDS, 5000), even_s)
    with folder_beside_the_data() as data, postgres(data):
        figures = measured(size, opening, load, data)
    medians = {name: round(statistics.median(values), 2) for name, values in figures.items()}
    fast = [round(value) for value in figures["commands_per_s"]]
    return {
        **medians,
        "runs": size.runs,
        "commands_per_s_of_runs": fast,
        "batch": BATCH,
        "under_way": UNDER_WAY,
    }


def measured(
    size: Size, opening: Sequence[bytes], load: Iterator[bytes], data: Path
) -> dict[str, list[float]]:
    """The figures of each run, of a matching process on the stores of a folder."""
    with process(data), _echo_process(data):
        return uvloop.run(_bench(size, opening, load, data))


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    commands, orders = grouped(figures["commands_per_s"]), grouped(figures["orders_per_s"])
    until_published = grouped(figures["commands_per_s_until_published"])
    p99, disk99 = figures["quarter_p99_ms"], figures["fdatasync_p99_ms"]
    return [
        f"{commands} commands/s in batches of {BATCH}, {UNDER_WAY} under way, durable before they"
        f" are answered; five of eight are orders: {orders} orders/s (aim: 200,000).",
        f"Until their events are published too: {until_published} commands/s.",
        f"At a quarter of the first a batch waits {_quantiles(figures, 'quarter')}, of which the"
        f" load generator was late by {_quantiles(figures, 'generator_late')}.",
        f"fdatasync of as many bytes ({grouped(figures['quarter_record_bytes'])}) takes"
        f" {_quantiles(figures, 'fdatasync')}: p99 is {p99 / disk99:.1f} times the disk's (aim: 2)."
        f" At the same pace as the batches: {_quantiles(figures, 'fdatasync_paced')}.",
        "A bare gRPC server answers as many bytes at that pace within"
        f" {_quantiles(figures, 'echo')}.",
    ]


def _quantiles(figures: Figures, name: str) -> str:
    return f"{figures[f'{name}_p50_ms']} ms (p50), {figures[f'{name}_p99_ms']} ms (p99)"


@contextlib.contextmanager
def _echo_process(data: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "tools.benches.stream_echo", _echo_address(data)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}"}
    started = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield
    finally:
        started.terminate()
        started.wait()


def _echo_address(data: Path) -> str:
    return f"unix:{run_folder(data) / 'echo'}.sock"


@contextlib.asynccontextmanager
async def _echo(data: Path) -> AsyncIterator[Submit]:
    async with open_channel(_echo_address(data)) as channel:
        yield channel.stream_stream(f"/{ECHO_SERVICE}/Submit")


async def _bench(
    size: Size, opening: Sequence[bytes], load: Iterator[bytes], data: Path
) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {}
    async with shard(data) as (submit, stub), _echo(data) as echo:
        await send(submit, opening)
        if size.warm:
            await _fast(submit, stub, load, size)
        for _ in range(size.runs):
            run = await _run(submit, stub, echo, load, data, size)
            for name, value in run.items():
                figures.setdefault(name, []).append(value)
    return figures


async def _run(
    submit: Submit,
    stub: rpc.MatchingServiceStub,
    echo: Submit,
    load: Iterator[bytes],
    folder: Path,
    size: Size,
) -> dict[str, float]:
    """One run: fast, even, and what an even load has to wait for in any case."""
    rate, until_published, record_bytes = await _fast(submit, stub, load, size)
    await _checkpoint(folder)
    pace = rate / size.divisor / size.batch
    even = [next(load) for _ in range(max(int(pace * size.even_s), LEAST_EVEN))]
    _settle()
    before = await stub.GetStatus(matching.GetStatusRequest())
    waits = await send_evenly(submit, even, pace, must_be_applied)
    after = await stub.GetStatus(matching.GetStatusRequest())
    await published(stub)
    even_bytes = sum(map(len, even)) / max(after.next_offset - before.next_offset, 1)
    disk = disk_alone(folder / "disk", int(even_bytes), pace)
    echoes = await send_evenly(echo, even, pace)
    return {
        "commands_per_s": rate,
        "orders_per_s": rate * 5 / 8,
        "commands_per_s_until_published": until_published,
        "fast_record_bytes": record_bytes,
        f"{size.part}_record_bytes": even_bytes,
        **_both(size.part, waits.answered),
        **_both("generator_late", waits.late),
        **_both("fdatasync", disk.at_once),
        **_both("fdatasync_paced", disk.paced),
        **_both("echo", echoes.answered),
    }


def _both(name: str, seconds: Sequence[float]) -> dict[str, float]:
    return {
        f"{name}_p50_ms": quantile_ms(seconds, 0.50),
        f"{name}_p99_ms": quantile_ms(seconds, 0.99),
    }


def _settle() -> None:
    """Have what was made so far looked at for the last time: it would be in the middle of a run."""
    gc.collect()
    gc.freeze()


async def _fast(
    submit: Submit, stub: rpc.MatchingServiceStub, load: Iterator[bytes], size: Size
) -> tuple[float, float, float]:
    """Commands a second until they are answered, and until their events are published; bytes of a
    record. In portions, the events of which fit into what a shard keeps unpublished."""
    answered_s = published_s = 0.0
    count, most = size.fast_commands // size.batch, PORTION_COMMANDS // size.batch
    sent, before = 0, await stub.GetStatus(matching.GetStatusRequest())
    for first in range(0, count, most):
        portion = [next(load) for _ in range(first, min(first + most, count))]
        sent += sum(map(len, portion))
        _settle()
        start = time.perf_counter()
        await send(submit, portion, size.under_way)
        answered_s += time.perf_counter() - start
        await published(stub)
        published_s += time.perf_counter() - start
    after = await stub.GetStatus(matching.GetStatusRequest())
    records = max(after.next_offset - before.next_offset, 1)
    commands = count * size.batch
    return commands / answered_s, commands / published_s, sent / records


async def _checkpoint(data: Path) -> None:
    connection = await asyncpg.connect(postgres_dsn(data))
    try:
        await connection.execute("checkpoint")
    finally:
        await connection.close()
