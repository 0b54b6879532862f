"""The rows of leases in Postgres, judged by the clock of Postgres."""

import asyncio
from collections.abc import Sequence
from typing import Final

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
        self._openings: list[asyncio.Task[Opened]] = []
        """Under way, or done and not yet used; the oldest first."""
        self._given_up: set[asyncio.Task[Opened]] = set()

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
        self._give_up(self._openings)
        await asyncio.gather(*self._given_up, return_exceptions=True)

    async def _ask(self, name: str, duration_s: float, question: str, *about: object) -> int:
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._opened(name, duration_s)
            return int(await self._connection.fetchval(question, name, *about) or 0)
        except GONE as error:
            raise RowsUnreachable(str(error)) from error

    async def _opened(self, name: str, duration_s: float) -> Opened:
        """A new connection. Who has no time to wait for it finds it when they ask again.

        The oldest opening goes on from question to question. Begun anew for each, on a busy machine
        none would ever be had: a few round trips and a new process at the other end do not fit into
        the time of a question. And it may hang, which nobody can tell from that; so each question
        begins one of its own beside it.
        """
        self._give_up([opening for opening in self._openings[1:] if not opening.done()])
        own = asyncio.create_task(self._open(name, duration_s))
        self._openings.append(own)
        while True:
            await asyncio.wait(self._openings, return_when=asyncio.FIRST_COMPLETED)
            for opening in [each for each in self._openings if each.done()]:
                self._openings.remove(opening)
                if not opening.exception():
                    self._give_up(self._openings)
                    return opening.result()
                if opening is own:
                    # Whoever asks hears of it at once, and finds an older one when they ask again.
                    return opening.result()

    def _give_up(self, openings: Sequence[asyncio.Task[Opened]]) -> None:
        for opening in list(openings):
            self._openings.remove(opening)
            self._given_up.add(opening)
            opening.cancel()
            opening.add_done_callback(self._let_go)

    def _let_go(self, opening: asyncio.Task[Opened]) -> None:
        self._given_up.discard(opening)
        if not opening.cancelled() and not opening.exception():
            opening.result().terminate()

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
