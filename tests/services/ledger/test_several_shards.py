"""Several shards under one ledger: each stops alone, all have one writer, all money comes home."""

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.ledger import store
from services.ledger.reader import Bookkeeper, LedgerReader, bring_home
from services.ledger.state import TREASURY, Broken, Leg
from services.runtime import postgres as house_of_tables
from services.runtime.clock import SystemClock
from services.runtime.config import PostgresConfig
from services.runtime.log import events_topic
from services.runtime.place import WriterReplaced
from services.runtime.postgres import Pool, migrate, open_postgres
from tests.house.tree import ROOT
from tests.services.ledger.two_shards import (
    MINUTES_US,
    RICH,
    Call,
    House,
    Refused,
    asking,
    tell,
)
from tests.services.matching.rig import ALICE, BOB, USD, cancel_all
from tests.services.shard import START_US


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
        first, second = (books.place for books in status.shards)
        assert first.stopped == ""
        assert "balance hash is 0000000000000007" in second.stopped
        assert (first.lag_records, second.lag_records) == (0, 1)
        for shard in house.shards:
            said = status.shards[shard.number].balance_hash
            assert said == shard.core.facts().balance_hash
        for task in running:
            task.cancel()
        await asyncio.wait(running)

    tell(postgres, story)


def test_what_is_posted_waits_for_no_question(postgres: str) -> None:
    """However many ask at once what is between the shards, and however long that takes."""

    async def story(house: House) -> None:
        at = [types.ShardSequence(shard=shard) for shard in (0, 1)]
        asked = ledger.GetTransitRequest(account=ALICE, at=at)
        other = await asyncpg.connect(postgres)
        async with asyncio.timeout(30):
            async with other.transaction():
                await other.execute("lock table ledger.move in access exclusive mode")
                asking = [
                    asyncio.create_task(house.server.GetTransit(asked, Call()))  # type: ignore[arg-type]
                    for _ in range(20)
                ]
                # All of them are on their way before the money comes.
                await asyncio.sleep(0.1)
                posted = await house.keeper.fund(bytes([9] * 16), 0, USD, 7)
                assert posted == house.keeper.books.posted(TREASURY, USD)
                assert not any(each.done() for each in asking)
            assert len(await asyncio.gather(*asking)) == 20
        await other.close()

    tell(postgres, story)


@pytest.mark.parametrize("stopped", [0, 1])
def test_no_money_begins_to_move_where_nothing_is_posted(postgres: str, stopped: int) -> None:
    async def story(house: House) -> None:
        await house.ask(asking(1), None)
        await house.keeper.stop(stopped, "it differs")
        said = f"FAILED_PRECONDITION: posting_stopped: nothing of shard {stopped} is posted"
        with pytest.raises(Refused, match=said):
            await house.ask(asking(2), None)
        assert await house.pool.fetchval("select count(*) from move") == 1
        known = await house.ask(asking(1), None)
        assert known.state == ledger.MOVE_STATE_ASKED, "what has begun is told as it stands"

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


class Leaps(SystemClock):
    """It is minutes later whenever somebody looks."""

    def __init__(self) -> None:
        self._leapt_us = 0

    def now_us(self) -> int:
        self._leapt_us += MINUTES_US
        return super().now_us() + self._leapt_us


async def offered(house: House, shard: int) -> None:
    """Somebody else sees to it, after a pause."""
    home = asyncio.create_task(bring_home(house.keeper, Leaps()))
    while not await house.lines[shard, 2].next():
        await house.keeper.numbered[shard].wait()
        house.keeper.numbered[shard].clear()
    home.cancel()
    await asyncio.wait([home])


async def hear(house: House) -> None:
    """The ledger hears all that the cores have said."""
    for shard in house.shards:
        while await shard.publish():
            await house.post(shard.number, 1)


def test_money_that_no_shard_takes_is_offered_again_until_it_is_home(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ledger.reader.LOOK_HOME_S", 0.01)

    async def story(house: House) -> None:
        await house.ask(asking(1), None)
        skipped = {1: 1, 0: 2}
        await house.send(0, 2, lost=False, skipped=False)
        for shard, times in skipped.items():
            for _ in range(times):
                await hear(house)
                await offered(house, shard)
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

    tell(postgres, story)


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("update move set state = 2 where state = 3", "transit is what is between the shards"),
        # Of an asset that was never there, so that no balance of it is.
        ("update move set state = 2, asset = 77", "transit is what is between the shards"),
        (
            "update outbox set state = 1, asset = 77 where (source, shard, number) = (1, 0, 1)",
            "clearing is what is under way",
        ),
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


async def fill(dsn: str) -> None:
    """An outbox as it was before there were sources."""
    connection = await asyncpg.connect(dsn)
    await migrate(connection, "ledger")
    for number in (1, 2):
        await connection.execute(
            "insert into outbox values ($1, $2, 0, 1000, 1, 5, $3, 0, 7, 9)",
            number,
            bytes([number] * 16),
            number,
        )
    await connection.close()


def test_an_outbox_of_before_is_of_the_first_source(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ledger" / "migrations"
    folder.mkdir(parents=True)
    for file in sorted((ROOT / "services/ledger/migrations").glob("000[123]_*.sql")):
        shutil.copy(file, folder)
    with monkeypatch.context() as patch:
        patch.setattr(house_of_tables, "_SERVICES", tmp_path)
        asyncio.run(fill(postgres))

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
