"""How far a consumer is behind the end of its topic, in records and in milliseconds."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from services.domain.clock import Clock
from services.runtime.log import Log, LogError
from services.runtime.telemetry import Telemetry

MEASURE_S: Final = 5.0
"""How often it is measured for telemetry."""

_log = structlog.get_logger("lag")


class Lag:
    """Measures one consumer's distance from the end of one topic."""

    def __init__(self, log: Log, topic: str, clock: Clock) -> None:
        self._log = log
        self._topic = topic
        self._clock = clock
        self.last = (0, 0)
        """What was measured last."""

    async def of(self, next_offset: int) -> tuple[int, int]:
        """(records not consumed, age of the oldest of them in milliseconds); (0, 0) at the end."""
        self.last = await self._measure(next_offset)
        return self.last

    async def keep(
        self, next_offset: Callable[[], int], telemetry: Telemetry, name: str = "lag"
    ) -> None:
        """Count `lag_records` and `lag_ms`, or as named, measured now and again, for ever."""
        telemetry.count(f"{name}_records", lambda: self.last[0])
        telemetry.count(f"{name}_ms", lambda: self.last[1])
        while True:
            try:
                await self.of(next_offset())
            except LogError as error:
                # Whether that is the end of following it, whoever follows it says.
                _log.warning("lag_unknown", topic=self._topic, why=str(error))
            await asyncio.sleep(MEASURE_S)

    async def _measure(self, next_offset: int) -> tuple[int, int]:
        records = await self._log.end(self._topic) - next_offset
        if records <= 0:
            return 0, 0
        oldest = await self._log.one(self._topic, next_offset)
        age_us = self._clock.now_us() - oldest.time_us if oldest else 0
        return records, max(age_us // 1000, 0)
