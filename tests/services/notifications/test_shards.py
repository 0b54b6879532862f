"""Private streams of several shards: each hears of its own, and goes on from cursors of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import grpc
import pytest
from pydantic import SecretStr

from bourse.notifications import v1 as notifications
from bourse.notifications.v1 import rpc
from services.notifications.config import NotificationsConfig
from services.notifications.reader import NotificationsReader
from services.notifications.server import Notifications
from services.notifications.state import told
from services.runtime.clock import SystemClock
from services.runtime.config import PostgresConfig
from services.runtime.memory_log import MemoryLog
from services.runtime.postgres import open_postgres
from services.runtime.readers import Readers
from services.runtime.rpc import open_channel, serve, service
from tests.services.shard import ALICE, Shard

Stub = rpc.NotificationsServiceStub
STARTED = notifications.FOLLOW_STATUS_STARTED


@asynccontextmanager
async def room(dsn: str, folder: Path, log: MemoryLog) -> AsyncIterator[Stub]:
    """The room of two shards as its `__main__` wires it, but for the log."""
    config = NotificationsConfig(data=folder, block_records=4)
    pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), "notifications")
    readers = [NotificationsReader(log, shard, pool, config) for shard in range(2)]
    every = Readers(log, SystemClock(), readers)
    await every.check(pool)
    for reader in readers:
        await reader.open()
    server = Notifications(every, config.backlog)
    entry = service(
        rpc.NOTIFICATIONS_SERVICE, rpc.add_NotificationsServiceServicer_to_server, server
    )
    address = f"unix:{folder}/notifications.sock"
    parts = (serve(address, entry), *every.run())
    running = [asyncio.create_task(part) for part in parts]
    try:
        async with open_channel(address) as channel:
            await channel.channel_ready()
            yield Stub(channel)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await pool.close()


class Client:
    """Follows Alice in both shards on one stream: the subscription's number is the shard's."""

    def __init__(self, ask: Stub) -> None:
        self._stream = ask.Follow()
        self.heard: dict[int, list[notifications.Notification]] = {0: [], 1: []}

    async def follow(self, *cursors: str) -> None:
        """Subscribe in the shards, behind a cursor of each."""
        for shard, cursor in enumerate(cursors):
            await self._stream.write(
                notifications.FollowRequest(
                    subscription=shard, account=ALICE, after=cursor, shard=shard
                )
            )

    async def until(self, *counts: int) -> None:
        """Listen until so many were heard of each shard."""
        while any(len(self.heard[shard]) < count for shard, count in enumerate(counts)):
            answer = await asyncio.wait_for(self._stream.read(), 10)
            assert isinstance(answer, notifications.FollowResponse)
            assert answer.status in (STARTED, notifications.FOLLOW_STATUS_UNSPECIFIED)
            self.heard[answer.subscription] += answer.notifications

    def cursors(self) -> list[str]:
        """Where it stands in each."""
        return [said[-1].cursor for said in self.heard.values()]


def said_by(shard: Shard) -> list[notifications.Notification]:
    """All that Alice is to hear of a shard."""
    return [said for record in shard.records for _, said in told(record, {ALICE})]


def test_a_client_hears_each_shard_whole_and_goes_on_in_each(postgres: str, tmp_path: Path) -> None:
    first, second = Shard(), Shard(number=1)
    first.bustle(25)
    second.bustle(40, seed=2)
    whole = [said_by(first), said_by(second)]
    half = [len(said) // 2 for said in whole]

    async def main() -> None:
        log = MemoryLog()
        async with room(postgres, tmp_path, log) as ask:
            client = Client(ask)
            await client.follow("0.0.0", "0.0.0")
            await first.publish(log, 20)
            await second.publish(log)
            await client.until(half[0], len(whole[1]))
            client.heard = {shard: client.heard[shard][: half[shard]] for shard in (0, 1)}
        await first.publish(log)
        async with room(postgres, tmp_path, log) as ask:
            again = Client(ask)
            await again.follow(*client.cursors())
            await again.until(*(len(whole[shard]) - half[shard] for shard in (0, 1)))
            for shard in (0, 1):
                assert client.heard[shard] + again.heard[shard] == whole[shard]
            await places_are(ask, first, second)
        await index_is_whole(postgres)

    asyncio.run(asyncio.wait_for(main(), 60))


async def places_are(ask: Stub, *shards: Shard) -> None:
    status = await ask.GetStatus(notifications.GetStatusRequest())
    places = [(p.shard, p.sequence, p.next_offset, p.lag_records) for p in status.places]
    assert places == [(s.model.shard, s.sequence, len(s.records), 0) for s in shards]


async def index_is_whole(dsn: str) -> None:
    """The blocks of each shard follow each other from its first record on."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "select shard, first_offset, next_offset from notifications.block order by 1, 2"
    )
    await connection.close()
    for shard in (0, 1):
        blocks = [row[1:] for row in rows if row[0] == shard]
        assert blocks
        assert [block[0] for block in blocks] == [0, *(block[1] for block in blocks[:-1])]


def test_a_shard_that_there_is_not_ends_the_stream(postgres: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with room(postgres, tmp_path, MemoryLog()) as ask:
            client = Client(ask)
            await client.follow("", "", "")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await client.until(1)
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert refused.value.details() == "There is no shard 2: those here are 0 to 1."

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_gap_in_one_shard_is_heard_of_in_no_other(postgres: str, tmp_path: Path) -> None:
    """Who listens there stands where it is, whatever its cursor, and goes on there one day."""
    first, second = Shard(), Shard(number=1)
    first.bustle(10)
    second.bustle(10, seed=2)
    known = len(said_by(second))
    second.tear()

    async def main() -> None:
        log = MemoryLog()
        async with room(postgres, tmp_path, log) as ask:
            before = Client(ask)
            await before.follow("0.0.0", "0.0.0")
            for shard in (first, second):
                await shard.publish(log)
            await before.until(len(said_by(first)), known)
            first.buy(ALICE, 1, 9_000)
            await first.publish(log)
            await before.until(len(said_by(first)), known)
            await second_has_stopped(ask)
        async with room(postgres, tmp_path, log) as ask:
            await second_has_stopped(ask)
            # Told before the block was indexed: what is ahead of the index is not gone.
            ahead = f"{second.sequence}.0.1"
            for cursor in (before.cursors()[1], ahead):
                assert await begins_at(ask, cursor) == cursor
            assert await begins_at(ask, "")
            again = Client(ask)
            await again.follow(before.cursors()[0], before.cursors()[1])
            first.buy(ALICE, 1, 9_000)
            await first.publish(log)
            await again.until(1, 0)
            assert again.heard[1] == []

    asyncio.run(asyncio.wait_for(main(), 60))


async def begins_at(ask: Stub, after: str) -> str:
    """Where a subscription in the second shard stands."""
    stream = ask.Follow()
    await stream.write(notifications.FollowRequest(account=ALICE, after=after, shard=1))
    answer = await asyncio.wait_for(stream.read(), 10)
    stream.cancel()
    assert isinstance(answer, notifications.FollowResponse)
    assert answer.status == STARTED
    return answer.cursor


async def second_has_stopped(ask: Stub) -> None:
    places: list[str] = [""]
    while not places[-1]:
        await asyncio.sleep(0.01)
        status = await ask.GetStatus(notifications.GetStatusRequest())
        places = [place.stopped for place in status.places]
    assert places[0] == ""
    assert "Something between them is missing" in places[1]
