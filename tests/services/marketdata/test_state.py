"""What memory makes of events: books, candles, the last 24 hours, and what a tick tells of them."""

import asyncio
from collections.abc import Iterable

import pytest

from bourse.marketdata import v1 as marketdata
from bourse.matching import v1 as matching
from services.marketdata.levels import Side
from services.marketdata.state import (
    DAY_US,
    INTERVALS_US,
    KEPT_CANDLES,
    KEPT_TRADES,
    MINUTE_US,
    MOST_MISSED,
    Markets,
    Series,
    Trade,
)
from tests.services.shard import ALICE, BTC_USD, Shard, in_parts

NOON_US = 1_700_049_600_000_000 - 1_700_049_600_000_000 % DAY_US + DAY_US // 2

Levels = dict[int, int]


class Listener:
    """Keeps books from what it is told, and insists that nothing is missing."""

    def __init__(self) -> None:
        self.books: dict[int, tuple[int, Levels, Levels]] = {}
        self.trades: list[marketdata.PublicTrade] = []
        self.candles: dict[tuple[int, int], marketdata.Candle] = {}
        self.tickers: dict[int, marketdata.Ticker] = {}
        self.sequence = 0
        self.began = asyncio.Event()

    def hear(self, said: marketdata.WatchResponse) -> None:
        for depth in said.depths:
            sequence, bids, asks = self.books.get(depth.instrument, (0, {}, {}))
            if depth.snapshot:
                bids, asks = {}, {}
            else:
                assert depth.previous == sequence, "updates follow each other"
                assert depth.sequence > depth.previous
            _put(bids, depth.bids)
            _put(asks, depth.asks)
            assert [level.price_ticks for level in depth.bids] == sorted(
                (level.price_ticks for level in depth.bids), reverse=True
            )
            self.books[depth.instrument] = depth.sequence, bids, asks
        self.trades += said.trades
        self.candles |= {(c.interval, c.open_us): c for c in said.candles}
        self.tickers |= {ticker.instrument: ticker for ticker in said.tickers}
        assert said.sequence >= self.sequence
        self.sequence = said.sequence
        self.began.set()

    def has_book(self, depth: matching.GetDepthResponse, instrument: int = BTC_USD) -> bool:
        """Is the book as heard the one of the core?"""
        _, bids, asks = self.books[instrument]
        return (bids, asks) == (
            {level.price_ticks: level.lots for level in depth.bids},
            {level.price_ticks: level.lots for level in depth.asks},
        )


def _put(levels: Levels, told: Iterable[marketdata.DepthLevel]) -> None:
    for level in told:
        if level.lots:
            levels[level.price_ticks] = level.lots
        else:
            del levels[level.price_ticks]


def told(markets: Markets) -> marketdata.WatchResponse:
    said = markets.tick(with_latest=True)
    assert said is not None
    return said


def apply(markets: Markets, *records: matching.EventRecord) -> None:
    for record in records:
        markets.apply(record)


def traded(time_us: int, number: int, price_ticks: int = 100, lots: int = 1) -> Trade:
    return Trade(BTC_USD, number * 1024, price_ticks, lots, price_ticks * lots, 1, time_us, number)


def test_updates_follow_each_other_and_make_the_core_s_book() -> None:
    shard, markets, listener = Shard(), Markets(), Listener()
    shard.add_instrument("BTC-USD-2")
    apply(markets, *shard.records)
    listener.hear(told(markets))
    for seed in range(60):
        before = len(shard.records)
        shard.bustle(1 + seed % 5, seed)
        apply(markets, *shard.records[before:])
        listener.hear(told(markets))
        assert listener.has_book(shard.depth())
        assert listener.sequence == shard.sequence
        assert not markets.by_id[BTC_USD].book.is_crossed()
    late = Listener()
    late.hear(markets.snapshot())
    assert late.books == listener.books
    every = [event.trade_id for record in shard.records for event in record.trades]
    assert [trade.trade_id for trade in listener.trades] == every


def test_nothing_is_told_in_the_middle_of_a_record() -> None:
    shard, markets, listener = Shard(), Markets(), Listener()
    shard.bustle(100)
    for body in in_parts(shard.records):
        record = matching.EventRecord.FromString(body)
        markets.apply(record)
        said = markets.tick(with_latest=True)
        assert (said is None) == (not record.last)
        if said is not None:
            assert said.sequence == record.first_sequence + len(record.commands) - 1
            listener.hear(said)
    assert listener.has_book(shard.depth())


