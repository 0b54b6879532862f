"""The market's stream is lost and comes back: sockets that stay open miss no trade."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bourse.marketdata import v1 as marketdata
from bourse.marketdata.v1 import rpc
from bourse.types import v1 as types
from services.gateway.__main__ import Gateway
from services.runtime.rpc import serve, service
from tests.services.gateway.several import markets_of, places
from tests.services.gateway.test_books import depth
from tests.services.gateway.world import ask, gateway, story


def trade(sequence: int) -> marketdata.PublicTrade:
    return marketdata.PublicTrade(
        instrument=1024,
        trade_id=sequence * 1024,
        price_ticks=10_000,
        lots=1,
        side=types.SIDE_BUY,
        sequence=sequence,
    )


def said(sequence: int, *traded: int, **more: Any) -> marketdata.WatchResponse:
    trades = [trade(one) for one in traded]
    return marketdata.WatchResponse(sequence=sequence, trades=trades, **more)


class Scripted(rpc.MarketdataServiceServicer):
    """Market data whose streams say what they are given, and end when they are told to."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.to_say: asyncio.Queue[marketdata.WatchResponse | None] = asyncio.Queue()
        self.of_shard_1: asyncio.Queue[marketdata.WatchResponse | None] = asyncio.Queue()

    async def Watch(  # noqa: N802 - the contract's name
        self, request: marketdata.WatchRequest, context: Any
    ) -> AsyncIterator[marketdata.WatchResponse]:
        self.asked.append(request.after_sequence)
        to_say = self.of_shard_1 if request.shard else self.to_say
        while (told := await to_say.get()) is not None:
            yield told

    async def say(self, *told: marketdata.WatchResponse | None) -> None:
        """Say this on the stream of now; None ends it, and the next one goes on."""
        for one in told:
            await self.to_say.put(one)


@asynccontextmanager
async def following(house: Gateway) -> AsyncIterator[Scripted]:
    """A gateway that follows a market, as scripted."""
    market = Scripted()  # type: ignore[abstract]  # it is asked for nothing else
    entry = service(
        rpc.MARKETDATA_SERVICE,
        rpc.add_MarketdataServiceServicer_to_server,
        market,
    )
    address = house.sockets.config.address_of("marketdata")
    running = [asyncio.create_task(serve(address, entry)), asyncio.create_task(house.feed.run())]
    try:
        yield market
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def trades(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[int]:
    return [(await socket.receive_json())["sequence"] for _ in range(count)]


def test_a_stream_that_comes_back_goes_on_with_the_trades_that_were_missed(tmp_path: Path) -> None:
    async def told() -> None:
        async with (
            gateway(tmp_path) as (house, client),
            following(house) as market,
            client.socket() as socket,
        ):
            await ask(socket, op="subscribe", id=1, channels=["trades.BTC-USD"])
            await market.say(said(5), said(7, 6, 7), None)
            assert await trades(socket, 2) == [6, 7]
            await market.say(said(9, 8, 9), said(10, 10), None, said(10), said(11, 11))
            assert await trades(socket, 4) == [8, 9, 10, 11]
            assert market.asked == [0, 7, 10]

    story(told)


def test_a_stream_that_breaks_in_a_book_tells_no_trade_twice(tmp_path: Path) -> None:
    async def told() -> None:
        async with (
            gateway(tmp_path) as (house, client),
            following(house) as market,
            client.socket() as socket,
        ):
            await ask(socket, op="subscribe", id=1, channels=["trades.BTC-USD"])
            gap = depth(9, [(10_000, 1)], [], previous=8)
            await market.say(said(7, 7), said(9, 9, depths=[gap]), None, said(9, 9))
            assert await trades(socket, 2) == [7, 9]
            assert market.asked[:2] == [0, 7]

    story(told)


def test_where_too_much_was_missed_the_sockets_that_hear_trades_are_closed(tmp_path: Path) -> None:
    async def told() -> None:
        async with (
            gateway(tmp_path) as (house, client),
            following(house) as market,
            client.socket() as hears_trades,
            client.socket() as hears_the_book,
        ):
            await ask(hears_trades, op="subscribe", id=1, channels=["trades.BTC-USD"])
            book = depth(7, [(10_000, 1)], [])
            await market.say(said(7, depths=[book], trades_missing=False))
            await until_live(house)
            channels = ["orderbook.BTC-USD"]
            await ask(hears_the_book, op="subscribe", id=1, channels=channels)
            assert (await hears_the_book.receive_json())["sequence"] == 7
            book = depth(90_000, [(10_000, 2)], [])
            await market.say(None, said(90_000, depths=[book], trades_missing=True))
            notice = await hears_trades.receive_json()
            assert notice["type"] == "closing"
            assert "GET /trades" in notice["reason"]
            closed = await hears_trades.receive()
            assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1012)
            assert (await hears_the_book.receive_json())["sequence"] == 90_000

    async def until_live(house: Gateway) -> None:
        await house.feed.book("BTC-USD", {0: 7})

    story(told)


