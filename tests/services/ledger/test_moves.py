"""Money between shards: the life of a move, what is asked and refused, what is between at a cut."""

import asyncio
from typing import Any

import pytest

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from services.ledger.outbox import batch
from services.ledger.state import (
    ASKED,
    DONE,
    IN_TRANSIT,
    MOVES,
    NO_SHARD,
    NOT_MOVED,
    REFUSED,
    RETURNED,
    RETURNING,
    TAKEN,
    TRANSIT,
    Broken,
    Leg,
    Move,
    answered,
    asks,
    command_id,
    meaning,
)
from tests.services.ledger.two_shards import RICH, Call, House, Refused, asking, tell
from tests.services.matching.rig import ALICE, BOB, BTC, USD, cancel_all
from tests.services.shard import START_US

MOVE = Move(bytes(16), ALICE, USD, 400, from_shard=0, to_shard=1)
REFUSAL = int(matching.REFUSAL_INSUFFICIENT_BALANCE)


async def sent(house: House, shard: int, source: int = 2) -> matching.SubmitRequest:
    """What the ledger says to a core next."""
    return batch(await house.lines[shard, source].next())


# --- The law --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusals", "ends", "debit", "credit", "refusal"),
    [
        ([0, 0], DONE, 1, 2, 0),
        ([REFUSAL], NOT_MOVED, 0, 0, REFUSAL),
        ([0, 190, 0], RETURNED, 1, 3, 190),
        ([0, 190, 160, 230, 0], RETURNED, 1, 5, 190),
    ],
    ids=["comes", "never leaves", "comes back", "comes back in the end"],
)
def test_a_move_goes_on_by_what_the_cores_answer(
    refusals: list[int], ends: int, debit: int, credit: int, refusal: int
) -> None:
    move = MOVE
    for sequence, each in enumerate(refusals, start=1):
        assert asks(move) is not None
        move = answered(move, each, sequence)
    assert (move.state, move.debit_sequence, move.credit_sequence) == (ends, debit, credit)
    assert (move.refusal, asks(move)) == (refusal, None)


def test_every_state_that_asks_has_a_way_on_and_no_other() -> None:
    for state in (ASKED, IN_TRANSIT, DONE, NOT_MOVED, RETURNING, RETURNED):
        move = MOVE._replace(state=state)
        assert (asks(move) is not None) == ((state, TAKEN) in MOVES) == ((state, REFUSED) in MOVES)
        if asks(move) is None:
            with pytest.raises(Broken, match="has ended"):
                answered(move, 0, 7)


def test_what_a_move_asks_is_the_same_money_each_time() -> None:
    legs = [asks(MOVE._replace(state=state)) for state in (ASKED, IN_TRANSIT, RETURNING)]
    assert legs == [
        Leg(ALICE, USD, 0, -400),
        Leg(ALICE, USD, 1, 400),
        Leg(ALICE, USD, 0, 400),
    ]


def test_the_ids_of_a_moves_commands_follow_from_its_own() -> None:
    ids = [command_id(MOVE._replace(commands=number)) for number in range(3)]
    assert len({*ids, MOVE.request_id}) == 4
    assert ids[0].hex() == "c0582743d9b0852974d83337c3b9cdf3"
    assert ids[0] != command_id(MOVE._replace(request_id=b"x" * 16))


@pytest.mark.parametrize("amount", [400, -400], ids=["a credit", "a debit"])
@pytest.mark.parametrize("refusal", [0, REFUSAL], ids=["applied", "refused"])
def test_a_leg_stands_in_transit_until_a_core_takes_it(amount: int, refusal: int) -> None:
    event = matching.MoveEvent(source=2, number=7, account=ALICE, asset=USD, amount_minor=amount)
    part = matching.EventRecord(shard=3, first_sequence=9, moves=[event])
    part.commands.add(refusal=refusal)
    entries, settled = meaning(part)
    assert settled == [(2, 3, 7, refusal, 9)]
    legs = {leg for entry in entries for leg in entry.legs}
    assert legs == (
        set() if refusal else {Leg(ALICE, USD, 3, amount), Leg(TRANSIT, USD, NO_SHARD, -amount)}
    )


