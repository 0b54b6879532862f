"""The public routes: time, health, instruments, and the market."""

from collections.abc import Callable, Sequence

from bourse.marketdata import v1 as marketdata
from services.domain.clock import Clock
from services.domain.ids import shard_of
from services.domain.words import INTERVAL_OF
from services.gateway import shapes, translate
from services.gateway.feeds import MarketFeed
from services.gateway.markets import Markets
from services.gateway.problems import Problem
from services.gateway.reading import Reader
from services.gateway.reads import Reads
from services.gateway.rest import PREFIX, Ask, Reply, Route, number


class PublicRoutes:
    """What anybody can ask."""

    def __init__(
        self,
        markets: Markets,
        reads: Reads,
        feed: MarketFeed,
        health: Callable[[], shapes.Health],
        clock: Clock,
    ) -> None:
        self._markets = markets
        self._reads = reads
        self._feed = feed
        self._health = health
        self._clock = clock

    def routes(self) -> Sequence[Route]:
        """The lines of the public API that are served here."""
        health, of, codes = "Which rooms answer", "{instrument}", ("instrument_unknown",)
        both = (200, 503)
        return (
            Route("GET", f"{PREFIX}/time", self.time, "The gateway's clock", shapes.Now),
            Route("GET", "/health", self.health, health, shapes.Health, statuses=both),
            Route("GET", f"{PREFIX}/health", self.health, health, shapes.Health, statuses=both),
            Route("GET", f"{PREFIX}/instruments", self.instruments, "Everything that trades",
                  shapes.Instruments),
            Route("GET", f"{PREFIX}/orderbook/{of}", self.orderbook, "The book", shapes.Snapshot,
                  query=Reader(shapes.OrderbookQuery), codes=codes),
            Route("GET", f"{PREFIX}/trades/{of}", self.trades, "Trades, newest first",
                  shapes.Trades, query=Reader(shapes.TradesQuery), codes=codes),
            Route("GET", f"{PREFIX}/ticker/{of}", self.ticker, "The last 24 hours",
                  shapes.Ticker, codes=codes),
            Route("GET", f"{PREFIX}/auction/{of}", self.auction,
                  "What an auction would come to", shapes.Auction, codes=codes),
            Route("GET", f"{PREFIX}/candles/{of}", self.candles, "Candles, oldest first",
                  shapes.Candles, query=Reader(shapes.CandlesQuery), codes=codes),
        )  # fmt: skip

    async def time(self, ask: Ask) -> Reply:
        """The gateway's clock."""
        await self._reads.reach(ask.after)
        return Reply(shapes.Now(self._clock.now_us()))

    async def health(self, ask: Ask) -> Reply:
        """Which rooms answer; 503 only if orders cannot be taken."""
        await self._reads.reach(ask.after)
        health = self._health()
        return Reply(health, status=503 if health.status == "unavailable" else 200)

    async def instruments(self, ask: Ask) -> Reply:
        """Everything that trades, and what it is made of."""
        if not self._markets.known:
            raise Problem("unavailable")
        await self._reads.reach(ask.after)
        markets = [
            translate.instrument(market, self._markets.get(market.instrument.fee_market))
            for market in self._markets.trading
        ]
        assets = [shapes.Asset(asset.code, asset.decimals) for asset in self._markets.assets]
        memory_s = self._markets.memory_us // 1_000_000
        return Reply(shapes.Instruments(markets, assets, memory_s))

    async def orderbook(self, ask: Ask) -> Reply:
        """The best levels of a book."""
        book = await self._feed.book(ask.path["instrument"], ask.after)
        return Reply(book.snapshot(ask.query.depth))

    async def trades(self, ask: Ask) -> Reply:
        """Trades, newest first."""
        before = number(ask.query.before, "/before")
        market = self._markets.find(ask.path["instrument"])
        request = marketdata.ListTradesRequest(
            instrument=market.id,
            limit=ask.query.limit,
            before=before,
            after_sequence=ask.after.get(shard_of(market.id), 0),
        )
        told = await self._feed.trades(request)
        return Reply(shapes.Trades([translate.trade(trade, market) for trade in told.trades]))

    async def ticker(self, ask: Ask) -> Reply:
        """The last 24 hours."""
        market = self._markets.find(ask.path["instrument"])
        request = marketdata.GetTickerRequest(
            instrument=market.id, after_sequence=ask.after.get(shard_of(market.id), 0)
        )
        told = await self._feed.ticker(request)
        return Reply(translate.ticker(told.ticker, market))

    async def auction(self, ask: Ask) -> Reply:
        """What an auction would come to if it ended now."""
        market = self._markets.find(ask.path["instrument"])
        request = marketdata.GetTickerRequest(
            instrument=market.id, after_sequence=ask.after.get(shard_of(market.id), 0)
        )
        told = await self._feed.ticker(request)
        return Reply(translate.auction(told.auction, market, told.ticker.sequence))

    async def candles(self, ask: Ask) -> Reply:
        """Candles, oldest first."""
        market = self._markets.find(ask.path["instrument"])
        request = marketdata.ListCandlesRequest(
            instrument=market.id,
            interval=marketdata.Interval.Name(INTERVAL_OF[ask.query.interval]),
            from_us=ask.query.from_us,
            to_us=ask.query.to_us,
            limit=ask.query.limit,
            after_sequence=ask.after.get(shard_of(market.id), 0),
        )
        told = await self._feed.candles(request)
        return Reply(shapes.Candles([translate.candle(candle, market) for candle in told.candles]))
