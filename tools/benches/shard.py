"""A shard of its own to measure: a Postgres, a matching process, and a stream into it."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

import grpc

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.runtime.config import run_folder
from services.runtime.embedded import start_postgres, stop_postgres
from services.runtime.rpc import is_serving, open_channel

ROOT: Final = Path(__file__).resolve().parents[2]
BATCH: Final = 100
"""Commands in a batch."""
UNDER_WAY: Final = 64
"""Batches unanswered at once, when as fast as it goes."""
START_S: Final = 120.0

Commands = Iterator[list[matching.Command]]
Submit = grpc.aio.StreamStreamMultiCallable[bytes, bytes]


@contextlib.contextmanager
def folder_beside_the_data() -> Iterator[Path]:
    """A data folder on the disk on which the repository's own would be. Gone at the end."""
    (ROOT / "var").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "var") as folder:
        # The server's own user must come through.
        Path(folder).chmod(0o711)
        yield Path(folder)


@contextlib.contextmanager
def postgres(data: Path) -> Iterator[None]:
    """The embedded Postgres of a data folder."""
    start_postgres(data)
    try:
        yield
    finally:
        stop_postgres(data, "immediate")


@contextlib.contextmanager
def process(data: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A matching process on that. It is stopped in order, unless it has ended by then."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}",
        "BOURSE_DATA": str(data),
        "BOURSE_TELEMETRY_LEVEL": "warning",
    }
    started = subprocess.Popen([sys.executable, "-m", "services.matching"], env=environment)
    try:
        yield started
    finally:
        started.terminate()
        started.wait()


@contextlib.asynccontextmanager
async def shard(data: Path) -> AsyncIterator[tuple[Submit, rpc.MatchingServiceStub]]:
    """The faces of the process, once it serves. Raises TimeoutError."""
    async with open_channel(f"unix:{run_folder(data) / 'matching'}.sock") as channel:
        for _ in range(int(START_S / 0.02)):
            if await is_serving(channel):
                break
            await asyncio.sleep(0.02)
        else:
            raise TimeoutError("matching does not serve")
        submit: Submit = channel.stream_stream(f"/{rpc.ORDER_ENTRY_SERVICE}/Submit")
        yield submit, rpc.MatchingServiceStub(channel)


def opening_batches(records: Sequence[bytes]) -> list[bytes]:
    """The batches of command records that open session 1 and a market."""
    return [batch for record in records for batch in _without_deadlines(record)]


async def send(submit: Submit, load: Sequence[bytes], under_way: int = UNDER_WAY) -> None:
    """As fast as it goes, never more than so many batches unanswered."""
    free = asyncio.Semaphore(under_way)
    call = submit()

    async def write() -> None:
        for batch in load:
            await free.acquire()
            await call.write(batch)
        await call.done_writing()

    writing = asyncio.create_task(write())
    answers = 0
    async for answer in call:
        free.release()
        must_be_applied(answer, answers)
        answers += 1
    await writing
    assert answers == len(load)


async def published(stub: rpc.MatchingServiceStub) -> None:
    """Wait until the events of all that was sent are published. Raises TimeoutError."""
    for _ in range(int(START_S / 0.02)):
        if not (await stub.GetStatus(matching.GetStatusRequest())).retained_bytes:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError("events are not published")


def must_be_applied(answer: bytes, number: int) -> None:
    """Look at one in a hundred, and at the short ones: those that were not applied are short."""
    if number % 100 and len(answer) > 4 * BATCH:
        return
    found = matching.SubmitResponse.FromString(answer)
    refused = sum(outcome.refusal != 0 for outcome in found.outcomes)
    if found.status != matching.BATCH_STATUS_APPLIED or refused:
        status = matching.BatchStatus.Name(found.status)
        sys.exit(f"This measures something else: {status} {found.detail}, {refused} refused.")


def batches(commands: Commands, first: int, session: int = 1, size: int = BATCH) -> Iterator[bytes]:
    """Encoded batches of a session, of so many commands, numbered from `first` on."""
    waiting: list[matching.Command] = []
    number = first
    for some in commands:
        waiting += some
        while len(waiting) >= size:
            yield _batch(session, number, waiting[:size])
            del waiting[:size]
            number += 1


def _without_deadlines(record: bytes) -> Iterator[bytes]:
    """The batches of a command record."""
    for encoded in matching.CommandRecord.FromString(record).requests:
        batch = matching.SubmitRequest.FromString(encoded)
        for command in batch.commands:
            command.valid_until_us = 0
        yield batch.SerializeToString()


def _batch(session: int, number: int, commands: list[matching.Command]) -> bytes:
    for command in commands:
        command.valid_until_us = 0
    return matching.SubmitRequest(
        session=session, number=number, commands=commands
    ).SerializeToString()
