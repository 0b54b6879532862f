"""What gateways and operators ask of market data. What is recent comes from memory."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeAlias, TypeVar

import grpc
from clickhouse_connect.driver.asyncclient import AsyncClient

from bourse.marketdata import v1 as marketdata
from bourse.marketdata.v1 import rpc
from services.domain.ids import shard_of
from services.marketdata import checks, store
from services.marketdata.config import MarketdataConfig
from services.marketdata.reader import MarketdataReader
from services.marketdata.state import INTERVALS_US, Candle, Series
from services.marketdata.tape import TapeUnavailable
from services.runtime.readers import Readers
from services.runtime.rpc import Context

_TOP = 2**63 - 1
_PAGE = 1000

AnswerT = TypeVar("AnswerT")
_Asked: TypeAlias = (
    marketdata.ListTradesRequest | marketdata.GetTickerRequest | marketdata.ListCandlesRequest
)


class Marketdata(rpc.MarketdataServiceServicer):
    """Depth, trades, tickers and candles. What is asked of an instrument is asked of its shard."""

    def __init__(self, readers: Readers[MarketdataReader], config: MarketdataConfig) -> None:
        self._readers = readers
        self._config = config

    async def Watch(
        self, request: marketdata.WatchRequest, context: Context
    ) -> AsyncIterator[marketdata.WatchResponse]:
        """Everything public of a shard, as it happens."""
        reader = await self._readers.of(request.shard, context)
        if not reader.stopped:
            async for said in reader.watch(request.after_sequence):
                yield said
        if reader.stopped:
            await self._readers.miss(reader, context)
        await context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "The stream fell behind; watch again."
        )

    async def ListTrades(
        self, request: marketdata.ListTradesRequest, context: Context
    ) -> marketdata.ListTradesResponse:
        """Trades of an instrument, newest first."""
        reader = await self._reader_of(request, context)
        if reader is None:
            return marketdata.ListTradesResponse()
        limit, below = _limit(request.limit), min(request.before or _TOP, _TOP)
        market = reader.markets.by_id.get(request.instrument)
        recent = market.newest_trades(below, limit) if market else []
        if market and market.trades:
            below = min(below, market.trades[0].trade_id)
        if wanted := limit - len(recent):
            recent += await _read(
                reader,
                lambda tape: store.trades_below(tape, request.instrument, below, wanted),
                context,
            )
        return marketdata.ListTradesResponse(trades=[trade.public() for trade in recent])

    async def GetTicker(
        self, request: marketdata.GetTickerRequest, context: Context
    ) -> marketdata.GetTickerResponse:
        """The last 24 hours of an instrument."""
        reader = await self._reader_of(request, context)
        market = reader.markets.by_id.get(request.instrument) if reader else None
        if reader is None or market is None:
            nothing = marketdata.Ticker(
                instrument=request.instrument, volume_lots="0", quote_volume_minor="0"
            )
            return marketdata.GetTickerResponse(ticker=nothing)
        auction = market.auction.public() if market.auction else None
        return marketdata.GetTickerResponse(ticker=reader.markets.ticker(market), auction=auction)

    async def ListCandles(
        self, request: marketdata.ListCandlesRequest, context: Context
    ) -> marketdata.ListCandlesResponse:
        """Candles of an instrument, oldest first."""
        if request.interval not in INTERVALS_US:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such interval")
        reader = await self._reader_of(request, context)
        market = reader.markets.by_id.get(request.instrument) if reader else None
        if reader is None or market is None:
            return marketdata.ListCandlesResponse()
        ask = _first_candles if request.from_us else _last_candles
        return await ask(reader, request, market.series[request.interval], context)

    async def GetStatus(
        self, request: marketdata.GetStatusRequest, context: Context
    ) -> marketdata.GetStatusResponse:
        """How far the tape has come."""
        return marketdata.GetStatusResponse(places=await self._readers.places())

    async def Verify(
        self, request: marketdata.VerifyRequest, context: Context
    ) -> marketdata.VerifyResponse:
        """Check the tape of a shard against itself, and memory against the tape."""
        reader = await self._readers.of(request.shard, context)
        patience_s = self._config.verify_patience_s
        if reader.stopped or not await reader.stored(request.sequence, patience_s):
            await self._readers.miss(reader, context)
        try:
            return await checks.all_checks(reader.tape, reader.markets, request.sequence)
        except TapeUnavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))

    async def _reader_of(self, request: _Asked, context: Context) -> MarketdataReader | None:
        """The reader of an instrument's shard, once it has come to the sequence asked for.

        Of one that has stopped nothing is served: it would look like a market without trades.
        None if there is no such shard, and so no such instrument.
        """
        reader = self._readers.get(shard_of(request.instrument))
        if reader is None:
            return None
        patience_s = self._config.patience_s
        if reader.stopped or not await reader.passed(request.after_sequence, patience_s):
            await self._readers.miss(reader, context)
        return reader


async def _first_candles(
    reader: MarketdataReader,
    request: marketdata.ListCandlesRequest,
    series: Series,
    context: Context,
) -> marketdata.ListCandlesResponse:
    limit, span = _limit(request.limit), (request.from_us, request.to_us or _TOP)
    recent = _public(request, series.first(*span, limit))
    older: list[Candle] = []
    if span[0] < series.whole_from_us:
        older_span = (span[0], min(span[1], series.whole_from_us))
        older = await _read(
            reader,
            lambda tape: store.first_candles(
                tape, request.instrument, request.interval, older_span, limit
            ),
            context,
        )
    return marketdata.ListCandlesResponse(candles=[*_public(request, older), *recent][:limit])


async def _last_candles(
    reader: MarketdataReader,
    request: marketdata.ListCandlesRequest,
    series: Series,
    context: Context,
) -> marketdata.ListCandlesResponse:
    limit, to_us = _limit(request.limit), request.to_us or _TOP
    recent = _public(request, series.last(to_us, limit))
    older: list[Candle] = []
    if (wanted := limit - len(recent)) and series.whole_from_us:
        span = (-_TOP, min(to_us, series.whole_from_us))
        older = await _read(
            reader,
            lambda tape: store.last_candles(
                tape, request.instrument, request.interval, span, wanted
            ),
            context,
        )
    return marketdata.ListCandlesResponse(candles=[*_public(request, older), *recent])


async def _read(
    reader: MarketdataReader,
    ask: Callable[[AsyncClient], Awaitable[AnswerT]],
    context: Context,
) -> AnswerT:
    try:
        return await reader.tape.read(ask)
    except TapeUnavailable as error:
        await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))


def _public(
    request: marketdata.ListCandlesRequest, candles: Iterable[Candle]
) -> list[marketdata.Candle]:
    return [candle.public(request.instrument, request.interval) for candle in candles]


def _limit(asked: int) -> int:
    return min(max(asked, 1), _PAGE)
