"""When a gateway that starts says that it serves."""

import asyncio
from pathlib import Path

import pytest

from services.runtime.rpc import Health
from tests.services.gateway.several import several
from tests.services.gateway.world import ORDER, story


def test_it_waits_for_all_shards_and_then_serves_those_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, away=1) as world:
            waiting = asyncio.create_task(world.house.become_ready(Health()))
            placed = await world.client.ask("POST", "/api/v1/orders", ORDER, key="trader")
            assert placed.status == 201
            assert not waiting.done()
            waiting.cancel()
            monkeypatch.setattr("services.gateway.__main__.ALL_SHARDS_S", 0.0)
            await world.house.become_ready(Health())
            health = (await world.client.ask("GET", "/health")).body
            assert health["status"] == "degraded"

    story(told)
