"""A lease: one holder at a time, by a row and by the clock of whoever keeps the row.

Whether a lease has expired is judged by the keeper of the rows alone (`lease_rows.py`: Postgres).
A holder goes on until an answer tells it that its time is over: rows that cannot be asked stop
nobody. So one that has slept, or that alone cannot ask, overlaps the next holder, and whatever a
lease guards must bear that. `epoch`, which tells holders apart, is stricter: it is 0 once so much
of the own stopwatch has passed since the last renewal was *asked* for that the lease may be
another's.

    RowsUnreachable    the rows cannot be asked, or the answer was lost
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from services.runtime.clock import Stopwatch, stopwatch_us

DURATION_S: Final = 1.2
"""A holder that dies is followed so long after its last renewal, and a look, at the latest."""

RENEWALS: Final = 4
"""So often a lease is renewed in its duration: one or two that are lost do not lose it."""

LOOK_S: Final = 0.1
"""How often a lease that another holds is asked for."""

_log = structlog.get_logger("lease")


class RowsUnreachable(Exception):
    """The rows cannot be asked, or their answer was lost; says why."""


class LeaseRows(Protocol):
    """Who keeps the rows of leases, and has the only clock that judges them.

    One question at a time. Raises RowsUnreachable; a question that was given up is not answered
    later, with nobody there to hold what it won.
    """

    async def acquire(self, name: str, holder: str, duration_s: float) -> int:
        """Take a lease that nobody holds: its new epoch; 0 if somebody does."""
        ...

    async def renew(self, name: str, holder: str, epoch: int, duration_s: float) -> int:
        """Hold on to it: its epoch; 0 if it was lost."""
        ...

    async def release(self, name: str, holder: str, epoch: int) -> None:
        """Let it go."""
        ...

    def drop(self) -> None:
        """Forget the connection, and what it was asked. One that is being opened may go on."""
        ...

    async def close(self) -> None:
        """Nothing is asked any more."""
        ...


class Lease:
    """One process's claim on a lease. `keep` acquires and renews it; `epoch` says if it is held.

    `holder` must be this process's alone, and for its life only: a random id, not a host's name.
    """

    def __init__(
        self,
        rows: LeaseRows,
        name: str,
        holder: str,
        *,
        duration_s: float = DURATION_S,
        stopwatch: Stopwatch = stopwatch_us,
    ) -> None:
        self._rows = rows
        self._name = name
        self._holder = holder
        self._duration_s = duration_s
        self._stopwatch = stopwatch
        self._epoch = 0
        self._believed_until_us = 0

    @property
    def epoch(self) -> int:
        """The lease's number while it is certainly held, else 0."""
        return self._epoch if self._epoch and self._stopwatch() < self._believed_until_us else 0

    async def keep(self, changed: Callable[[int], None]) -> None:
        """Acquire, renew, and acquire again, for ever. Tells `changed` each epoch won, 0 when lost.

        Lets go of the lease when cancelled. Rows that cannot be asked are waited for, and meanwhile
        nothing changes.
        """
        told = 0
        try:
            while True:
                await self._try_once()
                if self._epoch != told:
                    told = self._epoch
                    _log.info("lease_held" if told else "lease_lost", name=self._name, epoch=told)
                    changed(told)
                await asyncio.sleep(self._pause_s())
        finally:
            await self._release()

    async def _try_once(self) -> None:
        """Renew what is held, or acquire what is free. Without an answer nothing changes."""
        asked_us = self._stopwatch()
        try:
            async with asyncio.timeout(self._duration_s / 3):
                epoch = await self._ask()
        except (RowsUnreachable, TimeoutError) as error:
            _log.warning("lease_unreachable", name=self._name, why=str(error) or "no answer")
            self._rows.drop()
            return
        self._epoch = epoch
        self._believed_until_us = asked_us + round(self._duration_s * 1_000_000)

    async def _ask(self) -> int:
        """The epoch that is ours now; 0 if the lease is another's."""
        if self._epoch and (
            renewed := await self._rows.renew(
                self._name, self._holder, self._epoch, self._duration_s
            )
        ):
            return renewed
        return await self._rows.acquire(self._name, self._holder, self._duration_s)

    def _pause_s(self) -> float:
        """Until the next try: well before the end of what we hold, but soon for what we do not."""
        return self._duration_s / RENEWALS if self.epoch else LOOK_S

    async def _release(self) -> None:
        """Let the next one have it at once. If that fails it has to wait, no more."""
        if self._epoch:
            try:
                async with asyncio.timeout(1):
                    await self._rows.release(self._name, self._holder, self._epoch)
            except (RowsUnreachable, TimeoutError):
                pass
        self._epoch = 0
        await self._rows.close()