def test_a_book_of_the_core_goes_on_where_it_was_taken() -> None:
    shard, listener = Shard(), Listener()
    shard.bustle(50)
    depth = shard.depth()
    shard.bustle(50, seed=2)
    markets = Markets()
    markets.put_book(depth, BTC_USD)
    apply(markets, *shard.records)
    listener.hear(told(markets))
    assert listener.has_book(shard.depth())


def test_a_level_that_came_and_went_is_not_told() -> None:
    shard, markets = Shard(), Markets()
    shard.buy(ALICE, 5, 9_000)
    apply(markets, *shard.records)
    told(markets)
    before = len(shard.records)
    shard.cancel(ALICE, shard.buy(ALICE, 5, 9_001).order_id)
    apply(markets, *shard.records[before:])
    assert list(told(markets).depths) == []
    shard.buy(ALICE, 1, 9_000)
    apply(markets, shard.records[-1])
    depth = told(markets).depths[0]
    assert [(level.price_ticks, level.lots) for level in depth.bids] == [(9_000, 6)]
    assert depth.previous == shard.sequence - 3


def test_sequences_are_told_even_when_nothing_happens() -> None:
    shard, markets = Shard(), Markets()
    apply(markets, *shard.records)
    told(markets)
    assert markets.tick(with_latest=True) is None
    assert not markets.waits()
    shard.cancel(ALICE, 77 * 1024)
    apply(markets, shard.records[-1])
    said = told(markets)
    assert said == marketdata.WatchResponse(sequence=shard.sequence)


def test_tickers_and_candles_wait_for_their_turn() -> None:
    shard, markets = Shard(), Markets()
    apply(markets, *shard.records)
    told(markets)
    shard.trade(3, 10_000)
    apply(markets, shard.records[-1])
    said = markets.tick(with_latest=False)
    assert said is not None
    assert len(said.trades) == 1
    assert not said.tickers
    assert not said.candles
    assert markets.waits()
    later = told(markets)
    assert [ticker.last_ticks for ticker in later.tickers] == [10_000]
    assert sorted(candle.interval for candle in later.candles) == sorted(INTERVALS_US)
    assert not later.trades


@pytest.mark.parametrize("length_us", INTERVALS_US.values())
def test_a_candle_begins_exactly_at_its_border(length_us: int) -> None:
    series, border = Series(length_us), NOON_US + DAY_US // 2
    for number, time_us in enumerate((border - 1, border, border + length_us - 1), 1):
        series.add(traded(time_us, number, price_ticks=100 + number))
    series.add(traded(border + length_us, 4, price_ticks=99))
    candles = [(c.open_us, c.open_ticks, c.close_ticks, c.trades) for c in series.candles.values()]
    assert candles == [
        (border - length_us, 101, 101, 1),
        (border, 102, 103, 2),
        (border + length_us, 99, 99, 1),
    ]


def test_sums_pass_64_bits() -> None:
    series = Series(MINUTE_US)
    for number in range(1, 5):
        series.add(Trade(BTC_USD, number * 1024, 2**62, 2**62, 2**62, 1, NOON_US, number))
    candle = series.newest()
    assert candle is not None
    said = candle.public(BTC_USD, marketdata.INTERVAL_1M)
    assert (said.volume_lots, said.quote_volume_minor) == (str(2**64), str(2**64))


def test_the_last_24_hours_roll_by_minutes() -> None:
    markets = Markets()
    market = markets.market(BTC_USD)
    hour_us = 60 * MINUTE_US
    for number in range(30):
        market.trade(traded(NOON_US + number * hour_us, number + 1, 100 + number, lots=number))
    clock_us = NOON_US + 29 * hour_us
    ticker = market.ticker(7, clock_us)
    inside = range(6, 30)
    assert (ticker.open_ticks, ticker.high_ticks) == (106, 129)
    assert (ticker.low_ticks, ticker.last_ticks) == (106, 129)
    assert ticker.volume_lots == str(sum(inside))
    assert ticker.quote_volume_minor == str(sum((100 + n) * n for n in inside))
    assert market.ticker(7, clock_us + hour_us - 1).open_ticks == 106
    later = market.ticker(7, clock_us + hour_us)
    assert (later.open_ticks, later.volume_lots) == (107, str(sum(inside) - 6))
    market.trade(traded(clock_us + hour_us, 31, 90))
    assert market.ticker(8, clock_us + hour_us).low_ticks == 90
    quiet = market.ticker(9, clock_us + 2 * DAY_US)
    assert (quiet.open_ticks, quiet.high_ticks, quiet.low_ticks) == (0, 0, 0)
    assert (quiet.last_ticks, quiet.volume_lots) == (90, "0")


