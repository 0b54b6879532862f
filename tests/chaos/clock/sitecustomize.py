"""Read by Python as it starts, where this folder is on its path: a clock that a test may step.

`CHAOS_CLOCK` names a file of eight bytes, the microseconds by which this process is wrong about the
time of day. Nothing else of time is touched: durations are measured as ever.
"""

import mmap
import os
import struct
import time
from pathlib import Path


def _wear(file: Path) -> None:
    with file.open("rb") as opened:
        error_us = mmap.mmap(opened.fileno(), 8, access=mmap.ACCESS_READ)
    right_ns = time.time_ns

    def time_ns() -> int:
        return right_ns() + int(struct.unpack_from("<q", error_us)[0]) * 1000

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


if os.environ.get("CHAOS_CLOCK"):
    _wear(Path(os.environ["CHAOS_CLOCK"]))
