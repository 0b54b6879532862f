"""A shard behind gRPC: order entry as a stream of bytes, and what it can be asked."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from pydantic import SecretStr

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from bourse.types import v1 as types
from services.matching.server import Matching, OrderEntry
from services.runtime.config import PostgresConfig
from services.runtime.lease import Lease
from services.runtime.lease_rows import PostgresLeaseRows
from services.runtime.memory_log import MemoryLog
from services.runtime.rpc import is_serving, open_channel, raw_service, serve, service
from tests.services.matching.rig import (
    ALICE,
    BOB,
    BTC,
    USD,
    Running,
    batch,
    buy,
    cancel_all,
    command,
    open_market,
    running,
    sell,
    tell,
)


class Client:
    """What another room has of a shard: its stub, and a stream for orders."""

    def __init__(self, channel: grpc.aio.Channel, shard: Running) -> None:
        self.channel = channel
        self.shard = shard
        self.stub = rpc.MatchingServiceStub(channel)
        self.submit: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
            f"/{rpc.ORDER_ENTRY_SERVICE}/Submit"
        )

    async def ask(self, *batches: bytes) -> list[matching.SubmitResponse]:
        async def sent() -> AsyncIterator[bytes]:
            for each in batches:
                yield each

        return [matching.SubmitResponse.FromString(answer) async for answer in self.submit(sent())]


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[Client]:
    """A shard on a socket, its log in memory; its lease is not asked for."""
    rows = PostgresLeaseRows(PostgresConfig(address=SecretStr("postgresql://")))
    lease = Lease(rows, "m", uuid.uuid4().hex)
    async with running(MemoryLog(), tmp_path) as shard:
        entry = OrderEntry(shard.sequencer)
        asked = Matching(shard.replica, shard.sequencer, shard.publisher, lease)
        services = (
            raw_service(rpc.ORDER_ENTRY_SERVICE, {"Submit": entry.Submit}),
            service(rpc.MATCHING_SERVICE, rpc.add_MatchingServiceServicer_to_server, asked),
        )
        address = f"unix:{tmp_path}/m.sock"
        serving = asyncio.create_task(serve(address, *services))
        try:
            async with open_channel(address) as channel:
                await channel.channel_ready()
                yield Client(channel, shard)
                shard.replica.close()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def test_batches_go_through_a_stream_and_come_back_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as client:
            session = await open_market(client.shard)
            numbers = range(2, 202)
            answers = await client.ask(
                *(batch(session, number, sell(ALICE, 1, 100)) for number in numbers)
            )
            assert [answer.number for answer in answers] == list(numbers)
            assert {answer.status for answer in answers} == {matching.BATCH_STATUS_APPLIED}
            (garbage,) = await client.ask(b"garbage")
            assert garbage.status == matching.BATCH_STATUS_MALFORMED
            status = await client.stub.GetStatus(matching.GetStatusRequest())
            assert (status.malformed_batches, status.open_orders) == (1, 200)
            assert status.leader

    tell(story())


def test_a_stream_that_is_lost_may_be_taken_up_by_another(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as client:
            session = await open_market(client.shard)
            order = batch(session, 2, sell(ALICE, 1, 100))
            lost = client.submit()
            await lost.write(order)
            await lost.read()
            lost.cancel()
            (again,) = await client.ask(order)
            assert again.status == matching.BATCH_STATUS_REPEATED

    tell(story())


def test_questions_see_what_was_answered(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as client:
            session = await open_market(client.shard)
            stub = client.stub
            (answer,) = await client.ask(
                batch(session, 2, sell(ALICE, 5, 100, name="a"), buy(BOB, 2, 100))
            )
            after = answer.first_sequence + 1
            order = await stub.GetOrder(
                matching.GetOrderRequest(account=ALICE, client_order_id="a", after_sequence=after)
            )
            assert (order.found, order.order.remaining_lots, order.sequence) == (True, 3, after)
            by_id = await stub.GetOrder(
                matching.GetOrderRequest(account=ALICE, order_id=order.order.order_id)
            )
            assert by_id.order == order.order
            listed = await stub.ListOpenOrders(matching.ListOpenOrdersRequest(account=ALICE))
            assert list(listed.orders) == [order.order]
            balances = await stub.GetBalances(matching.GetBalancesRequest(account=BOB))
            assert [balance.asset for balance in balances.balances] == [USD, BTC]
            account = await stub.GetAccount(matching.GetAccountRequest(account=BOB))
            assert (account.fee_tier, account.suspended) == (0, False)
            depth = await stub.GetDepth(matching.GetDepthRequest(instrument=1024))
            assert [(level.price_ticks, level.lots) for level in depth.asks] == [(100, 3)]
            assert not depth.bids

    tell(story())


def test_a_question_about_the_future_is_unavailable(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as client:
            request = matching.GetBalancesRequest(account=BOB, after_sequence=1_000_000)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await client.stub.GetBalances(request)
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
            assert "before 1000000" in (refused.value.details() or "")

    tell(story())


def test_a_replica_that_has_lost_sight_of_the_end_is_unavailable(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as client:
            for task in client.shard.tasks:
                task.cancel()
            client.shard.replica.progress.fresh_at_us -= 1_000_000
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await client.stub.GetDepth(matching.GetDepthRequest(instrument=1024))
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
            assert "is behind the log's end" in (refused.value.details() or "")

    tell(story())


def test_a_question_waits_for_what_it_wants_to_see(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as client:
            session = await open_market(client.shard)
            wanted = client.shard.replica.facts.sequence + 1
            request = matching.GetBalancesRequest(account=ALICE, after_sequence=wanted)
            asked = asyncio.ensure_future(client.stub.GetBalances(request))
            await client.ask(batch(session, 2, sell(ALICE, 1, 100)))
            assert (await asked).sequence >= wanted

    tell(story())


def test_markets_are_told_at_once_and_after_each_change(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as client:
            watch = aiter(client.stub.WatchMarkets(matching.WatchMarketsRequest()))
            told = await anext(watch)
            assert not told.assets
            session = await open_market(client.shard)
            while not told.instruments:
                told = await anext(watch)
            assert [asset.code for asset in told.assets] == ["USD", "BTC"]
            halt = matching.SetPhase(instrument=1024, phase=types.PHASE_HALT)
            await client.ask(batch(session, 2, command(set_phase=halt)))
            while told.instruments[0].phase != types.PHASE_HALT:
                told = await anext(watch)

    tell(story())


def test_a_shard_verifies_itself_and_takes_a_snapshot(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as client:
            session = await open_market(client.shard)
            await client.ask(batch(session, 2, sell(ALICE, 5, 100), buy(BOB, 2, 100)))
            told = client.stub.StreamVerify(matching.StreamVerifyRequest())
            [found] = [response.piece async for response in told]
            status = await client.stub.GetStatus(matching.GetStatusRequest())
            assert found.broken == ""
            assert found.balance_hash == status.balance_hash
            assert len(found.orders) == 1
            taken = await client.stub.TakeSnapshot(matching.TakeSnapshotRequest())
            assert taken.command_offset == status.next_offset - 1
            assert taken.state_hash == status.state_hash
            assert list((tmp_path / "snapshots" / "0").glob("*.snapshot"))

    tell(story())


def test_a_check_of_many_orders_comes_in_pieces_that_every_channel_takes(tmp_path: Path) -> None:
    """However many there are: no message grows with them."""

    async def story() -> None:
        async with served(tmp_path) as client:
            session = await open_market(client.shard)
            for number in range(2, 8):
                orders = [buy(ALICE, 1, 1 + place) for place in range(500)]
                await client.ask(batch(session, number, *orders))
            narrow = [("grpc.max_receive_message_length", 66_000)]
            address = f"unix:{tmp_path}/m.sock"
            async with grpc.aio.insecure_channel(address, options=narrow) as channel:
                stub = rpc.MatchingServiceStub(channel)
                told = stub.StreamVerify(matching.StreamVerifyRequest())
                pieces = [response.piece async for response in told]
            assert len(pieces) > 2
            assert {piece.sequence for piece in pieces[1:]} == {0}, "the first says it"
            ids = [order.order_id for piece in pieces for order in piece.orders]
            assert ids == sorted(set(ids))
            assert len(ids) == 3_000

    tell(story())


def test_an_empty_shard_has_no_snapshot_to_give(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as client:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await client.stub.TakeSnapshot(matching.TakeSnapshotRequest())
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE

    tell(story())


def test_a_snapshot_that_cannot_be_kept_is_refused_in_a_sentence(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as client:
            await open_market(client.shard)
            (tmp_path / "snapshots").write_text("a file")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await client.stub.TakeSnapshot(matching.TakeSnapshotRequest())
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
            assert (refused.value.details() or "").startswith("No snapshot was taken: ")
            assert client.shard.replica.progress.snapshot_next_offset == 0, "it stays due"

    tell(story())


def test_health_speaks_for_both_services(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as client:
            for name in ("", rpc.ORDER_ENTRY_SERVICE, rpc.MATCHING_SERVICE):
                assert await is_serving(client.channel, name)
            session = await open_market(client.shard)
            assert await client.ask(batch(session, 2, cancel_all(ALICE)))

    tell(story())
