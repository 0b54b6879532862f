"""What the public sees of the markets, in memory: books, recent trades, candles, the last 24 hours.

Events state what is true after them, so a book is a table of levels that is written over. A tick
says what changed since the tick before. Candles are added up from trades; those in memory are whole
from `Series.whole_from_us` on, and what is older is on the tape. Sums have no bound in Python.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from operator import attrgetter
from typing import Final, NamedTuple

from bourse.marketdata import v1 as marketdata
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain.sequences import known_up_to
from services.marketdata.levels import Book

MINUTE_US: Final = 60_000_000
DAY_US: Final = 86_400_000_000

INTERVALS_US: Final = {
    marketdata.INTERVAL_1M: MINUTE_US,
    marketdata.INTERVAL_5M: 5 * MINUTE_US,
    marketdata.INTERVAL_1H: 60 * MINUTE_US,
    marketdata.INTERVAL_1D: DAY_US,
}
"""How long a candle of each interval is, microseconds."""

KEPT_CANDLES: Final = {
    # A day of minutes, for the last 24 hours are added up from them.
    marketdata.INTERVAL_1M: 1500,
    marketdata.INTERVAL_5M: 300,
    marketdata.INTERVAL_1H: 300,
    marketdata.INTERVAL_1D: 300,
}
"""Candles of an instrument held in memory once they are on the tape."""

KEPT_TRADES: Final = 1000
"""Trades of an instrument held in memory once they are on the tape."""

MOST_MISSED: Final = 10_000
"""Trades a watcher that begins anew is told at most, of all it has missed."""

_TRADES: Final = (int(types.PHASE_CONTINUOUS), int(types.PHASE_POST_ONLY))


class Trade(NamedTuple):
    """A trade as the tape keeps it; the fields are its columns."""

    instrument: int
    trade_id: int
    price_ticks: int
    lots: int
    quote_minor: int
    side: int
    time_us: int
    sequence: int
    auction: bool = False

    def public(self) -> marketdata.PublicTrade:
        """As the public sees it."""
        return marketdata.PublicTrade(
            instrument=self.instrument,
            trade_id=self.trade_id,
            price_ticks=self.price_ticks,
            lots=self.lots,
            side=self.side,  # type: ignore[arg-type]  # an enum's number
            time_us=self.time_us,
            sequence=self.sequence,
            auction=bool(self.auction),
        )


_fields = attrgetter(
    "instrument", "trade_id", "price_ticks", "lots", "quote_minor", "taker_side", "command"
)


class Auction(NamedTuple):
    """What a market's auction would come to; all 0 if nothing would trade, or it is over."""

    instrument: int
    price_ticks: int
    volume_lots: int
    surplus_lots: int
    sequence: int

    def public(self) -> marketdata.Auction:
        """As the public sees it."""
        return marketdata.Auction(**self._asdict())


def auctions_of(record: matching.EventRecord) -> list[Auction]:
    """Auctions as they stand after a record; they are in its last part."""
    sequence = known_up_to(record)
    return [
        Auction(
            event.instrument, event.price_ticks, event.volume_lots, event.surplus_lots, sequence
        )
        for event in record.auctions
    ]


def trades_of(record: matching.EventRecord) -> Iterator[Trade]:
    """The trades of a part, in order."""
    time_us, first = record.time_us, record.first_sequence
    for event in record.trades:
        *fields, command = _fields(event)
        yield Trade._make((*fields, time_us, first + command, event.auction))


class Candle:
    """Prices and volume of a stretch of time; lots and quote minor units, unbounded."""

    __slots__ = (
        "close_ticks",
        "high_ticks",
        "last_trade_id",
        "lots",
        "low_ticks",
        "open_ticks",
        "open_us",
        "quote_minor",
        "trades",
    )

    def __init__(self, open_us: int, open_ticks: int = 0) -> None:
        self.open_us = open_us
        self.open_ticks = self.high_ticks = self.low_ticks = self.close_ticks = open_ticks
        self.lots = self.quote_minor = self.trades = self.last_trade_id = 0

    def add(self, trade: Trade) -> None:
        """Take in the next trade."""
        price = trade.price_ticks
        self.high_ticks = max(self.high_ticks, price)
        self.low_ticks = min(self.low_ticks, price)
        self.close_ticks = price
        self.lots += trade.lots
        self.quote_minor += trade.quote_minor
        self.trades += 1
        self.last_trade_id = trade.trade_id

    def join(self, later: "Candle") -> None:
        """Take in what came after."""
        if not self.trades:
            self.open_ticks, self.low_ticks = later.open_ticks, later.low_ticks
        self.high_ticks = max(self.high_ticks, later.high_ticks)
        self.low_ticks = min(self.low_ticks, later.low_ticks)
        self.close_ticks = later.close_ticks
        self.lots += later.lots
        self.quote_minor += later.quote_minor
        self.trades += later.trades

    def public(self, instrument: int, interval: marketdata.Interval) -> marketdata.Candle:
        """As the public sees it."""
        return marketdata.Candle(
            instrument=instrument,
            interval=interval,
            open_us=self.open_us,
            open_ticks=self.open_ticks,
            high_ticks=self.high_ticks,
            low_ticks=self.low_ticks,
            close_ticks=self.close_ticks,
            volume_lots=str(self.lots),
            quote_volume_minor=str(self.quote_minor),
            trades=self.trades,
        )