def test_an_auction_is_told_as_it_changes(tmp_path: Path) -> None:
    async def told() -> None:
        async with (
            gateway(tmp_path) as (house, client),
            following(house) as market,
            client.socket() as socket,
        ):
            pacing = asyncio.create_task(house.feed.pace())
            await market.say(said(7, auctions=[auction(7, 10_200, 6_000, -4_000)]))
            await house.feed.watches[0].reach(7)
            await ask(socket, op="subscribe", id=1, channels=["auction.BTC-USD"])
            assert await socket.receive_json() == {
                "type": "auction",
                "channel": "auction.BTC-USD",
                "instrument": "BTC-USD",
                "price": "102",
                "volume": "0.6",
                "surplus": "-0.4",
                "sequence": 7,
            }
            await market.say(said(8, auctions=[auction(8, 0, 0, 0)]))
            while (over := await socket.receive_json())["sequence"] < 8:
                pass
            assert (over["price"], over["volume"], over["surplus"]) == (None, "0", "0")
            pacing.cancel()

    story(told)


def auction(sequence: int, ticks: int, lots: int, surplus: int) -> marketdata.Auction:
    return marketdata.Auction(
        instrument=1024,
        price_ticks=ticks,
        volume_lots=lots,
        surplus_lots=surplus,
        sequence=sequence,
    )


def of_shard_1(told: marketdata.WatchResponse) -> marketdata.WatchResponse:
    for one in told.trades:
        one.instrument += 1
    for each in told.depths:
        each.instrument += 1
    return told


def test_each_shard_has_a_stream_and_a_sequence_of_its_own(tmp_path: Path) -> None:
    async def told() -> None:
        async with (
            gateway(tmp_path, addresses=dict(places(tmp_path, 2))) as (house, client),
            client.socket() as hears_one,
            client.socket() as hears_the_other,
        ):
            await house.markets.take(markets_of(1), 1)
            async with following(house) as market:
                await ask(hears_one, op="subscribe", id=1, channels=["trades.BTC-USD"])
                await ask(hears_the_other, op="subscribe", id=1, channels=["trades.ETH1-USD"])
                book = depth(7, [(10_000, 1)], [])
                await market.say(said(7, 7, depths=[book]))
                assert await trades(hears_one, 1) == [7]
                assert [watch.live for watch in house.feed.watches] == [True, False]
                assert (await client.ask("GET", "/api/v1/orderbook/BTC-USD")).status == 200
                away = await client.ask("GET", "/api/v1/orderbook/ETH1-USD")
                assert (away.status, away.code) == (503, "unavailable")
                book = depth(90, [(10_000, 2)], [])
                await market.of_shard_1.put(of_shard_1(said(90, 90, depths=[book])))
                assert await trades(hears_the_other, 1) == [90]
                assert house.feed.live
                for symbol, after in (("BTC-USD", "0:7,1:91"), ("ETH1-USD", "0:8,1:90")):
                    target = f"/api/v1/orderbook/{symbol}"
                    answer = await client.ask("GET", target, headers={"X-Bourse-After": after})
                    assert answer.status == 200, "only its own shard is waited for"
                await market.of_shard_1.put(None)
                await market.of_shard_1.put(of_shard_1(said(95, trades_missing=True)))
                assert (await hears_the_other.receive_json())["type"] == "closing"
                await market.say(said(8, 8))
                assert await trades(hears_one, 1) == [8], "nothing is missing in the other one"
                assert market.asked == [0, 0, 90]

    story(told)
