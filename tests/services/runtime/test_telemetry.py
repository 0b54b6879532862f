"""What a process says goes out, or is lost; it never ends of it."""

import subprocess
import sys
from pathlib import Path

SAYS = """
import logging, structlog
from services.runtime.config import TelemetryConfig
from services.runtime.telemetry import start_telemetry
start_telemetry("trial", TelemetryConfig(form="json"))
for number in range(1000):
    structlog.get_logger().warning("a line", number=number)
    logging.getLogger("library").warning("another")
print("went on")
"""


def test_a_full_disk_is_no_reason_to_die_of() -> None:
    """The kernel's own full disk takes the lines."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", SAYS], stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert done.stdout == b"went on\n"
