"""From which room an order comes, and when a 404 is an answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc as matching_rpc
from bourse.orders import v1 as orders
from bourse.orders.v1 import rpc as orders_rpc
from bourse.types import v1 as types
from tests.services.gateway.world import Answer, Client, gateway, story

NAMED = "/api/v1/orders/by-client-id/a-1"
OPEN = types.Order(
    order_id=1024,
    instrument=1024,
    side=types.SIDE_BUY,
    type=types.ORDER_TYPE_LIMIT,
    time_in_force=types.TIME_IN_FORCE_GTC,
    state=types.ORDER_STATE_OPEN,
    quantity_lots=10_000,
    remaining_lots=10_000,
    price_ticks=100,
    sequence=7,
)


class Engine:
    """What the engine says of one order, and what it was asked."""

    def __init__(self) -> None:
        self.says = matching.GetOrderResponse(sequence=9)
        self.behind_us = 0
        self.asked: list[matching.GetOrderRequest] = []

    async def get_order(
        self, request: matching.GetOrderRequest, context: Any
    ) -> matching.GetOrderResponse:
        self.asked.append(request)
        self.says.clock_us = Client.clock.now_us() - self.behind_us
        self.behind_us //= 2
        return self.says


class History:
    """What history says of one order, or that it has not come that far."""

    def __init__(self) -> None:
        self.says = orders.GetOrderResponse(found=False)
        self.misses: grpc.StatusCode | None = None
        self.asked: list[orders.GetOrderRequest] = []

    async def get_order(
        self, request: orders.GetOrderRequest, context: Any
    ) -> orders.GetOrderResponse:
        self.asked.append(request)
        if self.misses is not None:
            await context.abort(self.misses, "it stands at sequence 8")
        return self.says


def served(service: str, method: Any, request: Any, response: Any) -> grpc.GenericRpcHandler:
    handler = grpc.unary_unary_rpc_method_handler(
        method,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(service, {"GetOrder": handler})


@asynccontextmanager
async def rooms(tmp_path: Path) -> AsyncIterator[tuple[Engine, History, Client]]:
    async with gateway(tmp_path) as (_, client):
        engine, history, servers = Engine(), History(), []
        of_engine = served(
            matching_rpc.MATCHING_SERVICE,
            engine.get_order,
            matching.GetOrderRequest,
            matching.GetOrderResponse,
        )
        of_history = served(
            orders_rpc.ORDERS_SERVICE,
            history.get_order,
            orders.GetOrderRequest,
            orders.GetOrderResponse,
        )
        for name, handler in (("matching", of_engine), ("orders", of_history)):
            server = grpc.aio.server()
            server.add_generic_rpc_handlers((handler,))
            server.add_insecure_port(f"unix:{tmp_path}/run/{name}.sock")
            await server.start()
            servers.append(server)
        try:
            yield engine, history, client
        finally:
            await asyncio.gather(*(server.stop(None) for server in servers))


async def look(client: Client, target: str = NAMED) -> Answer:
    return await client.ask("GET", target, key="reader")


def test_an_open_order_without_trades_needs_no_history(tmp_path: Path) -> None:
    async def told() -> None:
        async with rooms(tmp_path) as (engine, history, client):
            engine.says = matching.GetOrderResponse(found=True, order=OPEN, sequence=9)
            answer = await look(client, "/api/v1/orders/1024")
            assert (answer.status, answer.body["state"]) == (200, "open")
            assert answer.body["fills"] == []
            assert (engine.asked[0].order_id, engine.asked[0].account) == (1024, 1000)
            assert history.asked == []

    story(told)


def test_an_order_that_waits_comes_from_the_engine_too(tmp_path: Path) -> None:
    async def told() -> None:
        async with rooms(tmp_path) as (engine, history, client):
            engine.says = matching.GetOrderResponse(found=True, order=OPEN, sequence=9)
            engine.says.order.state = types.ORDER_STATE_WAITING
            answer = await look(client)
            assert (answer.status, answer.body["state"]) == (200, "waiting")
            assert history.asked == []

    story(told)


def test_an_open_order_is_shown_with_the_fills_up_to_its_last_change(tmp_path: Path) -> None:
    async def told() -> None:
        async with rooms(tmp_path) as (engine, history, client):
            engine.says.found = True
            engine.says.order.CopyFrom(OPEN)
            engine.says.order.filled_lots = 1
            history.says = orders.GetOrderResponse(found=True)
            for sequence in (7, 8):
                history.says.order.fills.add(
                    trade_id=sequence, instrument=1024, fee_asset=2, sequence=sequence
                )
            answer = await look(client)
            assert [fill["trade_id"] for fill in answer.body["fills"]] == ["7"]
            assert (history.asked[0].order_id, history.asked[0].after[0].sequence) == (1024, 7)

    story(told)


def test_an_ended_order_that_is_remembered_comes_from_history_by_its_number(
    tmp_path: Path,
) -> None:
    async def told() -> None:
        async with rooms(tmp_path) as (engine, history, client):
            engine.says.found = True
            engine.says.order.order_id = 1024
            history.says = orders.GetOrderResponse(found=True)
            history.says.order.order.CopyFrom(OPEN)
            history.says.order.order.state = types.ORDER_STATE_FILLED
            answer = await look(client)
            assert (answer.status, answer.body["state"]) == (200, "filled")
            asked = history.asked[0]
            assert (asked.order_id, asked.client_order_id) == (1024, "")
            assert [(one.shard, one.sequence) for one in asked.after] == [(0, 9)]

    story(told)


def test_a_404_is_final_only_while_the_clock_of_the_engine_is_near(tmp_path: Path) -> None:
    async def told() -> None:
        async with rooms(tmp_path) as (engine, history, client):
            engine.behind_us = 10_000_000
            answer = await look(client)
            assert (answer.status, answer.code) == (404, "order_unknown")
            assert len(engine.asked) > 1, "it waited until the engine's clock had come near"
            assert history.asked[0].client_order_id == "a-1"
            engine.behind_us = 10**18
            answer = await look(client)
            assert (answer.status, answer.code) == (503, "lagging")

    story(told)


def test_history_that_has_not_come_so_far_is_lagging(tmp_path: Path) -> None:
    async def told() -> None:
        async with rooms(tmp_path) as (_, history, client):
            history.misses = grpc.StatusCode.UNAVAILABLE
            answer = await look(client)
            assert (answer.status, answer.code) == (503, "lagging")

    story(told)


def test_history_that_comes_no_further_is_unavailable(tmp_path: Path) -> None:
    async def told() -> None:
        async with rooms(tmp_path) as (_, history, client):
            history.misses = grpc.StatusCode.FAILED_PRECONDITION
            answer = await look(client)
            assert (answer.status, answer.code) == (503, "unavailable")
            assert "until operators have mended that" in answer.body["detail"]

    story(told)


def test_a_room_out_of_reach_is_unavailable(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            answer = await look(client)
            assert (answer.status, answer.code) == (503, "unavailable")

    story(told)


def test_what_the_client_names_is_waited_for(tmp_path: Path) -> None:
    async def told() -> None:
        async with rooms(tmp_path) as (engine, _, client):
            engine.says = matching.GetOrderResponse(found=True, order=OPEN, sequence=9)
            after = {"X-Bourse-After": "0:4711"}
            answer = await client.ask("GET", NAMED, key="reader", headers=after)
            assert engine.asked[0].after_sequence == 4711
            assert answer.headers["X-Bourse-Sequence"] == "0:7"

    story(told)
