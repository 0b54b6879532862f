"""What there is only so much of: open orders, room in the engine, an asset, a reader's buffer."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import grpc
import pytest

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.cli.engine import Session
from services.cli.terminal import Refused
from tests.journey.client import Socket, open_socket
from tests.journey.contract.exchange import Exchange, Floor, Trader, told

BTC_USD, USD = 1024, 1
TOP = 2**62
TREASURY_MINOR = 10**9 * 10**8
PRIVATE = ("user.orders", "user.fills", "user.balances")
BATCH = 1000
FIRST_SIZES = {
    "orders": 2**20,
    "orders_per_account": 10_000,
    "accounts": 2**16,
    "balances": 2**18,
    "client_order_ids": 2**21,
    "client_order_id_memory_us": 120_000_000,
    "sessions": 256,
    "instruments": 1024,
}


async def resize(engine: Session, **sizes: int) -> None:
    """Give the engine the sizes it began with, but for these. Raises Refused below what is used."""
    wanted = matching.SetSizes(**{**FIRST_SIZES, **sizes})
    await engine.ask(matching.Command(set_sizes=wanted))


def _bid(account: int) -> matching.Command:
    """A nameless order that rests far below the market."""
    order = matching.PlaceOrder(
        instrument=BTC_USD,
        side=types.SIDE_BUY,
        type=types.ORDER_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_GTC,
        price_ticks=100,
        quantity_lots=10_000,
    )
    return matching.Command(account=account, place_order=order)


@asynccontextmanager
async def private_socket(session: aiohttp.ClientSession, trader: Trader) -> AsyncIterator[Socket]:
    """A socket that listens to all that is private to a trader."""
    async with open_socket(session, trader.url) as socket:
        await trader.authenticate(socket)
        await socket.say("subscribe", channels=list(PRIVATE))
        yield socket


def _narrow(address: aiohttp.AddrInfoType) -> socket.socket:
    """A connection that takes in little by itself."""
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131_072)
    return made


async def _hear_of(ended: int, listener: Socket) -> None:
    """Read on until so many orders have been cancelled."""
    cancelled = 0

    def is_last(one: dict[str, Any]) -> bool:
        nonlocal cancelled
        cancelled += one["type"] == "order" and one["order"]["state"] == "cancelled"
        return bool(cancelled == ended)

    await listener.until(is_last)


def test_an_account_has_so_many_open_orders_and_a_slow_reader_is_cut(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        dora, most = floor.dora, FIRST_SIZES["orders_per_account"]
        narrow = aiohttp.TCPConnector(socket_factory=_narrow)
        async with (
            aiohttp.ClientSession(connector=narrow) as session,
            private_socket(session, dora) as slow,
            private_socket(floor.session, dora) as quick,
        ):
            hearing = asyncio.create_task(_hear_of(most, quick))
            async with exchange.engine() as engine:
                for _ in range(most // BATCH):
                    await engine.ask(*(_bid(exchange.number("dora")) for _ in range(BATCH)))
            for refused in (await dora.order(price="9"), await dora.order(post_only=True)):
                assert told(refused) == (422, "too_many_open_orders")
            passing = await dora.order(price="1", time_in_force="ioc")
            assert told(passing) == (201, ""), "what never rests needs no place"
            assert len((await dora.ask("DELETE", "/orders")).body["cancelled"]) == most
            assert told(await dora.order(price="9")) == (201, "")
            await hearing
            assert await slow.until_closed() == 4008
            assert slow.heard[-1]["type"] == "closing"

    exchange.tell(story)


def test_a_full_engine_refuses_what_is_new_and_forgets_nothing(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        alice, bob = floor.alice, floor.bob
        async with exchange.engine() as engine:
            try:
                await _fill_the_book(engine, alice, bob)
                await _fill_the_memory(engine, alice)
            finally:
                await resize(engine)

    exchange.tell(story)


async def _fill_the_book(engine: Session, alice: Trader, bob: Trader) -> None:
    kept = await alice.open("buy", "9", "1", client_order_id="only-one")
    await resize(engine, orders=1)
    assert told(await bob.order()) == (422, "capacity_full")
    again = await alice.order(price="9", client_order_id="only-one")
    assert (again.status, again.body["order_id"]) == (200, kept["order_id"])
    assert (await bob.at_market("sell", quantity="0.1"))["state"] == "filled"
    await alice.ask("DELETE", f"/orders/{kept['order_id']}")
    assert told(await bob.order()) == (201, "")
    await resize(engine)


async def _fill_the_memory(engine: Session, alice: Trader) -> None:
    ended = {"client_order_id": "ended", "price": "1", "time_in_force": "ioc"}
    first = await alice.order(**ended)
    await resize(engine, client_order_ids=await _remembered(engine))
    code, tried = "", 0
    # Some of what was remembered may have had its time meanwhile, and left a place.
    while code != "capacity_full":
        tried += 1
        code = told(await alice.order(**{**ended, "client_order_id": f"new-{tried}"}))[1]
    again = await alice.order(**ended)
    assert (again.status, again.body["order_id"]) == (200, first.body["order_id"])
    reused = await alice.order(**{**ended, "price": "2"})
    assert told(reused) == (409, "client_order_id_reused")


async def _remembered(engine: Session) -> int:
    """How many client order ids the engine remembers: the least it can be told to."""
    low, high = 0, FIRST_SIZES["client_order_ids"]
    while high - low > 1:
        middle = (low + high) // 2
        try:
            await resize(engine, client_order_ids=middle)
            high = middle
        except Refused:
            low = middle
    return high


def test_a_market_has_its_smallest_order(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        least = ("--min-quantity", "0.05", "--min-notional", "0.0001")
        added = ("instrument", "add", "ETH-BTC", "--tick", "0.001", "--lot", "0.01", *least)
        exchange.operator(*added)
        eth = {"instrument": "ETH-BTC", "price": "0.05"}
        small = await floor.alice.order(**eth, quantity="0.04")
        assert told(small) == (422, "quantity_too_small")
        assert small.body["detail"] == "The smallest order of ETH-BTC is 0.05 ETH."
        for quantity, code in (("0.045", "quantity_off_lot"), ("0.01", "quantity_too_small")):
            answer = await floor.alice.order(**eth, quantity=quantity)
            assert told(answer) == (422, code)
        placed = await floor.alice.open("buy", "0.05", "0.05", instrument="ETH-BTC")
        path = f"/orders/{placed['order_id']}"
        less = await floor.alice.ask("PATCH", path, {"quantity": "0.04"})
        assert told(less) == (422, "quantity_too_small")
        assert (await floor.alice.one(placed))["quantity"] == "0.05"

    exchange.tell(story)


def test_there_is_never_more_of_an_asset_than_can_be_counted(exchange: Exchange) -> None:
    async def fund(request_id: bytes, amount_minor: int) -> None:
        asked = ledger.FundTreasuryRequest(
            request_id=request_id, asset=USD, amount_minor=amount_minor
        )
        async with exchange.rooms() as rooms:
            await rooms.ledger.FundTreasury(asked)

    # The books keep all there is below what the engine can count, so that no credit is refused.
    room = TOP - TREASURY_MINOR
    for request_id, amount_minor in ((b"1" * 16, TOP), (b"2" * 16, room + 1)):
        with pytest.raises(grpc.aio.AioRpcError, match="asset_cap"):
            asyncio.run(fund(request_id, amount_minor))
    done = exchange.command("account", "deposit", "dora", "USD", "1000000001")
    assert (done.exit_code, "treasury" in done.stderr) == (1, True), done.stderr


NO_ORDERS: tuple[tuple[str, dict[str, str] | None, str, str], ...] = (
    ("GET", None, "", "order_unknown"),
    ("DELETE", None, "order_ended", "order_unknown"),
    ("PATCH", {"price": "1"}, "order_ended", "order_unknown"),
    ("PATCH", {"quantity": "1000001"}, "order_ended", "order_unknown"),
    ("PATCH", {"price": "1e1"}, "invalid_value", "invalid_value"),
    ("PATCH", {"side": "buy"}, "unknown_field", "unknown_field"),
)


def test_an_order_that_has_ended_is_ended_and_one_that_never_was_is_unknown(
    exchange: Exchange,
) -> None:
    async def story(floor: Floor) -> None:
        alice = floor.alice
        await floor.bob.open("sell", "10", "1")
        for name, more in (("it-filled", {}), ("it-expired", {"time_in_force": "ioc"})):
            order = await alice.open("buy", "10", "1", client_order_id=name, **more)
            assert order["state"] == name.removeprefix("it-")
            for path in (f"/orders/{order['order_id']}", f"/orders/by-client-id/{name}"):
                for method, body, of_ended, _ in NO_ORDERS:
                    answer = await alice.ask(method, path, body)
                    assert told(answer)[1] == of_ended, (method, path, body)
                    if of_ended == "order_ended":
                        assert answer.body["order"] == (await alice.one(order))
        for path in ("/orders/1", "/orders/by-client-id/never"):
            for method, body, _, of_unknown in NO_ORDERS:
                assert told(await alice.ask(method, path, body))[1] == of_unknown

    exchange.tell(story)
