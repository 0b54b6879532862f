"""Matching as a process of its own, killed at places where it hurts, and started again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

import grpc
import pytest
from pydantic import SecretStr

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.runtime.config import LogConfig, PostgresConfig, run_folder
from services.runtime.lease import Lease
from services.runtime.lease_rows import PostgresLeaseRows
from services.runtime.postgres_log import open_postgres_log
from services.runtime.rpc import is_serving, open_channel
from tests.services.matching.rig import (
    ALICE,
    BOB,
    BTC,
    COMMANDS,
    USD,
    batch,
    buy,
    command,
    credit,
    events,
    market,
    published_keys,
    sell,
    tell,
)

ROOT: Final = Path(__file__).resolve().parents[3]
BATCHES: Final = 500
START_S: Final = 30.0


@contextmanager
def process(data: Path, dsn: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`python -m services.matching`. It is killed at the end, if it still runs."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}",
        "BOURSE_DATA": str(data),
        "BOURSE_POSTGRES_ADDRESS": dsn,
        "BOURSE_LOG_ADDRESS": dsn,
        **settings,
    }
    started = subprocess.Popen([sys.executable, "-m", "services.matching"], env=environment)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


class Shard:
    """The far end of a process: one that may go away at any time."""

    def __init__(self, data: Path) -> None:
        self.channel = open_channel(f"unix:{run_folder(data) / 'matching'}.sock")
        self.stub = rpc.MatchingServiceStub(self.channel)
        self.submit: grpc.aio.StreamStreamMultiCallable[bytes, matching.SubmitResponse]
        self.submit = self.channel.stream_stream(
            f"/{rpc.ORDER_ENTRY_SERVICE}/Submit",
            response_deserializer=matching.SubmitResponse.FromString,
        )

    async def serving(self) -> None:
        for _ in range(int(START_S / 0.05)):
            if await is_serving(self.channel):
                return
            await asyncio.sleep(0.05)
        raise TimeoutError("matching does not serve")

    async def leading(self) -> None:
        """Wait until the process publishes: the one before it may have died with the lease."""
        while not (await self.stub.GetStatus(matching.GetStatusRequest())).leader:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def ask(self, batches: list[bytes]) -> list[matching.SubmitResponse]:
        """The answers to batches, as far as they came."""
        answers: list[matching.SubmitResponse] = []
        call = self.submit()
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            for each in batches:
                await call.write(each)
                answer = await call.read()
                if not isinstance(answer, matching.SubmitResponse):
                    break
                answers.append(answer)
            await call.done_writing()
        return answers


def _orders(session: int, number: int) -> bytes:
    return batch(session, number, sell(ALICE, 2, 100 + number % 5), buy(BOB, 1, 102))


async def _open(shard: Shard) -> int:
    (opened,) = await shard.ask([batch(0, 0, command(open_session=matching.OpenSession()))])
    session = opened.outcomes[0].created_id
    money = [credit(account, asset, 10**12) for account in (ALICE, BOB) for asset in (USD, BTC)]
    made = await shard.ask([batch(session, 1, *market()), batch(0, 1, *money, source=1)])
    assert [answer.status for answer in made] == [matching.BATCH_STATUS_APPLIED] * 2
    return session


async def _check(shard: Shard, dsn: str, answered: int) -> None:
    """Everything acknowledged is there, nothing is there twice, and all invariants hold."""
    found = [one async for one in shard.stub.StreamVerify(matching.StreamVerifyRequest())]
    assert found[0].piece.broken == ""
    log = await open_postgres_log(LogConfig(address=SecretStr(dsn)))
    try:
        commands, keys = await log.end(COMMANDS), await published_keys(log)
        for _ in range(200):
            if keys and keys[-1].command_offset >= commands - 1:
                break
            await asyncio.sleep(0.05)
            keys = await published_keys(log)
        assert sorted({key.command_offset for key in keys}) == list(range(len(keys)))
        parts = {(record.command_offset, record.part): record for record in await events(log)}
        marks = [mark for _, record in sorted(parts.items()) for mark in record.batches]
        assert [mark.number for mark in marks if mark.session] == list(range(1, answered + 1))
    finally:
        await log.close()


@asynccontextmanager
async def _another_leads(dsn: str) -> AsyncIterator[None]:
    """Hold the shard's lease, and publish nothing."""
    held = asyncio.Event()
    rows = PostgresLeaseRows(PostgresConfig(address=SecretStr(dsn)))
    lease = Lease(rows, "matching.0", "another")
    keeping = asyncio.create_task(lease.keep(lambda _: held.set()))
    try:
        await held.wait()
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


