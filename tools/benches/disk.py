"""The disk alone: as many bytes as a record had, written and brought to the disk by fdatasync."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from tools.benches.evenly import moments

WRITES: Final = 1000


class Disk(NamedTuple):
    """How long each write took, until it was on the disk. Seconds."""

    at_once: list[float]
    """One after the other."""
    paced: list[float]
    """As often as batches come: between two of them the processor goes to sleep, as theirs does."""


def disk_alone(file: Path, size: int, per_s: float) -> Disk:
    """Write so many bytes again and again. The file is removed."""
    content = os.urandom(size)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        # As a log of Postgres does: into a file that has its room already.
        os.posix_fallocate(handle, 0, 2 * size * WRITES)
        os.fsync(handle)
        at_once = [_timed(lambda: _write_through(handle, content)) for _ in range(WRITES)]
        paced = [_timed(lambda: _write_through(handle, content)) for _ in moments(WRITES, per_s)]
        return Disk(at_once, paced)
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
