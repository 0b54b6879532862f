"""Asking twice is one order; lists and pages of what has happened; reads that see one's writes."""

import asyncio
import time
from typing import Any

from services.domain import signing
from tests.journey.contract.exchange import LIMIT, PREFIX, Exchange, Floor, Trader, as_json, told


def test_the_same_id_with_the_same_order_is_one_order(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        one = {"price": "10", "quantity": "0.1", "client_order_id": "twice"}
        first = await floor.alice.order(**one)
        assert told(first) == (201, "")
        sames: tuple[dict[str, Any], ...] = (
            {"price": "10.0"},
            {"quantity": "0.10"},
            {"type": "limit"},
        )
        for same in (*sames, {"post_only": False, "time_in_force": "gtc"}):
            again = await floor.alice.order(**{**one, **same})
            assert (again.status, again.body) == (200, first.body), same
        # Compared before the account's own settings are filled in.
        explicit = {"self_trade_prevention": "cancel_taker"}
        for other in ({"price": "10.01"}, {"side": "sell"}, explicit):
            reused = await floor.alice.order(**{**one, **other})
            assert told(reused) == (409, "client_order_id_reused"), other
        assert told(await floor.bob.order(**one)) == (201, ""), "ids are an account's own"
        await floor.alice.ask("PATCH", "/orders/by-client-id/twice", {"price": "9"})
        await floor.alice.ask("DELETE", "/orders/by-client-id/twice")
        ended = await floor.alice.order(**one)
        assert (ended.status, ended.body["state"], ended.body["price"]) == (200, "cancelled", "9")

    exchange.tell(story)


def test_many_at_once_with_one_id_are_one_order(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        asked = (floor.alice.order(client_order_id="at-once") for _ in range(30))
        answers = await asyncio.gather(*asked)
        assert sorted(answer.status for answer in answers) == [200] * 29 + [201]
        assert len({answer.body["order_id"] for answer in answers}) == 1

    exchange.tell(story)


def test_the_same_signed_bytes_are_one_order(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        alice, target, body = floor.alice, f"{PREFIX}/orders", as_json(LIMIT)
        now_ms = time.time_ns() // 1_000_000
        signed = signing.headers(alice.key, alice.secret, "POST", target, body, now_ms)
        sent = {**signed, "Content-Type": "application/json"}
        answers = [await alice.exactly("POST", target, body, sent) for _ in range(3)]
        assert [answer.status for answer in answers] == [201, 200, 200]
        assert {answer.body["client_order_id"] for answer in answers} == {
            f"sig-{signed['X-Bourse-Signature'][:32]}"
        }

    exchange.tell(story)


def test_a_refused_order_does_not_use_up_its_id(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        named = {"client_order_id": "refused-first"}
        refused = await floor.alice.order(**named, price="0.01", quantity="0.0001")
        assert told(refused) == (422, "notional_too_small")
        assert told(await floor.alice.order(**named)) == (201, "")

    exchange.tell(story)


def test_what_comes_to_the_engine_too_late_never_happens(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        target, code, tried = f"{PREFIX}/orders", "", 0
        while code != "expired_in_transit":
            tried += 1
            body = as_json({**LIMIT, "client_order_id": f"late-{tried}"})
            code = told(await floor.alice.send("POST", target, body, window_ms=1))[1]
        found = await floor.alice.ask("GET", f"/orders/by-client-id/late-{tried}")
        assert told(found) == (404, "order_unknown")

    exchange.tell(story)


async def _pages(trader: Trader, path: str, what: str) -> list[dict[str, Any]]:
    """A whole list, two at a time."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await trader.ask("GET", f"{path}&limit=2{cursor}")
        assert answer.status == 200, answer
        found += answer.body[what]
        if answer.body["next_cursor"] is None:
            return found
        cursor = f"&cursor={answer.body['next_cursor']}"


def test_lists_are_whole_newest_first_and_seen_at_once(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        alice = floor.alice
        await floor.bob.open("sell", "20", "1")
        placed = [await alice.open("buy", "7", f"{count}") for count in range(1, 6)]
        for _ in range(3):
            await alice.open("buy", "20", "0.1")
        await alice.ask("DELETE", f"/orders/{placed[0]['order_id']}")
        ids = [order["order_id"] for order in placed]
        is_open = await _pages(alice, "/orders?state=open", "orders")
        assert [order["order_id"] for order in is_open] == ids[:0:-1]
        every = await _pages(alice, "/orders?instrument=BTC-USD", "orders")
        numbers = [int(order["order_id"]) for order in every]
        assert numbers == sorted(set(numbers), reverse=True)
        assert set(ids) < {order["order_id"] for order in every}
        between = f"from_us={placed[1]['created_us']}&to_us={placed[3]['created_us']}"
        for state in ("", "&state=open"):
            found = (await alice.ask("GET", f"/orders?{between}{state}")).body["orders"]
            assert [order["order_id"] for order in found] == ids[2:0:-1]
        for state in ("filled", "cancelled", "expired"):
            found = (await alice.ask("GET", f"/orders?state={state}")).body["orders"]
            assert {order["state"] for order in found} <= {state}
        fills = await _pages(alice, "/fills?instrument=BTC-USD", "fills")
        assert fills == (await alice.ask("GET", "/fills?limit=1000")).body["fills"]
        assert [fill["quantity"] for fill in fills[:3]] == ["0.1"] * 3

    exchange.tell(story)


MARKET_DATA = ("/orderbook/BTC-USD", "/trades/BTC-USD", "/ticker/BTC-USD", "/candles/BTC-USD")
READS = ("/balances", "/orders", "/orders?state=open", "/fills", "/account", "/instruments")
FROM_NO_ROOM = ("/time", "/health", "/openapi.json", "/asyncapi.json")
EVERYTHING = (*READS, *MARKET_DATA, *FROM_NO_ROOM)


def test_a_sequence_sent_back_is_waited_for(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        await floor.bob.open("sell", "30", "1")
        bought = await floor.alice.order(price="30", quantity="0.5")
        now = bought.headers["X-Bourse-Sequence"]
        for path in EVERYTHING:
            assert (await floor.alice.ask("GET", path, after=now)).status == 200, path
        latest = await floor.alice.ask("GET", "/trades/BTC-USD?limit=1", after=now)
        [trade] = latest.body["trades"]
        assert trade["trade_id"] == bought.body["fills"][0]["trade_id"]
        older = f"/trades/BTC-USD?before={trade['trade_id']}"
        assert trade not in (await floor.alice.ask("GET", older)).body["trades"]
        ticker = (await floor.alice.ask("GET", "/ticker/BTC-USD", after=now)).body
        assert (ticker["last"], ticker["best_ask_quantity"]) == ("30", "0.5")
        shard, sequence = now.split(":")
        never = f"{shard}:{int(sequence) + 1_000_000}"
        late = [floor.alice.ask("GET", path, after=never) for path in EVERYTHING]
        for answer in await asyncio.gather(*late):
            assert told(answer) == (503, "lagging")
        for text in ("x", "1", "0:-1", "-1:1", "0:" + "9" * 20, "1:1", "99999:1"):
            for path in EVERYTHING:
                answer = await floor.alice.ask("GET", path, after=text)
                assert told(answer) == (400, "invalid_value"), (text, path)

    exchange.tell(story)
