"""What trades: assets and instruments by name and number, as matching states them.

All of them arrive at once, then all of them again after each change.
"""

import asyncio
from typing import Final

import grpc

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from bourse.types import v1 as types
from services.domain.ids import shard_of
from services.domain.instruments import Market
from services.gateway.follow import follow
from services.gateway.problems import Problem

_WAIT_S: Final = 2.0
_EVERYTHING: Final = matching.WatchMarketsRequest()


class Markets:
    """The registry of one shard. Of several instruments of a symbol, the newest one trades."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._matching = rpc.MatchingServiceStub(channel)
        self._by_id: dict[int, Market] = {}
        self._by_symbol: dict[str, Market] = {}
        self._assets: dict[int, types.Asset] = {}
        self._changed = asyncio.Event()
        self.memory_us = 0
        """How long an ended order's client order id is remembered, microseconds."""
        self.known = False
        """Whether matching has been heard at all."""

    @property
    def shard(self) -> int:
        """The shard these markets live in."""
        return shard_of(next(iter(self._by_id), 0))

    @property
    def assets(self) -> list[types.Asset]:
        """All assets, by number."""
        return list(self._assets.values())

    @property
    def trading(self) -> list[Market]:
        """The market that trades under each symbol, by name."""
        return [self._by_symbol[symbol] for symbol in sorted(self._by_symbol)]

    def find(self, symbol: str) -> Market:
        """The market that trades under a symbol. Raises Problem."""
        market = self._by_symbol.get(symbol)
        if market is not None:
            return market
        if not self.known:
            raise Problem("unavailable")
        raise Problem("instrument_unknown", f"There is no instrument {symbol[:64]}.")

    def ids_of(self, symbol: str) -> list[int]:
        """All instruments that have or had the symbol, oldest first. Raises Problem."""
        self.find(symbol)
        return [market.id for market in self._by_id.values() if market.symbol == symbol]

    def asset(self, number: int) -> types.Asset | None:
        """The asset of that number."""
        return self._assets.get(number)

    def get(self, instrument: int) -> Market | None:
        """The instrument of that number."""
        return self._by_id.get(instrument)

    async def wait_for(self, instrument: int) -> Market:
        """The instrument of that number; one that was just added may be a moment away.

        Raises Problem if it is not known in two seconds.
        """
        try:
            async with asyncio.timeout(_WAIT_S):
                while (market := self._by_id.get(instrument)) is None:
                    await self._changed.wait()
                return market
        except TimeoutError:
            raise Problem("lagging") from None

    async def run(self) -> None:
        """Follow the markets for ever; matching out of reach is waited for."""
        await follow("markets", lambda: self._matching.WatchMarkets(_EVERYTHING), self.take)

    async def take(self, told: matching.WatchMarketsResponse) -> None:
        """Take in all there is."""
        self._assets = {asset.asset: asset for asset in told.assets}
        self._by_id = {
            one.instrument: Market(one, self._assets[one.base_asset], self._assets[one.quote_asset])
            for one in told.instruments
        }
        # Ascending by number, so the newest of a symbol stays.
        self._by_symbol = {market.symbol: market for market in self._by_id.values()}
        self.memory_us = told.client_order_id_memory_us
        self.known = True
        self._changed.set()
        self._changed = asyncio.Event()
