"""Rooms whose Postgres is away say so, in the one word that means: ask again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from pathlib import Path

import asyncpg
import grpc
import pytest

from bourse.orders import v1 as orders
from bourse.orders.v1 import rpc
from services.runtime.away import PostgresAway
from services.runtime.rpc import Context, open_channel, serve, service


class Orders(rpc.OrdersServiceServicer):
    """Asks a Postgres that is not there, refuses, has a mistake of its own, answers."""

    def __init__(self, nowhere: Path) -> None:
        self._nowhere = nowhere

    async def GetOrder(  # noqa: N802 - the contract's name
        self, request: orders.GetOrderRequest, context: Context
    ) -> orders.GetOrderResponse:
        await asyncpg.connect(host=str(self._nowhere), user="postgres")
        return orders.GetOrderResponse()

    async def ListOrders(  # noqa: N802 - the contract's name
        self, request: orders.ListOrdersRequest, context: Context
    ) -> orders.ListOrdersResponse:
        await context.abort(grpc.StatusCode.NOT_FOUND, "none")

    async def ListFills(  # noqa: N802 - the contract's name
        self, request: orders.ListFillsRequest, context: Context
    ) -> orders.ListFillsResponse:
        raise ZeroDivisionError

    async def GetStatus(  # noqa: N802 - the contract's name
        self, request: orders.GetStatusRequest, context: Context
    ) -> orders.GetStatusResponse:
        return orders.GetStatusResponse()

    async def StreamVerify(  # noqa: N802 - the contract's name
        self, requests: AsyncIterator[orders.StreamVerifyRequest], context: Context
    ) -> orders.StreamVerifyResponse:
        async for _ in requests:
            await asyncpg.connect(host=str(self._nowhere), user="postgres")
        return orders.StreamVerifyResponse(trades=7)


def test_postgres_away_is_unavailable_and_all_else_is_what_it_was(tmp_path: Path) -> None:
    asyncio.run(_ask(tmp_path))


async def _ask(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'orders.sock'}"
    servicer = Orders(tmp_path / "nowhere")
    room = service(rpc.ORDERS_SERVICE, rpc.add_OrdersServiceServicer_to_server, servicer)
    serving = asyncio.create_task(serve(address, room, interceptors=[PostgresAway()]))
    channel = open_channel(address)
    stub = rpc.OrdersServiceStub(channel)
    try:
        await channel.channel_ready()
        await stub.GetStatus(orders.GetStatusRequest())
        assert (await stub.StreamVerify(iter([]))).trades == 7
        codes = [
            await _code(stub.GetOrder(orders.GetOrderRequest())),
            await _code(stub.StreamVerify(iter([orders.StreamVerifyRequest()]))),
            await _code(stub.ListFills(orders.ListFillsRequest())),
            await _code(stub.ListOrders(orders.ListOrdersRequest())),
        ]
    finally:
        await channel.close()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    status = grpc.StatusCode
    assert codes == [status.UNAVAILABLE, status.UNAVAILABLE, status.UNKNOWN, status.NOT_FOUND]


async def _code(call: Awaitable[object]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code()
