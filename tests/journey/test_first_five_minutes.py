"""A newcomer's first five minutes, on the real thing: start, trade, stop, find it all again."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.runtime.embedded import stop_postgres
from tests.journey.client import Client, open_session, open_socket
from tests.journey.house import House, all_gone, command, pids

MINUTE_US = 60_000_000


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder; a Postgres that is left in it by a test that fails is ended."""
    yield tmp_path / "var"
    stop_postgres(tmp_path / "var", "immediate")


@contextmanager
def house(data: Path, *arguments: str) -> Iterator[House]:
    """A house that is up; it is stopped whatever happens."""
    started = House(data, *arguments)
    try:
        started.until_said(" up after ")
        yield started
    finally:
        started.stop()


@pytest.mark.timeout(400)
def test_an_order_travels_the_whole_house_and_survives_it(data: Path) -> None:
    with house(data, "--no-demo") as first:
        alice, bob = (first.bourse("account", "create", name) for name in ("alice", "bob"))
        assert alice.keys() == {"account_id", "name", "key", "secret"}
        deposited = first.bourse("account", "deposit", "alice", "USD", "1000")
        assert deposited.pop("sequence") > 0
        assert deposited == {"account_id": alice["account_id"], "asset": "USD", "amount": "1000"}
        first.bourse("account", "deposit", "bob", "BTC", "2.5")
        asyncio.run(trade(first, alice, bob))
        status = first.bourse("status")
        assert {room["state"] for room in status["rooms"]} == {"serving"}
        assert status["demo"] == {"made_with_demo": False, "state": "off", "pid": None}
        assert first.stop() == 0, first.all_said()
    assert "first order filled" in first.all_said()
    assert all_gone(status), "Ctrl-C leaves no process behind"

    with house(data) as second:
        assert "demo" not in second.all_said(), "a folder made without the demo never gets one"
        asyncio.run(find_it_again(second, alice, bob))
        assert second.bourse("account", "withdraw", "bob", "USD", "39")["amount"] == "39"
        assert second.bourse("verify")["ok"] is True
        assert second.stop() == 0, second.all_said()


async def trade(house: House, alice: dict[str, Any], bob: dict[str, Any]) -> None:
    """Bob sells one at 100, Alice buys a part of it, and everybody hears of it."""
    async with open_session() as session, open_socket(session, house.url()) as socket:
        buyer = Client(session, house.url(), alice)
        seller = Client(session, house.url(), bob)
        public = ["orderbook.BTC-USD", "trades.BTC-USD"]
        await socket.say("subscribe", channels=public)
        await buyer.authenticate(socket)
        await socket.say("subscribe", channels=["user.orders", "user.fills", "user.balances"])
        assert (await socket.on(public[0], "snapshot"))["bids"] == []

        rests = await seller.place(
            instrument="BTC-USD", side="sell", quantity="1", price="100", client_order_id="s-1"
        )
        assert (rests["state"], rests["remaining_quantity"]) == ("open", "1")
        order = {
            "instrument": "BTC-USD",
            "side": "buy",
            "type": "market",
            "quantity": "0.4",
            "client_order_id": "b-1",
        }
        bought = await buyer.place(**order)
        assert bought["state"] == "filled"
        assert [fill["price"] for fill in bought["fills"]] == ["100"]
        again = await buyer.ask("POST", "/orders", order)
        assert (again.status, again.body["order_id"]) == (200, bought["order_id"])

        assert await buyer.balances() == {"USD": ("960", "0"), "BTC": ("0.3992", "0")}
        assert await seller.balances() == {"USD": ("39.96", "0"), "BTC": ("1.5", "0.6")}

        trade = await socket.on(public[1], "trade")
        assert (trade["price"], trade["quantity"], trade["side"]) == ("100", "0.4", "buy")
        fill = await socket.until(lambda message: message.get("channel") == "user.fills")
        assert fill["fill"]["order_id"] == bought["order_id"]
        book = await socket.on(public[0], "update")
        assert book["asks"] == [["100", "1"]]
        await look_at_the_market(buyer, bought["sequence"])
        await refusals(buyer)


