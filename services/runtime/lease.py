"""A lease: one holder at a time, by a row in Postgres and by the clock of Postgres.

Whether a lease has expired is judged by the server alone. The holder, for its part, stops believing
in it once so much of its own stopwatch has passed since it *asked* for the last renewal: it cannot
have longer than that. A process that sleeps in between may still overlap the next holder for a
moment, so whatever it guards must bear that; the epoch tells holders apart.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from services.runtime.config import PostgresConfig
from services.runtime.postgres import connect, migrate
from services.runtime.postgres_wake import GONE, Opened

SCHEMA: Final = "runtime"
RETRY_S: Final = 0.5
"""How often a lease that another holds is asked for."""

_ACQUIRE: Final = """
    insert into lease as l (name, holder, epoch, expires_at)
    values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
    on conflict (name) do update
        set holder = excluded.holder, epoch = l.epoch + 1,
            expires_at = clock_timestamp() + make_interval(secs => $3)
        where l.expires_at <= clock_timestamp()
    returning epoch
"""
_RENEW: Final = """
    update lease set expires_at = clock_timestamp() + make_interval(secs => $4)
    where name = $1 and holder = $2 and epoch = $3 and expires_at > clock_timestamp()
    returning epoch
"""
_RELEASE: Final = """
    update lease set expires_at = clock_timestamp()
    where name = $1 and holder = $2 and epoch = $3
"""

_log = structlog.get_logger("lease")


class Lease:
    """One process's claim on a lease. `keep` acquires and renews it; `epoch` says if it is held.

    `holder` must be this process's alone, and for its life only: a random id, not a host's name.
    """

    def __init__(
        self, config: PostgresConfig, name: str, holder: str, *, duration_s: float = 5.0
    ) -> None:
        self._address = config.address.get_secret_value()
        self._name = name
        self._holder = holder
        self._duration_s = duration_s
        self._connection: Opened | None = None
        self._epoch = 0
        self._believed_until = 0.0

    @property
    def epoch(self) -> int:
        """The lease's number while it is held, else 0."""
        return self._epoch if time.monotonic() < self._believed_until else 0

    async def keep(self, changed: Callable[[int], None]) -> None:
        """Acquire, renew, and acquire again, for ever. Tells `changed` each epoch won, 0 when lost.

        Lets go of the lease when cancelled. A Postgres that cannot be reached is waited for.
        """
        told = 0
        try:
            while True:
                await self._try_once()
                if self.epoch != told:
                    told = self.epoch
                    _log.info("lease_held" if told else "lease_lost", name=self._name, epoch=told)
                    changed(told)
                await asyncio.sleep(self._pause_s())
        finally:
            await self._release()

    async def _try_once(self) -> None:
        """Renew what is held, or acquire what is free. Without an answer nothing changes."""
        asked = time.monotonic()
        try:
            async with asyncio.timeout(self._duration_s / 3):
                epoch = await self._ask()
        except (*GONE, TimeoutError) as error:
            _log.warning("lease_unreachable", name=self._name, why=str(error))
            self._drop()
            return
        self._epoch = epoch
        self._believed_until = asked + self._duration_s if epoch else 0.0

    async def _ask(self) -> int:
        """The epoch that is ours now; 0 if the lease is another's."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._open()
        if self._epoch:
            renewed = await self._connection.fetchval(
                _RENEW, self._name, self._holder, self._epoch, self._duration_s
            )
            if renewed:
                return int(renewed)
        acquired = await self._connection.fetchval(
            _ACQUIRE, self._name, self._holder, self._duration_s
        )
        return int(acquired or 0)

    async def _open(self) -> Opened:
        # A question we have given up must not be answered later, with nobody there to hold it.
        limit = f"{int(self._duration_s * 1000 / 3)}ms"
        connection = await connect(
            self._address, f"lease {self._name}", patience_s=0, statement_timeout=limit
        )
        try:
            await migrate(connection, SCHEMA)
        except BaseException:
            # Given up in the middle, it would hold the lock of all who migrate.
            connection.terminate()
            raise
        return connection

    def _pause_s(self) -> float:
        """Until the next try: well before the end of what we hold, but soon for what we do not."""
        return self._duration_s / 3 if self.epoch else min(RETRY_S, self._duration_s / 3)

    async def _release(self) -> None:
        """Let the next one have it at once. If that fails it has to wait, no more."""
        if self._connection is not None and self._epoch:
            try:
                async with asyncio.timeout(1):
                    await self._connection.execute(_RELEASE, self._name, self._holder, self._epoch)
            except (*GONE, TimeoutError):
                pass
        self._epoch, self._believed_until = 0, 0.0
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None
