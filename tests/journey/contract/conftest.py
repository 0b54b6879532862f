"""One exchange for all that the contract is held against, with four accounts."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from services.runtime.embedded import stop_postgres
from tests.conftest import folder_for_postgres
from tests.journey.contract.exchange import Exchange
from tests.journey.house import House


@pytest.fixture(scope="session")
def exchange() -> Iterator[Exchange]:
    """It runs for the whole session."""
    with folder_for_postgres() as folder:
        house = House(folder / "var", "--no-demo")
        try:
            with closing(Exchange(house)) as exchange:
                yield exchange
        finally:
            house.stop()
            stop_postgres(house.data, "immediate")
