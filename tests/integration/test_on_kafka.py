"""A house whose log is in Kafka: rooms and the broker are killed in the middle of load.

Nothing above the log knows which one it has, so this is short: that the rooms find the Kafka of
their data folder, and that what they promise is true of it too.
"""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from services.runtime.embedded_kafka import start_kafka, stop_kafka
from tests.integration.holding import hold_to
from tests.integration.rooms import House
from tests.integration.trading import Traders
from tests.kafka import HEAP_MB, need_kafka

SEED: Final = 20_261_123


@pytest.mark.timeout(600)
def test_a_house_on_kafka_loses_nothing(data_folder: Path) -> None:
    need_kafka()
    try:
        _start_broker(data_folder)
        asyncio.run(_story(House(data_folder)))
    finally:
        stop_kafka(data_folder, "immediate")


def _start_broker(data: Path) -> None:
    start_kafka(data, heap_mb=HEAP_MB, quick=True)


async def _story(house: House) -> None:
    try:
        await house.start()
        rooms = house.rooms()
        assert rooms.config.log.address.get_secret_value().startswith("kafka://")
        traders = Traders(rooms, SEED)
        await traders.open()
        stop = asyncio.Event()
        load = asyncio.create_task(traders.trade(stop))
        await _kill(house)
        await asyncio.sleep(0.5)
        stop.set()
        await load
        assert len(traders.journal.accepted) > 100, "the load was a load"
        await hold_to(rooms, traders)
        await rooms.close()
    finally:
        house.stop()


async def _kill(house: House) -> None:
    """Kill matching where it hurts most, whoever reads the log, and the broker below them all."""
    for place in ("matching.after_append:20", "matching.after_publish:20"):
        house.kill("matching")
        house.launch("matching", crash_at=place)
        assert await house.died("matching"), house.said("matching")
        house.launch("matching")
        await house.serving("matching")
    house.kill("ledger")
    house.launch("ledger")
    await house.serving("ledger")
    await asyncio.sleep(0.5)
    await asyncio.to_thread(stop_kafka, house.data, "immediate")
    await asyncio.to_thread(_start_broker, house.data)
    await house.all_serving()
