"""The public market as marketdata tells it: books in memory, and a channel for each topic.

The books are kept whole, for snapshots and checksums; a gap, or a lost stream, means that all of it
is asked for again, and whoever listens gets a new snapshot. Each shard has a stream of its own.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Iterable
from typing import Final, TypeVar

import grpc

from bourse.marketdata import v1 as marketdata
from bourse.marketdata.v1 import rpc
from services.domain.ids import shard_of
from services.domain.instruments import Market
from services.domain.words import INTERVAL_OF, INTERVALS
from services.gateway import messages, translate
from services.gateway.books import Book, Gap
from services.gateway.channels import BookChannel, Channel, LatestChannel, framed
from services.gateway.follow import Interrupted, follow
from services.gateway.markets import Markets
from services.gateway.problems import Problem
from services.gateway.reads import READ_S, read
from services.gateway.shards import NONE_NAMED, Sequences, Shard, Shards

PACE_S: Final = 0.1
"""Tickers and candles are told at most this often."""

_HAS_INTERVAL: Final = {
    "orderbook": False,
    "trades": False,
    "ticker": False,
    "auction": False,
    "candles": True,
}
"""Kinds of public channels, and whether their names end in an interval."""

_WAIT_S: Final = 2.0

AnswerT = TypeVar("AnswerT")


class Watch:
    """How far the market of one shard is known."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.sequence = 0
        """All of it is known up to here."""
        self.told_to = 0
        self.live = False
        """Whether the stream stands and the books are whole."""
        self._moved = asyncio.Event()

    def move(self, sequence: int) -> None:
        """It is known up to here, all of it."""
        self.sequence = max(self.sequence, sequence)
        self.live = True
        self._moved.set()
        self._moved = asyncio.Event()

    def lose(self) -> None:
        """The stream is lost."""
        self.live = False

    async def reach(self, after: int) -> None:
        """Wait until it is known up to a sequence. Raises Problem if that takes too long."""
        try:
            async with asyncio.timeout(_WAIT_S):
                while self.sequence < after:
                    await self._moved.wait()
        except TimeoutError:
            raise Problem("lagging") from None


