"""One exchange for all that the contract is held against, with three accounts."""

from collections.abc import Iterator

import pytest

from services.runtime.embedded import stop_postgres
from tests.conftest import folder_for_postgres
from tests.journey.contract.exchange import Exchange
from tests.journey.house import House


@pytest.fixture(scope="session")
def exchange() -> Iterator[Exchange]:
    """It runs for the whole session; alice and bob have money, carol has none."""
    with folder_for_postgres() as folder:
        house = House(folder / "var", "--no-demo")
        try:
            yield Exchange(house)
        finally:
            house.stop()
            stop_postgres(house.data, "immediate")
