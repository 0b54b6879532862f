"""Several shards in one room: a tape, a memory and a place for each, nothing of one in another."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from bourse.marketdata import v1 as marketdata
from services.marketdata.config import MarketdataConfig
from services.runtime.clickhouse import open_clickhouse
from services.runtime.memory_log import MemoryLog
from tests.services.marketdata.world import (
    Room,
    Stores,
    core_of,
    end,
    on_tape,
    room,
    run,
    trades_of,
)
from tests.services.shard import Shard

Story = Callable[[Room, Shard, Shard], Awaitable[None]]
ELSEWHERE = 1024 + 2
"""An instrument of a shard that there is not."""


def two_shards() -> tuple[Shard, Shard]:
    """Their sequences and the numbers of their trades are much the same."""
    shards = Shard(), Shard(number=1)
    for shard in shards:
        shard.bustle(40, seed=shard.model.shard)
    return shards


def tell(stores: Stores, folder: Path, story: Story) -> None:
    """Run a story on the empty tapes of two shards, with their cores at hand."""

    async def main() -> None:
        shards = two_shards()
        cores = [core_of(shard, folder) for shard in shards]
        try:
            async with room(stores, folder, MemoryLog(), shards=2) as running:
                for shard in shards:
                    await running.hear(shard)
                await story(running, *shards)
        finally:
            await end(*cores)

    run(main())


async def all_is_right(running: Room, *shards: Shard) -> None:
    """Each tape has the trades of its shard and no other, and its checks hold."""
    for shard in shards:
        number = shard.model.shard
        assert await on_tape(running, number) == trades_of(shard)
        request = marketdata.VerifyRequest(sequence=shard.sequence, shard=number)
        answer = await running.ask.Verify(request)
        assert [check for check in answer.checks if not check.ok] == []
        assert (answer.sequence, answer.trades) == (shard.sequence, len(trades_of(shard)))
    status = await running.ask.GetStatus(marketdata.GetStatusRequest())
    places = [(one.shard, one.sequence, one.next_offset) for one in status.places]
    assert places == [(s.model.shard, s.sequence, len(s.records)) for s in shards]


def test_what_is_asked_of_an_instrument_is_answered_by_its_shard(
    stores: Stores, tmp_path: Path
) -> None:
    async def story(running: Room, first: Shard, second: Shard) -> None:
        await all_is_right(running, first, second)
        for shard in (first, second):
            asked = {"instrument": shard.instrument, "after_sequence": shard.sequence}
            request = marketdata.ListTradesRequest(limit=1000, **asked)
            trades = (await running.ask.ListTrades(request)).trades
            assert [trade.trade_id for trade in trades] == trades_of(shard)[::-1]
            ticker = (await running.ask.GetTicker(marketdata.GetTickerRequest(**asked))).ticker
            assert ticker.last_ticks == trades[0].price_ticks
            minutes = marketdata.ListCandlesRequest(
                interval=marketdata.INTERVAL_1M, limit=1000, **asked
            )
            candles = (await running.ask.ListCandles(minutes)).candles
            assert sum(candle.trades for candle in candles) == len(trades)

    tell(stores, tmp_path, story)


def test_what_there_is_not_is_unknown(stores: Stores, tmp_path: Path) -> None:
    async def story(running: Room, first: Shard, second: Shard) -> None:
        ask, far = running.ask, {"instrument": ELSEWHERE, "after_sequence": 10**9}
        minutes = marketdata.ListCandlesRequest(interval=marketdata.INTERVAL_1M, **far)
        assert not (await ask.ListTrades(marketdata.ListTradesRequest(**far))).trades
        assert not (await ask.ListCandles(minutes)).candles
        ticker = (await ask.GetTicker(marketdata.GetTickerRequest(**far))).ticker
        assert (ticker.instrument, ticker.volume_lots) == (ELSEWHERE, "0")
        watching = ask.Watch(marketdata.WatchRequest(shard=2))
        for refused in (watching.read(), ask.Verify(marketdata.VerifyRequest(shard=2))):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await refused
            assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert error.value.details() == "There is no shard 2: those here are 0 to 1."

    tell(stores, tmp_path, story)


def test_a_watcher_sees_the_markets_of_its_shard(stores: Stores, tmp_path: Path) -> None:
    async def story(running: Room, first: Shard, second: Shard) -> None:
        for shard in (first, second):
            number = shard.model.shard
            watching = running.ask.Watch(marketdata.WatchRequest(shard=number))
            begun = await watching.read()
            assert isinstance(begun, marketdata.WatchResponse)
            assert [depth.instrument for depth in begun.depths] == [shard.instrument]
            assert begun.sequence == shard.sequence
            other = second if shard is first else first
            other.trade(1, 10_000)
            await running.hear(other)
            shard.trade(1, 10_000)
            await running.hear(shard)
            seen: list[int] = []
            while not seen:
                said = await watching.read()
                assert isinstance(said, marketdata.WatchResponse)
                seen += [trade.trade_id for trade in said.trades]
            assert set(seen) <= set(trades_of(shard))
            watching.cancel()

    tell(stores, tmp_path, story)


def test_each_shard_goes_on_from_its_own_place(stores: Stores, tmp_path: Path) -> None:
    """The room starts in the middle of both, and once more after the tape of one was lost."""
    shards = first, second = two_shards()

    async def main() -> None:
        log, cores = MemoryLog(), [core_of(shard, tmp_path) for shard in shards]
        await first.publish(log, 12)
        await second.publish(log, 30)
        async with room(stores, tmp_path, log, shards=2) as running:
            for shard, reader in zip(shards, running.readers, strict=True):
                last = await log.end(shard.topic)
                assert await reader.stored(shard.records[last].first_sequence - 1, 20)
        for shard in shards:
            await shard.publish(log)
        async with room(stores, tmp_path, log, shards=2) as running:
            for shard in shards:
                await running.hear(shard)
            await all_is_right(running, *shards)
        await lose_tape(stores, 1)
        async with room(stores, tmp_path, log, shards=2) as running:
            for shard in shards:
                await running.hear(shard)
            await all_is_right(running, *shards)
        await end(*cores)

    asyncio.run(asyncio.wait_for(main(), 60))


async def lose_tape(stores: Stores, shard: int) -> None:
    config = MarketdataConfig(database=stores[1][1])
    client = await open_clickhouse(stores[1][0], config.database_of(shard))
    await client.command("TRUNCATE TABLE trade")
    await client.close()


def test_a_gap_in_one_shard_stops_that_shard_alone(stores: Stores, tmp_path: Path) -> None:
    """What has come is on its tape; nothing of it is served, for it would look like quiet."""

    async def story(running: Room, first: Shard, second: Shard) -> None:
        watching = running.ask.Watch(marketdata.WatchRequest(shard=1))
        second.trade(1, 10_000)
        last = second.sequence
        second.tear()
        await second.publish(running.log)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await to_the_end(watching)
        assert ended.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert ended.value.details() == running.readers[1].stopped
        for refused in asked_of_market(running, second.instrument):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await refused
            assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        while not await running.readers[1].stored(last, 0):  # noqa: ASYNC110 - it stands already
            await asyncio.sleep(0.01)
        assert await on_tape(running, 1) == trades_of(second)
        held = await running.readers[1].held()
        assert held.next_offset == len(second.records) - 1
        first.trade(1, 10_000)
        await running.hear(first)
        for answered in asked_of_market(running, first.instrument):
            await answered
        assert await running.broken(first.sequence) == []

    tell(stores, tmp_path, story)


async def to_the_end(watching: AsyncIterable[marketdata.WatchResponse]) -> None:
    async for _ in watching:
        pass


def asked_of_market(running: Room, instrument: int) -> list[Awaitable[object]]:
    ask = running.ask
    return [
        ask.ListTrades(marketdata.ListTradesRequest(instrument=instrument, limit=1)),
        ask.GetTicker(marketdata.GetTickerRequest(instrument=instrument)),
        ask.ListCandles(
            marketdata.ListCandlesRequest(instrument=instrument, interval=marketdata.INTERVAL_1M)
        ),
        ask.Verify(marketdata.VerifyRequest(shard=instrument % 1024)),
    ]


def test_a_log_that_was_rolled_back_stops_its_shard_alone(stores: Stores, tmp_path: Path) -> None:
    shards = first, second = two_shards()

    async def main() -> None:
        log, cores = MemoryLog(), [core_of(shard, tmp_path) for shard in shards]
        async with room(stores, tmp_path, log, shards=2) as running:
            for shard in shards:
                await running.hear(shard)
            held = await running.readers[1].held()
        log.roll_back(second.topic)
        async with room(stores, tmp_path, log, shards=2) as running:
            assert "this log was rolled back" in running.readers[1].stopped
            assert await running.readers[1].held() == held, "it still needs what it needed"
            first.trade(1, 10_000)
            await running.hear(first)
            assert await running.broken(first.sequence) == []
            status = await running.ask.GetStatus(marketdata.GetStatusRequest())
            assert [bool(place.stopped) for place in status.places] == [False, True]
        await end(*cores)

    asyncio.run(asyncio.wait_for(main(), 60))