async def look_at_the_market(client: Client, sequence: int) -> None:
    """What the public sees, once it is at least as new as the trade."""
    after = (await client.ask("GET", "/orders/by-client-id/b-1")).headers["X-Bourse-Sequence"]

    async def see(target: str) -> Any:
        answer = await client.ask("GET", target, after=after)
        assert answer.status == 200, answer
        return answer.body

    book = await see("/orderbook/BTC-USD?depth=5")
    assert (book["bids"], book["asks"]) == ([], [["100", "0.6"]])
    assert [each["quantity"] for each in (await see("/trades/BTC-USD"))["trades"]] == ["0.4"]
    ticker = await see("/ticker/BTC-USD")
    assert (ticker["last"], ticker["volume"], ticker["best_ask"]) == ("100", "0.4", "100")
    [candle] = (await see("/candles/BTC-USD?interval=1m"))["candles"]
    assert (candle["close"], candle["volume"], candle["trades"]) == ("100", "0.4", 1)
    assert candle["open_us"] % MINUTE_US == 0


async def refusals(client: Client) -> None:
    """Wrong requests are told so, by a code."""
    dear = {"instrument": "BTC-USD", "side": "buy", "quantity": "1", "price": "100000"}
    assert await code(client, "POST", "/orders", dear) == (422, "insufficient_balance")
    mistyped = {**dear, "prise": "1"}
    assert await code(client, "POST", "/orders", mistyped) == (400, "unknown_field")
    assert await code(client, "GET", "/orders/1") == (404, "order_unknown")
    client.secret = client.secret[::-1]
    assert await code(client, "GET", "/balances") == (401, "signature_invalid")


async def code(
    client: Client, method: str, target: str, body: dict[str, Any] | None = None
) -> tuple[int, str]:
    answer = await client.ask(method, target, body)
    return answer.status, answer.body["code"]


async def find_it_again(house: House, alice: dict[str, Any], bob: dict[str, Any]) -> None:
    """After a stop and a start: balances, history, the book, the market, the keys."""
    async with open_session() as session, open_socket(session, house.url()) as socket:
        buyer, seller = (Client(session, house.url(), each) for each in (alice, bob))
        assert await buyer.balances() == {"USD": ("960", "0"), "BTC": ("0.3992", "0")}
        assert await seller.balances() == {"USD": ("39.96", "0"), "BTC": ("1.5", "0.6")}
        [bought] = (await buyer.ask("GET", "/orders?state=filled")).body["orders"]
        assert (bought["client_order_id"], bought["filled_quote"]) == ("b-1", "40")
        [fill] = (await buyer.ask("GET", "/fills")).body["fills"]
        assert (fill["quantity"], fill["liquidity"]) == ("0.4", "taker")
        [candle] = (await buyer.ask("GET", "/candles/BTC-USD?interval=1d")).body["candles"]
        assert candle["trades"] == 1

        await socket.say("subscribe", channels=["orderbook.BTC-USD"])
        assert (await socket.on("orderbook.BTC-USD", "snapshot"))["asks"] == [["100", "0.6"]]
        ended = await seller.ask("DELETE", "/orders/by-client-id/s-1")
        assert (ended.status, ended.body["state"]) == (200, "cancelled")
        assert (await seller.balances())["BTC"] == ("2.1", "0")


@pytest.mark.timeout(400)
def test_a_living_market_is_marked_and_a_killed_house_comes_back(data: Path) -> None:
    with house(data) as first:
        assert "this is a demo" in first.all_said()
        first.until_said("first order filled")
        status = first.bourse("status")
        assert status["demo"]["made_with_demo"] is True
        marked = [each["demo"] for each in first.bourse("account", "list")["accounts"]]
        assert marked == [True] * 4
        assert_refuses_a_second(data)
        os.kill(pids(status)["ledger"], signal.SIGKILL)
        first.until_said("ended with signal SIGKILL")
        first.until_said("ledger        starts again")
        first.end(signal.SIGKILL)
    status["stores"] = [each for each in status["stores"] if each["name"] != "postgres"]
    assert all_gone(status), "rooms do not outlive the one who watches them"

    with house(data, "--no-demo") as second:
        assert "made with the demo" in second.all_said()
        assert second.bourse("verify")["ok"] is True
        status = second.bourse("status")
        assert second.end(signal.SIGTERM) == 0, second.all_said()
    assert all_gone(status), "a Postgres that was left behind is ours again"


def assert_refuses_a_second(data: Path) -> None:
    done = command("up", "--data", str(data), "--port", "0")
    assert done.returncode == 1
    assert "already" in done.stderr
