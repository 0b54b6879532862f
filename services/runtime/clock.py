"""The machine's clock, which a `__main__` makes and hands out; and its stopwatch."""

import time
from collections.abc import Callable
from typing import TypeAlias

Stopwatch: TypeAlias = Callable[[], int]
"""Says microseconds since some moment, like `stopwatch_us`; handed over so that a test can hand
over another."""


class SystemClock:
    """See `services.domain.clock.Clock`."""

    def now_us(self) -> int:
        """Microseconds since 1970 UTC, as this machine sees it."""
        return time.time_ns() // 1000


def stopwatch_us() -> int:
    """Microseconds since some moment. Never goes back; says nothing about the time of day."""
    return time.monotonic_ns() // 1000