@pytest.mark.parametrize(
    "place",
    [
        "matching.after_append:9",
        "matching.before_publish:5",
        "matching.after_publish:5",
        "matching.snapshot_before_publish:2",
    ],
)
def test_what_was_acknowledged_survives_a_kill(place: str, postgres: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = {"BOURSE_MATCHING_SNAPSHOT_RECORDS": "5"}
        shard = Shard(tmp_path)
        # Where nobody leads nothing is published, so a snapshot is ahead of its events for certain.
        others_lead = _another_leads(postgres) if "snapshot" in place else nullcontext()
        # A slow start passes the place by ticks alone, so the money is there from another start.
        with process(tmp_path, postgres, **settings):
            await shard.serving()
            session = await _open(shard)
        async with others_lead:
            with process(tmp_path, postgres, BOURSE_CRASH_AT=place, **settings) as killed:
                await shard.serving()
                if "publish:" in place and "snapshot" not in place:
                    await shard.leading()
                orders = [_orders(session, number) for number in range(2, BATCHES)]
                answers = await shard.ask(orders)
                assert await asyncio.to_thread(killed.wait, START_S) == -signal.SIGKILL
                assert len(answers) < len(orders)
        with process(tmp_path, postgres, **settings):
            await shard.serving()
            known = answers[-2:]
            again = await shard.ask(orders[len(answers) - len(known) :])
            statuses = [answer.status for answer in again]
            repeated, applied = matching.BATCH_STATUS_REPEATED, matching.BATCH_STATUS_APPLIED
            assert statuses[: len(known)] == [repeated] * len(known)
            assert [each.outcomes for each in known] == [
                each.outcomes for each in again[: len(known)]
            ]
            # What was not acknowledged may have been applied all the same, but only up to a point.
            assert set(statuses) <= {repeated, applied}
            assert statuses == sorted(statuses, reverse=True)
            await _check(shard, postgres, BATCHES - 1)
        await shard.channel.close()

    tell(story())


def test_an_orderly_stop_leaves_a_snapshot_and_nothing_unpublished(
    postgres: str, tmp_path: Path
) -> None:
    async def story() -> None:
        shard = Shard(tmp_path)
        with process(tmp_path, postgres) as first:
            await shard.serving()
            session = await _open(shard)
            await shard.ask([_orders(session, number) for number in range(2, 10)])
            # Streams that others keep open do not keep it from stopping.
            idle = shard.submit()
            watch = shard.stub.WatchMarkets(matching.WatchMarketsRequest())
            first.terminate()
            assert await asyncio.to_thread(first.wait, START_S) == 0
            idle.cancel()
            watch.cancel()
        assert len(list((tmp_path / "snapshots" / "0").glob("*.snapshot"))) == 1
        with process(tmp_path, postgres):
            await shard.serving()
            status = await shard.stub.GetStatus(matching.GetStatusRequest())
            assert status.snapshot_offset > 0
            await _check(shard, postgres, 9)
        await shard.channel.close()

    tell(story())


def test_time_goes_on_in_an_idle_shard(postgres: str, tmp_path: Path) -> None:
    async def story() -> None:
        shard = Shard(tmp_path)
        with process(tmp_path, postgres):
            await shard.serving()
            clocks_us: set[int] = set()
            for _ in range(200):
                status = await shard.stub.GetStatus(matching.GetStatusRequest())
                clocks_us.add(status.clock_us)
                if len(clocks_us) > 2:
                    break
                await asyncio.sleep(0.05)
            assert (status.leader, status.sequence) == (True, 0)
            assert status.next_offset >= 2
        await shard.channel.close()

    tell(story())


def test_two_on_one_socket_get_a_sentence(postgres: str, tmp_path: Path) -> None:
    async def story() -> None:
        shard = Shard(tmp_path)
        with process(tmp_path, postgres):
            await shard.serving()
            with process(tmp_path, postgres) as second:
                assert await asyncio.to_thread(second.wait, START_S) == 1
            await shard.serving()
        await shard.channel.close()

    tell(story())
