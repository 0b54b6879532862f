"""Order entry as a gateway meets it: a gRPC stream into a process, the log in Postgres, the answer.

A house of its own in a temporary folder: the embedded Postgres and one matching process. The load
comes from this process on the same machine. First as fast as it goes, with so many batches under
way; then at a quarter of that, evenly, each batch timed from the moment it was due. Beside that the
disk alone: as many bytes as a record had, each written and brought to the disk by fdatasync.

Between the two there is a checkpoint: a Postgres that has run for a while writes into files it has
used before, and a new one makes them, 16 MB at a time, while everybody waits.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
import uvloop

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.runtime.config import postgres_dsn
from tools.benches.market import Trader, opening_records
from tools.benches.shape import Asked, Figures, grouped, quantile_ms
from tools.benches.shard import (
    BATCH,
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

RUNS: Final = 5
FAST_BATCHES: Final = 10_000
PORTION_BATCHES: Final = 2500
EVEN_S: Final = 4.0
"""How long the even load lasts in a run."""
DISK_WRITES: Final = 1000


class Size(NamedTuple):
    """How much is sent."""

    runs: int
    fast_batches: int
    even_s: float


def measure(asked: Asked) -> Figures:
    """Orders a second through the front door, and what one waits at a quarter of that."""
    trader = Trader()
    opening = opening_batches(opening_records(trader))
    load = batches(iter(trader.batch, None), len(opening))
    even_s = asked.seconds or (0.1 if asked.quick else EVEN_S)
    size = Size(asked.runs_or(RUNS), asked.size(FAST_BATCHES, 50), even_s)
    with folder_beside_the_data() as data, postgres(data), process(data):
        figures = uvloop.run(_bench(size, opening, load, data))
    medians = {name: round(statistics.median(values), 2) for name, values in figures.items()}
    fast = [round(value) for value in figures["commands_per_s"]]
    return {
        **medians,
        "runs": size.runs,
        "commands_per_s_of_runs": fast,
        "batch": BATCH,
        "under_way": UNDER_WAY,
    }


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    commands, orders = grouped(figures["commands_per_s"]), grouped(figures["orders_per_s"])
    until_published = grouped(figures["commands_per_s_until_published"])
    p50, p99 = figures["quarter_p50_ms"], figures["quarter_p99_ms"]
    disk50, disk99 = figures["fdatasync_p50_ms"], figures["fdatasync_p99_ms"]
    return [
        f"{commands} commands/s in batches of {BATCH}, {UNDER_WAY} under way, durable before they"
        f" are answered; five of eight are orders: {orders} orders/s (aim: 200,000).",
        f"Until their events are published too: {until_published} commands/s.",
        f"At a quarter of the first a batch waits {p50} ms (p50) and {p99} ms (p99).",
        f"fdatasync of as many bytes ({grouped(figures['quarter_record_bytes'])}) takes {disk50} ms"
        f" and {disk99} ms: p99 is {p99 / disk99:.1f} times the disk's (aim: 2).",
    ]


async def _bench(
    size: Size, opening: Sequence[bytes], load: Iterator[bytes], data: Path
) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {}
    async with shard(data) as (submit, stub):
        await send(submit, opening)
        for _ in range(size.runs):
            run = await _run(submit, stub, load, data, size)
            for name, value in run.items():
                figures.setdefault(name, []).append(value)
    return figures


async def _run(
    submit: Submit,
    stub: rpc.MatchingServiceStub,
    load: Iterator[bytes],
    folder: Path,
    size: Size,
) -> dict[str, float]:
    """One run: fast, even, and the disk alone."""
    rate, until_published, record_bytes = await _fast(submit, stub, load, size.fast_batches)
    await _checkpoint(folder)
    quarter = rate / 4 / BATCH
    even = [next(load) for _ in range(int(quarter * size.even_s))]
    before = await stub.GetStatus(matching.GetStatusRequest())
    waits = await _send_evenly(submit, even, quarter)
    after = await stub.GetStatus(matching.GetStatusRequest())
    await published(stub)
    even_bytes = sum(map(len, even)) / max(after.next_offset - before.next_offset, 1)
    disk = _disk(folder / "disk", int(even_bytes))
    return {
        "commands_per_s": rate,
        "orders_per_s": rate * 5 / 8,
        "commands_per_s_until_published": until_published,
        "fast_record_bytes": record_bytes,
        "quarter_p50_ms": quantile_ms(waits, 0.50),
        "quarter_p99_ms": quantile_ms(waits, 0.99),
        "quarter_record_bytes": even_bytes,
        "fdatasync_p50_ms": quantile_ms(disk, 0.50),
        "fdatasync_p99_ms": quantile_ms(disk, 0.99),
    }


async def _fast(
    submit: Submit, stub: rpc.MatchingServiceStub, load: Iterator[bytes], count: int
) -> tuple[float, float, float]:
    """Commands a second until they are answered, and until their events are published; bytes of a
    record. In portions, the events of which fit into what a shard keeps unpublished."""
    answered_s = published_s = 0.0
    sent, before = 0, await stub.GetStatus(matching.GetStatusRequest())
    for first in range(0, count, PORTION_BATCHES):
        portion = [next(load) for _ in range(first, min(first + PORTION_BATCHES, count))]
        sent += sum(map(len, portion))
        start = time.perf_counter()
        await send(submit, portion)
        answered_s += time.perf_counter() - start
        await published(stub)
        published_s += time.perf_counter() - start
    after = await stub.GetStatus(matching.GetStatusRequest())
    records = max(after.next_offset - before.next_offset, 1)
    return count * BATCH / answered_s, count * BATCH / published_s, sent / records


async def _checkpoint(data: Path) -> None:
    connection = await asyncpg.connect(postgres_dsn(data))
    try:
        await connection.execute("checkpoint")
    finally:
        await connection.close()


async def _send_evenly(submit: Submit, load: Sequence[bytes], per_s: float) -> list[float]:
    """Each when it is due, whatever became of those before. Seconds from due to answered."""
    call = submit()
    start = time.perf_counter()

    async def write() -> None:
        for number, batch in enumerate(load):
            early = start + number / per_s - time.perf_counter()
            if early > 0:
                await asyncio.sleep(early)
            await call.write(batch)
        await call.done_writing()

    writing = asyncio.create_task(write())
    waits: list[float] = []
    async for answer in call:
        waits.append(time.perf_counter() - start - len(waits) / per_s)
        must_be_applied(answer, len(waits))
    await writing
    return waits


def _disk(file: Path, size: int) -> list[float]:
    """Seconds that writing so many bytes, and bringing them to the disk, takes."""
    content = os.urandom(size)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        # As a log of Postgres does: into a file that has its room already.
        os.posix_fallocate(handle, 0, size * DISK_WRITES)
        os.fsync(handle)
        return [_timed(lambda: _write_through(handle, content)) for _ in range(DISK_WRITES)]
    finally:
        os.close(handle)
        file.unlink()


def _write_through(handle: int, content: bytes) -> None:
    os.write(handle, content)
    os.fdatasync(handle)


def _timed(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
