"""A house that forgets what nobody needs: its logs stay short, and it starts from what is kept."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from services.cli.rooms import Rooms
from services.cli.verify import Core, all_checks
from services.runtime.final import GIVEN_UP
from tests.integration.retaining import SMALL, Sample, samples
from tests.integration.rooms import House
from tests.integration.trading import Traders

PARTITION = int(SMALL["BOURSE_LOG_PARTITION_RECORDS"])
SEED = 20_261_122
TIME_LIMIT_S = 240.0


@pytest.mark.timeout(300)
def test_logs_stay_short_and_a_house_starts_from_what_is_kept(data_folder: Path) -> None:
    house = House(data_folder, settings=SMALL)

    async def story() -> None:
        try:
            await asyncio.wait_for(_story(house), TIME_LIMIT_S)
        finally:
            house.stop()

    asyncio.run(story())


async def _story(house: House) -> None:
    await house.start()
    rooms = house.rooms()
    traders = Traders(rooms, SEED)
    await traders.open()
    stop = asyncio.Event()
    load = asyncio.create_task(traders.trade(stop, at_once=8))
    await _until(house, _is_short)
    # A start rests on the oldest kept snapshots and on what is left of the logs.
    house.kill("matching")
    house.launch("matching")
    await house.serving("matching")
    await _still_right(rooms)
    await _come_back_too_late(house)
    stop.set()
    await load
    await rooms.close()


def _is_short(now: Sample) -> bool:
    """Whether the most of both logs has been cut."""
    return now.commands >= 2 * max(now.commands_kept, 5 * PARTITION) and now.events >= 2 * max(
        now.events_kept, 5 * PARTITION
    )


async def _until(house: House, is_so: Callable[[Sample], bool]) -> Sample:
    async with aclosing(samples(house, 0.2)) as taken:
        async for sample in taken:
            if is_so(sample):
                return sample
    raise AssertionError("samples never end")


async def _still_right(rooms: Rooms) -> None:
    """Every invariant holds, and the one that reads the log says from where on."""
    checks = [check async for check in all_checks(rooms, Core())]
    assert [check for check in checks if not check.ok] == []
    [of_the_log] = [check for check in checks if check.name.startswith("log:")]
    assert "has been cut" in of_the_log.detail


async def _come_back_too_late(house: House) -> None:
    """A reader whose hold was released, and who comes back when its place is gone."""
    house.kill("orders")
    # Its hold may be a little older than its place, which is before the present end.
    end = (await _until(house, lambda _: True)).events
    released = await asyncio.to_thread(_bourse, house, "log", "hold", "release", "orders")
    assert "orders no longer holds bourse.events.0" in released.stdout, released.stderr
    listed = await asyncio.to_thread(_bourse, house, "log", "hold", "list", "--json")
    events = json.loads(listed.stdout)["topics"][1]
    assert [hold["reader"] for hold in events["holds"] if hold["is_lost"]] == ["orders"]
    await _until(house, lambda now: now.events - now.events_kept > end)
    house.launch("orders")
    orders = house.running["orders"]
    assert await house.died("orders")
    assert orders.returncode == GIVEN_UP
    assert "bourse.events.0 has been cut below offset" in house.said("orders")


def _bourse(house: House, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line on this house, which was not started by `bourse up`."""
    address = house.rooms().config.address_of("matching")
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments, "--data", str(house.data)],
        env={**os.environ, "BOURSE_MATCHING_ADDRESS": address},
        capture_output=True,
        text=True,
        check=False,
    )