def test_a_minute_that_passes_changes_tickers() -> None:
    shard, markets = Shard(), Markets()
    shard.trade(1, 10_000)
    apply(markets, *shard.records)
    assert told(markets).tickers[0].volume_lots == "1"
    shard.time_us += DAY_US
    shard.tick()
    apply(markets, shard.records[-1])
    assert told(markets).tickers[0].volume_lots == "0"


def test_the_best_of_a_side_is_always_known() -> None:
    side = Side(-1)
    assert side.best() == (0, 0)
    for price, lots, best in [
        (10, 5, (10, 5)),
        (9, 1, (9, 1)),
        (11, 2, (9, 1)),
        (9, 0, (10, 5)),
        (10, 7, (10, 7)),
        (8, 0, (10, 7)),
        (10, 0, (11, 2)),
        (11, 0, (0, 0)),
    ]:
        side.put(price, lots)
        assert side.best() == best


def test_memory_lets_go_only_of_what_is_on_the_tape() -> None:
    market = Markets().market(BTC_USD)
    count = KEPT_TRADES + 600
    for number in range(1, count + 1):
        market.trade(traded(NOON_US + number * MINUTE_US, number))
    market.stored(0)
    assert len(market.trades) == count
    market.stored(100 * 1024)
    minutes = market.series[marketdata.INTERVAL_1M]
    assert market.trades[0].trade_id == 101 * 1024
    assert next(iter(minutes.candles)) == minutes.whole_from_us == NOON_US + 101 * MINUTE_US
    market.stored(count * 1024)
    assert len(market.trades) == KEPT_TRADES
    assert len(minutes.candles) == KEPT_CANDLES[marketdata.INTERVAL_1M]
    assert [t.trade_id // 1024 for t in market.newest_trades(1500 * 1024, 2)] == [1499, 1498]


def test_what_was_missed_is_told_whole_or_not_at_all() -> None:
    markets = Markets()
    other = BTC_USD + 1024
    for number in range(1, KEPT_TRADES + 101):
        markets.market(BTC_USD).trade(traded(NOON_US, number))
    for number in range(KEPT_TRADES + 101, KEPT_TRADES + 104):
        trade = traded(NOON_US, number)._replace(instrument=other)
        markets.market(other).trade(trade)

    def missed(after: int) -> list[int] | None:
        trades = markets.missed(after)
        return None if trades is None else [trade.sequence for trade in trades]

    count = KEPT_TRADES + 103
    assert missed(count - 5) == [*range(count - 4, count + 1)]
    assert missed(count) == missed(count + 7) == []
    assert missed(0) == [*range(1, count + 1)]
    markets.stored(40 * 1024)
    assert missed(39) is None
    assert missed(40) == [*range(41, count + 1)]
    said = markets.snapshot(39)
    assert (said.trades_missing, len(said.trades)) == (True, 0)
    said = markets.snapshot(count - 2)
    assert (said.trades_missing, [t.sequence for t in said.trades]) == (False, [count - 1, count])
    assert not markets.snapshot(0).trades, "whoever begins has missed nothing"


def test_no_more_are_told_than_anybody_can_take() -> None:
    markets = Markets()
    for number in range(1, MOST_MISSED + 3):
        markets.market(BTC_USD).trade(traded(NOON_US, number))
    assert markets.missed(1) is None
    found = markets.missed(2)
    assert found is not None
    assert len(found) == MOST_MISSED


@pytest.mark.parametrize(("on_tape", "whole_after"), [(7, 0), (KEPT_TRADES, 12)])
def test_memory_begins_with_what_is_on_the_tape(on_tape: int, whole_after: int) -> None:
    markets = Markets()
    newest = [traded(NOON_US, 12 + number) for number in reversed(range(on_tape))]
    markets.remember_trades(BTC_USD, newest)
    assert markets.missed(whole_after - 1) is None
    found = markets.missed(max(whole_after, 11))
    assert found is not None
    assert [t.sequence for t in found] == [
        t.sequence for t in reversed(newest) if t.sequence > whole_after
    ]


def test_a_clock_that_was_set_back_leaves_what_memory_has_forgotten_to_the_tape() -> None:
    market = Markets().market(BTC_USD)
    for number in range(1, 1700):
        market.trade(traded(NOON_US + number * MINUTE_US, number))
    market.stored(1699 * 1024)
    minutes = market.series[marketdata.INTERVAL_1M]
    before = list(minutes.candles)
    market.trade(traded(NOON_US, 1700))
    assert list(minutes.candles) == before
    assert market.newest_trades(2**62, 1)[0].trade_id == 1700 * 1024
