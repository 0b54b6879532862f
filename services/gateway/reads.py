"""What an account may look at, and from which room it comes.

Open orders and balances come from the engines, after everything this gateway has answered; orders
that are no longer there, and fills, from history once it has passed that point. So a 404 is an
answer and not a delay. An order's number says which shard knows it; its owner's name for it may be
known to any of them.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Final, NamedTuple, TypeVar

import grpc

from bourse.matching import v1 as matching
from bourse.orders import v1 as orders
from bourse.orders.v1 import rpc as orders_rpc
from bourse.types import v1 as types
from services.domain.clock import Clock
from services.gateway import shapes, translate
from services.gateway.markets import Markets
from services.gateway.problems import Problem, invalid, unreachable
from services.gateway.shards import Sequences, Shard, Shards, spoken

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


async def read(
    call: Awaitable[AnswerT], channel: grpc.aio.Channel, *, has_cursor: bool = False
) -> AnswerT:
    """The answer of a room. Raises Problem: lagging if it was reached, else unavailable.

    `has_cursor`: a client's own words are in the question, and may be no cursor of the room's.
    """
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        if has_cursor and error.code() is grpc.StatusCode.INVALID_ARGUMENT:
            raise invalid("/cursor", error.details() or "It is no cursor.") from None
        reached = channel.get_state() is grpc.ChannelConnectivity.READY
        raise unreachable(error, waited=reached) from None


class Known(NamedTuple):
    """What the engines say of an order."""

    order: types.Order | None
    """Only its number, if it has ended and its name is still remembered; None: nothing is known."""
    at: Sequences
    """What it was true at, in each shard that was asked."""
    clock_us: int
    """Of the engines asked, the one that is furthest behind."""

    @property
    def standing(self) -> types.Order | None:
        """The order, if it has not ended."""
        order = self.order
        return order if order is not None and order.state in STANDING else None


class Reads:
    """Reads of orders, fills, balances and settings. Every method may raise Problem."""

    def __init__(
        self, shards: Shards, markets: Markets, orders_channel: grpc.aio.Channel, clock: Clock
    ) -> None:
        self._shards = shards
        self._markets = markets
        self._clock = clock
        self._history_channel = orders_channel
        self._history = orders_rpc.OrdersServiceStub(orders_channel)

    async def known(self, account: int, name: OrderName, after: Sequences) -> Known:
        """What the engines say of an order, each at or after a sequence.

        By name it is looked up in all shards: what stands comes first, then what is newest. An
        engine out of reach is left out if another has it standing.
        """
        shards = [self._shards.of(name.order_id)] if name.order_id else self._shards
        asked = (self._ask_engine(shard, account, name, after) for shard in shards)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        told = {
            shard.number: answer
            for shard, answer in zip(shards, answers, strict=True)
            if not isinstance(answer, BaseException)
        }
        found = [answer.order for answer in told.values() if answer.found]
        order = max(found, key=_standing_then_newest, default=None)
        if order is None or order.state not in STANDING:
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
        at = {number: answer.sequence for number, answer in told.items()}
        return Known(order, at, min(answer.clock_us for answer in told.values()))

    async def _ask_engine(
        self, shard: Shard, account: int, name: OrderName, after: Sequences
    ) -> matching.GetOrderResponse:
        request = matching.GetOrderRequest(
            account=account, after_sequence=after.get(shard.number, 0), **name._asdict()
        )
        return await read(shard.engine.GetOrder(request, timeout=READ_S), shard.replicas)

    async def order(self, account: int, name: OrderName, after: Sequences) -> shapes.Order:
        """One order with all its fills. A 404 is final one second after the order's deadline."""
        for _ in range(_CLOCK_TRIES):
            known = await self.known(account, name, after)
            if known.standing is not None:
                return await self._open_with_fills(account, known.standing, after)
            past = await self.past_order(account, self._past_name(known, name), known.at)
            if past is not None:
                return past
            if known.clock_us >= self._clock.now_us() - _CLOCK_BEHIND_US:
                raise Problem("order_unknown")
            # The core's clock moves with its log, which ticks each second while nothing happens.
            await asyncio.sleep(_CLOCK_PAUSE_S)
        raise Problem("lagging", "The engine's clock is behind; whether it exists is not final.")

    def _past_name(self, known: Known, name: OrderName) -> OrderName:
        """How history is asked for what has ended: of several shards it alone knows the newest."""
        if known.order is None or (self._shards.is_several and not name.order_id):
            return name
        return OrderName(known.order.order_id)

    async def _open_with_fills(
        self, account: int, order: types.Order, after: Sequences
    ) -> shapes.Order:
        """An open order as the engine has it, with the fills up to its last change."""
        fills: list[orders.Fill] = []
        if order.filled_lots:
            shard = self._shards.of(order.order_id).number
            change = {shard: max(after.get(shard, 0), order.sequence)}
            told = await self._ask_history(account, OrderName(order.order_id), change)
            fills = [fill for fill in told.order.fills if fill.sequence <= order.sequence]
        return await self.shown(order, fills)

    async def past_order(
        self, account: int, name: OrderName, after: Sequences
    ) -> shapes.Order | None:
        """One order with its fills as history has it, once it has passed what was seen."""
        told = await self._ask_history(account, name, after)
        return await self.shown(told.order.order, told.order.fills) if told.found else None

    async def _ask_history(
        self, account: int, name: OrderName, after: Sequences
    ) -> orders.GetOrderResponse:
        request = orders.GetOrderRequest(account=account, after=spoken(after), **name._asdict())
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

    async def open_orders(
        self, shard: Shard, account: int, after: Sequences
    ) -> matching.ListOpenOrdersResponse:
        """All open orders in a shard, oldest first."""
        request = matching.ListOpenOrdersRequest(
            account=account, after_sequence=after.get(shard.number, 0)
        )
        return await read(shard.engine.ListOpenOrders(request, timeout=READ_S), shard.replicas)

    async def past_orders(self, request: orders.ListOrdersRequest) -> orders.ListOrdersResponse:
        """A page of orders in any state."""
        call = self._history.ListOrders(request, timeout=READ_S)
        return await read(call, self._history_channel)

    async def fills(self, request: orders.ListFillsRequest) -> orders.ListFillsResponse:
        """A page of fills."""
        call = self._history.ListFills(request, timeout=READ_S)
        return await read(call, self._history_channel, has_cursor=bool(request.cursor))

    async def shown_fill(self, fill: orders.Fill) -> shapes.Fill:
        """A fill in public words."""
        market = await self._markets.wait_for(fill.instrument)
        return translate.fill(fill, market, self._fee_asset(fill.fee_asset))

    async def balances(
        self, shard: Shard, account: int, after: Sequences, within_s: float = READ_S
    ) -> matching.GetBalancesResponse:
        """What an account has in a shard."""
        request = matching.GetBalancesRequest(
            account=account, after_sequence=after.get(shard.number, 0)
        )
        return await read(shard.engine.GetBalances(request, timeout=within_s), shard.replicas)

    async def reach(self, after: Sequences) -> None:
        """Wait until the engines have come so far, for answers that come from no room."""
        behind = [self._shards[number] for number, sequence in after.items() if sequence]
        await asyncio.gather(*(self.settings(shard, 0, after) for shard in behind))

    async def settings(
        self, shard: Shard, account: int, after: Sequences
    ) -> matching.GetAccountResponse:
        """The settings of an account. Account 0 has none: asking waits for the engine alone."""
        request = matching.GetAccountRequest(
            account=account, after_sequence=after.get(shard.number, 0)
        )
        return await read(shard.engine.GetAccount(request, timeout=READ_S), shard.replicas)


def _standing_then_newest(order: types.Order) -> tuple[bool, int]:
    return order.state in STANDING, order.created_us
