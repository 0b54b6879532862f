"""A house of two shards at its edge: BTC-USD trades in shard 0, ETH-USD in shard 1."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import grpc
import pytest

from bourse.ledger import v1 as ledger
from services.cli.bootstrap import NewMarket, add_missing_markets
from services.cli.rooms import Rooms
from tests.conftest import folder_for_postgres
from tests.integration.edge import Answer, Client, Running, begin, clients, person, story
from tests.integration.halting import Operator, halt
from tests.integration.rooms import House

ETHER = NewMarket(
    "ETH-USD", "ETH", "USD", "0.01", "0.0001", "0.0001", "1000000", "0.1", "100000000"
)
ETH = 3
PURSE = Decimal(1_000)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with folder_for_postgres() as data:
        house = House(data, shards=2)
        try:
            yield asyncio.run(_begin(house))
        finally:
            house.stop()


async def _begin(house: House) -> Running:
    running = await begin(house)
    rooms = house.rooms()
    await add_missing_markets(rooms, [ETHER], shard=1)
    await rooms.close()
    return running


async def deposit(running: Running, account: int, asset: int, units: int, shard: int) -> None:
    rooms = running.house.rooms()
    await rooms.ledger.CreateTransfer(
        ledger.CreateTransferRequest(
            request_id=secrets.token_bytes(16),
            account=account,
            asset=asset,
            amount_minor=units * 10**8,
            shard=shard,
        )
    )
    await rooms.close()


async def patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask again while the market is not known yet, a room lags, or money takes its time to come."""
    while True:
        said = await ask()
        code, detail = said.body.get("code"), said.body.get("detail", "").lower()
        comes = code == "insufficient_balance" and "try again" in detail
        if not comes and code not in ("instrument_unknown", "lagging"):
            return said
        await asyncio.sleep(0.05)


async def ether(client: Client, side: str, price: str, quantity: str, **more: Any) -> Answer:
    """An order for ETH-USD."""
    order = {"instrument": "ETH-USD", "side": side, "price": price, "quantity": quantity, **more}
    return await patiently(lambda: client.ask("POST", "/orders", order))


async def money(client: Client) -> tuple[Decimal, Decimal]:
    """USD that can be used, and all of it."""
    told = (await patiently(lambda: client.ask("GET", "/balances"))).body
    assert [one["shard"] for one in told["sequences"]] == [0, 1]
    (usd,) = [one for one in told["balances"] if one["asset"] == "USD"]
    parts = [Decimal(usd.get(name, "0")) for name in ("available", "held", "in_transit")]
    return parts[0], sum(parts, Decimal())


def test_money_comes_to_the_order_that_lacks_it(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, _):
            first = await ether(alice, "buy", "100", "6")
            assert (first.status, first.body["state"]) == (201, "open"), first.body
            assert await money(alice) == (Decimal(400), PURSE)
            dear = await ether(alice, "buy", "100", "6", client_order_id="dear")
            assert (dear.status, dear.body["code"]) == (422, "insufficient_balance")
            assert dear.body["detail"] == (
                "This order needs 600 USD; 0 USD is available in shard 1, where ETH-USD trades,"
                " 400 USD in shard 0. Deposit or lower the quantity."
            )
            assert dear.body["funds"] == {
                "asset": "USD",
                "available": [{"shard": 0, "amount": "400"}, {"shard": 1, "amount": "0"}],
                "in_transit": "0",
            }
            assert await money(alice) == (Decimal(400), PURSE), "and nothing has moved for it"
            one = f"/orders/{first.body['order_id']}"
            dearer = await patiently(lambda: alice.ask("PATCH", one, {"quantity": "9"}))
            assert (dearer.status, dearer.body["remaining_quantity"]) == (200, "9")
            most = {"instrument": "ETH-USD", "side": "buy", "price": "100", "quantity": "9.5"}
            replaced = await patiently(lambda: alice.ask("POST", f"{one}/replace", most))
            assert replaced.status == 201, replaced.body
            assert await money(alice) == (Decimal(50), PURSE)
            back = await alice.place("buy", "50", "3")
            assert (back.status, back.body["code"]) == (422, "insufficient_balance")
            await alice.ask("DELETE", "/orders")
            back = await patiently(lambda: alice.place("buy", "50", "3"))
            assert back.status == 201, "it comes back as well"
            assert await money(alice) == (Decimal(850), PURSE)

    story(told)


