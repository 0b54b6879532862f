"""Money in several shards: brought to the order that lacks it, and told as a sum."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from bourse.ledger import v1 as ledger
from bourse.types import v1 as types
from tests.services.gateway.several import BTC, UNIT, USD, Several, several
from tests.services.gateway.world import Answer, story

SHORT = (422, "insufficient_balance")
HALTED = (grpc.StatusCode.FAILED_PRECONDITION, "shard_halted: shard 0 is halted")
UNPOSTED = (grpc.StatusCode.FAILED_PRECONDITION, "posting_stopped: nothing of shard 0 is posted")


async def buy(world: Several, quantity: str, symbol: str = "ETH1-USD") -> Answer:
    """At 100 USD."""
    body = f'{{"instrument":"{symbol}","side":"buy","price":"100","quantity":"{quantity}"}}'
    return await world.client.ask("POST", "/api/v1/orders", body.encode(), key="trader")


def funds(in_transit: str | None, *available: str) -> dict[str, Any]:
    amounts = [{"shard": shard, "amount": amount} for shard, amount in enumerate(available)]
    known = {} if in_transit is None else {"in_transit": in_transit}
    return {"asset": "USD", "available": amounts, **known}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order waits longer for its money than this machine may stand still."""
    monkeypatch.setattr("services.gateway.funds.BRING_S", 2.0)


def test_what_is_missing_comes_from_the_fullest_first(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 50, 500, 0) as world:
            answer = await buy(world, "7")
            assert (answer.status, answer.body["state"]) == (201, "open")
            assert sorted(world.ledger.moves) == [(0, 1, 150), (2, 1, 500)]
            assert [shard.available_minor // UNIT for shard in world.shards] == [150, 0, 0, 0]
            assert world.shards[1].placed == 2, "asked, and asked again"
            assert (await buy(world, "1.5", "BTC-USD")).status == 201
            assert len(world.ledger.moves) == 2, "where the money is nobody moves any"

    story(told)


def test_what_nobody_has_moves_nothing(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 50) as world:
            world.ledger.transits = [
                ledger.GetTransitResponse(
                    amounts=[
                        ledger.Transit(asset=USD, amount_minor=5 * UNIT),
                        ledger.Transit(asset=BTC, amount_minor=UNIT),
                    ]
                )
            ]
            answer = await buy(world, "4")
            assert (answer.status, answer.code) == SHORT
            assert answer.body["detail"] == (
                "This order needs 400 USD; 50 USD is available in shard 1, where ETH1-USD trades,"
                " 300 USD in shard 0, 5 USD on its way. Deposit or lower the quantity."
            )
            assert answer.body["funds"] == funds("5", "300", "50")
            assert world.ledger.moves == []
            assert world.ledger.cuts == [{0: world.shards[0].sequence, 1: world.shards[1].sequence}]
            more = await buy(world, "1000000")
            assert more.body["detail"].startswith("This order needs more than 92233720368.5")
            assert world.ledger.moves == []

    story(told)


def test_money_that_does_not_come_in_time_is_on_its_way(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 0, 100) as world:
            world.ledger.slow = {0}
            answer = await buy(world, "4")
            assert (answer.status, answer.code) == SHORT
            assert answer.body["detail"] == (
                "This order needs 400 USD; 100 USD is available in shard 1, where ETH1-USD trades,"
                " 300 USD on its way. What is missing could not be brought there in time: try"
                " again."
            )
            assert answer.body["funds"] == funds("300", "0", "100", "0")
            assert world.shards[1].placed == 1

    story(told)


def test_a_shard_that_hangs_does_not_keep_the_money_of_the_others(
    tmp_path: Path, patient: None
) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 0, 500) as world:
            world.shards[2].answers.clear()
            assert (await buy(world, "3")).status == 201
            assert world.ledger.moves == [(0, 1, 300)]
            answer = await buy(world, "3")
            assert (answer.status, answer.code) == SHORT
            assert "shard 2 does not answer" in answer.body["detail"]

    story(told)


def test_money_that_was_spent_meanwhile_is_looked_for_again(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 0) as world:
            world.ledger.ends = [ledger.MOVE_STATE_REFUSED]
            assert (await buy(world, "3")).status == 201
            assert world.ledger.moves == [(0, 1, 300)] * 2
            world.shards[0].available_minor = 300 * UNIT
            world.ledger.ends = [ledger.MOVE_STATE_REFUSED] * 10
            answer = await buy(world, "3")
            assert (answer.status, answer.code) == SHORT
            assert "try again" in answer.body["detail"]
            assert len(world.ledger.moves) == 2 + 3, "but not for ever"

    story(told)


