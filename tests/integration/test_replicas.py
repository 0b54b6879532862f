"""Two replicas of matching under load: one is killed or stopped, or both lead, and nobody notices.

Real processes, a real Postgres. What clients were told is held against the house at the end:
nothing acknowledged is lost, nothing is there twice, the event log has no gap.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import MatchingServiceStub
from services.cli.rooms import Rooms
from services.runtime.config import postgres_dsn
from services.runtime.lease import DURATION_S
from services.runtime.log import events_topic, open_log
from services.runtime.publisher import key_of
from services.runtime.tail import Tail
from tests.integration.holding import hold_to
from tests.integration.rooms import House
from tests.integration.trading import Traders

SEED: Final = 5_2
ROOMS: Final = ("accounts", "matching", "ledger", "orders", "marketdata", "notifications")
FAULTS: Final = ("kill leader", "kill entry", "stop leader", "stop entry")
TIMES: Final = 2


class Market:
    """A house of two replicas, and traders who do not stop."""

    def __init__(self, house: House, rooms: Rooms, traders: Traders) -> None:
        self.house = house
        self.rooms = rooms
        self.traders = traders

    async def statuses(self) -> dict[str, matching.GetStatusResponse]:
        """What each replica that answers says of itself."""
        said = await asyncio.gather(
            *(
                MatchingServiceStub(channel).GetStatus(matching.GetStatusRequest(), timeout=5)
                for channel in self.traders.replicas.replicas
            )
        )
        return {place.name: each for place, each in zip(self.house.replicas, said, strict=True)}

    async def leader(self) -> str:
        """The name of the replica that publishes; waits until there is one."""
        while True:
            for name, said in (await self.statuses()).items():
                if said.leader and said.epoch:
                    return name
            await asyncio.sleep(0.05)

    async def entry(self) -> str:
        """The name of the replica that the traders use."""
        used = await self.traders.replicas.pick()
        return self.house.replicas[self.traders.replicas.replicas.index(used)].name

    async def goes_on(self) -> None:
        """Wait until orders that are placed from now on are accepted, and told to everybody."""
        accepted = self.traders.journal.accepted
        wanted = len(accepted) + 100
        # The journal is written by others.
        while len(accepted) < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def trading(data: Path, **more: dict[str, str]) -> AsyncIterator[Market]:
    """A market in full swing; held to what it has told once the block has ended."""
    house = House(data, ROOMS, replicas=2)
    try:
        await house.start()
        rooms = house.rooms()
        for name, settings in more.items():
            house.kill(name)
            house.launch(name, **settings)
            await house.serving(name)
        traders = Traders(rooms, SEED)
        await traders.open()
        stop = asyncio.Event()
        load = asyncio.create_task(traders.trade(stop))
        market = Market(house, rooms, traders)
        await market.goes_on()
        yield market
        stop.set()
        await load
        await hold_to(rooms, traders)
        await rooms.close()
    finally:
        house.stop()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await asyncio.wait_for(story(), 240)

    asyncio.run(told())


@pytest.mark.timeout(300)
def test_trading_goes_on_when_a_replica_dies_or_sleeps(data_folder: Path) -> None:
    async def story() -> None:
        async with trading(data_folder) as market:
            faults = [*FAULTS] * TIMES
            random.Random(SEED).shuffle(faults)
            for fault in faults:
                what, _, whom = fault.partition(" ")
                name = await (market.leader() if whom == "leader" else market.entry())
                await (_kill(market, name) if what == "kill" else _stop(market, name))
            assert market.traders.journal.unknown == set(), "every order had its answer"
            assert market.traders.journal.nothing == set(), "and every order was taken"

    run(story)


async def _kill(market: Market, name: str) -> None:
    market.house.kill(name)
    await market.goes_on()
    market.house.launch(name)
    await market.house.serving(name)
    await market.leader()


async def _stop(market: Market, name: str) -> None:
    """Let it sleep for longer than a lease, and wake up in a world that has gone on."""
    process = market.house.running[name]
    os.kill(process.pid, signal.SIGSTOP)
    await market.goes_on()
    await asyncio.sleep(DURATION_S)
    os.kill(process.pid, signal.SIGCONT)
    await market.goes_on()
    await market.leader()


@pytest.mark.timeout(300)
def test_two_leaders_at_once_say_the_same(data_folder: Path) -> None:
    """Two leases, kept in two databases: both replicas lead from the first event to the last."""

    async def story() -> None:
        other = {"BOURSE_POSTGRES_ADDRESS": postgres_dsn(data_folder, "postgres")}
        async with trading(data_folder, **{"matching-2": other}) as market:
            # Each tells nobody but its publisher.
            while not all(  # noqa: ASYNC110
                said.leader for said in (await market.statuses()).values()
            ):
                await asyncio.sleep(0.05)
            await market.goes_on()
            assert await _repeated_parts(market) > 0, "both have published"

    run(story)


async def _repeated_parts(market: Market) -> int:
    """How many parts stand in the event log more than once."""
    log = await open_log(market.rooms.config.log)
    try:
        end, keys = await log.end(events_topic(0)), []
        tail = Tail(log, events_topic(0))
        async for record in tail.records(0, end):
            keys.append(key_of(record.body))
        await tail.close()
    finally:
        await log.close()
    return len(keys) - len(set(keys))
