"""What gateways and operators ask of market data. What is recent comes from memory."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

import grpc
from clickhouse_connect.driver.asyncclient import AsyncClient

from bourse.marketdata import v1 as marketdata
from bourse.marketdata.v1 import rpc
from services.marketdata import checks, store
from services.marketdata.config import MarketdataConfig
from services.marketdata.reader import MarketdataReader
from services.marketdata.state import INTERVALS_US, Candle, Series
from services.marketdata.tape import TapeUnavailable
from services.runtime.lag import Lag
from services.runtime.rpc import Context

_TOP = 2**63 - 1
_PAGE = 1000

AnswerT = TypeVar("AnswerT")


class Marketdata(rpc.MarketdataServiceServicer):
    """Depth, trades, tickers and candles."""

    def __init__(self, reader: MarketdataReader, config: MarketdataConfig, lag: Lag) -> None:
        self._reader = reader
        self._config = config
        self._lag = lag

    async def Watch(
        self, request: marketdata.WatchRequest, context: Context
    ) -> AsyncIterator[marketdata.WatchResponse]:
        """Everything public, as it happens."""
        async for said in self._reader.watch(request.after_sequence):
            yield said
        await context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "The stream fell behind; watch again."
        )

    async def ListTrades(
        self, request: marketdata.ListTradesRequest, context: Context
    ) -> marketdata.ListTradesResponse:
        """Trades of an instrument, newest first."""
        await self._after(request.after_sequence, context)
        limit, below = _limit(request.limit), min(request.before or _TOP, _TOP)
        market = self._reader.markets.by_id.get(request.instrument)
        recent = market.newest_trades(below, limit) if market else []
        if market and market.trades:
            below = min(below, market.trades[0].trade_id)
        if wanted := limit - len(recent):
            recent += await self._read(
                lambda tape: store.trades_below(tape, request.instrument, below, wanted), context
            )
        return marketdata.ListTradesResponse(trades=[trade.public() for trade in recent])

    async def GetTicker(
        self, request: marketdata.GetTickerRequest, context: Context
    ) -> marketdata.GetTickerResponse:
        """The last 24 hours of an instrument."""
        await self._after(request.after_sequence, context)
        market = self._reader.markets.by_id.get(request.instrument)
        auction = market.auction.public() if market and market.auction else None
        if market is None:
            ticker = marketdata.Ticker(
                instrument=request.instrument, volume_lots="0", quote_volume_minor="0"
            )
        else:
            ticker = self._reader.markets.ticker(market)
        return marketdata.GetTickerResponse(ticker=ticker, auction=auction)

    async def ListCandles(
        self, request: marketdata.ListCandlesRequest, context: Context
    ) -> marketdata.ListCandlesResponse:
        """Candles of an instrument, oldest first."""
        if request.interval not in INTERVALS_US:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such interval")
        await self._after(request.after_sequence, context)
        market = self._reader.markets.by_id.get(request.instrument)
        if market is None:
            return marketdata.ListCandlesResponse()
        ask = self._first_candles if request.from_us else self._last_candles
        return await ask(request, market.series[request.interval], context)

    async def _first_candles(
        self, request: marketdata.ListCandlesRequest, series: Series, context: Context
    ) -> marketdata.ListCandlesResponse:
        limit, span = _limit(request.limit), (request.from_us, request.to_us or _TOP)
        recent = _public(request, series.first(*span, limit))
        older: list[Candle] = []
        if span[0] < series.whole_from_us:
            older_span = (span[0], min(span[1], series.whole_from_us))
            older = await self._read(
                lambda tape: store.first_candles(
                    tape, request.instrument, request.interval, older_span, limit
                ),
                context,
            )
        return marketdata.ListCandlesResponse(candles=[*_public(request, older), *recent][:limit])

    async def _last_candles(
        self, request: marketdata.ListCandlesRequest, series: Series, context: Context
    ) -> marketdata.ListCandlesResponse:
        limit, to_us = _limit(request.limit), request.to_us or _TOP
        recent = _public(request, series.last(to_us, limit))
        older: list[Candle] = []
        if (wanted := limit - len(recent)) and series.whole_from_us:
            span = (-_TOP, min(to_us, series.whole_from_us))
            older = await self._read(
                lambda tape: store.last_candles(
                    tape, request.instrument, request.interval, span, wanted
                ),
                context,
            )
        return marketdata.ListCandlesResponse(candles=[*_public(request, older), *recent])

    async def GetStatus(
        self, request: marketdata.GetStatusRequest, context: Context
    ) -> marketdata.GetStatusResponse:
        """How far the tape has come."""
        place = self._reader.tape.place
        records, milliseconds = await self._lag.of(place.position.next_offset)
        return marketdata.GetStatusResponse(
            sequence=place.sequence,
            next_offset=place.position.next_offset,
            lag_records=records,
            lag_ms=milliseconds,
        )

    async def Verify(
        self, request: marketdata.VerifyRequest, context: Context
    ) -> marketdata.VerifyResponse:
        """Check the tape against itself, and memory against the tape."""
        if not await self._reader.stored(request.sequence, self._config.verify_patience_s):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "lagging")
        try:
            return await checks.all_checks(
                self._reader.tape, self._reader.markets, self._config.shard, request.sequence
            )
        except TapeUnavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))

    async def _after(self, sequence: int, context: Context) -> None:
        if not await self._reader.passed(sequence, self._config.patience_s):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "lagging")

    async def _read(
        self, ask: Callable[[AsyncClient], Awaitable[AnswerT]], context: Context
    ) -> AnswerT:
        try:
            return await self._reader.tape.read(ask)
        except TapeUnavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))


def _public(
    request: marketdata.ListCandlesRequest, candles: Iterable[Candle]
) -> list[marketdata.Candle]:
    return [candle.public(request.instrument, request.interval) for candle in candles]


def _limit(asked: int) -> int:
    return min(max(asked, 1), _PAGE)
