"""Which shard a command goes to where the request does not say it by an id."""

from pathlib import Path

import pytest

from bourse.matching import v1 as matching
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


NOT_NOW, UNKNOWN = matching.BATCH_STATUS_UNAVAILABLE, matching.BATCH_STATUS_UNKNOWN


@pytest.mark.parametrize("unknown", [0, 1, 2])
@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("DELETE", "/api/v1/orders", b""),
        ("DELETE", "/api/v1/orders/by-client-id/a-1", b""),
        ("PUT", "/api/v1/dead-man", b'{"timeout_ms":1000}'),
    ],
)
def test_what_may_have_happened_in_one_shard_is_not_said_to_have_done_nothing(
    method: str, target: str, body: bytes, unknown: int, tmp_path: Path
) -> None:
    async def told() -> None:
        async with several(tmp_path, 0, 0, 0) as world:
            for shard in world.shards:
                shard.status = UNKNOWN if shard.number == unknown else NOT_NOW
            answer = await world.client.ask(method, target, body, key="trader")
            assert (answer.status, answer.code) == (504, "outcome_unknown")

    story(told)


@pytest.mark.parametrize("away", [0, 1])
def test_what_others_have_done_is_said_where_one_shard_did_nothing(
    away: int, tmp_path: Path
) -> None:
    async def told() -> None:
        async with several(tmp_path, 0, 0) as world:
            world.shards[away].status = NOT_NOW
            answer = await world.client.ask("DELETE", "/api/v1/orders", key="trader")
            assert (answer.status, answer.code) == (503, "unavailable")
            assert answer.body["detail"] == (
                "It was done in part, and the rest was not accepted. Ask again: twice is once."
            )
            world.shards[1 - away].status = NOT_NOW
            answer = await world.client.ask("DELETE", "/api/v1/orders", key="trader")
            assert answer.body["detail"] == "Not accepted, and nothing happened. Try again."

    story(told)


@pytest.mark.parametrize("away", [0, 1])
@pytest.mark.parametrize(
    ("method", "target", "body"),
    [("DELETE", "/api/v1/orders", b""), ("PUT", "/api/v1/dead-man", b'{"timeout_ms":1000}')],
)
def test_what_others_have_done_is_said_whatever_became_of_it_in_one_shard(
    method: str, target: str, body: bytes, away: int, tmp_path: Path
) -> None:
    async def told() -> None:
        async with several(tmp_path, 0, 0) as world:
            world.shards[away].refusal = matching.REFUSAL_EXPIRED_IN_TRANSIT
            answer = await world.client.ask(method, target, body, key="trader")
            assert (answer.status, answer.code) == (422, "expired_in_transit")
            assert answer.body["detail"] == (
                "It was done in part, and the rest was not accepted. Ask again: twice is once."
            )
            world.shards[away].status = UNKNOWN
            answer = await world.client.ask(method, target, body, key="trader")
            assert (answer.status, answer.code) == (504, "outcome_unknown")
            assert answer.body["detail"] == (
                "It was done in part, and perhaps in the rest. Ask again: twice is once."
            )
            world.shards[1 - away].refusal = matching.REFUSAL_EXPIRED_IN_TRANSIT
            world.shards[away].status = matching.BATCH_STATUS_APPLIED
            answer = await world.client.ask(method, target, body, key="trader")
            assert answer.body["detail"] == "It reached the engine after timestamp + window."

    story(told)
