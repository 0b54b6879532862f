"""Moves that are not begun, moves that wait longer and longer, and whoever waits for either."""

import asyncio
from collections.abc import Sequence
from itertools import permutations

import pytest

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from services.ledger.moves import LONGEST_PAUSE_US, RETURN_PAUSE_US, Counts, Limits
from services.ledger.state import TREASURY, Leg, Move, halted_after
from services.runtime.postgres import CommitUnknown
from tests.services.ledger.two_shards import RICH, Call, Fault, House, Refused, asking, tell
from tests.services.matching.rig import ALICE, BOB, USD

HALT, RESUME = matching.COMMAND_KIND_HALT, matching.COMMAND_KIND_RESUME
OTHER, INVALID = matching.COMMAND_KIND_CANCEL_ALL, matching.REFUSAL_SETTING_INVALID


async def hear(house: House, shard: int) -> None:
    """The ledger hears all that a core has said."""
    while await house.shards[shard].publish():
        await house.post(shard, 1)


async def count(house: House) -> int:
    """All moves that were ever begun."""
    return int(await house.pool.fetchval("select count(*) from move"))


# --- A shard that is halted -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("marks", "was_halted", "is_halted"),
    [
        ([(OTHER, 0)], False, False),
        ([(OTHER, 0)], True, True),
        ([(OTHER, 0), (HALT, 0)], False, True),
        ([(HALT, INVALID)], False, False),
        ([(RESUME, 0)], True, False),
        ([(RESUME, INVALID)], True, True),
        ([(RESUME, 0), (HALT, 0)], True, False),
    ],
)
def test_events_say_whether_a_shard_is_halted(
    marks: Sequence[tuple["matching.CommandKind", "matching.Refusal"]],
    was_halted: bool,
    is_halted: bool,
) -> None:
    part = matching.EventRecord()
    for kind, refusal in marks:
        part.commands.add(kind=kind, refusal=refusal)
    assert halted_after(part, was_halted) == is_halted


@pytest.mark.parametrize("halted", [0, 1], ids=["from it", "to it"])
def test_no_money_begins_to_move_where_a_shard_is_halted(postgres: str, halted: int) -> None:
    async def story(house: House) -> None:
        await house.ask(asking(1), None)
        house.shards[halted].halt()
        await hear(house, halted)
        for _ in range(2):
            with pytest.raises(Refused, match=f"FAILED_PRECONDITION: shard_halted: shard {halted}"):
                await house.ask(asking(2), None)
            assert await count(house) == 1
            known = await house.ask(asking(1), None)
            assert known.state == ledger.MOVE_STATE_ASKED, "what has begun goes on"
            await house.start()
        for shard in (0, 1):
            await house.send(shard, 2, lost=False, skipped=False)
            await hear(house, shard)
        expected = (ledger.MOVE_STATE_ASKED, ledger.MOVE_STATE_IN_TRANSIT)[halted]
        assert (await house.ask(asking(1), None)).state == expected
        house.shards[halted].resume()
        await hear(house, halted)
        await house.ask(asking(2), None)
        await house.settle()
        for number in (1, 2):
            assert (await house.ask(asking(number), None)).state == ledger.MOVE_STATE_DONE
        assert house.shards[1].states[-1].totals[ALICE, USD] == RICH + 800
        assert await house.broken() == []

    tell(postgres, story)


def test_a_transfer_waits_for_a_halted_shard_and_is_not_begun_in_one_that_is_not_posted(
    postgres: str,
) -> None:
    async def story(house: House) -> None:
        def transfer(number: int, amount: int) -> ledger.CreateTransferRequest:
            request_id = bytes([200 + number] * 16)
            return ledger.CreateTransferRequest(
                request_id=request_id, account=ALICE, asset=USD, amount_minor=amount, shard=1
            )

        house.shards[1].halt()
        await hear(house, 1)
        await house.transfer(Leg(ALICE, USD, 1, 400))
        assert not await house.send(1, 1, lost=False, skipped=False)
        await house.settle()
        assert house.keeper.books.posted(ALICE, USD, 1) == RICH + 400
        known = transfer(1, 400)
        await house.keeper.start_transfer(known.request_id, 0, Leg(ALICE, USD, 1, 400))
        await house.keeper.stop(1, "it differs")
        treasury_minor = house.keeper.books.posted(TREASURY, USD)
        said = "FAILED_PRECONDITION: posting_stopped: nothing of shard 1 is posted: it differs"
        for amount in (400, -400):
            with pytest.raises(Refused, match=said):
                await house.server.CreateTransfer(transfer(2, amount), Call())  # type: ignore[arg-type]
        assert house.keeper.books.posted(TREASURY, USD) == treasury_minor
        sending, waits = await house.keeper.start_transfer(
            known.request_id, 0, Leg(ALICE, USD, 1, 400)
        )
        assert waits is not None, "what has begun is told as it stands"
        assert sending.state == ledger.TRANSFER_STATE_SENT
        await house.transfer(Leg(ALICE, USD, 0, 400))

    tell(postgres, story)


