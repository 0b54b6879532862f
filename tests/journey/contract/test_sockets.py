"""The WebSocket of a running exchange, as a bot lives with it."""

import json
import zlib
from typing import Any

import pytest

from tests.journey.client import Socket, open_socket
from tests.journey.contract.exchange import Exchange, Floor, Trader

BOOK = "orderbook.BTC-USD"
PRIVATE = ("user.orders", "user.fills", "user.balances")

ANSWERS: tuple[tuple[str, str], ...] = (
    ("x", "malformed_json"),
    ("[]", "invalid_value"),
    ("{}", "missing_field"),
    ('{"op":"nope","id":7}', "invalid_value"),
    ('{"op":"ping","id":7,"x":1}', "unknown_field"),
    ('{"op":"ping","op":"ping","id":7}', "invalid_value"),
    ('{"op":"subscribe","id":7}', "missing_field"),
    ('{"op":"subscribe","id":7,"channels":[]}', "missing_field"),
    ('{"op":"subscribe","id":7,"channels":["nope"]}', "invalid_value"),
    ('{"op":"subscribe","id":7,"channels":["orderbook.BTC-EUR"]}', "instrument_unknown"),
    ('{"op":"subscribe","id":7,"channels":["candles.BTC-USD.2m"]}', "invalid_value"),
    ('{"op":"subscribe","id":7,"channels":["user.orders"]}', "key_unknown"),
    ('{"op":"subscribe","id":7,"channels":["trades.BTC-USD"],"after":"1"}', "invalid_value"),
    ('{"op":"authenticate","id":7,"key":"x","timestamp":"1","signature":"x"}', "key_unknown"),
    ('{"op":"authenticate","id":7,"key":"x","timestamp":1,"signature":"x"}', "invalid_value"),
)


async def refused(socket: Socket, message: str) -> tuple[str, Any]:
    """The code and the id of the error that a message is answered with."""
    await socket.send(message)
    answer = await socket.until(lambda one: one["type"] == "error")
    return answer["code"], answer["id"]


