"""Money between shards: the life of a move, what is asked and refused, what is between at a cut."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from services.ledger import store
from services.ledger.outbox import batch
from services.ledger.reader import Bookkeeper, LedgerReader
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
from services.runtime import postgres as house_of_tables
from services.runtime.config import PostgresConfig
from services.runtime.log import events_topic
from services.runtime.place import WriterReplaced
from services.runtime.postgres import Pool, migrate, open_postgres
from tests.house.tree import ROOT
from tests.services.ledger.two_shards import RICH, Call, House, Refused
from tests.services.matching.rig import ALICE, BOB, BTC, USD, cancel_all
from tests.services.shard import START_US

MOVE = Move(bytes(16), ALICE, USD, 400, from_shard=0, to_shard=1)
REFUSAL = int(matching.REFUSAL_INSUFFICIENT_BALANCE)

Story = Callable[[House], Awaitable[None]]


def tell(dsn: str, story: Story) -> None:
    """Run a story in a house where Alice and Bob are rich in both shards."""

    async def main() -> None:
        async with asyncio.timeout(60):
            pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), "ledger")
            house = House(pool)
            await house.open()
            await story(house)
            await pool.close()

    asyncio.run(main())


def asking(number: int, amount: int = 400, **more: Any) -> ledger.MoveMoneyRequest:
    """Alice's USD from shard 0 to shard 1, unless `more` says otherwise."""
    request = ledger.MoveMoneyRequest(
        request_id=number.to_bytes(16),
        account=ALICE,
        asset=USD,
        amount_minor=amount,
        from_shard=0,
        to_shard=1,
    )
    for name, value in more.items():
        setattr(request, name, value)
    return request


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
        with pytest.raises(Refused, match=r"UNAVAILABLE: .* of shard 1: they differ"):
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


# --- Several shards -------------------------------------------------------------------------


def test_a_shard_that_differs_stops_alone(postgres: str) -> None:
    async def story(house: House) -> None:
        readers = [LedgerReader(house.log, shard, house.keeper, 0) for shard in (0, 1)]
        running = [asyncio.create_task(reader.run()) for reader in readers]
        wrong = matching.EventRecord(shard=1, command_offset=len(house.shards[1].states) - 1)
        wrong.last, wrong.balance_hash = True, 7
        await house.log.append(events_topic(1), [wrong.SerializeToString()], clock_us=START_US)
        assert not await house.keeper.passed(99, 1)
        house.shards[0].order(cancel_all(BOB))
        await house.shards[0].publish()
        assert await house.keeper.passed(house.shards[0].states[-1].sequence)
        status = await house.server.GetStatus(ledger.GetStatusRequest(), Call())  # type: ignore[arg-type]
        assert status.stopped == status.shards[0].stopped == ""
        assert "balance hash is 0000000000000007" in status.shards[1].stopped
        assert status.shards[1].place.lag_records == 1
        assert status.shards[0].place.next_offset == status.next_offset
        for shard in house.shards:
            said = status.shards[shard.number].balance_hash
            assert said == shard.core.facts().balance_hash
        for task in running:
            task.cancel()
        await asyncio.wait(running)

    tell(postgres, story)


def test_a_new_writer_replaces_the_old_one_in_all_shards(postgres: str) -> None:
    async def story(house: House) -> None:
        old = house.keeper
        house.shards[1].order(cancel_all(BOB))
        await house.shards[1].publish()
        await house.start()
        house.keeper, new = old, house.keeper
        for shard in (0, 1):
            with pytest.raises(WriterReplaced, match="Another process"):
                async with old.draft(shard):
                    raise AssertionError("it may not write")
        house.keeper = new
        assert await house.post(1, 1)

    tell(postgres, story)


def test_money_that_no_shard_takes_is_offered_again_until_it_is_home(postgres: str) -> None:
    async def story(house: House) -> None:
        await house.ask(asking(1), None)
        skipped = {1: 1, 0: 2}
        await house.send(0, 2, lost=False, skipped=False)
        for shard, times in skipped.items():
            for _ in range(times):
                await hear(house)
                await house.keeper.offer_again(0)
                assert await house.send(shard, 2, lost=False, skipped=True)
        await hear(house)
        assert not await house.send(0, 2, lost=False, skipped=False), "not at once"
        status = await house.server.GetStatus(ledger.GetStatusRequest(), Call())  # type: ignore[arg-type]
        assert status.moves_under_way == 1
        await house.start()
        await house.settle()
        move = await house.ask(asking(1), None)
        assert move.state == ledger.MOVE_STATE_RETURNED
        assert move.refusal == matching.REFUSAL_ENGINE_REFUSED
        assert house.shards[0].states[-1].totals[ALICE, USD] == RICH
        assert await house.broken() == []

    async def hear(house: House) -> None:
        for shard in house.shards:
            while await shard.publish():
                await house.post(shard.number, 1)

    tell(postgres, story)


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("update move set state = 2 where state = 3", "transit is what is between the shards"),
        ("update outbox set number = 9 where source = 2 and shard = 1", "the outbox has no gaps"),
    ],
)
def test_a_check_finds_what_does_not_fit(postgres: str, tampering: str, found: str) -> None:
    async def story(house: House) -> None:
        await house.ask(asking(1), None)
        await house.settle()
        await house.pool.execute(tampering)
        assert {line.partition(":")[0] for line in await house.broken()} == {found}

    tell(postgres, story)


def test_a_core_that_moves_what_nobody_asked_stops_the_books(postgres: str) -> None:
    async def story(house: House) -> None:
        request = matching.SubmitRequest(source=2, number=1)
        command = request.commands.add(request_id=bytes(16), account=ALICE)
        command.debit.asset, command.debit.amount_minor = USD, 5
        house.shards[0].submit(request)
        await house.shards[0].publish()
        with pytest.raises(Broken, match="Shard 0 has moved number 1, which nothing asked for"):
            await house.post(0, 1)

    tell(postgres, story)


def test_an_outbox_of_before_is_of_the_first_source(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill() -> None:
        connection = await asyncpg.connect(postgres)
        await migrate(connection, "ledger")
        for number in (1, 2):
            await connection.execute(
                "insert into outbox values ($1, $2, 0, 1000, 1, 5, $3, 0, 7, 9)",
                number,
                bytes([number] * 16),
                number,
            )
        await connection.close()

    folder = tmp_path / "ledger" / "migrations"
    folder.mkdir(parents=True)
    for file in sorted((ROOT / "services/ledger/migrations").glob("000[123]_*.sql")):
        shutil.copy(file, folder)
    with monkeypatch.context() as patch:
        patch.setattr(house_of_tables, "_SERVICES", tmp_path)
        asyncio.run(fill())

    async def story(pool: Pool) -> None:
        keeper = Bookkeeper(pool, 2)
        await keeper.open()
        async with pool.acquire() as connection:
            (waiting,) = await store.under_way(connection, 1, 0, 1, 9)
            assert waiting[:3] == (1, 0, 1)
            assert waiting.valid_until_us == 0
            assert await store.transfer(connection, bytes([2] * 16)) is not None
        more, _ = await keeper.start_transfer(b"x" * 16, 0, Leg(ALICE, USD, 0, -1))
        other, _ = await keeper.start_transfer(b"y" * 16, 0, Leg(ALICE, USD, 1, -1))
        assert (more.number, other.number) == (3, 1)

    async def opened() -> None:
        pool = await open_postgres(PostgresConfig(address=SecretStr(postgres)), "ledger")
        await story(pool)
        await pool.close()

    asyncio.run(opened())
