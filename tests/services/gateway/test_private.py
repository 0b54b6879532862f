"""Private streams: told in order, resumed behind the cursor, never with something left out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from bourse.notifications import v1 as notifications
from bourse.notifications.v1 import rpc
from bourse.types import v1 as types
from tests.services.gateway.far_streams import FarStreams
from tests.services.gateway.world import Client, ask, gateway, signed, story, until


class Far(FarStreams):
    """Begins whatever it is asked for, but what follows a cursor that is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_again = asyncio.Event()

    def hear(self, request: notifications.FollowRequest) -> None:
        super().hear(request)
        if len(self.asked) > 1:
            self.asked_again.set()
        gone = request.after == "gone"
        started = notifications.FOLLOW_STATUS_STARTED
        status = notifications.FOLLOW_STATUS_CURSOR_GONE if gone else started
        if not request.drop:
            answer = notifications.FollowResponse(
                subscription=request.subscription, status=status, cursor=request.after or "now"
            )
            self.says.put_nowait(answer)

    async def GetStatus(  # noqa: N802
        self, request: notifications.GetStatusRequest, context: Any
    ) -> notifications.GetStatusResponse:
        return notifications.GetStatusResponse()

    def tell(self, cursor: str, lots: int) -> None:
        order = types.Order(
            order_id=1024,
            instrument=1024,
            side=types.SIDE_BUY,
            type=types.ORDER_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            state=types.ORDER_STATE_OPEN,
            quantity_lots=lots,
        )
        one = notifications.Notification(cursor=cursor, sequence=7, time_us=1, order=order)
        balance = notifications.AccountBalance(asset=1, available_minor=10**8)
        two = notifications.Notification(
            cursor=cursor + "b", sequence=7, time_us=1, balance=balance
        )
        subscription = self.asked[-1].subscription
        self.says.put_nowait(
            notifications.FollowResponse(subscription=subscription, notifications=[one, two])
        )


@asynccontextmanager
async def told_privately(tmp_path: Path) -> AsyncIterator[tuple[Far, Client]]:
    async with gateway(tmp_path) as (house, client):
        far, server = Far(), grpc.aio.server()
        rpc.add_NotificationsServiceServicer_to_server(far, server)
        server.add_insecure_port(f"unix:{tmp_path}/run/notifications.sock")
        await server.start()
        running = asyncio.create_task(house.private.run())
        try:
            yield far, client
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await server.stop(None)


def test_private_channels_are_told_in_order_and_resumed(tmp_path: Path) -> None:
    async def told() -> None:
        async with told_privately(tmp_path) as (far, client), client.socket() as socket:
            await ask(socket, op="authenticate", **signed(client))
            channels = ["user.orders", "user.balances"]
            answer = await ask(socket, op="subscribe", id=1, channels=channels)
            assert answer == {"type": "subscribed", "id": 1, "channels": channels}
            assert (far.asked[-1].account, far.asked[-1].after) == (1000, "")
            far.tell("c1", lots=10_000)
            order, balance = [await socket.receive_json() for _ in range(2)]
            assert (order["channel"], order["type"], order["cursor"]) == (
                "user.orders",
                "order",
                "c1",
            )
            assert (order["sequence"], order["order"]["quantity"]) == (7, "1")
            assert balance["balance"] == {"asset": "USD", "available": "1", "held": "0"}
            far.says.put_nowait(None)
            await until(lambda: len(far.asked) == 2)
            assert far.asked[-1].after == "c1b", "after a lost stream it goes on where it was"
            far.tell("c2", lots=20_000)
            assert (await socket.receive_json())["order"]["quantity"] == "2"

    story(told)


def test_a_client_continues_one_channel_behind_its_cursor(tmp_path: Path) -> None:
    async def told() -> None:
        async with told_privately(tmp_path) as (far, client), client.socket() as socket:
            await ask(socket, op="authenticate", **signed(client))
            request = {"op": "subscribe", "id": 1, "channels": ["user.balances"]}
            assert (await ask(socket, **request, after="gone"))["code"] == "cursor_gone"
            assert (await ask(socket, **request, after="c7"))["type"] == "subscribed"
            assert far.asked[-1].after == "c7"
            far.tell("c8", lots=1)
            assert (await socket.receive_json())["type"] == "balance", "and nothing of others"

    story(told)


def test_a_stream_lost_before_it_told_anything_goes_on_where_it_started(tmp_path: Path) -> None:
    async def told() -> None:
        async with told_privately(tmp_path) as (far, client), client.socket() as socket:
            await ask(socket, op="authenticate", **signed(client))
            await ask(socket, op="subscribe", channels=["user.orders"])
            far.says.put_nowait(None)
            async with asyncio.timeout(30):
                await far.asked_again.wait()
            assert [request.after for request in far.asked] == ["", "now"]
            far.tell("c1", 5)
            assert (await socket.receive_json())["cursor"] == "c1"

    story(told)
