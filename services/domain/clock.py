"""What it means to know the time.

The law of a room takes times as values; only a `__main__` owns a clock.
"""

from typing import Protocol


class Clock(Protocol):
    """The present time, handed to whoever needs it so that a test can hand over another."""

    def now_us(self) -> int:
        """Microseconds since 1970 UTC."""
        ...