# --- Asking ---------------------------------------------------------------------------------


def test_a_move_is_answered_once_it_has_come(postgres: str) -> None:
    async def story(house: House) -> None:
        house.keeper.numbered[0].clear()
        asked = asyncio.create_task(house.server.MoveMoney(asking(1, wait_ms=10_000), Call()))  # type: ignore[arg-type]
        await house.keeper.numbered[0].wait()
        await house.settle()
        move = (await asked).move
        assert (move.state, move.refusal) == (ledger.MOVE_STATE_DONE, 0)
        assert move.debit_sequence == house.shards[0].states[-1].sequence
        assert move.credit_sequence == house.shards[1].states[-1].sequence
        assert house.shards[0].states[-1].totals[ALICE, USD] == RICH - 400
        assert house.shards[1].states[-1].totals[ALICE, USD] == RICH + 400
        assert await house.broken() == []

    tell(postgres, story)


def test_the_same_id_is_the_same_move_and_no_other(postgres: str) -> None:
    async def story(house: House) -> None:
        first = await house.ask(asking(1), None)
        assert first.state == ledger.MOVE_STATE_ASKED
        assert await house.ask(asking(1, wait_ms=1, valid_until_us=9), None) == first
        for other in ({"amount": 401}, {"asset": BTC}, {"account": BOB}, {"to_shard": 0}):
            other = {"from_shard": 1, **other} if "to_shard" in other else other
            with pytest.raises(Refused, match="ALREADY_EXISTS: request_reused"):
                await house.ask(asking(1, **other), None)
        await house.settle()
        again = await house.ask(asking(1, wait_ms=10_000), None)
        assert again.state == ledger.MOVE_STATE_DONE
        assert house.shards[0].states[-1].totals[ALICE, USD] == RICH - 400

    tell(postgres, story)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"to_shard": 2}, "There is no shard 2: those here are 0 to 1."),
        ({"from_shard": 9}, "There is no shard 9"),
        ({"to_shard": 0}, "from one shard to another"),
        ({"account": TRANSIT}, "an account"),
        ({"asset": 0}, "an asset"),
        ({"amount_minor": 0}, "1..2"),
        ({"amount_minor": 2**62 + 1}, "1..2"),
        ({"request_id": b"short"}, "16 bytes"),
        ({"wait_ms": 10_001}, "a wait of 0..10000 ms"),
        ({"valid_until_us": -1}, "a deadline or 0"),
    ],
    ids=lambda wrong: "-".join(wrong) if isinstance(wrong, dict) else "",
)
def test_what_could_never_be_a_move_is_refused(
    postgres_of_module: str, wrong: dict[str, Any], why: str
) -> None:
    async def story(house: House) -> None:
        with pytest.raises(Refused, match=f"INVALID_ARGUMENT: .*{why}"):
            await house.ask(asking(1, **wrong), None)
        assert await house.pool.fetchval("select count(*) from move") == 0

    tell(postgres_of_module, story)


def test_the_deadline_is_the_debits_and_a_credit_has_none(postgres: str) -> None:
    async def story(house: House) -> None:
        await house.ask(asking(1, valid_until_us=START_US + 7), None)
        debit = await sent(house, 0)
        assert debit.commands[0].valid_until_us == START_US + 7
        assert debit.commands[0].debit.amount_minor == 400
        await house.send(0, 2, lost=False, skipped=False)
        await house.shards[0].publish()
        await house.post(0, 1)
        credit = await sent(house, 1)
        assert (credit.source, credit.number) == (2, 1)
        assert credit.commands[0].valid_until_us == 0
        assert credit.commands[0].credit.amount_minor == 400
        assert debit.commands[0].request_id == command_id(
            MOVE._replace(request_id=asking(1).request_id)
        )

    tell(postgres, story)


