"""The WebSocket: requests and their errors, books without gaps, slow readers."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bourse.accounts import v1 as accounts
from bourse.marketdata import v1 as marketdata
from bourse.types import v1 as types
from services.gateway import ws
from services.gateway.channels import frame
from tests.services.gateway.test_books import depth
from tests.services.gateway.world import ask, gateway, signed, story


def tick(*depths: marketdata.Depth, sequence: int = 9, **more: Any) -> marketdata.WatchResponse:
    return marketdata.WatchResponse(depths=depths, sequence=sequence, **more)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_frame_is_as_long_as_it_says(size: int) -> None:
    header = frame(b"x" * size)[:-size] if size else frame(b"")
    assert header[0] == 0x81
    assert len(header) == (2 if size < 126 else 4 if size < 65_536 else 10)


@pytest.mark.parametrize(
    ("message", "code", "request_id"),
    [
        ("{", "malformed_json", None),
        ("[]", "invalid_value", None),
        ('{"id": 3}', "missing_field", 3),
        ('{"op": "fly", "id": "x"}', "invalid_value", "x"),
        ('{"op": "subscribe", "id": 1}', "missing_field", 1),
        ('{"op": "subscribe", "id": 1, "channels": []}', "missing_field", 1),
        ('{"op": "subscribe", "id": 1, "channels": "trades.BTC-USD"}', "invalid_value", 1),
        ('{"op": "ping", "id": 1, "extra": 2}', "unknown_field", 1),
        ('{"op": "subscribe", "id": 1, "channels": ["books.BTC-USD"]}', "invalid_value", 1),
        ('{"op": "subscribe", "id": 1, "channels": ["trades"]}', "instrument_unknown", 1),
        ('{"op": "subscribe", "id": 1, "channels": ["trades.XYZ"]}', "instrument_unknown", 1),
        ('{"op": "subscribe", "id": 1, "channels": ["candles.BTC-USD"]}', "invalid_value", 1),
        ('{"op": "subscribe", "id": 1, "channels": ["candles.BTC-USD.2m"]}', "invalid_value", 1),
        ('{"op": "subscribe", "id": 1, "channels": ["orderbook.BTC-USD"]}', "unavailable", 1),
        ('{"op": "subscribe", "id": 1, "channels": ["user.orders"]}', "key_unknown", 1),
        (
            '{"op": "subscribe", "id": 1, "channels": ["user.orders", "user.fills"], "after": "1"}',
            "invalid_value",
            1,
        ),
        (
            '{"op": "subscribe", "id": 1, "channels": ["trades.BTC-USD"], "after": "1"}',
            "invalid_value",
            1,
        ),
        (
            '{"op": "authenticate", "id": 1, "key": "nobody", "timestamp": "1", "signature": ""}',
            "key_unknown",
            1,
        ),
        (
            '{"op": "authenticate", "id": 1, "key": "reader", "timestamp": "1", "signature": "0"}',
            "signature_invalid",
            1,
        ),
        (
            '{"op": "authenticate", "id": 1, "key": "reader", "timestamp": 1, "signature": "0"}',
            "invalid_value",
            1,
        ),
    ],
)
def test_a_request_that_is_refused(
    message: str, code: str, request_id: object, tmp_path: Path
) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client), client.socket() as socket:
            await socket.send_str(message)
            answer = await socket.receive_json()
            assert (answer["type"], answer["code"], answer["id"]) == ("error", code, request_id)
            assert answer["detail"]
            assert await ask(socket, op="ping", id=9) == {"type": "pong", "id": 9}

    story(told)


def test_a_book_is_told_without_gaps(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (house, client), client.socket() as socket:
            await house.feed.take(tick(depth(5, [(10_000, 1)], [(10_100, 2)])))
            name = "orderbook.BTC-USD"
            answer = await ask(socket, op="subscribe", id=1, channels=[name])
            assert answer == {"type": "subscribed", "id": 1, "channels": [name]}
            snapshot = await socket.receive_json()
            assert snapshot == {
                "type": "snapshot",
                "channel": name,
                "sequence": 5,
                "bids": [["100", "0.0001"]],
                "asks": [["101", "0.0002"]],
                "checksum": snapshot["checksum"],
            }
            await house.feed.take(tick(depth(8, [(10_000, 0)], [], previous=5)))
            update = await socket.receive_json()
            assert (update["type"], update["previous"], update["sequence"]) == ("update", 5, 8)
            assert (update["bids"], update["asks"]) == ([["100", "0"]], [])
            again = await ask(socket, op="subscribe", id=2, channels=[name])
            assert again["type"] == "subscribed"
            assert (await socket.receive_json())["sequence"] == 8, "subscribing again is the resync"
            rest = await client.ask("GET", "/api/v1/orderbook/BTC-USD?depth=1")
            assert (rest.body["sequence"], rest.body["bids"]) == (8, [])

    story(told)


SAID: dict[str, Any] = {
    "trades": [
        marketdata.PublicTrade(
            instrument=1024,
            trade_id=88,
            price_ticks=10_140,
            lots=500,
            side=types.SIDE_SELL,
            time_us=1,
            sequence=9,
        )
    ],
    "tickers": [marketdata.Ticker(instrument=1024, last_ticks=10_140, sequence=9)],
    "candles": [
        marketdata.Candle(
            instrument=1024,
            interval=marketdata.INTERVAL_1M,
            open_us=60,
            open_ticks=1,
            volume_lots="1" + "0" * 30,
        )
    ],
}


def test_trades_tickers_and_candles_are_told(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (house, client), client.socket() as socket:
            pacing = asyncio.create_task(house.feed.pace())
            await house.feed.take(tick(**SAID))
            channels = ["trades.BTC-USD", "ticker.BTC-USD", "candles.BTC-USD.1m"]
            assert (await ask(socket, op="subscribe", id=1, channels=channels))[
                "type"
            ] == "subscribed"
            first = [(await socket.receive_json())["channel"] for _ in range(2)]
            assert first == channels[1:], "the latest of what has one"
            await house.feed.take(tick(**SAID))
            found: dict[str, Any] = {}
            while len(found) < 3:
                message = await socket.receive_json()
                found[message["type"]] = message
            assert found["trade"] == {
                "type": "trade",
                "channel": "trades.BTC-USD",
                "trade_id": "88",
                "price": "101.4",
                "quantity": "0.05",
                "side": "sell",
                "time_us": 1,
                "sequence": 9,
                "auction": False,
            }
            assert (found["ticker"]["last"], found["ticker"]["best_bid"]) == ("101.4", None)
            assert found["candle"]["volume"] == "1" + "0" * 26
            pacing.cancel()

    story(told)


def test_too_large_a_message_is_answered_before_the_close(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path, message_bytes=1024) as (_, client), client.socket() as socket:
            await socket.send_str('"' + "x" * 2000 + '"')
            assert (await socket.receive_json())["code"] == "message_too_large"
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 1009

    story(told)


def test_too_many_messages_are_answered_before_the_close(tmp_path: Path) -> None:
    async def told() -> None:
        async with (
            gateway(tmp_path, messages_per_second=3) as (_, client),
            client.socket() as socket,
        ):
            answers = [await ask(socket, op="ping", id=n) for n in range(4)]
            assert [answer["type"] for answer in answers] == ["pong"] * 3 + ["error"]
            assert answers[-1]["code"] == "rate_limited"
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 1008

    story(told)


def test_too_many_channels_are_refused(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path, subscriptions=1) as (_, client), client.socket() as socket:
            one = await ask(socket, op="subscribe", id=1, channels=["trades.BTC-USD"])
            assert one["type"] == "subscribed"
            two = await ask(
                socket, op="subscribe", id=2, channels=["trades.BTC-USD", "user.orders"]
            )
            assert two["code"] == "rate_limited"

    story(told)


def test_a_stop_is_announced(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (house, client), client.socket() as socket:
            await ask(socket, op="ping")
            stopping = asyncio.create_task(house.sockets.stop())
            assert (await socket.receive_json())["type"] == "closing"
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 1012
            await stopping
            refused = await client.ask("GET", "/ws")
            assert (refused.status, refused.code) == (503, "unavailable")

    story(told)


def test_a_revoked_key_loses_its_sockets(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (house, client), client.socket() as socket:
            answer = await ask(socket, op="authenticate", id=2, **signed(client))
            assert answer == {"type": "authenticated", "id": 2}
            await house.keys.take(accounts.WatchKeysResponse(revoked=["reader"]))
            assert (await socket.receive_json())["type"] == "closing"
            await socket.receive()
            assert socket.close_code == 4003
            refused = await client.ask("GET", "/api/v1/time", key="reader")
            assert refused.code == "key_unknown"

    story(told)


def test_a_slow_reader_whose_key_is_revoked_comes_to_hear_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ws, "STOP_S", 0.05)

    async def told() -> None:
        small: dict[str, Any] = {"soft_buffer_bytes": 4096, "hard_buffer_bytes": 67_108_864}
        async with gateway(tmp_path, **small) as (house, client), client.socket() as socket:
            levels = [(price, 1) for price in range(1, 20_000)]
            await house.feed.take(tick(depth(1, levels[:10], [])))
            await ask(socket, op="authenticate", id=1, **signed(client))
            await ask(socket, op="subscribe", id=2, channels=["orderbook.BTC-USD"])
            reading = socket._conn.transport if socket._conn else None
            assert reading is not None
            reading.pause_reading()
            sequence = 1
            while not house.sockets.slow:
                await house.feed.take(tick(depth(sequence + 1, levels, [], previous=sequence)))
                sequence += 1
                await asyncio.sleep(0)
            await house.keys.take(accounts.WatchKeysResponse(revoked=["reader"]))
            # By now a close that nobody takes has been given up.
            await asyncio.sleep(0.5)
            reading.resume_reading()
            last = [message async for message in socket][-1]
            assert (last.json()["type"], socket.close_code) == ("closing", 4003)

    story(told)


def test_a_slow_reader_gets_a_fresh_book_and_one_that_stays_slow_is_closed(tmp_path: Path) -> None:
    async def told() -> None:
        small: dict[str, Any] = {"soft_buffer_bytes": 4096, "hard_buffer_bytes": 400_000}
        async with gateway(tmp_path, **small) as (house, client), client.socket() as socket:
            sweeping = asyncio.create_task(house.sockets.sweep())
            levels = [(price, 1) for price in range(1, 20_000)]
            await house.feed.take(tick(depth(1, levels[:10], [])))
            await ask(socket, op="subscribe", id=1, channels=["orderbook.BTC-USD"])
            reading = socket._conn.transport if socket._conn else None
            assert reading is not None
            reading.pause_reading()
            sequence = 1
            while not house.sockets.slow:
                update = depth(sequence + 1, levels, [], previous=sequence)
                await house.feed.take(tick(update))
                sequence += 1
                await asyncio.sleep(0)
            for _ in range(50):
                update = depth(sequence + 1, levels[:1], [], previous=sequence)
                await house.feed.take(tick(update))
                sequence += 1
            reading.resume_reading()
            last: dict[str, Any] = {}
            while last.get("sequence") != sequence:
                last = await socket.receive_json()
            assert last["type"] == "snapshot", "instead of the fifty updates it missed"
            sweeping.cancel()

    story(told)
