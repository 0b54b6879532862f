"""How far a consumer is behind the end of its topic."""

from services.domain.clock import Clock
from services.runtime.log import Log


class Lag:
    """Measures one consumer's distance from the end of one topic."""

    def __init__(self, log: Log, topic: str, clock: Clock) -> None:
        self._log = log
        self._topic = topic
        self._clock = clock

    async def of(self, next_offset: int) -> tuple[int, int]:
        """(records not consumed, age of the oldest of them in milliseconds); (0, 0) at the end."""
        records = await self._log.end(self._topic) - next_offset
        if records <= 0:
            return 0, 0
        oldest = await self._log.one(self._topic, next_offset)
        age_us = self._clock.now_us() - oldest.time_us if oldest else 0
        return records, max(age_us // 1000, 0)
