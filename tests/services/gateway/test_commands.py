"""Which shard a command goes to where the request does not say it by an id."""

from pathlib import Path

from tests.services.gateway.several import several
from tests.services.gateway.world import story


def test_a_cancel_by_name_meets_the_order_that_is_still_on_its_way(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 0, 0, 0) as world:
            world.shards[2].on_its_way = "a-1"
            target = "/api/v1/orders/by-client-id/a-1"
            answer = await world.client.ask("DELETE", target, key="trader")
            assert (answer.status, answer.body["state"]) == (200, "cancelled")
            assert answer.body["instrument"] == "ETH2-USD"

    story(told)


def test_the_switch_and_the_cancel_of_everything_go_to_all(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 0, 0) as world:
            before = [shard.sequence for shard in world.shards]
            switch = await world.client.ask(
                "PUT", "/api/v1/dead-man", b'{"timeout_ms":1000}', key="trader"
            )
            assert switch.status == 200
            cancelled = await world.client.ask("DELETE", "/api/v1/orders", key="trader")
            assert (cancelled.status, cancelled.body) == (200, {"cancelled": []})
            assert [shard.sequence for shard in world.shards] == [one + 2 for one in before]
            assert cancelled.headers["X-Bourse-Sequence"] == "0:13,1:13"

    story(told)


def test_an_instrument_of_its_own_is_cancelled_where_it_lives(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 0, 0) as world:
            target = "/api/v1/orders?instrument=ETH1-USD"
            assert (await world.client.ask("DELETE", target, key="trader")).status == 200
            assert [shard.sequence for shard in world.shards] == [11, 12]

    story(told)