class MarketFeed:
    """Everything public of one house. `run` and `pace` run for ever."""

    def __init__(self, shards: Shards, channel: grpc.aio.Channel, markets: Markets) -> None:
        self._channel = channel
        self._marketdata = rpc.MarketdataServiceStub(channel)
        self._markets = markets
        self._channels: dict[str, Channel] = {}
        self.watches = [Watch(shard) for shard in shards]
        """Of each shard."""

    @property
    def live(self) -> bool:
        """Whether all streams stand and all books are whole."""
        return all(watch.live for watch in self.watches)

    def channel(self, name: str) -> Channel:
        """The channel of that name. Raises Problem if there is none, or no such instrument."""
        kind, _, rest = name.partition(".")
        symbol, _, interval = rest.partition(".")
        if kind not in _HAS_INTERVAL or _HAS_INTERVAL[kind] != bool(interval):
            raise Problem("invalid_value", f"There is no channel {name[:64]}.")
        if interval and interval not in INTERVAL_OF:
            raise Problem("invalid_value", f"There are no candles of {interval[:16]}.")
        self._markets.find(symbol)
        return self._made(name)

    def _made(self, name: str) -> Channel:
        """The channel of that name; of names that were checked, or that we chose."""
        found = self._channels.get(name)
        if found is None:
            kinds = {"orderbook": BookChannel, "trades": Channel}
            found = self._channels[name] = kinds.get(name.partition(".")[0], LatestChannel)(name)
        return found

    async def book(self, symbol: str, after: Sequences) -> Book:
        """The book of a symbol, at or after a sequence. Raises Problem."""
        watch = self.watches[shard_of(self._markets.find(symbol).id)]
        await watch.reach(after.get(watch.shard.number, 0))
        channel = self._made(f"orderbook.{symbol}")
        if not watch.live or not isinstance(channel, BookChannel) or channel.book is None:
            raise Problem("unavailable", "The book is not known at the moment. Try again.")
        return channel.book

    async def run(self) -> None:
        """Follow the market for ever; marketdata out of reach is waited for.

        A stream goes on with the trades behind what the one before has told.
        """
        await asyncio.gather(*(self._follow(watch) for watch in self.watches))

    async def _follow(self, watch: Watch) -> None:
        number = watch.shard.number

        def begin() -> AsyncIterable[marketdata.WatchResponse]:
            request = marketdata.WatchRequest(after_sequence=watch.told_to, shard=number)
            return self._marketdata.Watch(request)

        async def take(told: marketdata.WatchResponse) -> None:
            try:
                await self.take(told, number)
            except (Gap, Problem) as error:
                raise Interrupted(str(error)) from None

        await follow(f"market of shard {number}" if number else "market", begin, take, watch.lose)

    async def pace(self) -> None:
        """Tell tickers and candles, the latest of each, at a steady pace."""
        while True:
            await asyncio.sleep(PACE_S)
            for channel in list(self._channels.values()):
                if isinstance(channel, LatestChannel):
                    channel.flush()

    async def take(self, told: marketdata.WatchResponse, shard: int = 0) -> None:
        """Take in one tick of a shard. Raises Gap if something is missing before it."""
        watch = self.watches[shard]
        for depth in told.depths:
            if market := await self._trading(depth.instrument):
                self._take_depth(market, depth)
        if told.trades_missing:
            self._leave_trades_out(shard)
        await self._take_trades(told.trades)
        watch.told_to = max(watch.told_to, told.sequence)
        for ticker in told.tickers:
            if market := await self._trading(ticker.instrument):
                self._take_ticker(market, ticker)
        for auction in told.auctions:
            if market := await self._trading(auction.instrument):
                self._take_auction(market, auction)
        for candle in told.candles:
            if market := await self._trading(candle.instrument):
                self._take_candle(market, candle)
        watch.move(told.sequence)

    async def _trading(self, instrument: int) -> Market | None:
        """The market of that number, if it is the one that trades under its symbol."""
        market = await self._markets.wait_for(instrument)
        return market if self._markets.find(market.symbol).id == instrument else None

    def _take_depth(self, market: Market, depth: marketdata.Depth) -> None:
        name = f"orderbook.{market.symbol}"
        channel = self._made(name)
        assert isinstance(channel, BookChannel), "books have channels of books"
        if depth.snapshot:
            channel.book = Book(name, market, depth)
            channel.tell(channel.now())
            return
        if channel.book is None or channel.book.market.id != market.id:
            raise Gap(f"{name}: an update before its snapshot")
        update = channel.book.update(depth)
        if channel.listeners:
            channel.tell(framed(update))

    def _leave_trades_out(self, shard: int) -> None:
        """Too much was missed to be told now: sockets would have a hole they cannot see."""
        for channel in list(self._channels.values()):
            kind, _, symbol = channel.name.partition(".")
            if kind == "trades" and shard_of(self._markets.find(symbol).id) == shard:
                channel.interrupt("Trades were missed: subscribe again, then GET /trades.")

    async def _take_trades(self, trades: Iterable[marketdata.PublicTrade]) -> None:
        frames: dict[Channel, bytes] = {}
        for trade in trades:
            market = await self._trading(trade.instrument)
            channel = self._made(f"trades.{market.symbol}") if market else None
            if market and channel and channel.listeners:
                said = translate.trade(trade, market)
                message = translate.on_channel(messages.TradeMessage, channel.name, said)
                frames[channel] = frames.get(channel, b"") + framed(message)
        for channel, joined in frames.items():
            channel.tell(joined)

    def _take_ticker(self, market: Market, ticker: marketdata.Ticker) -> None:
        channel = self._made(f"ticker.{market.symbol}")
        assert isinstance(channel, LatestChannel), "a ticker has a channel of the latest"
        said = translate.ticker(ticker, market)
        channel.put(translate.on_channel(messages.TickerMessage, channel.name, said))

    def _take_auction(self, market: Market, auction: marketdata.Auction) -> None:
        channel = self._made(f"auction.{market.symbol}")
        assert isinstance(channel, LatestChannel), "an auction has a channel of the latest"
        said = translate.auction(auction, market)
        channel.put(translate.on_channel(messages.AuctionMessage, channel.name, said))

    def _take_candle(self, market: Market, candle: marketdata.Candle) -> None:
        interval = INTERVALS.get(candle.interval)
        if interval is None:
            return
        channel = self._made(f"candles.{market.symbol}.{interval}")
        assert isinstance(channel, LatestChannel), "candles have channels of the latest"
        said = translate.candle(candle, market)
        message = translate.on_channel(messages.CandleMessage, channel.name, said)
        channel.put(message, candle.open_us)

    async def prepare(self, channel: Channel) -> None:
        """See that a channel has something to begin with, where there is anything at all.

        Raises Problem if a book is asked for and not known.
        """
        kind, _, rest = channel.name.partition(".")
        symbol, _, interval = rest.partition(".")
        market = self._markets.find(symbol)
        if kind == "orderbook":
            await self.book(symbol, NONE_NAMED)
        elif kind == "ticker" and not channel.now():
            asked = marketdata.GetTickerRequest(instrument=market.id)
            self._take_ticker(market, (await self.ticker(asked)).ticker)
        elif kind == "auction" and not channel.now():
            asked = marketdata.GetTickerRequest(instrument=market.id)
            self._take_auction(market, (await self.ticker(asked)).auction)
        elif kind == "candles" and not channel.now():
            length = marketdata.Interval.Name(INTERVAL_OF[interval])
            latest = marketdata.ListCandlesRequest(instrument=market.id, interval=length, limit=1)
            for candle in (await self.candles(latest)).candles:
                self._take_candle(market, candle)

    async def trades(self, request: marketdata.ListTradesRequest) -> marketdata.ListTradesResponse:
        """Trades, newest first. Raises Problem."""
        return await self._read(self._marketdata.ListTrades(request, timeout=READ_S))

    async def ticker(self, request: marketdata.GetTickerRequest) -> marketdata.GetTickerResponse:
        """The last 24 hours. Raises Problem."""
        return await self._read(self._marketdata.GetTicker(request, timeout=READ_S))

    async def candles(
        self, request: marketdata.ListCandlesRequest
    ) -> marketdata.ListCandlesResponse:
        """Candles, oldest first. Raises Problem."""
        return await self._read(self._marketdata.ListCandles(request, timeout=READ_S))

    async def _read(self, call: Awaitable[AnswerT]) -> AnswerT:
        return await read(call, self._channel)
