"""A short run of what `tools/soak chaos` does for hours."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.disk import drop_disk, small_disk
from tests.chaos.house import House
from tests.chaos.story import run

SEED = 20_261_121
FAULTS = 9


@pytest.fixture
def disk(data_folder: Path) -> Iterator[bool]:
    """Whether the data folder is a disk of its own, which a test may fill."""
    is_own = small_disk(data_folder, 2048)
    yield is_own
    if is_own:
        drop_disk(data_folder)


@pytest.mark.timeout(300)
def test_a_house_under_faults_keeps_every_promise(data_folder: Path, disk: bool) -> None:
    house = House(data_folder, shards=2)
    report = asyncio.run(run(house, SEED, FAULTS, own_disk=disk))
    assert report.violations == [], "\n".join([*report.violations, *report.trace])
    assert report.faults == FAULTS
    assert report.orders > 100
    assert report.asked_moves
    assert report.looks > 0
