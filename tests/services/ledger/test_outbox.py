"""What the outbox says to the core, on the real Postgres; the core's end of the stream is ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import ORDER_ENTRY_SERVICE
from services.ledger.outbox import Outbox
from services.ledger.reader import Bookkeeper
from services.ledger.state import OUTSIDE_SOURCE, Leg
from services.runtime.choice import Choice
from services.runtime.config import PostgresConfig
from services.runtime.postgres import open_postgres
from services.runtime.rpc import raw_service, serve

USD, ALICE = 1, 1000
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


@pytest.mark.parametrize("status", [APPLIED, REPEATED], ids=["applied", "repeated"])
def test_what_the_core_has_already_does_not_hold_up_what_is_new(
    status: matching.BatchStatus, postgres: str, tmp_path: Path
) -> None:
    async def story() -> None:
        core = Core(status)
        address = f"unix:{tmp_path / 'core.sock'}"
        service = raw_service(ORDER_ENTRY_SERVICE, {"Submit": core.submit})
        pool = await open_postgres(PostgresConfig(address=SecretStr(postgres)), "ledger")
        keeper = Bookkeeper(pool)
        await keeper.open()
        await keeper.fund(bytes(16), 0, USD, 1_000)
        channel = Choice(address)
        outbox = Outbox(pool, channel, 0, keeper.numbered[0])
        running = [asyncio.create_task(each) for each in (serve(address, service), outbox.run())]
        try:
            async with asyncio.timeout(60):
                for number in (1, 2):
                    leg = Leg(ALICE, USD, 0, 400)
                    await keeper.start_transfer(bytes([number, *bytes(15)]), 0, leg)
                    while (heard := await core.heard.get()).number != number:
                        assert heard.number < number
                    assert (heard.source, heard.commands[0].credit.amount_minor) == (
                        OUTSIDE_SOURCE,
                        400,
                    )
            assert core.streams == 1, "what the core has is no reason to begin again"
        finally:
            for task in running:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await channel.close()
            await pool.close()

    asyncio.run(story())