def test_balances_add_up_while_money_moves(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, _):
            _, everything = await money(alice)
            amount = f"{everything * 3 / 4:f}"

            async def wander() -> None:
                for _ in range(4):
                    for symbol in ("ETH-USD", "BTC-USD"):
                        order = {"instrument": symbol, "side": "buy", "price": amount}
                        body = {**order, "quantity": "1"}
                        said = await patiently(partial(alice.ask, "POST", "/orders", body))
                        assert said.status == 201, said.body
                        await alice.ask("DELETE", f"/orders/{said.body['order_id']}")

            wandering, seen = asyncio.create_task(wander()), 0
            while not wandering.done() or seen < 10:
                _, there = await money(alice)
                assert there == everything
                seen += 1
            await wandering

    story(told)


def test_an_order_is_found_wherever_it_is(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, _):
            name = secrets.token_hex(4)
            here = (await alice.place("buy", "1", "1", client_order_id=name)).body
            there = (await ether(alice, "buy", "1", "1", client_order_id=name)).body
            assert int(here["order_id"]) % 1024 == 0
            assert int(there["order_id"]) % 1024 == 1
            for order in (here, there):
                seen = await alice.ask("GET", f"/orders/{order['order_id']}")
                assert (seen.status, seen.body) == (200, {**order, "fills": []})
            by_name = f"/orders/by-client-id/{name}"
            assert (await alice.ask("GET", by_name)).body["order_id"] == there["order_id"]
            moved = {"instrument": "BTC-USD", "side": "buy", "price": "1", "quantity": "1"}
            wrong = await alice.ask("POST", f"/orders/{there['order_id']}/replace", moved)
            assert (wrong.status, wrong.body["code"]) == (422, "replacement_differs")
            for order in (there, here):
                gone = await alice.ask("DELETE", by_name)
                assert (gone.status, gone.body["order_id"]) == (200, order["order_id"])
            ended = await alice.ask("DELETE", by_name)
            assert (ended.status, ended.body["code"]) == (409, "order_ended")
            assert ended.body["order"]["order_id"] == there["order_id"], "the newest of that name"
            unknown = await alice.ask("DELETE", "/orders/by-client-id/nobody")
            assert (unknown.status, unknown.body["code"]) == (404, "order_unknown")

    story(told)


def test_lists_join_the_shards_newest_first(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, _):
            placed = []
            for _ in range(3):
                placed.append((await alice.place("buy", "1", "1")).body["order_id"])
                placed.append((await ether(alice, "buy", "1", "1")).body["order_id"])
            for state in ("state=open", "from_us=1"):
                found: list[str] = []
                cursor = ""
                while len(found) < len(placed):
                    answer = await alice.ask("GET", f"/orders?{state}&limit=2{cursor}")
                    found += [order["order_id"] for order in answer.body["orders"]]
                    cursor = f"&cursor={answer.body['next_cursor']}"
                    at = {one["shard"]: one["sequence"] for one in answer.body["sequences"]}
                    assert answer.body["sequence"] == at[0]
                assert found == placed[::-1]
            only = (await alice.ask("GET", "/orders?state=open&instrument=ETH-USD")).body
            assert [order["order_id"] for order in only["orders"]] == placed[::-1][::2]
            assert only["sequences"] == [{"shard": 1, "sequence": only["sequence"]}]
            for text in ("1", "1.", "x.1", "1.1.1"):
                odd = await alice.ask("GET", f"/orders?cursor={text}")
                assert (odd.status, odd.body["code"]) == (400, "invalid_value"), text
            all_of_them = await alice.ask("DELETE", "/orders")
            assert sorted(all_of_them.body["cancelled"]) == sorted(placed)
            assert all_of_them.sequence is not None
            seen = await alice.ask("GET", "/orders?state=open", after=all_of_them.sequence)
            assert seen.body["orders"] == []

    story(told)


