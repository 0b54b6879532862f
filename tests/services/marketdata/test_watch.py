"""What watchers and readers are told, over gRPC, while a shard goes on."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import grpc
import pytest

from bourse.marketdata import v1 as marketdata
from bourse.marketdata.v1 import rpc
from services.marketdata.state import DAY_US, MINUTE_US
from services.runtime.memory_log import MemoryLog
from tests.services.marketdata.test_state import Listener
from tests.services.marketdata.world import Room, Stores, core_of, end, room, tell
from tests.services.shard import ALICE, BTC_USD, START_US, Shard


async def listen(running: Room, listener: Listener, sequence: int) -> None:
    """Watch until a sequence was told."""
    call = running.ask.Watch(marketdata.WatchRequest())
    async for said in call:
        assert listener.began.is_set() or all(depth.snapshot for depth in said.depths)
        listener.hear(said)
        if said.sequence >= sequence:
            call.cancel()
            return


def test_a_watcher_hears_everything_from_where_it_begins(stores: Stores, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        shard.bustle(30)
        await running.hear(shard)
        early, late = Listener(), Listener()
        begun = shard.sequence
        shard.bustle(150, seed=2)
        shard.add_instrument("BTC-USD-2")
        first = asyncio.create_task(listen(running, early, shard.sequence))
        second = None
        await early.began.wait()
        for _ in range(20):
            await asyncio.sleep(0.01)
            await shard.publish(running.log, 10)
            if second is None and early.sequence > begun:
                second = asyncio.create_task(listen(running, late, shard.sequence))
        await shard.publish(running.log)
        await first
        assert second is not None
        await second
        for listener in (early, late):
            assert listener.has_book(shard.depth())
            assert listener.sequence == shard.sequence
        every = [e.trade_id for r in shard.records if r.first_sequence > begun for e in r.trades]
        assert [trade.trade_id for trade in early.trades] == every
        heard = [trade.trade_id for trade in late.trades]
        assert heard == every[len(every) - len(heard) :]
        assert early.candles
        assert early.tickers[BTC_USD].last_ticks > 0
        assert len(early.books) == 2

    tell(stores, tmp_path, story)


async def beginning(running: Room, after_sequence: int) -> marketdata.WatchResponse:
    """What a stream begins with."""
    call = running.ask.Watch(marketdata.WatchRequest(after_sequence=after_sequence))
    said = await call.read()
    call.cancel()
    assert isinstance(said, marketdata.WatchResponse)
    return said


@pytest.mark.parametrize("block_s", [0.01, 60.0], ids=["on the tape", "not on the tape"])
def test_what_traded_while_the_room_was_away_is_told_to_who_comes_back(
    stores: Stores, tmp_path: Path, block_s: float
) -> None:
    shard = Shard()
    shard.bustle(40)

    async def main() -> None:
        core, log, listener = core_of(shard, tmp_path), MemoryLog(), Listener()
        async with room(stores, tmp_path, log, block_s=block_s) as running:
            await shard.publish(log)
            assert await running.reader.passed(shard.sequence, 10)
            await listen(running, listener, shard.sequence)
            told = listener.sequence
            shard.bustle(20, seed=2)
            await shard.publish(log)
            assert await running.reader.passed(shard.sequence, 10)
        shard.bustle(60, seed=3)
        await shard.publish(log)
        every = [e.trade_id for r in shard.records if r.first_sequence > told for e in r.trades]
        async with room(stores, tmp_path, log, block_s=block_s) as running:
            said = await beginning(running, told)
            assert said.sequence == shard.sequence
            assert [trade.trade_id for trade in said.trades] == every
            assert not said.trades_missing
            assert not (await beginning(running, 0)).trades
            assert not (await beginning(running, shard.sequence)).trades
        await end(core)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_sequences_pass_when_nothing_trades(stores: Stores, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        await running.hear(shard)
        listener = Listener()
        listening = asyncio.create_task(listen(running, listener, shard.sequence + 1))
        shard.cancel(ALICE, 77 * 1024)
        await running.hear(shard)
        await listening
        status = await running.ask.GetStatus(marketdata.GetStatusRequest())
        [place] = status.places
        assert (place.sequence, place.lag_records) == (shard.sequence, 0)
        assert place.next_offset == len(shard.records)

    tell(stores, tmp_path, story)


async def read_to_the_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        continue


def test_a_slow_watcher_is_ended_and_begins_anew(stores: Stores, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        await running.hear(shard)
        # A channel that takes little without being read, so that it shows that nobody reads.
        narrow = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536))
        address = f"unix:{tmp_path}/marketdata.sock"
        async with grpc.aio.insecure_channel(address, options=narrow) as channel:
            call = rpc.MarketdataServiceStub(channel).Watch(marketdata.WatchRequest())
            assert await call.read()
            for lots in range(15, -1, -1):
                shard.flood(20_000, lots)
                await running.hear(shard)
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await read_to_the_end(call)
            assert ended.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        listener = Listener()
        await asyncio.wait_for(listen(running, listener, shard.sequence), 20)
        assert listener.has_book(shard.depth())

    tell(stores, tmp_path, story, backlog=2)


def test_a_read_waits_for_its_sequence_and_then_says_that_it_lags(
    stores: Stores, tmp_path: Path
) -> None:
    async def lags(asked: Awaitable[object]) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as lagging:
            await asked
        assert lagging.value.code() == grpc.StatusCode.UNAVAILABLE
        assert lagging.value.details() == "lagging"

    async def story(running: Room, shard: Shard) -> None:
        shard.trade(5, 10_000)
        ticker = marketdata.GetTickerRequest(instrument=BTC_USD, after_sequence=shard.sequence)
        trades = marketdata.ListTradesRequest(instrument=BTC_USD, after_sequence=shard.sequence)
        candles = marketdata.ListCandlesRequest(
            instrument=BTC_USD, interval=marketdata.INTERVAL_1M, after_sequence=shard.sequence
        )
        await lags(running.ask.GetTicker(ticker))
        await lags(running.ask.ListTrades(trades))
        await lags(running.ask.ListCandles(candles))
        waiting = running.ask.GetTicker(ticker)
        await shard.publish(running.log)
        assert (await waiting).ticker.last_ticks == 10_000
        assert [t.lots for t in (await running.ask.ListTrades(trades)).trades] == [5]
        assert [c.trades for c in (await running.ask.ListCandles(candles)).candles] == [1]

    tell(stores, tmp_path, story)


def test_trades_come_in_pages_from_memory_and_tape_alike(stores: Stores, tmp_path: Path) -> None:
    shard = Shard()
    shard.bustle(150)

    async def main() -> None:
        core, log = core_of(shard, tmp_path), MemoryLog()
        async with room(stores, tmp_path, log) as running:
            await running.hear(shard)
        shard.bustle(30, seed=9)
        # Started again, memory has none of the first trades, and the last ones are not on the tape.
        async with room(stores, tmp_path, log, block_s=60) as running:
            await shard.publish(log)
            assert await running.reader.passed(shard.sequence, 10)
            every = [e.trade_id for r in shard.records for e in r.trades][::-1]
            assert await pages(running, 7) == every
            assert await pages(running, 1000) == every
            assert await pages(running, len(every)) == every
        await end(core)

    async def pages(running: Room, limit: int) -> list[int]:
        found: list[int] = []
        while True:
            before = found[-1] if found else 0
            request = marketdata.ListTradesRequest(instrument=BTC_USD, limit=limit, before=before)
            page = (await running.ask.ListTrades(request)).trades
            found += [trade.trade_id for trade in page]
            if len(page) < limit:
                return found

    asyncio.run(asyncio.wait_for(main(), 60))


def test_candles_come_from_memory_and_tape_alike(stores: Stores, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        minutes = 330
        for _ in range(minutes):
            shard.time_us += 5 * MINUTE_US
            shard.trade(2, 10_000)
        await running.hear(shard)
        series = running.reader.markets.by_id[BTC_USD].series[marketdata.INTERVAL_5M]
        assert len(series.candles) == 300
        opens = sorted({t.time_us - t.time_us % (5 * MINUTE_US) for t in shard.records if t.trades})
        assert len(opens) == minutes

        async def ask(**asked: int) -> list[int]:
            request = marketdata.ListCandlesRequest(
                instrument=BTC_USD, interval=marketdata.INTERVAL_5M, **asked
            )
            candles = (await running.ask.ListCandles(request)).candles
            assert all((c.volume_lots, c.trades, c.open_ticks) == ("2", 1, 10_000) for c in candles)
            return [candle.open_us for candle in candles]

        assert await ask(limit=1000) == opens
        assert await ask(limit=310) == opens[-310:]
        assert await ask(limit=5) == opens[-5:]
        assert await ask(limit=5, to_us=opens[20]) == opens[15:20]
        assert await ask(limit=40, from_us=opens[10]) == opens[10:50]
        assert await ask(limit=10, from_us=opens[100], to_us=opens[105]) == opens[100:105]
        assert await ask(limit=10, from_us=opens[5] - 1, to_us=opens[7]) == opens[5:7]
        assert await ask(limit=10, from_us=START_US + 400 * DAY_US) == []
        assert await running.broken() == []

    tell(stores, tmp_path, story)


def test_an_unknown_market_is_empty_and_an_unknown_interval_is_refused(
    stores: Stores, tmp_path: Path
) -> None:
    async def story(running: Room, shard: Shard) -> None:
        await running.hear(shard)
        ticker = (await running.ask.GetTicker(marketdata.GetTickerRequest(instrument=7))).ticker
        assert (ticker.instrument, ticker.volume_lots, ticker.last_ticks) == (7, "0", 0)
        assert not (await running.ask.ListTrades(marketdata.ListTradesRequest(instrument=7))).trades
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await running.ask.ListCandles(marketdata.ListCandlesRequest(instrument=BTC_USD))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT

    tell(stores, tmp_path, story)


def test_without_matching_the_room_waits_and_then_begins_with_its_books(
    stores: Stores, tmp_path: Path
) -> None:
    shard = Shard()
    shard.bustle(40)

    async def main() -> None:
        log = MemoryLog()
        await shard.publish(log)
        # The core is ahead of what was published, as it is after every restart.
        shard.bustle(10, seed=3)
        async with room(stores, tmp_path, log) as running:
            listener = Listener()
            listening = asyncio.create_task(listen(running, listener, shard.sequence))
            await asyncio.sleep(0.3)
            assert listener.sequence == 0
            assert not running.reader.markets.by_id
            core = core_of(shard, tmp_path)
            await asyncio.sleep(0.5)
            assert listener.sequence == 0, "nothing is told before it is known whole"
            await shard.publish(log)
            await listening
            assert listener.has_book(shard.depth())
            assert await running.broken(shard.sequence) == []
            await end(core)

    asyncio.run(asyncio.wait_for(main(), 60))
