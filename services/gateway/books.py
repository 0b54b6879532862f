"""A public book as it is shown: levels as decimals, best first, with the checksum.

Pure: what marketdata says goes in, the public messages come out.
"""

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Final

from bourse.marketdata import v1 as marketdata
from services.domain.instruments import Market
from services.gateway.shapes import Snapshot, Update

CHECKED_LEVELS: Final = 10
"""The checksum looks at this many levels of each side."""

ShownLevel = tuple[str, str]


class Gap(Exception):
    """An update does not follow what is known; the book must be asked for again."""


class _Side:
    """One side, best first. `sign` is -1 for bids, so that keys ascend on both sides."""

    def __init__(self, market: Market, sign: int) -> None:
        self._market = market
        self._sign = sign
        self._keys: list[int] = []
        self._shown: dict[int, ShownLevel] = {}

    def put(self, levels: Iterable[marketdata.DepthLevel]) -> list[ShownLevel]:
        """Put levels as they are now; returns them as they are shown, `0` for one that is gone."""
        return [self._put(level.price_ticks, level.lots) for level in levels]

    def _put(self, ticks: int, lots: int) -> ShownLevel:
        key = self._sign * ticks
        known = self._shown.get(key)
        price = known[0] if known else self._market.price_text(ticks)
        if lots == 0:
            if known:
                del self._shown[key]
                del self._keys[bisect_left(self._keys, key)]
            return price, "0"
        if not known:
            insort(self._keys, key)
        shown = self._shown[key] = (price, self._market.quantity_text(lots))
        return shown

    def best(self, count: int | None) -> list[ShownLevel]:
        """The best levels, or all of them."""
        return [self._shown[key] for key in self._keys[:count]]


class Book:
    """One instrument's book. `channel` is the name its messages carry."""

    def __init__(self, channel: str, market: Market, depth: marketdata.Depth) -> None:
        self.channel = channel
        self.market = market
        self.sequence = depth.sequence
        self._bids = _Side(market, -1)
        self._asks = _Side(market, 1)
        self._bids.put(depth.bids)
        self._asks.put(depth.asks)

    def update(self, depth: marketdata.Depth) -> Update:
        """Take in what changed; returns what is told of it. Raises Gap if something is missing."""
        if depth.previous != self.sequence:
            raise Gap(f"{self.channel} stands at {self.sequence}, not at {depth.previous}")
        self.sequence = depth.sequence
        bids, asks = self._bids.put(depth.bids), self._asks.put(depth.asks)
        checksum = self.checksum()
        return Update(self.channel, depth.previous, depth.sequence, bids, asks, checksum)

    def snapshot(self, levels: int | None = None) -> Snapshot:
        """The book as it is: the best `levels` of each side, or all."""
        bids, asks = self._bids.best(levels), self._asks.best(levels)
        return Snapshot(self.channel, self.sequence, bids, asks, self.checksum())

    def checksum(self) -> int:
        """The unsigned CRC-32 of the ten best bids, then the ten best asks, as they are sent."""
        best = [*self._bids.best(CHECKED_LEVELS), *self._asks.best(CHECKED_LEVELS)]
        return zlib.crc32("|".join(f"{price}:{quantity}" for price, quantity in best).encode())