# --- As many as may be ----------------------------------------------------------------------


def test_an_account_has_only_so_many_moves_under_way(postgres: str) -> None:
    async def story(house: House) -> None:
        for number in (1, 2):
            await house.ask(asking(number), None)
        for _ in range(2):
            with pytest.raises(
                Refused, match=f"RESOURCE_EXHAUSTED: .* account {ALICE} has 2 moves"
            ):
                await house.ask(asking(3, from_shard=1, to_shard=0), None)
            known = await house.ask(asking(2), None)
            assert known.state == ledger.MOVE_STATE_ASKED, "what has begun goes on"
            await house.start()
        await house.ask(asking(4, account=BOB), None)
        await house.settle()
        await house.ask(asking(3), None)
        assert await count(house) == 4
        status = await house.server.GetStatus(ledger.GetStatusRequest(), Call())  # type: ignore[arg-type]
        assert status.moves_under_way == 1

    tell(postgres, story, Limits(of_account=2, of_pair=9))


def test_from_one_shard_to_another_only_so_many_moves_are_under_way(postgres: str) -> None:
    async def story(house: House) -> None:
        await house.ask(asking(1), None)
        await house.ask(asking(2, account=BOB), None)
        for _ in range(2):
            said = "RESOURCE_EXHAUSTED: .* 2 moves are under way from shard 0 to 1"
            with pytest.raises(Refused, match=said):
                await house.ask(asking(3), None)
            await house.start()
        await house.ask(asking(4, from_shard=1, to_shard=0), None)
        await house.settle()
        await house.ask(asking(3), None)

    tell(postgres, story, Limits(of_account=9, of_pair=2))


@pytest.mark.parametrize("stuck", [0, 1, 2])
def test_moves_that_hang_at_one_shard_keep_back_none_between_two_others(stuck: int) -> None:
    limits = Limits(of_account=9, of_pair=2)
    pairs = list(permutations(range(3), 2))
    counts = Counts((ALICE, *pair, 2) for pair in pairs if stuck in pair)
    for pair in pairs:
        move = Move(bytes(16), BOB, USD, 1, *pair)
        assert bool(counts.too_many(move, limits)) == (stuck in pair)


# --- What no shard takes --------------------------------------------------------------------


def test_what_no_shard_takes_is_offered_after_a_pause_that_grows(postgres: str) -> None:
    async def story(house: House) -> None:
        await house.ask(asking(1), None)
        await house.send(0, 2, lost=False, skipped=False)
        await hear(house, 0)
        await house.send(1, 2, lost=False, skipped=True)
        await hear(house, 1)
        now_us = int(await house.pool.fetchval("select asked_us from move"))
        pauses_us = []
        for _ in range(10):
            await house.send(0, 2, lost=False, skipped=True)
            await hear(house, 0)
            pause_us = RETURN_PAUSE_US
            while True:
                await house.keeper.offer_again(now_us + pause_us - 1)
                assert not await house.lines[0, 2].next()
                await house.keeper.offer_again(now_us + pause_us)
                if await house.lines[0, 2].next():
                    break
                pause_us = min(2 * pause_us, LONGEST_PAUSE_US)
            pauses_us.append(pause_us)
            now_us += pause_us
        assert [pause_us // 1_000_000 for pause_us in pauses_us] == [
            *(2, 4, 8, 16, 32, 64, 128, 256),
            *(300, 300),
        ]
        await house.settle()
        assert (await house.ask(asking(1), None)).state == ledger.MOVE_STATE_RETURNED

    tell(postgres, story)


# --- Whoever waits --------------------------------------------------------------------------


def test_nobody_waits_for_what_a_lost_commit_has_ended(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(house: House) -> None:
        monkeypatch.setattr("services.ledger.reader.crash_point", house.crash_point)
        lost = Fault("ledger.after_commit", CommitUnknown)
        house.keeper.numbered[0].clear()
        moved = asyncio.create_task(house.server.MoveMoney(asking(1, wait_ms=10_000), Call()))  # type: ignore[arg-type]
        await house.keeper.numbered[0].wait()
        _, transferred = await house.keeper.start_transfer(b"t" * 16, 0, Leg(ALICE, USD, 1, 5))
        assert transferred is not None
        for shard, source in ((1, 1), (0, 2), (1, 2)):
            await house.send(shard, source, lost=False, skipped=False)
            while await house.shards[shard].publish():
                await house.post(shard, 1, lost)
        await transferred
        assert (await moved).move.state == ledger.MOVE_STATE_DONE
        assert not house.keeper._waiting

    tell(postgres, story)
