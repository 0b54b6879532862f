"""What the outbox says to the core, on the real Postgres; the core's end of the stream is ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import ORDER_ENTRY_SERVICE
from services.ledger.outbox import Outbox
from services.ledger.reader import Bookkeeper
from services.ledger.state import BETWEEN_SOURCE, OUTSIDE_SOURCE, SOURCES, Leg, Move
from services.ledger.store import Asking, enqueue
from services.runtime.choice import Choice
from services.runtime.config import PostgresConfig
from services.runtime.postgres import open_postgres
from services.runtime.rpc import raw_service, serve

USD, ALICE = 1, 1000
READS = "select count(*) from pg_locks where relation = 'ledger.outbox'::regclass and not granted"
APPLIED, REPEATED = matching.BATCH_STATUS_APPLIED, matching.BATCH_STATUS_REPEATED


class Core:
    """Takes every batch with the same status, and notes what came on which stream."""

    def __init__(self, status: matching.BatchStatus) -> None:
        self.status = status
        self.streams = 0
        self.heard: asyncio.Queue[matching.SubmitRequest] = asyncio.Queue()

    async def submit(
        self, requests: AsyncIterator[bytes], _context: object
    ) -> AsyncIterator[bytes]:
        self.streams += 1
        async for encoded in requests:
            request = matching.SubmitRequest.FromString(encoded)
            self.heard.put_nowait(request)
            answer = matching.SubmitResponse(
                source=request.source, number=request.number, status=self.status
            )
            yield answer.SerializeToString()


@asynccontextmanager
async def sending(dsn: str, folder: Path, core: Core, shard: int = 0) -> AsyncIterator[Bookkeeper]:
    """The books of two shards, and the outbox of one, which talks to this core."""
    address = f"unix:{folder / 'core.sock'}"
    service = raw_service(ORDER_ENTRY_SERVICE, {"Submit": core.submit})
    pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), "ledger")
    keeper, channel = Bookkeeper(pool, 2), Choice(address)
    await keeper.open()
    await keeper.fund(bytes(16), 0, USD, 1_000)
    is_posted = partial(keeper.is_posted, shard)
    outbox = Outbox(pool, channel, shard, keeper.numbered[shard], is_posted)
    running = [asyncio.create_task(each) for each in (serve(address, service), outbox.run())]
    try:
        async with asyncio.timeout(60):
            yield keeper
    finally:
        for task in reversed(running):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await channel.close()
        await pool.close()


def test_what_was_being_read_as_the_posting_stopped_is_not_sent(
    postgres: str, tmp_path: Path
) -> None:
    async def story() -> None:
        core = Core(APPLIED)
        async with sending(postgres, tmp_path, core) as keeper:
            other = await asyncpg.connect(postgres)
            async with other.transaction():
                await other.execute("set local search_path to ledger")
                await other.execute("lock table outbox in access exclusive mode")
                leg = Leg(ALICE, USD, 0, 400)
                # Whichever of the two is being read then finds something to send.
                both = [Asking(source, bytes([source] * 16), leg) for source in SOURCES]
                await enqueue(other, both, 0)
                while True:
                    await asyncio.sleep(0.01)
                    if await other.fetchval(READS):
                        break
                await keeper.stop(0, "its log was rolled back")
            await other.close()
            await asyncio.sleep(0.3)
            assert core.heard.empty()

    asyncio.run(story())


@pytest.mark.parametrize("status", [APPLIED, REPEATED], ids=["applied", "repeated"])
def test_what_the_core_has_already_does_not_hold_up_what_is_new(
    status: matching.BatchStatus, postgres: str, tmp_path: Path
) -> None:
    async def story() -> None:
        core = Core(status)
        async with sending(postgres, tmp_path, core) as keeper:
            for number in (1, 2):
                leg = Leg(ALICE, USD, 0, 400)
                await keeper.start_transfer(bytes([number, *bytes(15)]), 0, leg)
                while (heard := await core.heard.get()).number != number:
                    assert heard.number < number
                assert heard.source == OUTSIDE_SOURCE
                assert heard.commands[0].credit.amount_minor == 400
            assert core.streams == 1, "what the core has is no reason to begin again"

    asyncio.run(story())


def test_both_sources_travel_on_the_stream_of_their_shard(postgres: str, tmp_path: Path) -> None:
    async def story() -> None:
        core = Core(APPLIED)
        async with sending(postgres, tmp_path, core, shard=1) as keeper:
            for number in (1, 2, 3):
                request_id = bytes([number, *bytes(15)])
                shard = number % 2
                await keeper.start_transfer(request_id, 0, Leg(ALICE, USD, shard, number))
                await keeper.start_move(
                    Move(request_id, ALICE, USD, number, shard, 1 - shard), 0, 0
                )
            said: set[tuple[int, int, int]] = set()
            while len(said) < 4:
                heard = await core.heard.get()
                for number, command in enumerate(heard.commands, heard.number):
                    amount = command.credit.amount_minor - command.debit.amount_minor
                    said.add((heard.source, number, amount))
            assert said == {
                (OUTSIDE_SOURCE, 1, 1),
                (OUTSIDE_SOURCE, 2, 3),
                (BETWEEN_SOURCE, 1, -1),
                (BETWEEN_SOURCE, 2, -3),
            }
            assert core.streams == 1

    asyncio.run(story())


def test_nothing_is_sent_to_a_shard_that_is_not_posted_any_more(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its core may have lost what it had, and would take again what went to it before."""
    monkeypatch.setattr("services.ledger.outbox._AGAIN_S", 0.01)

    async def story() -> None:
        core = Core(APPLIED)
        async with sending(postgres, tmp_path, core) as keeper:
            await keeper.start_transfer(bytes(16), 0, Leg(ALICE, USD, 0, 400))
            for _ in range(3):
                assert (await core.heard.get()).number == 1, "it is asked until its event comes"
            await keeper.stop(0, "its log was rolled back")
            more = Asking(OUTSIDE_SOURCE, bytes([1] * 16), Leg(ALICE, USD, 0, 400))
            async with keeper.draft() as (_, tx):
                await enqueue(tx, [more], 0)
            keeper.numbered[0].set()
            await asyncio.sleep(0.3)  # it would have been sent thirty times
            assert {core.heard.get_nowait().number for _ in range(core.heard.qsize())} <= {1}

    asyncio.run(story())
