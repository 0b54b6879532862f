"""One private stream of two shards: begun together, told in each one's order, resumed in both."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from bourse.notifications import v1 as notifications
from bourse.notifications.v1 import rpc
from bourse.types import v1 as types
from services.runtime.config import run_folder
from services.runtime.rpc import serve, service
from tests.services.gateway.far_streams import FarStreams
from tests.services.gateway.several import UNIT, USD, FarShard, several
from tests.services.gateway.world import Client, ask, signed, story, until

STARTED = notifications.FOLLOW_STATUS_STARTED
GONE = notifications.FOLLOW_STATUS_CURSOR_GONE


class Far(FarStreams):
    """Speaks of a shard."""

    async def asks(self, count: int) -> list[tuple[int, str]]:
        """Shard and place of the last requests, once there are so many in all."""
        await until(lambda: len(self.asked) >= count)
        return [(request.shard, request.after) for request in self.asked[-2:]]

    def say(self, shard: int, **said: Any) -> None:
        """To the newest subscription in a shard."""
        number = max(one.subscription for one in self.asked if one.shard == shard and not one.drop)
        self.says.put_nowait(notifications.FollowResponse(subscription=number, **said))

    def start(self, shard: int, cursor: str) -> None:
        self.say(shard, status=STARTED, cursor=cursor)

    def order(self, shard: int, cursor: str) -> None:
        order = types.Order(
            order_id=1024 + shard,
            instrument=1024 + shard,
            side=types.SIDE_BUY,
            type=types.ORDER_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            state=types.ORDER_STATE_OPEN,
        )
        self._tell(shard, cursor, order=order)

    def balance(self, shard: int, cursor: str, available: int, held: int) -> None:
        has = notifications.AccountBalance(
            asset=USD, available_minor=available * UNIT, held_minor=held * UNIT
        )
        self._tell(shard, cursor, balance=has)

    def _tell(self, shard: int, cursor: str, **body: Any) -> None:
        sequence = int(cursor.split(".")[0])
        one = notifications.Notification(cursor=cursor, sequence=sequence, time_us=1, **body)
        self.say(shard, notifications=[one])


class World(NamedTuple):
    """A client, and all that it hears of."""

    far: Far
    client: Client
    shards: list[FarShard]


@asynccontextmanager
async def two_shards(tmp_path: Path) -> AsyncIterator[World]:
    far = Far()  # type: ignore[abstract]  # it is asked for nothing else
    face = service(
        rpc.NOTIFICATIONS_SERVICE,
        rpc.add_NotificationsServiceServicer_to_server,
        far,
    )
    socket = run_folder(tmp_path) / "notifications.sock"
    running = [asyncio.create_task(serve(f"unix:{socket}", face))]
    try:
        await until(socket.exists)
        async with several(tmp_path, 300, 50) as world:
            running.append(asyncio.create_task(world.house.private.run()))
            yield World(far, world.client, world.shards)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def hear(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[tuple[int, str]]:
    """Shard and cursor of what comes next."""
    heard = [await socket.receive_json() for _ in range(count)]
    return [(one.get("shard", 0), one["cursor"]) for one in heard]


async def subscribe(
    world: World, socket: aiohttp.ClientWebSocketResponse, channel: str, after: str | None = None
) -> None:
    """Ask for a channel; its answer is not awaited."""
    await ask(socket, op="authenticate", **signed(world.client))
    await socket.send_json({"op": "subscribe", "channels": [channel], "after": after})


def test_nothing_is_told_before_all_shards_stand(tmp_path: Path) -> None:
    async def told() -> None:
        async with two_shards(tmp_path) as world, world.client.socket() as socket:
            far = world.far
            await subscribe(world, socket, "user.orders")
            assert await far.asks(2) == [(0, ""), (1, "")]
            assert far.asked[0].subscription != far.asked[1].subscription
            far.start(1, "20.0.0")
            far.order(1, "21.0.1")
            far.order(1, "22.0.1")
            far.start(0, "10.0.0")
            far.order(0, "11.0.1")
            assert (await socket.receive_json())["type"] == "subscribed"
            assert await hear(socket, 3) == [
                (1, "10.0.0_21.0.1"),
                (1, "10.0.0_22.0.1"),
                (0, "11.0.1_22.0.1"),
            ]
            far.says.put_nowait(None)
            assert await far.asks(4) == [(0, "11.0.1"), (1, "22.0.1")]
            far.order(0, "12.0.1")
            assert await hear(socket, 1) == [(0, "12.0.1_22.0.1")]

    story(told)


def test_a_stream_lost_while_it_begins_tells_nothing_twice(tmp_path: Path) -> None:
    async def told() -> None:
        async with two_shards(tmp_path) as world, world.client.socket() as socket:
            far = world.far
            await subscribe(world, socket, "user.orders")
            await far.asks(2)
            far.start(1, "20.0.0")
            far.order(1, "21.0.1")
            far.says.put_nowait(None)
            assert await far.asks(4) == [(0, ""), (1, "20.0.0")]
            far.start(0, "10.0.0")
            far.start(1, "20.0.0")
            far.order(1, "21.0.1")
            assert (await socket.receive_json())["type"] == "subscribed"
            far.order(0, "11.0.1")
            assert await hear(socket, 2) == [(1, "10.0.0_21.0.1"), (0, "11.0.1_21.0.1")]

    story(told)


def test_a_cursor_goes_on_in_each_shard(tmp_path: Path) -> None:
    async def told() -> None:
        async with two_shards(tmp_path) as world:
            asked = 0
            for after, places in (
                ("11.0.1_22.0.1", [(0, "11.0.1"), (1, "22.0.1")]),
                ("11.0.1", [(0, "11.0.1"), (1, "0.0.0")]),
            ):
                async with world.client.socket() as socket:
                    await subscribe(world, socket, "user.orders", after)
                    assert await world.far.asks(asked + 2) == places
                    for shard, place in places:
                        world.far.start(shard, place)
                    assert (await socket.receive_json())["type"] == "subscribed"
                # Its end is told to both.
                await world.far.asks(asked + 4)
                assert all(one.drop for one in world.far.asked[-2:])
                asked += 4
            for odd in ("1.0.1_", "_1.0.1", "1.0.1_1.0.1_1.0.1"):
                async with world.client.socket() as socket:
                    await subscribe(world, socket, "user.orders", odd)
                    assert (await socket.receive_json())["code"] == "cursor_gone"
            assert len(world.far.asked) == asked, "nobody was asked for what is no cursor"

    story(told)


def test_a_place_that_is_gone_in_one_shard_is_gone(tmp_path: Path) -> None:
    async def told() -> None:
        async with two_shards(tmp_path) as world, world.client.socket() as socket:
            far = world.far
            await subscribe(world, socket, "user.orders", "11.0.1_22.0.1")
            await far.asks(2)
            far.start(0, "11.0.1")
            far.say(1, status=GONE)
            assert (await socket.receive_json())["code"] == "cursor_gone"
            await far.asks(4)
            assert [one.drop for one in far.asked[-2:]] == [True, True]
            await socket.send_json({"op": "subscribe", "channels": ["user.orders"]})
            await far.asks(6)
            far.start(0, "12.0.0")
            far.start(1, "30.0.0")
            assert (await socket.receive_json())["type"] == "subscribed"
            far.say(1, status=GONE)
            assert (await socket.receive_json())["type"] == "closing"
            assert (await socket.receive()).type == aiohttp.WSMsgType.CLOSE

    story(told)


def test_balances_are_what_each_shard_has_said_last(tmp_path: Path) -> None:
    async def told() -> None:
        async with two_shards(tmp_path) as world, world.client.socket() as socket:
            far = world.far

            async def heard() -> tuple[int, str, str]:
                one = await socket.receive_json()
                return one.get("shard", 0), one["balance"]["available"], one["balance"]["held"]

            await subscribe(world, socket, "user.balances")
            await far.asks(2)
            far.start(0, "10.0.0")
            far.start(1, "40.0.0")
            assert (await socket.receive_json())["type"] == "subscribed"
            assert world.shards[1].asked_after == [40], "at or behind where it begins"
            far.balance(0, "12.0.1", 290, 10)
            assert await heard() == (0, "340", "10")
            far.balance(1, "41.0.1", 20, 30)
            assert await heard() == (1, "310", "40")
            far.balance(1, "42.0.1", 50, 0)
            assert await heard() == (1, "340", "10")

    story(told)


def test_what_is_told_again_counts_for_its_own_shard_alone(tmp_path: Path) -> None:
    async def told() -> None:
        async with two_shards(tmp_path) as world, world.client.socket() as socket:
            far = world.far
            await subscribe(world, socket, "user.balances", "5.0.0_5.0.0")
            await far.asks(2)
            far.start(0, "5.0.0")
            far.start(1, "5.0.0")
            # What the engines have is newer than this.
            far.balance(0, "6.0.1", 100, 0)
            far.balance(1, "6.0.1", 10, 0)
            assert (await socket.receive_json())["type"] == "subscribed"
            told = [(await socket.receive_json())["balance"]["available"] for _ in range(2)]
            assert told == ["150", "310"]

    story(told)