class Series:
    """The newest candles of one instrument and interval, oldest first."""

    def __init__(self, length_us: int) -> None:
        self.length_us = length_us
        self.candles: dict[int, Candle] = {}
        self.whole_from_us = 0
        """Candles that open earlier are on the tape only."""

    def load(self, candles: Iterable[Candle], limit: int) -> None:
        """Start with the newest ones of the tape, at most `limit`, oldest first."""
        self.candles = {candle.open_us: candle for candle in candles}
        if len(self.candles) >= limit:
            self.whole_from_us = next(iter(self.candles))

    def add(self, trade: Trade) -> int | None:
        """Take in a trade; says which candle it went to, if that is one of these."""
        open_us = trade.time_us - trade.time_us % self.length_us
        candle = self.candles.get(open_us)
        if candle is None:
            # Only a clock that was set back leads to times that have left the memory.
            if open_us < self.whole_from_us:
                return None
            candle = self.candles[open_us] = Candle(open_us, trade.price_ticks)
        candle.add(trade)
        return open_us

    def trim(self, limit: int, stored_trade_id: int) -> None:
        """Let the oldest go that are on the tape, until `limit` are left."""
        while len(self.candles) > limit:
            oldest = self.candles[next(iter(self.candles))]
            if oldest.last_trade_id > stored_trade_id:
                return
            del self.candles[oldest.open_us]
            self.whole_from_us = max(self.whole_from_us, oldest.open_us + self.length_us)

    def first(self, from_us: int, to_us: int, limit: int) -> list[Candle]:
        """The first ones that open in a span of time, oldest first."""
        inside = (c for c in self.candles.values() if from_us <= c.open_us < to_us)
        return list(islice(inside, limit))

    def last(self, to_us: int, limit: int) -> list[Candle]:
        """The last ones that open before a time, oldest first."""
        inside = (c for c in reversed(self.candles.values()) if c.open_us < to_us)
        return list(islice(inside, limit))[::-1]

    def newest(self) -> Candle | None:
        """The one that trades go to at the moment."""
        return self.candles[next(reversed(self.candles))] if self.candles else None