def test_a_token_names_every_shard_and_waits_for_what_it_names(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, _):
            token = (await alice.ask("GET", "/balances")).sequence
            assert token is not None
            assert [part.split(":")[0] for part in token.split(",")] == ["0", "1"]
            late = f"1:{2**60}"
            for target in ("/orderbook/BTC-USD", "/trades/BTC-USD", "/orders?instrument=BTC-USD"):
                assert (await alice.ask("GET", target, after=late)).status == 200, target
                assert (await alice.ask("GET", target, after=token)).status == 200, target
            waiting = ("/time", "/balances", "/orderbook/ETH-USD")
            asked = (alice.ask("GET", target, after=late) for target in waiting)
            for answer in await asyncio.gather(*asked):
                assert (answer.status, answer.body["code"]) == (503, "lagging")
            for text in ("2:1", "0:1,2:1", "1:1,0:1", "0:1,0:1", "0:1,", "0:1;1:1"):
                answer = await alice.ask("GET", "/time", after=text)
                assert (answer.status, answer.body["code"]) == (400, "invalid_value"), text

    story(told)


class Stream:
    """A private stream, as far as it was heard."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def follow(self, client: Client, channel: str, after: str | None = None) -> None:
        await self._socket.send_json({"op": "authenticate", **client.signed()})
        wanted = {"op": "subscribe", "channels": [channel], "after": after}
        await self._socket.send_json(wanted)
        said = [(await self._socket.receive_json())["type"] for _ in range(2)]
        assert said == ["authenticated", "subscribed"]

    async def hear(self, count: int) -> list[Any]:
        return [await self._socket.receive_json() for _ in range(count)]


def test_one_private_stream_tells_of_both_and_goes_on_where_it_was(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, _), alice.socket() as socket:
            stream = Stream(socket)
            await stream.follow(alice, "user.orders")
            placed = []
            for _ in range(3):
                placed.append((await alice.place("buy", "1", "1")).body["order_id"])
                placed.append((await ether(alice, "buy", "1", "1")).body["order_id"])
            heard = await stream.hear(6)
            assert sorted(one["order"]["order_id"] for one in heard) == sorted(placed)
            assert all(one.get("shard", 0) == int(one["order"]["order_id"]) % 1024 for one in heard)
            assert all(one["cursor"].count("_") == 1 for one in heard)
            for told_so_far, last in enumerate(heard, 1):
                async with alice.socket() as other:
                    again = Stream(other)
                    await again.follow(alice, "user.orders", last["cursor"])
                    rest = await again.hear(6 - told_so_far)
                    expected = {one["order"]["order_id"] for one in heard[told_so_far:]}
                    assert {one["order"]["order_id"] for one in rest} == expected
            first_only = heard[-1]["cursor"].split("_")[0]
            async with alice.socket() as other:
                older = Stream(other)
                await older.follow(alice, "user.orders", first_only)
                told = {one["order"]["order_id"] for one in await older.hear(3)}
                assert all(int(order_id) % 1024 == 1 for order_id in told), "of shard 1 everything"
            for odd in ("1.0.1_", "_1.0.1", "1.0.1_1.0.1_1.0.1", "x_y"):
                async with alice.socket() as other:
                    await other.send_json({"op": "authenticate", **alice.signed()})
                    wanted = {"op": "subscribe", "channels": ["user.orders"], "after": odd}
                    await other.send_json(wanted)
                    assert (await other.receive_json())["type"] == "authenticated"
                    assert (await other.receive_json())["code"] == "cursor_gone", odd

    story(told)


def test_balances_are_told_as_the_sum_of_all_shards(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, _), alice.socket() as socket:
            available, everything = await money(alice)
            stream = Stream(socket)
            await stream.follow(alice, "user.balances")
            await alice.place("buy", "10", "1")
            # What the test before has cancelled may still be on its way to this stream.
            while (here := (await stream.hear(1))[0])["balance"]["held"] != "10":
                pass
            assert here["balance"] == {
                "asset": "USD",
                "available": f"{available - 10:f}",
                "held": "10",
            }
            assert "shard" not in here
            order = await ether(alice, "buy", f"{available - 10:f}", "1")
            assert order.status == 201, order.body
            while (last := (await stream.hear(1))[0])["balance"]["held"] != f"{available:f}":
                pass
            assert last["balance"]["available"] == "0"
            assert last["shard"] == 1
            assert await money(alice) == (Decimal(), everything)

    story(told)


def test_trades_and_fills_of_both(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, bob), alice.socket() as socket:
            seller = int((await bob.ask("GET", "/account")).body["account_id"])
            await deposit(running, seller, ETH, 5, shard=1)
            await socket.send_json({"op": "subscribe", "channels": ["trades.ETH-USD"]})
            assert (await socket.receive_json())["type"] == "subscribed"
            await bob.place("sell", "10", "1")
            await alice.place("buy", "10", "1")
            await ether(bob, "sell", "10", "1")
            taken = await ether(alice, "buy", "10", "1")
            (trade,) = [fill["trade_id"] for fill in taken.body["fills"]]
            assert (await socket.receive_json())["trade_id"] == trade
            fills = (await alice.ask("GET", "/fills?limit=2")).body
            assert [fill["instrument"] for fill in fills["fills"]] == ["ETH-USD", "BTC-USD"]
            assert len(fills["sequences"]) == 2
            shown = await alice.ask("GET", "/trades/ETH-USD", after=taken.sequence or "")
            assert shown.body["trades"][0]["trade_id"] == trade
            one = (await alice.ask("GET", f"/fills?order_id={taken.body['order_id']}")).body
            assert [fill["trade_id"] for fill in one["fills"]] == [trade]
            assert one["sequences"] == [{"shard": 1, "sequence": one["sequence"]}]

    story(told)


def test_where_one_shard_is_away_the_other_trades_on(running: Running) -> None:
    async def told() -> None:
        async with clients(running, tidy=False) as (alice, _):
            name = secrets.token_hex(4)
            await ether(alice, "buy", "1", "1")
            running.house.kill("matching-s1")
            kept = await alice.place("sell", "9999", "1", client_order_id=name)
            assert kept.status == 201
            short = await alice.place("sell", "9999", "9999")
            assert short.body["detail"].endswith(
                "where BTC-USD trades, shard 1 does not answer. Try again, deposit or lower the"
                " quantity."
            )
            health = await alice.ask("GET", "/health")
            while health.body["rooms"]["matching-s1"] == "serving":
                await asyncio.sleep(0.1)
                health = await alice.ask("GET", "/health")
            assert (health.status, health.body["status"]) == (200, "degraded")
            assert health.body["rooms"]["matching"] == "serving"
            away = await ether(alice, "buy", "1", "1")
            assert (away.status, away.body["code"]) == (503, "unavailable")
            assert (await alice.ask("GET", "/balances")).status == 503
            ended = await alice.ask("DELETE", f"/orders/by-client-id/{name}")
            assert (ended.status, ended.body["state"]) == (200, "cancelled")
            assert (await alice.ask("DELETE", "/orders/by-client-id/nobody")).status == 503
            await what_answers_is_shown(Operator(running.house))
            running.house.launch("matching-s1")
            await running.house.serving("matching-s1")
            # Neither the edge nor the engine says when that is so: ask.
            while (await ether(alice, "buy", "1", "1")).status != 201:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            switch = await alice.ask("PUT", "/dead-man", {"timeout_ms": 1000})
            assert switch.status == 200
            opened = "/orders?state=open"
            while (await alice.ask("GET", opened)).body["orders"]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    story(told)


async def what_answers_is_shown(operator: Operator) -> None:
    """An operator's lists name the shard that is away, and have what the other one knows."""
    code, listed, why = await operator.bourse("instrument", "list")
    assert (code, listed["silent"]) == (0, [1]), why
    assert {each["shard"] for each in listed["instruments"]} == {0}
    code, listed, why = await operator.bourse("account", "list")
    assert (code, listed["silent"]) == (0, [1]), why
    assert {each["settings"]["suspended"] for each in listed["accounts"]} == {False}
    code, shown, why = await operator.bourse("account", "show", "alice")
    assert (code, shown["silent"]) == (0, [1]), why
    assert [each["shard"] for each in shown["sequences"]] == [0]
    for each in shown["balances"]:
        assert "in_transit" not in each
        assert [there["shard"] for there in each["shards"]] == [0]


