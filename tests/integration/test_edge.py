"""The public API on a whole house: the life of orders as a client sees it, rule by rule."""

import asyncio
import secrets
import zlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import folder_for_postgres
from tests.integration.edge import Running, begin, clients, story
from tests.integration.rooms import House


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with folder_for_postgres() as data:
        house = House(data)
        try:
            yield asyncio.run(begin(house))
        finally:
            house.stop()


def test_asking_twice_is_one_order(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, bob):
            name = secrets.token_hex(4)
            first = await alice.place("sell", "101.5", "0.2", client_order_id=name)
            assert (first.status, first.body["state"], first.body["fills"]) == (201, "open", [])
            again = await alice.place("sell", "101.50", "0.20", client_order_id=name)
            assert (again.status, again.body) == (200, first.body)
            other = await alice.place("sell", "101.51", "0.2", client_order_id=name)
            assert (other.status, other.body["code"]) == (409, "client_order_id_reused")
            taken = await bob.place("buy", "102", "0.05")
            assert (taken.status, taken.body["state"]) == (201, "filled")
            assert taken.body["fills"][0]["price"] == "101.5"
            assert taken.body["fees"] == [{"asset": "BTC", "amount": "0.0001"}]
            now = await alice.place("sell", "101.5", "0.2", client_order_id=name)
            assert (now.status, now.body["filled_quantity"]) == (200, "0.05")
            assert [fill["liquidity"] for fill in now.body["fills"]] == ["maker"]

    story(told)


def test_reads_see_what_was_answered(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, bob):
            for _ in range(10):
                resting = await alice.place("sell", "100", "0.01")
                taken = await bob.place("buy", "100", "0.01")
                order = await alice.ask("GET", f"/orders/{resting.body['order_id']}")
                assert (order.body["state"], len(order.body["fills"])) == ("filled", 1)
                fills = await bob.ask("GET", f"/fills?order_id={taken.body['order_id']}")
                assert [fill["trade_id"] for fill in fills.body["fills"]] == [
                    taken.body["fills"][0]["trade_id"]
                ]
                trades = await bob.ask("GET", "/trades/BTC-USD?limit=1", after=taken.sequence or "")
                assert trades.status == 200, trades
                assert trades.body["trades"][0]["trade_id"] == taken.body["fills"][0]["trade_id"]
                book = await bob.ask("GET", "/orderbook/BTC-USD", after=taken.sequence or "")
                assert book.body["asks"] == []

    story(told)


def test_an_order_that_ended_cannot_be_cancelled_and_nobody_sees_those_of_others(
    running: Running,
) -> None:
    async def told() -> None:
        async with clients(running) as (alice, bob):
            name = secrets.token_hex(4)
            placed = await alice.place("buy", "50", "1", client_order_id=name)
            by_id, by_name = f"/orders/{placed.body['order_id']}", f"/orders/by-client-id/{name}"
            for method in ("GET", "DELETE"):
                assert (await bob.ask(method, by_id)).body["code"] == "order_unknown"
                assert (await bob.ask(method, by_name)).body["code"] == "order_unknown"
            ended = await alice.ask("DELETE", by_name)
            assert (ended.status, ended.body["state"]) == (200, "cancelled")
            for target in (by_id, by_name):
                gone = await alice.ask("DELETE", target)
                assert (gone.status, gone.body["code"]) == (409, "order_ended")
                assert (gone.body["order"]["reason"], gone.body["order"]["fills"]) == (
                    "by_owner",
                    [],
                )
                changed = await alice.ask("PATCH", target, {"quantity": "2"})
                assert (changed.status, changed.body["code"]) == (409, "order_ended")
            assert (await bob.ask("DELETE", by_id)).status == 404
            assert (await alice.ask("DELETE", "/orders/999999999999")).status == 404

    story(told)


def test_r_amend_and_the_lists(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, _):
            placed = [await alice.place("buy", f"{price}", "1") for price in (50, 51, 52)]
            one = f"/orders/{placed[0].body['order_id']}"
            smaller = await alice.ask("PATCH", one, {"quantity": "0.5"})
            assert (smaller.status, smaller.body["remaining_quantity"]) == (200, "0.5")
            off = await alice.ask("PATCH", one, {"price": "50.001"})
            assert (off.status, off.body["code"]) == (422, "price_off_tick")
            short = await alice.ask("PATCH", one, {"quantity": "1000"})
            assert short.body["detail"].startswith("This order needs ")
            opened = await alice.ask("GET", "/orders?state=open&limit=2")
            ids = [order["order_id"] for order in opened.body["orders"]]
            assert ids == [placed[2].body["order_id"], placed[1].body["order_id"]]
            rest = await alice.ask(
                "GET", f"/orders?state=open&limit=2&cursor={opened.body['next_cursor']}"
            )
            assert [o["order_id"] for o in rest.body["orders"]] == [placed[0].body["order_id"]]
            assert rest.body["next_cursor"] is None
            ended = await alice.ask("DELETE", "/orders?instrument=BTC-USD")
            assert ended.body["cancelled"] == [each.body["order_id"] for each in placed]
            past = await alice.ask("GET", "/orders?state=cancelled&limit=3")
            assert [o["order_id"] for o in past.body["orders"]] == ended.body["cancelled"][::-1]

    story(told)


