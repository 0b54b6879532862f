"""A lease has one holder at a time, and its epoch only grows."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from services.runtime import lease_rows
from services.runtime.config import PostgresConfig
from services.runtime.lease import Lease
from services.runtime.lease_rows import PostgresLeaseRows
from tests.chaos.wire import Place, Wire


class Claim:
    """A lease being kept, and what it told."""

    def __init__(self, dsn: str, holder: str, duration_s: float) -> None:
        rows = PostgresLeaseRows(PostgresConfig(address=SecretStr(dsn)))
        self.told: list[int] = []
        self._changed = asyncio.Event()
        self.lease = Lease(rows, "publisher.0", holder, duration_s=duration_s)
        self.keeping = asyncio.create_task(self.lease.keep(self._tell))

    def _tell(self, epoch: int) -> None:
        self.told.append(epoch)
        self._changed.set()

    async def next(self) -> int:
        await self._changed.wait()
        self._changed.clear()
        return self.told[-1]

    async def stop(self) -> None:
        self.keeping.cancel()
        await asyncio.gather(self.keeping, return_exceptions=True)


@asynccontextmanager
async def claims(
    dsn: str, *holders: str, duration_s: float = 1.2
) -> AsyncGenerator[list[Claim], None]:
    made = [Claim(dsn, holder, duration_s) for holder in holders]
    try:
        yield made
    finally:
        for claim in made:
            await claim.stop()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await asyncio.wait_for(story(), 30)

    asyncio.run(told())


def test_of_two_one_holds_and_the_other_follows_once_it_lets_go(postgres: str) -> None:
    async def story() -> None:
        async with claims(postgres, "a", "b") as both:
            waiting = [asyncio.create_task(claim.next()) for claim in both]
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            first = waiting.index(done.pop())
            holder, other = both[first], both[1 - first]
            assert (holder.lease.epoch, other.lease.epoch) == (1, 0)
            await holder.stop()
            assert holder.lease.epoch == 0
            assert await waiting[1 - first] == 2
            assert other.lease.epoch == 2

    run(story)


def test_a_holder_that_was_killed_is_followed_when_its_time_is_over(postgres: str) -> None:
    async def story() -> None:
        async with claims(postgres, "a") as (first,):
            assert await first.next() == 1
        admin = await asyncpg.connect(postgres)
        await admin.execute(
            "update runtime.lease set holder = 'killed', epoch = 41,"
            " expires_at = clock_timestamp() + interval '0.7 s'"
        )
        async with claims(postgres, "b") as (second,):
            assert await second.next() == 42
            assert second.told == [42]
        await admin.close()

    run(story)


def test_a_holder_that_cannot_renew_goes_on_until_it_is_told(postgres: str) -> None:
    async def story() -> None:
        admin = await asyncpg.connect(postgres)
        async with claims(postgres, "a", duration_s=0.9) as (claim,):
            assert await claim.next() == 1
            async with admin.transaction():
                await admin.execute("select * from runtime.lease for update")
                # Nobody says when it is no longer certain.
                while claim.lease.epoch:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                assert claim.told == [1]
                await admin.execute("update runtime.lease set expires_at = clock_timestamp()")
            assert await claim.next() == 2
            assert claim.told == [1, 2]
        await admin.close()

    run(story)


def test_an_acquisition_whose_answer_was_lost_is_found_again(postgres: str) -> None:
    async def story() -> None:
        async with claims(postgres, "a") as (first,):
            assert await first.next() == 1
        admin = await asyncpg.connect(postgres)
        await admin.execute(
            "update runtime.lease set holder = 'b', epoch = 9, expires_at = 'infinity'"
        )
        async with claims(postgres, "b") as (second,):
            assert await second.next() == 9
        await admin.close()

    run(story)


def test_a_holder_whose_row_is_anothers_loses_it(postgres: str) -> None:
    async def story() -> None:
        async with claims(postgres, "a", duration_s=0.6) as (claim,):
            assert await claim.next() == 1
            admin = await asyncpg.connect(postgres)
            await admin.execute(
                "update runtime.lease set holder = 'b', epoch = 7, expires_at = 'infinity'"
            )
            await admin.close()
            assert await claim.next() == 0

    run(story)


def test_a_lost_connection_does_not_lose_the_lease(postgres: str) -> None:
    async def story() -> None:
        async with claims(postgres, "a", duration_s=1.5) as (claim,):
            assert await claim.next() == 1
            admin = await asyncpg.connect(postgres)
            for _ in range(3):
                await admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name like 'bourse lease%'"
                )
                await asyncio.sleep(0.6)
                assert claim.lease.epoch == 1
            await admin.close()
            assert claim.told == [1]

    run(story)


@asynccontextmanager
async def wired(dsn: str, folder: Path) -> AsyncGenerator[tuple[Wire, str], None]:
    """A wire to Postgres, and the address of its near end."""
    parts = urlsplit(dsn)
    far = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
    wire = Wire("lease", Place(str(folder / ".s.PGSQL.5432")), Place(far))
    await wire.open()
    try:
        yield wire, parts._replace(query=f"host={folder}").geturl()
    finally:
        await wire.close()


def test_a_connection_that_takes_longer_to_open_than_a_question_has_is_had_all_the_same(
    postgres: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with claims(postgres, "a") as (first,):
            assert await first.next() == 1
        async with wired(postgres, tmp_path) as (wire, dsn):
            # A question goes there and back twice, and has 0.4 s; opening does so many times.
            wire.slow(0.04)
            async with claims(dsn, "b") as (second,):
                assert await second.next() == 2

    run(story)


async def come_to(wire: Wire, connections: int) -> None:
    # Nobody says when one comes.
    while wire.taken < connections:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def test_an_opening_that_hangs_is_not_waited_for(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with wired(postgres, tmp_path) as (wire, dsn):
            wire.hang()
            async with claims(dsn, "a") as (claim,):
                await come_to(wire, 1)
                wire.strand()
                assert await claim.next() == 1
        await nothing_is_left(postgres)

    connect, for_ever_s = asyncpg.connect, 600.0

    async def wait_on(*about: str, **settings: Any) -> Any:
        return await connect(*about, **(settings | {"timeout": for_ever_s}))

    monkeypatch.setattr(asyncpg, "connect", wait_on)
    monkeypatch.setattr(lease_rows, "OPEN_S", for_ever_s)
    run(story)


def test_openings_that_hang_end_with_the_lease(postgres: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with wired(postgres, tmp_path) as (wire, dsn):
            wire.hang()
            async with claims(dsn, "a"):
                await come_to(wire, 3)
            wire.mend(breaking=False)
        await nothing_is_left(postgres)

    run(story)


async def nothing_is_left(dsn: str) -> None:
    """Neither a task, nor a connection at the far end."""
    admin = await asyncpg.connect(dsn)
    left = "select count(*) from pg_stat_activity where application_name like 'bourse lease%'"
    while await admin.fetchval(left):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await admin.close()
    # This one, and the one that waits for it.
    assert len(asyncio.all_tasks()) == 2
