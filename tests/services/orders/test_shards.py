"""Several shards in one history: a reader and a place for each, and lists of all in one order."""

import asyncio
from collections.abc import Awaitable, Callable
from operator import attrgetter
from pathlib import Path

import grpc
import pytest
from pydantic import SecretStr

from bourse.orders import v1 as orders
from bourse.types import v1 as types
from services.orders.reader import OrdersReader
from services.orders.state import fill_rows
from services.runtime.clock import SystemClock
from services.runtime.config import PostgresConfig
from services.runtime.log import RolledBack
from services.runtime.memory_log import MemoryLog
from services.runtime.postgres import open_postgres
from services.runtime.readers import Readers
from tests.services.orders.test_history import Room, broken, room, told
from tests.services.shard import ALICE, BOB, Shard

Story = Callable[[Room, Shard, Shard], Awaitable[None]]


def two_shards() -> tuple[Shard, Shard]:
    """Their records come in turns, and their sequences and numbers are much the same."""
    first, second = Shard(), Shard(number=1)
    second.time_us += 500
    return first, second


def tell(dsn: str, folder: Path, story: Story) -> None:
    """Run a story on an empty history of two shards."""

    async def main() -> None:
        async with room(dsn, folder, MemoryLog(), shards=2) as running:
            await story(running, *two_shards())

    asyncio.run(asyncio.wait_for(main(), 60))


def orders_of(account: int, *shards: Shard) -> list[types.Order]:
    """The newest state of all orders of an account, the newest order first."""
    events = (event for shard in shards for record in shard.records for event in record.orders)
    newest = {event.order.order_id: event.order for event in events}
    own = [order for order in newest.values() if order.account == account]
    return sorted(own, key=attrgetter("created_us", "order_id"), reverse=True)


async def listed(running: Room, limit: int, instrument: int = 0) -> list[types.Order]:
    """All pages of Alice's orders, joined."""
    request = orders.ListOrdersRequest(account=ALICE, limit=limit, instrument=instrument)
    found: list[types.Order] = []
    while True:
        answer = await running.ask.ListOrders(request)
        found += answer.orders
        if not answer.next_page:
            return found
        request.page = answer.next_page


async def fills_listed(running: Room, limit: int) -> list[tuple[int, int, bool]]:
    """All pages of Alice's fills, joined: time, trade and side."""
    request = orders.ListFillsRequest(account=ALICE, limit=limit)
    found: list[tuple[int, int, bool]] = []
    while True:
        answer = await running.ask.ListFills(request)
        found += [(fill.time_us, fill.trade_id, fill.maker) for fill in answer.fills]
        if not answer.next_cursor:
            return found
        request.cursor = answer.next_cursor


def test_lists_are_of_all_shards_in_the_order_of_time(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, first: Shard, second: Shard) -> None:
        for shard in (first, second):
            shard.bustle(60, seed=shard.model.shard)
            await running.hear(shard)
        both = orders_of(ALICE, first, second)
        turns = [order.order_id % 1024 for order in both]
        assert turns != sorted(turns), "the shards' orders are mixed in time"
        assert await listed(running, 1000) == await listed(running, 7) == both
        assert await listed(running, 7, second.instrument) == orders_of(ALICE, second)
        rows = [*fill_rows(first.records), *fill_rows(second.records)]
        fills = sorted(((row[12], *row[1:3]) for row in rows if row[0] == ALICE), reverse=True)
        assert len(fills) > 20
        assert await fills_listed(running, 5) == fills

    tell(postgres, tmp_path, story)


def test_a_name_means_the_newest_order_of_any_shard(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, first: Shard, second: Shard) -> None:
        first.bustle(30)  # so its numbers are far above those of the other
        first.buy(ALICE, 1, 9_000, client_order_id="a")
        second.time_us = first.time_us
        newer = second.buy(ALICE, 2, 9_000, client_order_id="a")
        for shard in (first, second):
            await running.hear(shard)
        request = orders.GetOrderRequest(account=ALICE, client_order_id="a")
        assert (await running.ask.GetOrder(request)).order.order == newer

    tell(postgres, tmp_path, story)


def test_a_read_waits_for_each_shard_that_it_names(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, first: Shard, second: Shard) -> None:
        await running.hear(first)
        order = second.buy(BOB, 1, 9_000)
        named = types.ShardSequence(shard=1, sequence=second.sequence)
        late = orders.GetOrderRequest(
            account=BOB,
            order_id=order.order_id,
            after=[types.ShardSequence(sequence=first.sequence), named],
        )
        with pytest.raises(grpc.aio.AioRpcError) as lagging:
            await running.ask.GetOrder(late)
        assert lagging.value.details() == "lagging"
        waiting = running.ask.GetOrder(late)
        await second.publish(running.log)
        answer = await waiting
        assert answer.order.order == order
        assert [(at.shard, at.sequence) for at in answer.at] == [
            (0, first.sequence),
            (1, second.sequence),
        ]
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await running.ask.ListFills(orders.ListFillsRequest(account=BOB, after=[{"shard": 2}]))
        assert unknown.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert unknown.value.details() == "There is no shard 2: those here are 0 to 1."

    tell(postgres, tmp_path, story)