def a_move(account: int, units: int, number: int) -> ledger.MoveMoneyRequest:
    """USD from shard 0 to shard 1."""
    return ledger.MoveMoneyRequest(
        request_id=bytes([number] * 16),
        account=account,
        asset=1,
        amount_minor=units * 10**8,
        from_shard=0,
        to_shard=1,
    )


async def until_move(rooms: Rooms, asked: ledger.MoveMoneyRequest, state: int) -> None:
    while (move := (await rooms.ledger.MoveMoney(asked)).move).state != state:
        assert move.state != ledger.MOVE_STATE_REFUSED
        await asyncio.sleep(0.02)


async def halted_shards(client: Client, *expected: int) -> Answer:
    while True:
        said = await client.ask("GET", "/health")
        if said.body.get("halted", []) == list(expected):
            return said
        await asyncio.sleep(0.1)


def test_a_shard_that_is_halted_stops_alone_until_operators_let_it_go_on(running: Running) -> None:
    async def told() -> None:
        herself = running._replace(alice=await person(running.house, "carol"))
        async with clients(herself) as (carol, _):
            there = (await ether(carol, "buy", "1", "100")).body["order_id"]
            # Its money stays where it was traded last.
            spare = (await ether(carol, "buy", "1", "50")).body["order_id"]
            assert (await carol.ask("DELETE", f"/orders/{spare}")).status == 200
            _, everything = await money(carol)
            account = int((await carol.ask("GET", "/account")).body["account_id"])
            rooms, began = running.house.rooms(), a_move(account, 5, 1)
            running.house.kill("matching-s1")
            await until_move(rooms, began, ledger.MOVE_STATE_IN_TRANSIT)
            await halt(running.house, 1)
            running.house.launch("matching-s1")
            await running.house.serving("matching-s1")
            health = await halted_shards(carol, 1)
            assert (health.status, health.body["status"]) == (200, "degraded")
            await nothing_happens_there(carol, there)
            assert (await carol.place("buy", "1", "1")).status == 201, "shard 0 trades on"
            with pytest.raises(grpc.aio.AioRpcError, match="shard_halted: shard 1 is halted"):
                await rooms.ledger.MoveMoney(a_move(account, 5, 2))
            assert (await money(carol))[1] == everything, "what is on its way is told"
            await Operator(running.house).lets_it_go_on(1)
            await halted_shards(carol)
            await until_move(rooms, began, ledger.MOVE_STATE_DONE)
            assert (await carol.ask("DELETE", f"/orders/{there}")).status == 200
            assert (await ether(carol, "buy", "1", "101")).status == 201
            assert (await money(carol))[1] == everything
            await rooms.close()

    story(told)


async def nothing_happens_there(carol: Client, there: str) -> None:
    """Nor is money brought from there: an order elsewhere that lacks it is told where it is."""
    halted = (503, "shard_halted")
    answer = await ether(carol, "buy", "1", "1")
    # Its stream has to be opened anew first.
    while answer.body["code"] == "unavailable":
        answer = await ether(carol, "buy", "1", "1")
    assert (answer.status, answer.body["code"]) == halted
    answer = await carol.ask("DELETE", f"/orders/{there}")
    assert (answer.status, answer.body["code"]) == halted
    available, _ = await money(carol)
    short = await carol.place("buy", f"{available:f}", "1")
    assert (short.status, short.body["code"]) == (422, "insufficient_balance")
    assert re.search(
        r" \d+ USD in shard 1, which is halted, 5 USD on its way\. What is in a halted shard cannot"
        r" be brought until trading is resumed there\.$",
        short.body["detail"],
    )
