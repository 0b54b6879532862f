"""What the gateway and operators ask of history."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc

from bourse.orders import v1 as orders
from bourse.orders.v1 import rpc
from bourse.types import v1 as types
from services.orders import checks, store
from services.orders.config import OrdersConfig
from services.orders.reader import OrdersReader
from services.orders.state import (
    NEWEST_FILL,
    NEWEST_ORDER,
    FillCursor,
    OrderCursor,
    parse_cursor,
    parse_page,
)
from services.runtime.postgres import Pool
from services.runtime.readers import Readers
from services.runtime.rpc import Context

_TOP = 2**63 - 1
_PAGE = 1000

_Asked: TypeAlias = orders.GetOrderRequest | orders.ListOrdersRequest | orders.ListFillsRequest


class Orders(rpc.OrdersServiceServicer):
    """History of orders and fills of all shards."""

    def __init__(self, pool: Pool, readers: Readers[OrdersReader], config: OrdersConfig) -> None:
        self._pool = pool
        self._readers = readers
        self._config = config

    async def GetOrder(
        self, request: orders.GetOrderRequest, context: Context
    ) -> orders.GetOrderResponse:
        """One order of an account with its fills."""
        at = await self._after(request, context)
        found = await store.one_order(
            self._pool, request.account, min(request.order_id, _TOP), request.client_order_id
        )
        return orders.GetOrderResponse(found=found is not None, order=found, at=at)

    async def ListOrders(
        self, request: orders.ListOrdersRequest, context: Context
    ) -> orders.ListOrdersResponse:
        """Orders of an account, newest first."""
        below = parse_page(request.page) if request.page else NEWEST_ORDER
        if below is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the page is none of ours")
        at = await self._after(request, context)
        limit = _limit(request.limit)
        page = await store.some_orders(self._pool, request, below, limit)
        more = _place_of_order(page[-1]).text() if len(page) == limit else ""
        return orders.ListOrdersResponse(orders=page, next_page=more, at=at)

    async def ListFills(
        self, request: orders.ListFillsRequest, context: Context
    ) -> orders.ListFillsResponse:
        """Fills of an account, newest first."""
        below = parse_cursor(request.cursor) if request.cursor else NEWEST_FILL
        if below is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the cursor is none of ours")
        at = await self._after(request, context)
        limit = _limit(request.limit)
        page = await store.some_fills(self._pool, request, below, limit)
        more = _place_of_fill(page[-1]).text() if len(page) == limit else ""
        return orders.ListFillsResponse(fills=page, next_cursor=more, at=at)

    async def GetStatus(
        self, request: orders.GetStatusRequest, context: Context
    ) -> orders.GetStatusResponse:
        """How far history has come."""
        return orders.GetStatusResponse(places=await self._readers.places())

    async def StreamVerify(
        self, requests: AsyncIterator[orders.StreamVerifyRequest], context: Context
    ) -> orders.StreamVerifyResponse:
        """Check history against itself and against the open orders of a shard's core."""
        async with store.for_asked(self._pool) as connection:
            shard = sequence = 0
            async for piece in requests:
                shard, sequence = max(shard, piece.shard), max(sequence, piece.sequence)
                await store.put_asked(connection, piece.open_orders)
            reader = await self._readers.of(shard, context)
            if not await reader.passed(sequence, self._config.verify_patience_s):
                await self._readers.miss(reader, context)
            async with store.standing_still(connection):
                return await checks.all_checks(connection, reader.topic, shard, sequence)

    async def _after(self, request: _Asked, context: Context) -> list[types.ShardSequence]:
        """Wait for what a read names; what is read from now on has at least what is returned."""
        after = request.after
        named = [(await self._readers.of(one.shard, context), one.sequence) for one in after]
        patience_s = self._config.patience_s
        waits = [reader.passed(sequence, patience_s) for reader, sequence in named]
        for (reader, _), has_come in zip(named, await asyncio.gather(*waits), strict=True):
            if not has_come:
                await self._readers.miss(reader, context)
        return self._readers.at()


def _place_of_order(order: types.Order) -> OrderCursor:
    return OrderCursor(order.created_us, order.order_id)


def _place_of_fill(fill: orders.Fill) -> FillCursor:
    return FillCursor(fill.time_us, fill.trade_id, fill.maker)


def _limit(asked: int) -> int:
    return min(max(asked, 1), _PAGE)
