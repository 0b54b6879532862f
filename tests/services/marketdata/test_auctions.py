"""Auctions: what is told of them while they gather, what is left of them, and crossed books."""

from pathlib import Path

import pytest

from bourse.marketdata import v1 as marketdata
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.marketdata.state import Markets
from services.runtime.memory_log import MemoryLog
from tests.services.marketdata.test_state import Listener
from tests.services.marketdata.world import Room, Stores, core_of, end, room, run, tell
from tests.services.shard import ALICE, BOB, BTC_USD, Shard, command, in_parts, put
from tests.services.wandering import Wandering


def gathering() -> Shard:
    """A market that gathers crossed orders for its opening auction: 7 lots of 10 at 10,020."""
    shard = Shard(rules=2)
    phase(shard, types.PHASE_HALT)
    phase(shard, types.PHASE_PRE_OPEN)
    shard.buy(ALICE, 10, 10_020)
    shard.sell(BOB, 7, 10_000, display_lots=2)
    return shard


def phase(shard: Shard, to: types.Phase) -> None:
    shard.run(command(0, set_phase=matching.SetPhase(instrument=BTC_USD, phase=to)))


def as_public(price_ticks: int, volume_lots: int, surplus_lots: int, sequence: int) -> object:
    return marketdata.Auction(
        instrument=BTC_USD,
        price_ticks=price_ticks,
        volume_lots=volume_lots,
        surplus_lots=surplus_lots,
        sequence=sequence,
    )


def test_what_an_auction_would_come_to_is_told_with_the_books() -> None:
    shard, markets = gathering(), Markets()
    for record in shard.records[:-1]:
        markets.apply(record)
    markets.tick(with_latest=True)
    markets.apply(shard.records[-1])
    said = markets.tick(with_latest=False)
    assert said is not None
    assert list(said.auctions) == [as_public(10_020, 7, 3, shard.sequence)]
    [depth] = said.depths
    assert (depth.asks[0].lots, markets.by_id[BTC_USD].book.is_crossed()) == (2, True)
    assert not markets.by_id[BTC_USD].is_crossed_for_no_reason()
    assert list(markets.snapshot().auctions) == list(said.auctions)
    phase(shard, types.PHASE_CONTINUOUS)
    markets.apply(shard.records[-1])
    said = markets.tick(with_latest=True)
    assert said is not None
    assert list(said.auctions) == [as_public(0, 0, 0, shard.sequence)]
    assert {(trade.auction, trade.price_ticks) for trade in said.trades} == {(True, 10_020)}
    assert said.tickers[0].last_ticks == 10_020
    assert {candle.volume_lots for candle in said.candles} == {"7"}


def test_a_book_that_is_crossed_where_orders_trade_is_found() -> None:
    shard, markets = gathering(), Markets()
    for record in shard.records:
        markets.apply(record)
    instrument = types.Instrument(instrument=BTC_USD, phase=types.PHASE_CONTINUOUS)
    markets.put_phase(instrument)
    assert markets.by_id[BTC_USD].is_crossed_for_no_reason()


def test_a_market_that_never_gathered_has_no_auction() -> None:
    shard, markets = Shard(), Markets()
    shard.trade(1, 10_000)
    for record in shard.records:
        markets.apply(record)
    said = markets.tick(with_latest=True)
    assert said is not None
    assert not said.auctions
    assert not any(trade.auction for trade in said.trades)


def test_an_auction_is_known_again_after_a_restart(stores: Stores, tmp_path: Path) -> None:
    async def story() -> None:
        shard, log = gathering(), MemoryLog()
        core = core_of(shard, tmp_path)
        told = as_public(10_020, 7, 3, shard.sequence)
        try:
            async with room(stores, tmp_path, log) as running:
                await running.hear(shard)
                assert (await _ticker(running)).auction == told
                assert await running.broken(shard.sequence) == []
            async with room(stores, tmp_path, log) as running:
                assert await running.reader.passed(shard.sequence, 10)
                assert (await _ticker(running)).auction == told
                phase(shard, types.PHASE_CONTINUOUS)
                shard.trade(1, 10_030)
                await running.hear(shard)
                request = marketdata.ListTradesRequest(instrument=BTC_USD, limit=100)
                recent = (await running.ask.ListTrades(request)).trades
            async with room(stores, tmp_path, log) as running:
                again = (await running.ask.ListTrades(request)).trades
                assert list(again) == list(recent)
                assert {trade.price_ticks for trade in again if trade.auction} == {10_020}
                assert [trade.auction for trade in again][:1] == [False]
                assert await running.broken(shard.sequence) == []
        finally:
            await end(core)

    run(story())


async def _ticker(running: Room) -> marketdata.GetTickerResponse:
    return await running.ask.GetTicker(marketdata.GetTickerRequest(instrument=BTC_USD))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_tape_follows_every_kind_of_command(stores: Stores, tmp_path: Path, seed: int) -> None:
    async def story(running: Room, _: Shard) -> None:
        shard = Wandering(seed)
        shard.wander(400)
        await put(running.log, *in_parts(shard.records))
        assert await running.reader.stored(shard.sequence, 30)
        assert await running.broken(shard.sequence) == []

    tell(stores, tmp_path, story)


def test_a_listener_keeps_crossed_books_as_the_core_has_them() -> None:
    shard, markets, listener = Wandering(3), Markets(), Listener()
    shard.wander(400)
    for record in shard.records:
        markets.apply(record)
        said = markets.tick(with_latest=True)
        if said is not None:
            listener.hear(said)
    for instrument in shard.model.instruments:
        depth = shard.depth(instrument)
        _, bids, asks = listener.books[instrument]
        assert bids == {level.price_ticks: level.lots for level in depth.bids}
        assert asks == {level.price_ticks: level.lots for level in depth.asks}
