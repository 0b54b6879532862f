"""What the shards say of assets and instruments, joined."""

import asyncio
from pathlib import Path

import pytest

from services.gateway.follow import Interrupted
from services.gateway.markets import Markets
from services.gateway.problems import Problem
from services.gateway.shards import Shards
from services.runtime.clock import SystemClock
from tests.services.gateway.several import markets_of


async def joined(tmp_path: Path, count: int = 2) -> Markets:
    """Of shards that are out of reach."""
    return Markets(Shards([f"unix:{tmp_path}/{n}.sock" for n in range(count)], SystemClock(), 100))


def test_all_is_known_once_all_shards_were_heard(tmp_path: Path) -> None:
    async def told() -> None:
        markets = await joined(tmp_path)
        await markets.take(markets_of(1), 1)
        assert markets.find("ETH1-USD").id == 1025
        with pytest.raises(Problem, match="unavailable"):
            markets.find("BTC-USD")
        shorter = markets_of(0)
        shorter.client_order_id_memory_us = 7
        await markets.take(shorter)
        assert markets.known
        assert [market.symbol for market in markets.trading] == ["BTC-USD", "ETH1-USD"]
        assert [asset.code for asset in markets.assets] == ["USD", "BTC"]
        assert markets.memory_us == 7, "what holds in every shard"
        with pytest.raises(Problem, match="instrument_unknown"):
            markets.find("ETH2-USD")

    asyncio.run(told())


def test_of_a_symbol_in_two_shards_that_of_the_lower_one_trades(tmp_path: Path) -> None:
    async def told() -> None:
        markets = await joined(tmp_path)
        twice = markets_of(1)
        twice.instruments[0].symbol = "BTC-USD"
        await markets.take(twice, 1)
        assert markets.find("BTC-USD").id == 1025
        await markets.take(markets_of(0))
        assert markets.find("BTC-USD").id == 1024
        assert sorted(markets.ids_of("BTC-USD")) == [1024, 1025]
        await markets.take(twice, 1)
        assert markets.find("BTC-USD").id == 1024

    asyncio.run(told())


def test_an_amount_means_the_same_in_every_shard(tmp_path: Path) -> None:
    async def told() -> None:
        markets = await joined(tmp_path)
        await markets.take(markets_of(0))
        other = markets_of(1)
        other.assets[0].decimals = 2
        with pytest.raises(Interrupted, match="Asset 1 is not in shard 1 what it is in 0"):
            await markets.take(other, 1)
        assert not markets.known

    asyncio.run(told())


def test_an_address_that_answers_for_another_shard_is_not_believed(tmp_path: Path) -> None:
    async def told() -> None:
        markets = await joined(tmp_path)
        with pytest.raises(Interrupted, match="Instrument 1025 of shard 1 is told by"):
            await markets.take(markets_of(1), 0)

    asyncio.run(told())
