"""Order entry as a gateway meets it: a gRPC stream into a process, the log in Postgres, the answer.

A house of its own in a temporary folder: the embedded Postgres and one matching process. The load
comes from this process on the same machine. First as fast as it goes, with so many batches under
way; then at a quarter of that, evenly, each batch timed from the moment it was due. Beside that the
disk alone: as many bytes as a record had, each written and brought to the disk by fdatasync.

Between the two there is a checkpoint: a Postgres that has run for a while writes into files it has
used before, and a new one makes them, 16 MB at a time, while everybody waits.
"""

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import grpc
import uvloop

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.runtime.config import postgres_dsn, run_folder
from services.runtime.embedded import start_postgres, stop_postgres
from services.runtime.rpc import is_serving, open_channel

ROOT: Final = Path(__file__).resolve().parents[2]
BATCH: Final = 100
"""Commands in a batch."""
UNDER_WAY: Final = 64
"""Batches unanswered at once, when as fast as it goes."""
FAST_BATCHES: Final = 10_000
EVEN_S: Final = 4.0
"""How long the even load lasts in a run."""
DISK_WRITES: Final = 1000
START_S: Final = 60.0

Commands = Iterator[list[matching.Command]]
Submit = grpc.aio.StreamStreamMultiCallable[bytes, bytes]


def bench_entry(runs: int, opening: Sequence[bytes], commands: Commands) -> dict[str, Any]:
    """Orders a second, and what one waits at a quarter of that.

    `opening` are command records that open session 1 and a market; `commands`, the traffic of that
    session from then on, never end. Deadlines in them are taken off.
    """
    first = [batch for record in opening for batch in _without_deadlines(record)]
    batches = _batches(commands, len(first))
    # Beside the repository's own data, so that it is the same disk.
    (ROOT / "var").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "var") as folder:
        data = Path(folder)
        # The server's own user must come through.
        data.chmod(0o711)
        with _shard(data):
            figures = uvloop.run(_bench(runs, first, batches, data))
    medians = {name: round(statistics.median(values), 2) for name, values in figures.items()}
    fast = [round(value) for value in figures["commands_per_s"]]
    return {**medians, "commands_per_s_of_runs": fast, "batch": BATCH, "under_way": UNDER_WAY}


async def _bench(
    runs: int, opening: Sequence[bytes], batches: Iterator[bytes], data: Path
) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {}
    async with open_channel(f"unix:{run_folder(data) / 'matching'}.sock") as channel:
        await _serving(channel)
        submit: Submit = channel.stream_stream(f"/{rpc.ORDER_ENTRY_SERVICE}/Submit")
        stub = rpc.MatchingServiceStub(channel)
        await _send(submit, opening, UNDER_WAY)
        for _ in range(runs):
            run = await _run(submit, stub, batches, data)
            for name, value in run.items():
                figures.setdefault(name, []).append(value)
    return figures


async def _run(
    submit: Submit, stub: rpc.MatchingServiceStub, batches: Iterator[bytes], folder: Path
) -> dict[str, float]:
    """One run: fast, even, and the disk alone."""
    fast = [next(batches) for _ in range(FAST_BATCHES)]
    before = await stub.GetStatus(matching.GetStatusRequest())
    start = time.perf_counter()
    await _send(submit, fast, UNDER_WAY)
    rate = FAST_BATCHES * BATCH / (time.perf_counter() - start)
    after = await stub.GetStatus(matching.GetStatusRequest())
    record_bytes = sum(map(len, fast)) / max(after.next_offset - before.next_offset, 1)

    await _checkpoint(folder)
    quarter = rate / 4 / BATCH
    even = [next(batches) for _ in range(int(quarter * EVEN_S))]
    before = await stub.GetStatus(matching.GetStatusRequest())
    waits = await _send_evenly(submit, even, quarter)
    after = await stub.GetStatus(matching.GetStatusRequest())
    even_bytes = sum(map(len, even)) / max(after.next_offset - before.next_offset, 1)
    disk = _disk(folder / "disk", int(even_bytes))
    return {
        "commands_per_s": rate,
        "orders_per_s": rate * 5 / 8,
        "fast_record_bytes": record_bytes,
        "quarter_p50_ms": _at(waits, 0.50),
        "quarter_p99_ms": _at(waits, 0.99),
        "quarter_record_bytes": even_bytes,
        "fdatasync_p50_ms": _at(disk, 0.50),
        "fdatasync_p99_ms": _at(disk, 0.99),
    }