class Market:
    """One instrument."""

    def __init__(self, instrument: int, book: Book) -> None:
        self.instrument = instrument
        self.book = book
        self.series = {interval: Series(length) for interval, length in INTERVALS_US.items()}
        self.trades: deque[Trade] = deque()
        """The newest, oldest first: all that are not on the tape, and some that are."""
        self.last_ticks = 0
        self.auction: Auction | None = None
        """As it was stated last; None if the market never gathered orders."""
        self.phase = int(types.PHASE_UNSPECIFIED)
        self.changed_candles: set[tuple[marketdata.Interval, int]] = set()
        self._minute_us = 0
        self._summed = Candle(0)
        self._summed_for = (-1, -1)

    def load(self, interval: marketdata.Interval, candles: Iterable[Candle]) -> None:
        """Start with the newest candles of the tape, oldest first."""
        series = self.series[interval]
        series.load(candles, KEPT_CANDLES[interval])
        newest = series.newest()
        if interval == marketdata.INTERVAL_1M and newest is not None:
            self._minute_us, self.last_ticks = newest.open_us, newest.close_ticks

    def trade(self, trade: Trade) -> None:
        """Take in the next trade."""
        self.trades.append(trade)
        self.last_ticks = trade.price_ticks
        self._minute_us = trade.time_us - trade.time_us % MINUTE_US
        for interval, series in self.series.items():
            open_us = series.add(trade)
            if open_us is not None:
                self.changed_candles.add((interval, open_us))

    def remember(self, newest_first: Sequence[Trade]) -> int:
        """Start with the newest trades of the tape.

        Memory has every trade of a later sequence than the one returned.
        """
        self.trades = deque(reversed(newest_first))
        return newest_first[-1].sequence if len(newest_first) >= KEPT_TRADES else 0

    def trades_after(self, sequence: int) -> list[Trade]:
        """Trades in memory of later sequences, newest first."""
        return list(takewhile(lambda trade: trade.sequence > sequence, reversed(self.trades)))

    def newest_trades(self, below: int, limit: int) -> list[Trade]:
        """Trades in memory with a number below, newest first."""
        inside = (trade for trade in reversed(self.trades) if trade.trade_id < below)
        return list(islice(inside, limit))

    def stored(self, trade_id: int) -> int:
        """All trades up to this one are on the tape: keep no more of them than is wanted.

        Returns the last sequence of which a trade was let go; 0 if none was.
        """
        let_go = 0
        while len(self.trades) > KEPT_TRADES and self.trades[0].trade_id <= trade_id:
            let_go = self.trades.popleft().sequence
        for interval, series in self.series.items():
            series.trim(KEPT_CANDLES[interval], trade_id)
        return let_go

    def ticker(self, sequence: int, clock_us: int) -> marketdata.Ticker:
        """The last 24 hours, by whole minutes: the present one and the 1,439 before it."""
        day = self._day(clock_us)
        bid, ask = self.book.bids.best(), self.book.asks.best()
        return marketdata.Ticker(
            instrument=self.instrument,
            open_ticks=day.open_ticks,
            high_ticks=day.high_ticks,
            low_ticks=day.low_ticks,
            last_ticks=self.last_ticks,
            volume_lots=str(day.lots),
            quote_volume_minor=str(day.quote_minor),
            best_bid_ticks=bid[0],
            best_bid_lots=bid[1],
            best_ask_ticks=ask[0],
            best_ask_lots=ask[1],
            sequence=sequence,
        )

    def _day(self, clock_us: int) -> Candle:
        """The day's minutes joined. All but the one that trades go to are joined once a minute."""
        first_us = clock_us - clock_us % MINUTE_US - DAY_US + MINUTE_US
        minutes = self.series[marketdata.INTERVAL_1M].candles
        if self._summed_for != (first_us, self._minute_us):
            self._summed, self._summed_for = Candle(0), (first_us, self._minute_us)
            for open_us, candle in minutes.items():
                if open_us >= first_us and open_us != self._minute_us:
                    self._summed.join(candle)
        day, present = Candle(0), minutes.get(self._minute_us)
        if self._summed.trades:
            day.join(self._summed)
        if present is not None and present.open_us >= first_us:
            day.join(present)
        return day

    def tell_candles(self) -> list[marketdata.Candle]:
        """Those that changed, oldest first."""
        changed, self.changed_candles = sorted(self.changed_candles), set()
        return [
            self._public(*place) for place in changed if place[1] in self.series[place[0]].candles
        ]

    def is_crossed_for_no_reason(self) -> bool:
        """Does somebody bid what somebody asks while the market lets them trade?

        Where orders gather they may cross, and stay so if the market goes on to what trades not.
        """
        return self.phase in _TRADES and self.book.is_crossed()

    def newest_candles(self) -> list[marketdata.Candle]:
        """The newest of each interval."""
        newest = [(interval, series.newest()) for interval, series in self.series.items()]
        return [candle.public(self.instrument, interval) for interval, candle in newest if candle]

    def _public(self, interval: marketdata.Interval, open_us: int) -> marketdata.Candle:
        return self.series[interval].candles[open_us].public(self.instrument, interval)


