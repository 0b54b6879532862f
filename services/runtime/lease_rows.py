"""The rows of leases in Postgres, judged by the clock of Postgres."""

import asyncio
from typing import Final

import asyncpg

from services.runtime.config import PostgresConfig
from services.runtime.lease import RowsUnreachable
from services.runtime.postgres import open_schema
from services.runtime.postgres_wake import GONE, Opened

SCHEMA: Final = "runtime"

# Whoever only looks takes no lock and writes nothing. An acquisition whose answer was lost is found
# again, under its epoch; and no crash may forget one, or two would get the same epoch.
_ACQUIRE: Final = """
    insert into lease as l (name, holder, epoch, expires_at)
    select $1, $2, 1, clock_timestamp() + make_interval(secs => $3)
    where not exists (
        select from lease where name = $1 and holder <> $2 and expires_at > clock_timestamp()
    )
    on conflict (name) do update
        set holder = excluded.holder,
            epoch = l.epoch + (l.holder <> $2 or l.expires_at <= clock_timestamp())::int,
            expires_at = clock_timestamp() + make_interval(secs => $3)
        where l.holder = $2 or l.expires_at <= clock_timestamp()
    returning epoch, set_config('synchronous_commit', 'on', true)
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


OPEN_S: Final = 3.0
"""A connection may take so long to open, which is longer than one question has."""


class PostgresLeaseRows:
    """See `services.runtime.lease.LeaseRows`. A lease's own connection, opened when it is asked."""

    def __init__(self, config: PostgresConfig) -> None:
        self._address = config.address.get_secret_value()
        self._connection: Opened | None = None
        self._opening: asyncio.Task[Opened] | None = None

    async def acquire(self, name: str, holder: str, duration_s: float) -> int:
        """See LeaseRows.acquire."""
        return await self._ask(name, duration_s, _ACQUIRE, holder, duration_s)

    async def renew(self, name: str, holder: str, epoch: int, duration_s: float) -> int:
        """See LeaseRows.renew."""
        return await self._ask(name, duration_s, _RENEW, holder, epoch, duration_s)

    async def release(self, name: str, holder: str, epoch: int) -> None:
        """See LeaseRows.release. Without a connection there is nothing to say it by."""
        if self._connection is not None:
            try:
                await self._connection.execute(_RELEASE, name, holder, epoch)
            except GONE as error:
                raise RowsUnreachable(str(error)) from error

    def drop(self) -> None:
        """See LeaseRows.drop."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None

    async def close(self) -> None:
        """See LeaseRows.close."""
        self.drop()
        if self._opening is not None:
            self._opening.cancel()
            (found,) = await asyncio.gather(self._opening, return_exceptions=True)
            if isinstance(found, asyncpg.Connection):
                found.terminate()

    async def _ask(self, name: str, duration_s: float, question: str, *about: object) -> int:
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._opened(name, duration_s)
            return int(await self._connection.fetchval(question, name, *about) or 0)
        except GONE as error:
            raise RowsUnreachable(str(error)) from error

    async def _opened(self, name: str, duration_s: float) -> Opened:
        """A new connection. Who has no time to wait for it finds it when they ask again.

        Begun anew for each question, on a busy machine none would ever be had: a few round trips
        and a new process at the other end do not fit into the time of a question.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(name, duration_s))
        await asyncio.wait([self._opening])
        opening, self._opening = self._opening, None
        return opening.result()

    async def _open(self, name: str, duration_s: float) -> Opened:
        # A question we have given up must not be answered later, with nobody there to hold it.
        limit = f"{int(duration_s * 1000 / 3)}ms"
        async with asyncio.timeout(OPEN_S):
            return await open_schema(
                self._address,
                f"lease {name}",
                SCHEMA,
                statement_timeout=limit,
                # A renewal that a crash forgets makes the lease shorter; it need not wait for the
                # disk.
                synchronous_commit="off",
            )