async def _checkpoint(data: Path) -> None:
    connection = await asyncpg.connect(postgres_dsn(data))
    try:
        await connection.execute("checkpoint")
    finally:
        await connection.close()


def _at(seconds: Sequence[float], share: float) -> float:
    """A quantile, in milliseconds."""
    return 1000 * sorted(seconds)[min(int(len(seconds) * share), len(seconds) - 1)]


async def _send(submit: Submit, batches: Sequence[bytes], under_way: int) -> None:
    """As fast as it goes, never more than so many unanswered."""
    free = asyncio.Semaphore(under_way)
    call = submit()

    async def write() -> None:
        for batch in batches:
            await free.acquire()
            await call.write(batch)
        await call.done_writing()

    writing = asyncio.create_task(write())
    answers = 0
    async for answer in call:
        free.release()
        _must_be_applied(answer, answers)
        answers += 1
    await writing
    assert answers == len(batches)


async def _send_evenly(submit: Submit, batches: Sequence[bytes], per_s: float) -> list[float]:
    """Each when it is due, whatever became of those before. Seconds from due to answered."""
    call = submit()
    start = time.perf_counter()

    async def write() -> None:
        for number, batch in enumerate(batches):
            early = start + number / per_s - time.perf_counter()
            if early > 0:
                await asyncio.sleep(early)
            await call.write(batch)
        await call.done_writing()

    writing = asyncio.create_task(write())
    waits: list[float] = []
    async for answer in call:
        waits.append(time.perf_counter() - start - len(waits) / per_s)
        _must_be_applied(answer, len(waits))
    await writing
    return waits


def _must_be_applied(answer: bytes, number: int) -> None:
    """Look at one in a hundred, and at the short ones: those that were not applied are short."""
    if number % 100 and len(answer) > 4 * BATCH:
        return
    found = matching.SubmitResponse.FromString(answer)
    refused = sum(outcome.refusal != 0 for outcome in found.outcomes)
    if found.status != matching.BATCH_STATUS_APPLIED or refused:
        status = matching.BatchStatus.Name(found.status)
        sys.exit(f"This measures something else: {status} {found.detail}, {refused} refused.")


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


def _batches(commands: Commands, first: int) -> Iterator[bytes]:
    """Encoded batches of session 1."""
    waiting: list[matching.Command] = []
    number = first
    for some in commands:
        waiting += some
        while len(waiting) >= BATCH:
            yield _batch(number, waiting[:BATCH])
            del waiting[:BATCH]
            number += 1


def _without_deadlines(record: bytes) -> Iterator[bytes]:
    """The batches of a command record."""
    for encoded in matching.CommandRecord.FromString(record).requests:
        batch = matching.SubmitRequest.FromString(encoded)
        for command in batch.commands:
            command.valid_until_us = 0
        yield batch.SerializeToString()


def _batch(number: int, commands: list[matching.Command]) -> bytes:
    for command in commands:
        command.valid_until_us = 0
    return matching.SubmitRequest(session=1, number=number, commands=commands).SerializeToString()


@contextlib.contextmanager
def _shard(data: Path) -> Iterator[None]:
    """A matching process on a Postgres of its own."""
    start_postgres(data)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}",
        "BOURSE_DATA": str(data),
        "BOURSE_TELEMETRY_LEVEL": "warning",
    }
    process = subprocess.Popen([sys.executable, "-m", "services.matching"], env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        stop_postgres(data, "immediate")


async def _serving(channel: grpc.aio.Channel) -> None:
    for _ in range(int(START_S / 0.05)):
        if await is_serving(channel):
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("matching does not serve")