def test_a_private_stream_survives_the_gateway_and_its_room(running: Running) -> None:
    async def told() -> None:
        async with clients(running, tidy=False) as (alice, bob), alice.socket() as socket:
            await socket.send_json({"op": "authenticate", **alice.signed()})
            await socket.send_json({"op": "subscribe", "channels": ["user.orders"]})
            assert [(await socket.receive_json())["type"] for _ in range(2)][1] == "subscribed"
            await alice.place("buy", "60", "0.1")
            first = await socket.receive_json()
            assert first["order"]["price"] == "60"
            await alice.place("buy", "61", "0.1")
        for room in ("notifications", "gateway"):
            running.house.kill(room)
            running.house.launch(room)
        await running.house.all_serving()
        async with clients(running) as (alice, bob), alice.socket() as socket:
            await socket.send_json({"op": "authenticate", **alice.signed()})
            wanted = {"op": "subscribe", "channels": ["user.orders"], "after": first["cursor"]}
            await socket.send_json(wanted)
            await bob.place("sell", "61", "0.1")
            heard = [await socket.receive_json() for _ in range(4)][2:]
            states = [(said["order"]["price"], said["order"]["state"]) for said in heard]
            assert states == [("61", "open"), ("61", "filled")], "all of it, and nothing twice"

    story(told)


class Book:
    """A client's book, kept by the rule of the documentation."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.sequence = -1

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "snapshot":
            self.sides = {"bids": {}, "asks": {}}
        else:
            assert message["previous"] == self.sequence
        self.sequence = message["sequence"]
        for side, levels in self.sides.items():
            levels.update(message[side])
            self.sides[side] = {p: q for p, q in levels.items() if q != "0"}
        assert self.checksum() == message["checksum"]

    def checksum(self) -> int:
        bids = sorted(self.sides["bids"].items(), key=lambda level: -Decimal(level[0]))[:10]
        asks = sorted(self.sides["asks"].items(), key=lambda level: Decimal(level[0]))[:10]
        return zlib.crc32("|".join(f"{p}:{q}" for p, q in [*bids, *asks]).encode())


def test_a_book_follows_by_its_rule(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, bob), alice.socket() as socket:
            await socket.send_json({"op": "subscribe", "channels": ["orderbook.BTC-USD"]})
            assert (await socket.receive_json())["type"] == "subscribed"
            book = Book()
            for cents in range(0, 60, 5):
                await alice.place("buy", f"70.{cents:02}", "0.1")
                await bob.place("sell", f"71.{cents:02}", "0.1")
            await bob.place("sell", "70.4", "0.25")
            last = await bob.ask("GET", "/orders?state=open")
            while book.sequence < last.body["sequence"]:
                book.take(await socket.receive_json())
            shown = await bob.ask("GET", "/orderbook/BTC-USD")
            assert shown.body["checksum"] == book.checksum()
            assert shown.body["bids"][0] == ["70.45", "0.05"]

    story(told)


def test_a_socket_misses_no_trade_when_market_data_is_killed(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, bob), alice.socket() as socket:
            await socket.send_json({"op": "subscribe", "channels": ["trades.BTC-USD"]})
            assert (await socket.receive_json())["type"] == "subscribed"

            async def trade(count: int) -> list[str]:
                made = []
                for _ in range(count):
                    await alice.place("sell", "90", "0.01")
                    taken = await bob.place("buy", "90", "0.01")
                    made += [fill["trade_id"] for fill in taken.body["fills"]]
                return made

            made = await trade(3)
            running.house.kill("marketdata")
            made += await trade(5)
            running.house.launch("marketdata")
            made += await trade(3)
            assert len(made) == 11
            assert [(await socket.receive_json())["trade_id"] for _ in made] == made
            rest = await bob.ask("GET", "/trades/BTC-USD?limit=11")
            assert [trade["trade_id"] for trade in reversed(rest.body["trades"])] == made

    story(told)


def test_a_killed_engine_costs_no_answered_order(running: Running) -> None:
    async def told() -> None:
        async with clients(running) as (alice, _):
            names = [secrets.token_hex(6) for _ in range(40)]
            asked = [
                asyncio.create_task(alice.place("buy", "1", "0.1", client_order_id=name))
                for name in names
            ]
            await asyncio.sleep(0)
            running.house.kill("matching")
            running.house.launch("matching")
            answers = await asyncio.gather(*asked)
            await alice.served()
            for name, answer in zip(names, answers, strict=True):
                again = await alice.place("buy", "1", "0.1", client_order_id=name)
                assert again.status in ((200,) if answer.status == 201 else (200, 201)), name
                assert answer.status in (201, 503, 504)

    story(told)
