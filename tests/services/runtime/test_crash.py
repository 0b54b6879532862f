"""A process dies where a test wants it to, and nowhere else."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COMES_BY_FOUR_TIMES = """
from services.runtime.crash import crash_point
for number in range(4):
    crash_point("room.elsewhere")
    crash_point("room.here")
    print(number, flush=True)
"""


@pytest.mark.parametrize(
    ("wanted", "printed", "code"),
    [
        (None, "0 1 2 3", 0),
        ("room.nowhere", "0 1 2 3", 0),
        ("room.here", "", -signal.SIGKILL),
        ("room.here:3", "0 1", -signal.SIGKILL),
        ("room.here:9", "0 1 2 3", 0),
    ],
)
def test_a_process_dies_where_it_is_told(wanted: str | None, printed: str, code: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if wanted is not None:
        environment["BOURSE_CRASH_AT"] = wanted
    done = subprocess.run(
        [sys.executable, "-c", COMES_BY_FOUR_TIMES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (" ".join(done.stdout.split()), done.returncode) == (printed, code)