@pytest.mark.parametrize("end", [ledger.MOVE_STATE_RETURNING, ledger.MOVE_STATE_RETURNED])
def test_money_that_its_shard_does_not_take_is_not_sent_again(
    end: "ledger.MoveState", tmp_path: Path
) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 0) as world:
            world.ledger.ends = [end]
            answer = await buy(world, "3")
            assert (answer.status, answer.code) == SHORT
            assert len(world.ledger.moves) == 1

    story(told)


def test_a_halted_shard_is_not_asked_for_its_money(tmp_path: Path, patient: None) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 0, 200) as world:
            world.ledger.not_begun = {0: HALTED}
            assert (await buy(world, "2")).status == 201, "others have it too"
            assert world.ledger.moves == [(0, 1, 200), (2, 1, 200)]
            answer = await buy(world, "3")
            assert (answer.status, answer.code) == SHORT
            assert answer.body["detail"] == (
                "This order needs 300 USD; 0 USD is available in shard 1, where ETH1-USD trades,"
                " 300 USD in shard 0, which is halted. What is in a halted shard cannot be brought"
                " until trading is resumed there."
            )
            assert answer.body["funds"] == funds("0", "300", "0", "0")
            assert world.ledger.moves[2:] == [(0, 1, 300)]
            world.shards[0].halt_sequence = 9
            await world.house.shards[0].look()
            assert (await buy(world, "3")).body["detail"] == answer.body["detail"]
            assert world.ledger.moves[3:] == [], "once it is known nobody asks the ledger"
            poorer = await buy(world, "4")
            assert poorer.body["detail"].endswith("which is halted. Deposit or lower the quantity.")

    story(told)


def test_a_shard_that_is_not_posted_does_not_keep_the_money_of_the_others(
    tmp_path: Path, patient: None
) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 0, 200, 50) as world:
            world.ledger.not_begun = {0: UNPOSTED}
            assert (await buy(world, "2")).status == 201, "others have it too"
            assert world.ledger.moves == [(0, 1, 200), (2, 1, 200)]
            where = (
                "This order needs 300 USD; 0 USD is available in shard 1, where ETH1-USD trades,"
                " 300 USD in shard 0, from where none can be moved, 50 USD in shard 3"
            )
            advice = "What cannot be moved stays where it is until operators have mended the books."
            answer = await buy(world, "3")
            assert (answer.status, answer.code) == SHORT
            assert answer.body["detail"] == f"{where}. {advice}"
            assert answer.body["funds"] == funds("0", "300", "0", "0", "50")
            world.shards[3].halt_sequence = 9
            await world.house.shards[3].look()
            both = await buy(world, "3")
            assert both.body["detail"] == (
                f"{where}, which is halted. {advice}"
                " What is in a halted shard cannot be brought until trading is resumed there."
            )

    story(told)


def test_what_is_not_sent_for_because_so_much_is_on_its_way(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 0) as world:
            world.ledger.not_begun = {0: (grpc.StatusCode.RESOURCE_EXHAUSTED, "too_many_moves")}
            answer = await buy(world, "3")
            assert (answer.status, answer.code) == SHORT
            assert answer.body["detail"] == (
                "This order needs 300 USD; 0 USD is available in shard 1, where ETH1-USD trades,"
                " 300 USD in shard 0. What is missing was not sent for, so much is on its way"
                " already: try again."
            )
            assert answer.body["funds"] == funds("0", "300", "0")
            assert len(world.ledger.moves) == 1

    story(told)


def test_health_names_the_shards_that_are_halted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.health.EVERY_S", 0.02)

    async def told() -> None:
        async with several(tmp_path, 300, 0) as world:
            looking = asyncio.create_task(world.house.rooms.run())

            async def health(*halted: int) -> Answer:
                for shard in world.shards:
                    shard.halt_sequence = 9 if shard.number in halted else 0
                while True:
                    answer = await world.client.ask("GET", "/health")
                    if answer.body.get("halted", []) == list(halted):
                        return answer
                    await asyncio.sleep(0.02)

            one = await health(1)
            assert (one.status, one.body["status"]) == (200, "degraded")
            both = await health(0, 1)
            assert (both.status, both.body["status"]) == (503, "unavailable")
            assert both.body["rooms"]["matching"] == "serving", "it answers all the same"
            assert "halted" not in (await health()).body
            looking.cancel()
            await asyncio.wait([looking])

    story(told)


