"""What an account may look at, and from which room it comes.

Open orders and balances come from the engine, after everything this gateway has answered; orders
that are no longer there, and fills, from history once it has passed that point. So a 404 is an
answer and not a delay.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Final, NamedTuple, TypeVar

import grpc

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc as matching_rpc
from bourse.orders import v1 as orders
from bourse.orders.v1 import rpc as orders_rpc
from bourse.types import v1 as types
from services.domain.clock import Clock
from services.gateway import shapes, translate
from services.gateway.markets import Markets
from services.gateway.problems import Problem, invalid, unreachable

READ_S: Final = 3.0
"""A room waits at most two seconds for a sequence; so long for its answer."""

_CLOCK_BEHIND_US: Final = 1_000_000
"""A 404 for an order is served only while the core's clock is at most this far behind ours."""

_CLOCK_TRIES: Final = 20
_CLOCK_PAUSE_S: Final = 0.1

STANDING: Final = (types.ORDER_STATE_OPEN, types.ORDER_STATE_WAITING)
"""States of orders that have not ended: the engine knows them whole."""

AnswerT = TypeVar("AnswerT")


class OrderName(NamedTuple):
    """An order by its number, or (0) by its owner's name for it."""

    order_id: int
    client_order_id: str = ""


async def read(call: Awaitable[AnswerT], channel: grpc.aio.Channel) -> AnswerT:
    """The answer of a room. Raises Problem: lagging if it was reached, else unavailable."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
            raise invalid("/cursor", error.details() or "It is no cursor.") from None
        reached = channel.get_state() is grpc.ChannelConnectivity.READY
        raise unreachable(error, waited=reached) from None


class Reads:
    """Reads of orders, fills, balances and settings. Every method may raise Problem."""

    def __init__(
        self,
        markets: Markets,
        matching_channel: grpc.aio.Channel,
        orders_channel: grpc.aio.Channel,
        clock: Clock,
    ) -> None:
        self._markets = markets
        self._clock = clock
        self._engine_channel = matching_channel
        self._history_channel = orders_channel
        self._engine = matching_rpc.MatchingServiceStub(matching_channel)
        self._history = orders_rpc.OrdersServiceStub(orders_channel)

    async def engine_order(
        self, account: int, name: OrderName, after: int
    ) -> matching.GetOrderResponse:
        """What the engine says of an order at or after a sequence."""
        request = matching.GetOrderRequest(account=account, after_sequence=after, **name._asdict())
        return await read(self._engine.GetOrder(request, timeout=READ_S), self._engine_channel)

    async def order(self, account: int, name: OrderName, after: int) -> shapes.Order:
        """One order with all its fills. A 404 is final one second after the order's deadline."""
        for _ in range(_CLOCK_TRIES):
            engine = await self.engine_order(account, name, after)
            if engine.found and engine.order.state in STANDING:
                return await self._open_with_fills(account, engine.order, after)
            known = OrderName(engine.order.order_id) if engine.found else name
            past = await self.past_order(account, known, max(after, engine.sequence))
            if past is not None:
                return past
            if engine.clock_us >= self._clock.now_us() - _CLOCK_BEHIND_US:
                raise Problem("order_unknown")
            # The core's clock moves with its log, which ticks each second while nothing happens.
            await asyncio.sleep(_CLOCK_PAUSE_S)
        raise Problem("lagging", "The engine's clock is behind; whether it exists is not final.")

    async def _open_with_fills(self, account: int, order: types.Order, after: int) -> shapes.Order:
        """An open order as the engine has it, with the fills up to its last change."""
        fills: list[orders.Fill] = []
        if order.filled_lots:
            told = await self._ask_history(
                account, OrderName(order.order_id), max(after, order.sequence)
            )
            fills = [fill for fill in told.order.fills if fill.sequence <= order.sequence]
        return await self.shown(order, fills)

    async def past_order(self, account: int, name: OrderName, after: int) -> shapes.Order | None:
        """One order with its fills as history has it, once it has passed a sequence."""
        told = await self._ask_history(account, name, after)
        return await self.shown(told.order.order, told.order.fills) if told.found else None

    async def _ask_history(
        self, account: int, name: OrderName, after: int
    ) -> orders.GetOrderResponse:
        request = orders.GetOrderRequest(account=account, after_sequence=after, **name._asdict())
        return await read(self._history.GetOrder(request, timeout=READ_S), self._history_channel)

    async def shown(
        self, order: types.Order, fills: Iterable[orders.Fill] | None = None
    ) -> shapes.Order:
        """An order in public words."""
        market = await self._markets.wait_for(order.instrument)
        asset = self._markets.asset(order.fee_asset)
        other = self._fee_asset(order.other_fee_asset) if order.other_fee_asset else None
        shown = None
        if fills is not None:
            shown = [
                translate.order_fill(fill, market, self._fee_asset(fill.fee_asset))
                for fill in fills
            ]
        return translate.order(order, market, asset, shown, other)

    def _fee_asset(self, number: int) -> types.Asset:
        """An asset that something was paid in: it is known, for its instrument is."""
        asset = self._markets.asset(number)
        if asset is None:
            raise Problem("lagging")
        return asset

    async def open_orders(self, account: int, after: int) -> matching.ListOpenOrdersResponse:
        """All open orders, oldest first."""
        request = matching.ListOpenOrdersRequest(account=account, after_sequence=after)
        call = self._engine.ListOpenOrders(request, timeout=READ_S)
        return await read(call, self._engine_channel)

    async def past_orders(self, request: orders.ListOrdersRequest) -> orders.ListOrdersResponse:
        """A page of orders in any state."""
        call = self._history.ListOrders(request, timeout=READ_S)
        return await read(call, self._history_channel)

    async def fills(self, request: orders.ListFillsRequest) -> orders.ListFillsResponse:
        """A page of fills."""
        return await read(self._history.ListFills(request, timeout=READ_S), self._history_channel)

    async def shown_fill(self, fill: orders.Fill) -> shapes.Fill:
        """A fill in public words."""
        market = await self._markets.wait_for(fill.instrument)
        return translate.fill(fill, market, self._fee_asset(fill.fee_asset))

    async def balances(self, account: int, after: int) -> matching.GetBalancesResponse:
        """All balances of an account."""
        request = matching.GetBalancesRequest(account=account, after_sequence=after)
        return await read(self._engine.GetBalances(request, timeout=READ_S), self._engine_channel)

    async def reach(self, after: int) -> None:
        """Wait until the engine has come to a sequence, for answers that come from no room."""
        if after:
            await self.settings(0, after)

    async def settings(self, account: int, after: int) -> matching.GetAccountResponse:
        """The settings of an account. Account 0 has none: asking waits for the engine alone."""
        request = matching.GetAccountRequest(account=account, after_sequence=after)
        return await read(self._engine.GetAccount(request, timeout=READ_S), self._engine_channel)