def test_a_transfer_is_about_the_shard_it_names(postgres: str) -> None:
    async def story(house: House) -> None:
        request = ledger.CreateTransferRequest(
            request_id=b"t" * 16, account=ALICE, asset=USD, amount_minor=5, shard=1
        )
        asked = asyncio.create_task(house.server.CreateTransfer(request, Call()))  # type: ignore[arg-type]
        house.keeper.numbered[1].clear()
        await house.keeper.numbered[1].wait()
        await house.settle()
        transfer = (await asked).transfer
        assert (transfer.shard, transfer.state) == (1, ledger.TRANSFER_STATE_DONE)
        assert house.keeper.books.posted(ALICE, USD, 1) == RICH + 5
        request.shard = 0
        with pytest.raises(Refused, match="request_reused"):
            await house.server.CreateTransfer(request, Call())  # type: ignore[arg-type]
        request.shard = 2
        with pytest.raises(Refused, match="INVALID_ARGUMENT: There is no shard 2"):
            await house.server.CreateTransfer(request, Call())  # type: ignore[arg-type]

    tell(postgres, story)


def test_each_source_has_its_own_numbers_in_each_shard(postgres: str) -> None:
    async def story(house: House) -> None:
        await house.ask(asking(1), None)
        await house.ask(asking(2, from_shard=1, to_shard=0), None)
        for leg in (Leg(ALICE, USD, 0, -3), Leg(ALICE, USD, 1, -4)):
            await house.transfer(leg)
        assert [(await sent(house, shard)).number for shard in (0, 1)] == [1, 1]
        # The four deposits of each shard came before.
        assert [(await sent(house, shard, 1)).number for shard in (0, 1)] == [5, 5]
        await house.settle()
        assert await house.broken() == []

    tell(postgres, story)


# --- What is between ------------------------------------------------------------------------


def test_a_cut_waits_for_the_shards_that_matter_and_no_others(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(house: House) -> None:
        await house.ask(asking(1), None)
        await house.send(0, 2, lost=False, skipped=False)
        newest = {each.number: each.states[-1] for each in house.shards}
        asked = asyncio.create_task(house._transit(ALICE, newest))
        assert not (await house._transit(BOB, newest)).amounts, "nothing of Bob's is on its way"
        assert not asked.done()
        await house.shards[0].publish()
        await house.post(0, 1)
        (amount,) = (await asked).amounts
        assert (amount.account, amount.asset, amount.amount_minor) == (ALICE, USD, 400)
        await house.shards[1].publish()
        monkeypatch.setattr("services.ledger.server._TRANSIT_PATIENCE_S", 0.05)
        house.shards[1].order(cancel_all(BOB))
        with pytest.raises(Refused, match=r"UNAVAILABLE: .* of shard 1: lagging"):
            await house._transit(0, {0: newest[0], 1: newest[1]._replace(sequence=99)})
        await house.keeper.stop(1, "they differ")
        with pytest.raises(Refused, match=r"FAILED_PRECONDITION: .* of shard 1: they differ"):
            await house._transit(0, {0: newest[0], 1: newest[1]._replace(sequence=99)})

    tell(postgres, story)


@pytest.mark.parametrize("many", [1000, 1], ids=["a new cut", "an old one"])
def test_a_credit_without_its_debit_is_to_be_read_again(
    postgres: str, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ledger.moves._MANY", many)

    async def story(house: House) -> None:
        before = house.shards[0].states[-1]
        await house.ask(asking(1), None)
        await house.settle()
        after = {each.number: each.states[-1] for each in house.shards}
        said = await house._transit(ALICE, {**after, 0: before})
        (again,) = said.read_again
        assert (again.shard, again.sequence) == (0, after[0].sequence)
        assert not said.amounts
        said = await house._transit(ALICE, after)
        assert not said.read_again
        assert not said.amounts

    tell(postgres, story)


@pytest.mark.parametrize("shards", [(), (0,), (0, 0), (0, 1, 1), (0, 1, 2)])
def test_a_cut_names_every_shard_once(postgres_of_module: str, shards: tuple[int, ...]) -> None:
    async def story(house: House) -> None:
        request = ledger.GetTransitRequest(account=ALICE)
        for shard in shards:
            request.at.add(shard=shard, sequence=1)
        with pytest.raises(Refused, match="INVALID_ARGUMENT: the cut names each shard"):
            await house.server.GetTransit(request, Call())  # type: ignore[arg-type]

    tell(postgres_of_module, story)
