"""What rests in a market, price by price: levels that are written over, and what is to be told."""

from collections.abc import Iterable
from typing import Final

from bourse.marketdata import v1 as marketdata
from bourse.types import v1 as types

_BUY: Final = int(types.SIDE_BUY)


class Side:
    """One side of a book: lots by price. `sign` is 1 where a higher price is better."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._best: int | None = None
        self._before: dict[int, int] = {}
        self.levels: dict[int, int] = {}

    def put(self, price_ticks: int, lots: int) -> None:
        """State what rests at a price; 0: nothing."""
        if price_ticks not in self._before:
            self._before[price_ticks] = self.levels.get(price_ticks, 0)
        if lots:
            self.levels[price_ticks] = lots
            if self._best is not None and (price_ticks - self._best) * self._sign > 0:
                self._best = price_ticks
        else:
            self.levels.pop(price_ticks, None)
            if price_ticks == self._best:
                self._best = None

    def best(self) -> tuple[int, int]:
        """The best price and what rests there; (0, 0) if nothing does."""
        if not self.levels:
            return 0, 0
        if self._best is None:
            self._best = max(self.levels) if self._sign > 0 else min(self.levels)
        return self._best, self.levels[self._best]

    def all(self) -> list[marketdata.DepthLevel]:
        """Everything that rests, best first."""
        return self._at(self.levels)

    def changed(self) -> list[marketdata.DepthLevel]:
        """What is not as it was told last, best first; from now on it counts as told."""
        before, self._before = self._before, {}
        return self._at(p for p, lots in before.items() if self.levels.get(p, 0) != lots)

    def _at(self, prices: Iterable[int]) -> list[marketdata.DepthLevel]:
        ordered = sorted(prices, reverse=self._sign > 0)
        get = self.levels.get
        return [marketdata.DepthLevel(price_ticks=p, lots=get(p, 0)) for p in ordered]


class Book:
    """Absolute levels. `sequence` is the last one told: the book as told is true at it."""

    def __init__(self, instrument: int, known_offset: int = -1) -> None:
        self.instrument = instrument
        self.sequence = 0
        self.known_offset = known_offset
        """Events of command records up to this one are in it already."""
        self.bids = Side(1)
        self.asks = Side(-1)
        self.is_told = False

    def put(self, side: int, price_ticks: int, lots: int) -> None:
        """State what rests at a price."""
        (self.bids if side == _BUY else self.asks).put(price_ticks, lots)

    def snapshot(self) -> marketdata.Depth:
        """The whole book as last told. Only between a tick and the next event."""
        return marketdata.Depth(
            instrument=self.instrument,
            snapshot=True,
            sequence=self.sequence,
            bids=self.bids.all(),
            asks=self.asks.all(),
        )

    def tell(self, sequence: int) -> marketdata.Depth | None:
        """What changed since it was told last, if anything; all of it if it never was told."""
        bids, asks = self.bids.changed(), self.asks.changed()
        previous, first = self.sequence, not self.is_told
        if not (first or bids or asks):
            return None
        self.sequence, self.is_told = sequence, True
        if first:
            return self.snapshot()
        return marketdata.Depth(
            instrument=self.instrument,
            previous=previous,
            sequence=sequence,
            bids=bids,
            asks=asks,
        )

    def is_crossed(self) -> bool:
        """Does somebody bid what somebody asks?"""
        bid, ask = self.bids.best()[0], self.asks.best()[0]
        return bid != 0 and ask != 0 and bid >= ask
