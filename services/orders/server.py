"""What the gateway and operators ask of history."""

from collections.abc import AsyncIterator

import grpc

from bourse.orders import v1 as orders
from bourse.orders.v1 import rpc
from services.orders import checks, store
from services.orders.config import OrdersConfig
from services.orders.reader import OrdersReader
from services.orders.state import NEWEST, FillCursor, parse_cursor
from services.runtime.lag import Lag
from services.runtime.postgres import Pool
from services.runtime.rpc import Context

_TOP = 2**63 - 1
_PAGE = 1000


class Orders(rpc.OrdersServiceServicer):
    """History of orders and fills."""

    def __init__(
        self, pool: Pool, topic: str, reader: OrdersReader, config: OrdersConfig, lag: Lag
    ) -> None:
        self._pool = pool
        self._topic = topic
        self._reader = reader
        self._config = config
        self._lag = lag

    async def GetOrder(
        self, request: orders.GetOrderRequest, context: Context
    ) -> orders.GetOrderResponse:
        """One order of an account with its fills."""
        sequence = await self._after(request.after_sequence, context)
        found = await store.one_order(
            self._pool, request.account, min(request.order_id, _TOP), request.client_order_id
        )
        return orders.GetOrderResponse(found=found is not None, order=found, sequence=sequence)

    async def ListOrders(
        self, request: orders.ListOrdersRequest, context: Context
    ) -> orders.ListOrdersResponse:
        """Orders of an account, newest first."""
        sequence = await self._after(request.after_sequence, context)
        limit = _limit(request.limit)
        page = await store.some_orders(self._pool, request, limit)
        more = page[-1].order_id if len(page) == limit else 0
        return orders.ListOrdersResponse(orders=page, next_cursor=more, sequence=sequence)

    async def ListFills(
        self, request: orders.ListFillsRequest, context: Context
    ) -> orders.ListFillsResponse:
        """Fills of an account, newest first."""
        below = parse_cursor(request.cursor) if request.cursor else NEWEST
        if below is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the cursor is none of ours")
        sequence = await self._after(request.after_sequence, context)
        limit = _limit(request.limit)
        page = await store.some_fills(self._pool, request, below, limit)
        more = _place_of(page[-1]).text() if len(page) == limit else ""
        return orders.ListFillsResponse(fills=page, next_cursor=more, sequence=sequence)

    async def GetStatus(
        self, request: orders.GetStatusRequest, context: Context
    ) -> orders.GetStatusResponse:
        """How far history has come."""
        place = self._reader.place
        records, milliseconds = await self._lag.of(place.position.next_offset)
        return orders.GetStatusResponse(
            sequence=place.sequence,
            next_offset=place.position.next_offset,
            lag_records=records,
            lag_ms=milliseconds,
        )

    async def StreamVerify(
        self, requests: AsyncIterator[orders.StreamVerifyRequest], context: Context
    ) -> orders.StreamVerifyResponse:
        """Check history against itself and against the core's open orders."""
        async with store.for_asked(self._pool) as connection:
            sequence = 0
            async for piece in requests:
                sequence = max(sequence, piece.sequence)
                await store.put_asked(connection, piece.open_orders)
            if not await self._reader.passed(sequence, self._config.verify_patience_s):
                await context.abort(grpc.StatusCode.UNAVAILABLE, "lagging")
            async with store.standing_still(connection):
                return await checks.all_checks(connection, self._topic, sequence)

    async def _after(self, sequence: int, context: Context) -> int:
        """Wait for a sequence; what is read from now on has at least the one returned."""
        if not await self._reader.passed(sequence, self._config.patience_s):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "lagging")
        return self._reader.place.sequence


def _place_of(fill: orders.Fill) -> FillCursor:
    return FillCursor(fill.time_us, fill.trade_id, fill.maker)


def _limit(asked: int) -> int:
    return min(max(asked, 1), _PAGE)
