"""`kill -9` in the middle of load, again and again: all that was acknowledged is there, once.

One house, one load, a seeded list of kills: each room at a random moment, all at once with
Postgres, and rooms at the places where it hurts most.
"""

import asyncio
import random
from pathlib import Path

import pytest

from bourse.matching import v1 as matching
from tests.integration.holding import hold_to
from tests.integration.rooms import House
from tests.integration.trading import Traders

SEED = 20_261_121
PLACES = [
    ("matching", "matching.after_append:20"),
    ("matching", "matching.before_publish:20"),
    ("matching", "matching.after_publish:20"),
    ("matching", "matching.snapshot_before_publish"),
    ("ledger", "ledger.in_transaction:10"),
    ("orders", "orders.in_transaction:10"),
    ("marketdata", "marketdata.after_block:5"),
]
ANYWHERE = ["matching", "matching", "ledger", "orders", "marketdata", "notifications", "accounts"]
EVERYTHING = 2


@pytest.mark.timeout(600)
def test_a_house_that_is_killed_loses_nothing(data_folder: Path) -> None:
    asyncio.run(_story(House(data_folder)))


async def _story(house: House) -> None:
    try:
        await house.start()
        rooms = house.rooms()
        traders = Traders(rooms, SEED)
        await traders.open()
        stop = asyncio.Event()
        load = asyncio.create_task(traders.trade(stop))
        killed = await _kill(house, random.Random(SEED))
        assert killed >= 20
        await asyncio.sleep(1.0)
        stop.set()
        await load
        assert len(traders.journal.accepted) > 1_000, "the load was a load"
        await hold_to(rooms, traders)
        await rooms.close()
    finally:
        house.stop()


async def _kill(house: House, chance: random.Random) -> int:
    """Do all the kills, in an order of chance. Returns how many there were."""
    kills = [(room, place) for room, place in PLACES]
    kills += [(room, "") for room in ANYWHERE * 2]
    kills += [("", "")] * EVERYTHING
    chance.shuffle(kills)
    for room, place in kills:
        await asyncio.sleep(chance.uniform(0.1, 0.7))
        if not room:
            await house.kill_everything()
            await house.all_serving()
        elif place:
            await _kill_at(house, room, place)
        else:
            house.kill(room)
            house.launch(room)
            await house.serving(room)
    return len(kills)


async def _kill_at(house: House, room: str, place: str) -> None:
    """Have a room kill itself at a place, then start it as usual."""
    house.kill(room)
    house.launch(room, crash_at=place)
    if "snapshot" in place:
        await house.serving(room)
        rooms = house.rooms()
        asked = rooms.core(0).TakeSnapshot(matching.TakeSnapshotRequest())
        await asyncio.wait([asyncio.ensure_future(asked)])
        await rooms.close()
        # Whether events were waiting at that moment is chance: kill it if they were not.
        if not await house.died(room, within_s=1.0):
            house.kill(room)
    else:
        assert await house.died(room), f"{room} never came to {place}: {house.said(room)}"
    house.launch(room)
    await house.serving(room)
