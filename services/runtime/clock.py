"""The machine's clock. A `__main__` makes one and hands it to whoever needs it."""

import time


class SystemClock:
    """See `services.domain.clock.Clock`."""

    def now_us(self) -> int:
        """Microseconds since 1970 UTC, as this machine sees it."""
        return time.time_ns() // 1000