class Markets:
    """All markets of a shard, as far as the events were applied."""

    def __init__(self) -> None:
        self.by_id: dict[int, Market] = {}
        self.sequence = 0
        """Everything is known up to here."""
        self.clock_us = 0
        self._record_ended = True
        self._whole_after = 0
        self._told_sequence = 0
        self._untold: list[Trade] = []
        self._changed_books: set[int] = set()
        self._changed_auctions: dict[int, Auction] = {}
        self._changed_latest: set[int] = set()

    def market(self, instrument: int) -> Market:
        """The market of an instrument, with an empty book if it was not known."""
        market = self.by_id.get(instrument)
        if market is None:
            market = self.by_id[instrument] = Market(instrument, Book(instrument))
            self._changed_books.add(instrument)
            self._changed_latest.add(instrument)
        return market

    def begin(self, sequence: int, clock_us: int, record_ended: bool) -> None:
        """Begin where the tape stands."""
        self.sequence, self.clock_us, self._record_ended = sequence, clock_us, record_ended

    def remember_trades(self, instrument: int, newest_first: Sequence[Trade]) -> None:
        """Begin with the newest trades of the tape, as if we had been here all the time."""
        whole_after = self.market(instrument).remember(newest_first)
        self._whole_after = max(self._whole_after, whole_after)

    def remember_auctions(self, auctions: Iterable[Auction]) -> None:
        """Begin with the auctions as they stood where the tape stands."""
        for auction in auctions:
            self.market(auction.instrument).auction = auction

    def put_phase(self, instrument: types.Instrument) -> None:
        """What a market takes, as last stated."""
        self.market(instrument.instrument).phase = int(instrument.phase)

    def put_book(self, depth: matching.GetDepthResponse, instrument: int) -> None:
        """Begin with the book as the core has it. Nobody has been told anything yet."""
        book = self.market(instrument).book = Book(instrument, depth.command_offset)
        for level in depth.bids:
            book.bids.put(level.price_ticks, level.lots)
        for level in depth.asks:
            book.asks.put(level.price_ticks, level.lots)

    def apply(self, record: matching.EventRecord) -> list[Trade]:
        """Take in the next part; says what traded in it."""
        for stated in record.instruments:
            self.put_phase(stated.instrument)
        self._apply_levels(record)
        trades = list(trades_of(record))
        for trade in trades:
            self.by_id[trade.instrument].trade(trade)
            self._changed_latest.add(trade.instrument)
        self._untold += trades
        for auction in auctions_of(record):
            self.by_id[auction.instrument].auction = auction
            self._changed_auctions[auction.instrument] = auction
        self._pass_time(record.time_us)
        self.sequence = max(self.sequence, known_up_to(record))
        self._record_ended = record.last
        return trades

    def _apply_levels(self, record: matching.EventRecord) -> None:
        offset = record.command_offset
        for level in record.levels:
            book = self.by_id[level.instrument].book
            if offset > book.known_offset:
                book.put(level.side, level.price_ticks, level.lots)
                self._changed_books.add(book.instrument)
                self._changed_latest.add(book.instrument)

    def _pass_time(self, time_us: int) -> None:
        if time_us // MINUTE_US != self.clock_us // MINUTE_US:
            self._changed_latest.update(self.by_id)
        self.clock_us = time_us

    def stored(self, trade_id: int) -> None:
        """All trades up to this one are on the tape."""
        for market in self.by_id.values():
            self._whole_after = max(self._whole_after, market.stored(trade_id))

    def missed(self, after_sequence: int) -> list[Trade] | None:
        """Every trade of a later sequence, in order.

        None if memory does not have all of them, or they are more than anybody is told.
        """
        if after_sequence < self._whole_after:
            return None
        markets = self.by_id.values()
        missed = [trade for market in markets for trade in market.trades_after(after_sequence)]
        missed.sort(key=attrgetter("trade_id"))
        return None if len(missed) > MOST_MISSED else missed

    def ticker(self, market: Market) -> marketdata.Ticker:
        """The last 24 hours of a market."""
        return market.ticker(self.sequence, self.clock_us)

    def forget_untold(self) -> None:
        """Nobody listens yet: what traded so far is told to nobody."""
        self._untold.clear()

    def can_tell(self) -> bool:
        """Not in the middle of a record: what is told is true at a sequence."""
        return self._record_ended

    def tick(self, with_latest: bool) -> marketdata.WatchResponse | None:
        """What changed since the last tick; None if nothing did, or it cannot be told yet.

        Tickers and candles are told `with_latest` only.
        """
        latest = self._changed_latest if with_latest else ()
        if not self.can_tell() or not self._has_news(bool(latest)):
            return None
        depths = [self.by_id[i].book.tell(self.sequence) for i in sorted(self._changed_books)]
        said = marketdata.WatchResponse(
            depths=[depth for depth in depths if depth is not None],
            trades=[trade.public() for trade in self._untold],
            sequence=self.sequence,
        )
        said.auctions.extend(one.public() for _, one in sorted(self._changed_auctions.items()))
        for instrument in sorted(latest):
            market = self.by_id[instrument]
            said.tickers.append(self.ticker(market))
            said.candles.extend(market.tell_candles())
        if with_latest:
            self._changed_latest.clear()
        self._changed_books.clear()
        self._changed_auctions.clear()
        self._untold.clear()
        self._told_sequence = self.sequence
        return said

    def _has_news(self, latest: bool) -> bool:
        changed = self._changed_books or self._changed_auctions or self._untold
        return bool(latest or changed or self.sequence > self._told_sequence)

    def waits(self) -> bool:
        """Is there something that was not told?"""
        return self._has_news(bool(self._changed_latest))

    def snapshot(self, after_sequence: int = 0) -> marketdata.WatchResponse:
        """Everything as last told, for somebody who begins to listen. Only right after a tick.

        `after_sequence` is what that somebody was told before; 0 for nothing, which misses nothing.
        """
        said = marketdata.WatchResponse(sequence=self.sequence)
        if after_sequence:
            missed = self.missed(after_sequence)
            said.trades_missing = missed is None
            said.trades.extend(trade.public() for trade in missed or ())
        for market in self.by_id.values():
            said.depths.append(market.book.snapshot())
            if market.auction is not None:
                said.auctions.append(market.auction.public())
            said.tickers.append(self.ticker(market))
            said.candles.extend(market.newest_candles())
        return said