def test_what_a_socket_does_not_understand_it_says_and_stays(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        for message, code in ANSWERS:
            async with open_socket(floor.session, floor.url) as socket:
                number = 7 if '"id":7' in message else None
                assert await refused(socket, message) == (code, number), message
                assert (await socket.say("ping"))["type"] == "pong"

    exchange.tell(story)


@pytest.mark.parametrize(
    ("messages", "code", "closed"),
    [(["x" * 17_000], "message_too_large", 1009), (['{"op":"ping"}'] * 60, "rate_limited", 1008)],
)
def test_a_limit_is_told_before_the_socket_is_closed(
    exchange: Exchange, messages: list[str], code: str, closed: int
) -> None:
    async def story(floor: Floor) -> None:
        async with open_socket(floor.session, floor.url) as socket:
            for message in messages:
                await socket.send(message)
            assert await socket.until_closed() == closed
            assert socket.heard[-1]["code"] == code

    exchange.tell(story)


class Ladder:
    """A book that is kept by the one rule there is."""

    def __init__(self) -> None:
        self.sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.sequence = 0

    def take(self, message: dict[str, Any]) -> None:
        """A snapshot or an update; it has to follow, and the checksum to be right."""
        if message["type"] == "snapshot":
            self.sides = ({}, {})
        else:
            assert message["previous"] == self.sequence
        for side, changed in zip(self.sides, (message["bids"], message["asks"]), strict=True):
            side.update(dict(changed))
            for price in [price for price, quantity in side.items() if quantity == "0"]:
                del side[price]
        self.sequence = message["sequence"]
        best = [*self.best(0)[:10], *self.best(1)[:10]]
        text = "|".join(f"{price}:{quantity}" for price, quantity in best)
        assert message["checksum"] == zlib.crc32(text.encode())

    def best(self, side: int) -> list[tuple[str, str]]:
        """All levels, best first: 0 for bids, 1 for asks. Prices here are whole dollars."""
        return sorted(self.sides[side].items(), key=lambda level: int(level[0]), reverse=side == 0)


async def _trade(floor: Floor) -> None:
    for step in range(40):
        await floor.alice.open("buy", f"{100 - step * 7 % 13}", "0.3")
        await floor.bob.open("sell", f"{97 + step * 5 % 17}", "0.2")
        if step % 15 == 14:
            await floor.bob.ask("DELETE", "/orders")


def test_a_followed_book_is_the_book_and_every_trade_is_told(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        async with open_socket(floor.session, floor.url) as socket:
            await socket.say("subscribe", channels=[BOOK, "trades.BTC-USD"])
            await _trade(floor)
            now = (await floor.alice.ask("GET", "/balances")).headers["X-Bourse-Sequence"]
            shown = await floor.alice.ask("GET", "/orderbook/BTC-USD?depth=1000", after=now)
            trades = (await floor.alice.ask("GET", "/trades/BTC-USD", after=now)).body["trades"]
            levels = (shown.body["bids"], shown.body["asks"])
            ladder = Ladder()

            def is_there(message: dict[str, Any]) -> bool:
                if message.get("channel") == BOOK:
                    ladder.take(message)
                return bool(ladder.sequence >= shown.body["sequence"])

            await socket.until(is_there)
            assert tuple([*map(list, ladder.best(side))] for side in (0, 1)) == levels
            await socket.until(lambda one: one.get("trade_id") == trades[0]["trade_id"])
            told = [one for one in socket.heard if one["type"] == "trade"]
            shape = [{**one, "type": "trade", "channel": "trades.BTC-USD"} for one in trades]
            assert told[::-1] == shape[: len(told)]

    exchange.tell(story)


async def _private(floor: Floor, trader: Trader) -> list[dict[str, Any]]:
    """What a trader is told while there is trading, up to an order that says it is over."""
    async with open_socket(floor.session, floor.url) as socket:
        await trader.authenticate(socket)
        await socket.say("subscribe", channels=list(PRIVATE), after=None)
        await _trade(floor)
        last = await trader.open("buy", "1", "1")
        held = (await trader.balances())["USD"]

        def is_over(one: dict[str, Any]) -> bool:
            over = one["type"] == "balance" and one["sequence"] == last["sequence"]
            return bool(over and (one["balance"]["available"], one["balance"]["held"]) == held)

        await socket.until(is_over)
        return [one for one in socket.heard if "channel" in one]


def test_a_private_stream_agrees_with_rest_and_goes_on_where_it_stopped(
    exchange: Exchange,
) -> None:
    async def story(floor: Floor) -> None:
        told = await _private(floor, floor.alice)
        sequences = [one["sequence"] for one in told]
        assert sequences == sorted(sequences)
        fills = [one["fill"] for one in told if one["type"] == "fill"]
        found = (await floor.alice.ask("GET", "/fills?limit=1000")).body["fills"]
        assert fills[::-1] == found[: len(fills)]
        for channel in PRIVATE:
            mine = [one for one in told if one["channel"] == channel]
            stopped = len(mine) // 3
            async with open_socket(floor.session, floor.url) as socket:
                await floor.alice.authenticate(socket)
                cursor = mine[stopped]["cursor"]
                await socket.say("subscribe", channels=[channel], after=cursor)
                await socket.until(lambda one, last=mine[-1]: one == last)  # type: ignore[misc]
                heard = [one for one in socket.heard if "channel" in one]
                assert heard == mine[stopped + 1 :], channel

    exchange.tell(story)


def test_a_cursor_that_is_none_is_gone(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        for cursor in ("x", "", "0", "-1", "99999999999:0"):
            async with open_socket(floor.session, floor.url) as socket:
                await floor.alice.authenticate(socket)
                wanted = {"op": "subscribe", "id": 1, "channels": ["user.orders"], "after": cursor}
                assert await refused(socket, json.dumps(wanted)) == ("cursor_gone", 1), cursor

    exchange.tell(story)
