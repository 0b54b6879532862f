"""What trades: assets and instruments by name and number, as matching states them.

All of a shard's arrive at once, then all of them again after each change.
"""

import asyncio
from collections.abc import AsyncIterable
from typing import Final

import structlog

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain.ids import shard_of
from services.domain.instruments import Market
from services.gateway.follow import Interrupted, follow
from services.gateway.problems import Problem
from services.gateway.shards import Shard, Shards

_WAIT_S: Final = 2.0
_EVERYTHING: Final = matching.WatchMarketsRequest()

_log = structlog.get_logger()


class Markets:
    """The registries of all shards, joined. Of several instruments of a symbol, the newest trades.

    Assets are the same in all shards. A symbol belongs to one; were it in two, that of the lower
    shard would trade.
    """

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._told: dict[int, matching.WatchMarketsResponse] = {}
        self._by_id: dict[int, Market] = {}
        self._by_symbol: dict[str, Market] = {}
        self._assets: dict[int, types.Asset] = {}
        self._twice: set[str] = set()
        self._changed = asyncio.Event()
        self.memory_us = 0
        """How long an ended order's client order id is remembered in every shard, microseconds."""
        self.known = False
        """Whether all shards have been heard."""

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
        """All instruments that have or had the symbol, in any shard. Raises Problem."""
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
        """Follow the markets of all shards for ever; one out of reach is waited for."""
        await asyncio.gather(*(self._follow(shard) for shard in self._shards))

    async def _follow(self, shard: Shard) -> None:
        def begin() -> AsyncIterable[matching.WatchMarketsResponse]:
            return shard.engine.WatchMarkets(_EVERYTHING)

        async def take(told: matching.WatchMarketsResponse) -> None:
            await self.take(told, shard.number)

        what = "markets" if shard.number == 0 else f"markets of {shard.name}"
        await follow(what, begin, take)

    async def take(self, told: matching.WatchMarketsResponse, shard: int = 0) -> None:
        """Take in all there is in a shard. Raises Interrupted if that cannot be part of a house."""
        self._check_instruments(told, shard)
        self._check_assets(told, shard)
        self._told[shard] = told
        # The lower shard's word is the last one.
        by_shard = [self._told[number] for number in sorted(self._told, reverse=True)]
        self._assets = {one.asset: one for each in by_shard for one in each.assets}
        self._assets = dict(sorted(self._assets.items()))
        shards = [self._markets_of(each) for each in by_shard]
        self._by_id = {market.id: market for markets in shards for market in markets}
        # Ascending by number, so the newest of a symbol stays.
        self._by_symbol = {market.symbol: market for markets in shards for market in markets}
        self._name_twice(shards)
        self.memory_us = min(each.client_order_id_memory_us for each in by_shard)
        self.known = len(self._told) == len(self._shards)
        self._changed.set()
        self._changed = asyncio.Event()

    def _markets_of(self, told: matching.WatchMarketsResponse) -> list[Market]:
        return [
            Market(one, self._assets[one.base_asset], self._assets[one.quote_asset])
            for one in told.instruments
        ]

    def _check_instruments(self, told: matching.WatchMarketsResponse, shard: int) -> None:
        """Where an instrument lives is said by its id, whatever the settings say."""
        for one in told.instruments:
            if shard_of(one.instrument) != shard:
                where = f"Instrument {one.instrument} of shard {shard_of(one.instrument)}"
                raise Interrupted(f"{where} is told by what the settings call shard {shard}.")

    def _check_assets(self, told: matching.WatchMarketsResponse, shard: int) -> None:
        """An amount must mean the same everywhere: money goes from one shard to another."""
        for number, other in self._told.items():
            known = {one.asset: one for one in other.assets} if number != shard else {}
            for asset in told.assets:
                if known.get(asset.asset, asset) != asset:
                    what = f"Asset {asset.asset} is not in shard {shard} what it is in {number}."
                    raise Interrupted(what)

    def _name_twice(self, shards: list[list[Market]]) -> None:
        """Say once of each symbol that is in two shards which of them trades."""
        symbols = [symbol for markets in shards for symbol in {market.symbol for market in markets}]
        for symbol in {symbol for symbol in symbols if symbols.count(symbol) > 1} - self._twice:
            self._twice.add(symbol)
            trades = self._by_symbol[symbol].id
            _log.error("symbol_is_in_two_shards", symbol=symbol, instrument_that_trades=trades)