def test_without_the_ledger_the_refusal_says_where_the_money_is(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 0, with_ledger=False) as world:
            answer = await buy(world, "3")
            assert (answer.status, answer.code) == SHORT
            assert answer.body["funds"] == funds(None, "300", "0")
            assert "try again" in answer.body["detail"]
            poorer = await buy(world, "4")
            assert poorer.body["funds"] == funds(None, "300", "0")
            assert poorer.body["detail"].endswith("Try again, deposit or lower the quantity."), (
                "the rest may be on its way"
            )

    story(told)


def test_a_house_of_one_shard_asks_no_ledger(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 300) as world:
            answer = await buy(world, "4", "BTC-USD")
            assert (answer.status, answer.code) == SHORT
            assert "funds" not in answer.body
            assert world.shards[0].placed == 1
            told = (await world.client.ask("GET", "/api/v1/balances", key="reader")).body
            has = {"asset": "USD", "available": "300", "held": "0"}
            assert told["balances"] == [has]
            assert (world.ledger.moves, world.ledger.cuts) == ([], [])

    story(told)


def test_balances_are_a_cut_of_all_shards(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 50) as world:
            later = types.ShardSequence(shard=0, sequence=90)
            on_its_way = [
                ledger.Transit(asset=USD, amount_minor=UNIT),
                ledger.Transit(asset=BTC, amount_minor=2 * UNIT),
            ]
            world.ledger.transits = [
                ledger.GetTransitResponse(read_again=[later]),
                ledger.GetTransitResponse(amounts=on_its_way),
            ]
            answer = await world.client.ask("GET", "/api/v1/balances", key="reader")
            assert answer.body == {
                "balances": [
                    {"asset": "USD", "available": "350", "held": "0", "in_transit": "1"},
                    {"asset": "BTC", "available": "0", "held": "0", "in_transit": "2"},
                ],
                "sequences": [{"shard": 0, "sequence": 90}, {"shard": 1, "sequence": 11}],
            }
            assert world.ledger.cuts == [{0: 11, 1: 11}, {0: 90, 1: 11}]
            assert (world.shards[0].asked_after, world.shards[1].asked_after) == ([11, 90], [11])
            assert answer.headers["X-Bourse-Sequence"] == "0:90,1:11"
            after = {"X-Bourse-After": "1:12"}
            await world.client.ask("GET", "/api/v1/balances", key="reader", headers=after)
            assert (world.shards[0].asked_after[-1], world.shards[1].asked_after[-1]) == (11, 12)

    story(told)


def test_a_cut_that_never_fits_is_lagging(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 50) as world:
            later = types.ShardSequence(shard=1, sequence=90)
            world.ledger.transits = [ledger.GetTransitResponse(read_again=[later])] * 10
            answer = await world.client.ask("GET", "/api/v1/balances", key="reader")
            assert (answer.status, answer.code) == (503, "lagging")
            assert len(world.ledger.cuts) == 4

    story(told)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (grpc.StatusCode.UNAVAILABLE, ("lagging", "Try again.")),
        (grpc.StatusCode.FAILED_PRECONDITION, ("unavailable", "until operators have mended that.")),
    ],
    ids=["behind", "stopped"],
)
def test_books_that_stand_still_are_told_from_those_that_are_behind(
    code: grpc.StatusCode, told: tuple[str, str], tmp_path: Path
) -> None:
    async def asked() -> None:
        async with several(tmp_path, 300, 50) as world:
            world.ledger.misses = code
            answer = await world.client.ask("GET", "/api/v1/balances", key="reader")
            assert (answer.status, answer.code) == (503, told[0])
            assert answer.body["detail"].endswith(told[1])

    story(asked)


def test_a_ledger_that_does_not_know_of_a_shard_is_no_fault_of_the_request(tmp_path: Path) -> None:
    async def told() -> None:
        async with several(tmp_path, 300, 50) as world:
            world.ledger.knows_all_shards = False
            answer = await world.client.ask("GET", "/api/v1/balances", key="reader")
            assert (answer.status, answer.code) == (503, "unavailable")

    story(told)