def test_a_check_is_of_the_shard_that_it_names(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, first: Shard, second: Shard) -> None:
        first.bustle(40)
        second.bustle(70, seed=2)
        for shard in (first, second):
            await running.hear(shard)
        for shard in (first, second):
            assert shard.open_orders()
            answer = await running.ask.StreamVerify(told(shard))
            assert [check.detail for check in answer.checks if not check.ok] == []
            assert answer.sequence == shard.sequence
            assert answer.trades == sum(len(record.trades) for record in shard.records)
        lost = second.open_orders()[0].order_id
        await running.pool.execute("delete from orders where order_id = $1", lost)
        assert await broken(running, first) == []
        [found] = await broken(running, second)
        assert f"order {lost} is open in the core" in found

    tell(postgres, tmp_path, story)


def test_each_shard_goes_on_from_its_own_place(postgres: str, tmp_path: Path) -> None:
    first, second = two_shards()
    first.bustle(40)
    second.bustle(60, seed=2)

    async def places(running: Room) -> list[tuple[int, int, int]]:
        status = await running.ask.GetStatus(orders.GetStatusRequest())
        return [(one.shard, one.sequence, one.next_offset) for one in status.places]

    async def main() -> None:
        log = MemoryLog()
        for counts in ((3, 0), (0, 17), (20, 30)):
            async with room(postgres, tmp_path, log, shards=2) as running:
                for shard, count, reader in zip(
                    (first, second), counts, running.readers, strict=True
                ):
                    await shard.publish(log, count)
                    end = await log.end(shard.topic)
                    sequence = shard.records[end - 1].first_sequence - 1 if end else 0
                    assert await reader.passed(sequence, 10)
        async with room(postgres, tmp_path, log, shards=2) as running:
            for shard in (first, second):
                await running.hear(shard)
                assert await broken(running, shard) == []
            assert await places(running) == [
                (0, first.sequence, len(first.records)),
                (1, second.sequence, len(second.records)),
            ]
            assert await listed(running, 1000) == orders_of(ALICE, first, second)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_house_that_gets_a_second_shard_keeps_its_history(postgres: str, tmp_path: Path) -> None:
    first, second = two_shards()
    first.bustle(20)
    second.bustle(20)

    async def main() -> None:
        log = MemoryLog()
        async with room(postgres, tmp_path, log) as running:
            await running.hear(first)
        async with room(postgres, tmp_path, log, shards=2) as running:
            await running.hear(second)
            assert await listed(running, 1000) == orders_of(ALICE, first, second)

    asyncio.run(asyncio.wait_for(main(), 60))


async def until_stopped(running: Room, shard: int) -> str:
    assert not await running.readers[shard].passed(2**62, 30)
    return running.readers[shard].stopped


async def refused(running: Room, shard: Shard) -> str:
    """What is said to whoever wants to read what a shard said last."""
    named = types.ShardSequence(shard=shard.model.shard, sequence=shard.sequence)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await running.ask.ListOrders(orders.ListOrdersRequest(account=ALICE, after=[named]))
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    return error.value.details() or ""


async def goes_on(running: Room, first: Shard, second: Shard) -> None:
    """The first shard does, and all that was known of the second is there."""
    first.buy(ALICE, 1, 9_000)
    await running.hear(first)
    newest = orders_of(ALICE, first)[0]
    assert (await listed(running, 1000, first.instrument))[0] == newest
    assert await listed(running, 1000, second.instrument)
    status = await running.ask.GetStatus(orders.GetStatusRequest())
    assert status.places[0].stopped == ""
    assert status.places[1].stopped == running.readers[1].stopped
    held = await running.readers[1].held()
    assert held.next_offset == status.places[1].next_offset > 0, "it keeps what it would need"


def test_a_gap_in_one_shard_stops_that_shard_alone(postgres: str, tmp_path: Path) -> None:
    first, second = two_shards()
    first.bustle(10)
    second.bustle(10, seed=2)

    async def main() -> None:
        log = MemoryLog()
        async with room(postgres, tmp_path, log, shards=2) as running:
            await running.hear(first)
            await running.hear(second)
            place = running.readers[1].reached()
            waiting = asyncio.create_task(running.readers[1].passed(second.sequence + 1, 30))
            second.tear()
            await second.publish(log)
            assert "Something between them is missing" in await until_stopped(running, 1)
            assert not await waiting
            assert running.readers[1].reached() == place
            assert await refused(running, second) == running.readers[1].stopped
            await goes_on(running, first, second)
        async with room(postgres, tmp_path, log, shards=2) as running:
            await until_stopped(running, 1)
            assert running.readers[1].reached() == place
            await goes_on(running, first, second)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_log_that_was_rolled_back_stops_its_shard_alone(postgres: str, tmp_path: Path) -> None:
    first, second = two_shards()
    first.bustle(10)
    second.bustle(10, seed=2)

    async def main() -> None:
        log = MemoryLog()
        async with room(postgres, tmp_path, log, shards=2) as running:
            await running.hear(first)
            await running.hear(second)
            place = running.readers[1].reached()
        log.roll_back(second.topic)
        async with room(postgres, tmp_path, log, shards=2) as running:
            assert "this log was rolled back" in running.readers[1].stopped
            assert running.readers[1].reached() == place
            second.buy(ALICE, 1, 9_000)
            await second.publish(log)
            assert await refused(running, second) == running.readers[1].stopped
            await goes_on(running, first, second)
        log.roll_back(first.topic)
        pool = await open_postgres(PostgresConfig(address=SecretStr(postgres)), "orders")
        every = [OrdersReader(log, shard.topic, pool, 0) for shard in (first, second)]
        async with pool:
            with pytest.raises(RolledBack):
                await Readers(log, SystemClock(), every).check(pool)

    asyncio.run(asyncio.wait_for(main(), 60))
