"""History, on the real Postgres and over gRPC: what events leave, what is answered and found."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from pydantic import SecretStr

from bourse.matching.v1 import EventRecord
from bourse.orders import v1 as orders
from bourse.orders.v1 import rpc
from bourse.types import v1 as types
from services.domain.sequences import known_up_to
from services.orders import checks, store
from services.orders.config import OrdersConfig
from services.orders.reader import OrdersReader
from services.orders.server import Orders
from services.runtime.clock import SystemClock
from services.runtime.config import PostgresConfig
from services.runtime.events import GapInEvents
from services.runtime.log import events_topic
from services.runtime.memory_log import MemoryLog
from services.runtime.place import WriterReplaced
from services.runtime.postgres import Pool, open_postgres
from services.runtime.readers import Readers
from services.runtime.rpc import open_channel, serve, service
from tests.services.shard import ALICE, BOB, BTC_USD, CAROL, TOPIC, Shard, in_parts


class Room:
    """A running orders room and a channel to it."""

    def __init__(
        self, log: MemoryLog, pool: Pool, readers: Sequence[OrdersReader], ask: "Stub"
    ) -> None:
        self.log = log
        self.pool = pool
        self.readers = readers
        self.reader = readers[0]
        self.ask = ask

    async def hear(self, shard: Shard) -> None:
        """Let the room have all that the shard said."""
        await shard.publish(self.log)
        assert await self.readers[shard.model.shard].passed(shard.sequence, 10)


Stub = rpc.OrdersServiceStub
Story = Callable[[Room, Shard], Awaitable[None]]


@asynccontextmanager
async def room(dsn: str, folder: Path, log: MemoryLog, shards: int = 1) -> AsyncIterator[Room]:
    """The room as its `__main__` wires it, but for the log."""
    config = OrdersConfig(data=folder, pause_s=0.001, patience_s=0.2)
    pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), "orders")
    topics = [events_topic(shard) for shard in range(shards)]
    readers = [OrdersReader(log, topic, pool, config.pause_s) for topic in topics]
    every = Readers(log, SystemClock(), readers)
    await every.check(pool)
    for reader in readers:
        await reader.open()
    server = Orders(pool, every, config)
    entry = service(rpc.ORDERS_SERVICE, rpc.add_OrdersServiceServicer_to_server, server)
    address = f"unix:{folder}/orders.sock"
    parts = (serve(address, entry), *every.run())
    running = [asyncio.create_task(part) for part in parts]
    try:
        async with open_channel(address) as channel:
            await channel.channel_ready()
            yield Room(log, pool, readers, rpc.OrdersServiceStub(channel))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await pool.close()


def tell(dsn: str, folder: Path, story: Story) -> None:
    """Run a story on an empty history."""

    async def main() -> None:
        async with room(dsn, folder, MemoryLog()) as running:
            await story(running, Shard())

    asyncio.run(asyncio.wait_for(main(), 60))


def told(shard: Shard, at_a_time: int = 3) -> Iterator[orders.StreamVerifyRequest]:
    """What a check is asked with, in pieces."""
    yield orders.StreamVerifyRequest(sequence=shard.sequence, shard=shard.model.shard)
    open_orders = shard.open_orders()
    for start in range(0, len(open_orders), at_a_time):
        yield orders.StreamVerifyRequest(open_orders=open_orders[start : start + at_a_time])


async def broken(running: Room, shard: Shard) -> list[str]:
    """The details of the checks that do not hold, the core's open orders among them."""
    answer = await running.ask.StreamVerify(told(shard))
    return [f"{check.name}: {check.detail}" for check in answer.checks if not check.ok]


async def one(running: Room, account: int, order_id: int) -> orders.OrderWithFills:
    answer = await running.ask.GetOrder(orders.GetOrderRequest(account=account, order_id=order_id))
    assert answer.found
    return answer.order


def test_history_is_what_the_core_said(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        shard.bustle(300)
        await running.hear(shard)
        assert await broken(running, shard) == []
        last = {event.order.order_id: event.order for r in shard.records for event in r.orders}
        trades = sum(len(record.trades) for record in shard.records)
        assert trades > 100
        for order_id in sorted(last):
            found = await one(running, last[order_id].account, order_id)
            assert found.order == last[order_id]
            assert sum(fill.lots for fill in found.fills) == found.order.filled_lots
        assert await running.pool.fetchval("select count(*) from fill") == 2 * trades
        half = shard.records[len(shard.records) // 2].first_sequence
        answer = await running.ask.StreamVerify(
            iter([orders.StreamVerifyRequest(sequence=half - 1)])
        )
        before = [record.trades for record in shard.records if record.first_sequence < half]
        assert answer.trades == sum(map(len, before))

    tell(postgres, tmp_path, story)


def test_an_order_has_its_fills_oldest_first(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        maker = shard.sell(ALICE, 10, 10_000, client_order_id="ask")
        first = shard.buy(BOB, 4, 10_001, client_order_id="bid")
        second = shard.buy(CAROL, 6, 10_000)
        await running.hear(shard)
        found = await one(running, ALICE, maker.order_id)
        assert found.order.state == types.ORDER_STATE_FILLED
        assert [(f.lots, f.maker, f.side, f.client_order_id) for f in found.fills] == [
            (4, True, types.SIDE_SELL, "ask"),
            (6, True, types.SIDE_SELL, "ask"),
        ]
        taker = (await one(running, BOB, first.order_id)).fills[0]
        assert (taker.maker, taker.side, taker.price_ticks) == (False, types.SIDE_BUY, 10_000)
        assert (taker.fee_asset, taker.fee_minor) == (2, first.fee_minor)
        assert taker.trade_id == found.fills[0].trade_id
        assert taker.sequence == first.sequence
        assert (await one(running, CAROL, second.order_id)).fills[0].time_us == second.updated_us

    tell(postgres, tmp_path, story)


def test_an_order_is_its_owners_alone_and_a_name_means_the_newest(
    postgres: str, tmp_path: Path
) -> None:
    async def story(running: Room, shard: Shard) -> None:
        older = shard.buy(ALICE, 1, 9_000, client_order_id="a")
        shard.cancel(ALICE, older.order_id)
        shard.time_us += 200_000_000
        newer = shard.buy(ALICE, 2, 9_000, client_order_id="a")
        await running.hear(shard)

        async def ask(account: int, order_id: int = 0, name: str = "") -> int:
            answer = await running.ask.GetOrder(
                orders.GetOrderRequest(account=account, order_id=order_id, client_order_id=name)
            )
            return answer.order.order.order_id if answer.found else 0

        assert await ask(ALICE, name="a") == newer.order_id
        assert await ask(ALICE, older.order_id) == older.order_id
        assert await ask(BOB, older.order_id) == 0
        assert await ask(BOB, name="a") == 0
        assert await ask(ALICE, name="") == 0
        assert await ask(ALICE, 2**64 - 1) == 0

    tell(postgres, tmp_path, story)


def test_orders_come_in_pages_newest_first(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        placed = [shard.buy(ALICE, 1 + n, 9_000 + n) for n in range(10)]
        shard.buy(BOB, 1, 9_000)
        shard.cancel(ALICE, placed[3].order_id)
        await running.hear(shard)
        ids = [order.order_id for order in reversed(placed)]

        async def pages(limit: int, **asked: Any) -> list[list[int]]:
            found, below = [], ""
            while True:
                page = await running.ask.ListOrders(
                    orders.ListOrdersRequest(account=ALICE, limit=limit, page=below, **asked)
                )
                found.append([order.order_id for order in page.orders])
                assert page.at == [types.ShardSequence(sequence=shard.sequence)]
                if not (below := page.next_page):
                    return found

        assert await pages(4) == [ids[:4], ids[4:8], ids[8:]]
        assert await pages(5) == [ids[:5], ids[5:], []]
        assert await pages(0) == [[one] for one in ids] + [[]]
        assert await pages(9, state=types.ORDER_STATE_CANCELLED) == [[placed[3].order_id]]
        assert await pages(9, instrument=BTC_USD + 1024) == [[]]
        between = {"from_us": placed[2].created_us, "to_us": placed[5].created_us}
        assert await pages(9, **between) == [[order.order_id for order in placed[4:1:-1]]]

    tell(postgres, tmp_path, story)


def test_fills_come_in_pages_and_a_trade_with_oneself_is_two(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        for n in range(3):
            shard.sell(ALICE, 1, 10_000, self_trade_prevention=types.SELF_TRADE_PREVENTION_NONE)
            shard.buy(ALICE, 1, 10_000 + n, self_trade_prevention=types.SELF_TRADE_PREVENTION_NONE)
        shard.trade(5, 10_000)
        await running.hear(shard)

        async def pages(limit: int, **asked: Any) -> list[list[tuple[int, bool]]]:
            found, cursor = [], ""
            while True:
                page = await running.ask.ListFills(
                    orders.ListFillsRequest(account=ALICE, limit=limit, cursor=cursor, **asked)
                )
                found.append([(fill.trade_id // 1024, fill.maker) for fill in page.fills])
                if not (cursor := page.next_cursor):
                    return found

        own = [(n, maker) for n in (3, 2, 1) for maker in (True, False)]
        assert await pages(100) == [[(4, True), *own]]
        assert await pages(2) == [[(4, True), own[0]], own[1:3], own[3:5], own[5:]]
        last = max(order.order_id for order in (await _orders_of(running, ALICE)))
        assert await pages(100, order_id=last) == [[(4, True)]]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await running.ask.ListFills(orders.ListFillsRequest(account=ALICE, cursor="4.2"))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert await broken(running, shard) == []

    tell(postgres, tmp_path, story)


async def _orders_of(running: Room, account: int) -> list[types.Order]:
    answer = await running.ask.ListOrders(orders.ListOrdersRequest(account=account, limit=1000))
    return list(answer.orders)


def test_a_read_waits_for_its_sequence_and_then_says_that_it_lags(
    postgres: str, tmp_path: Path
) -> None:
    async def story(running: Room, shard: Shard) -> None:
        order = shard.buy(ALICE, 1, 9_000)
        after = [types.ShardSequence(sequence=shard.sequence)]
        late = orders.GetOrderRequest(account=ALICE, order_id=order.order_id, after=after)
        for ask in (
            running.ask.GetOrder(late),
            running.ask.ListOrders(orders.ListOrdersRequest(account=ALICE, after=after)),
            running.ask.ListFills(orders.ListFillsRequest(account=ALICE, after=after)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as lagging:
                await ask
            assert lagging.value.code() == grpc.StatusCode.UNAVAILABLE
            assert lagging.value.details() == "lagging"
        waiting = running.ask.GetOrder(late)
        await shard.publish(running.log)
        answer = await waiting
        assert answer.found
        assert answer.at == after

    tell(postgres, tmp_path, story)


def test_sequences_pass_without_orders_too(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        shard.cancel(ALICE, 77 * 1024)
        shard.tick()
        await running.hear(shard)
        status = await running.ask.GetStatus(orders.GetStatusRequest())
        place = types.ReaderPlace(sequence=shard.sequence, next_offset=len(shard.records))
        assert status.places == [place]

    tell(postgres, tmp_path, story)


def test_a_restart_goes_on_in_the_middle_of_a_record_and_counts_nothing_twice(
    postgres: str, tmp_path: Path
) -> None:
    """Every part is in the log twice, as two publishers leave it, and the room starts often."""
    shard = Shard()
    shard.bustle(120)
    bodies = list(in_parts(shard.records))

    async def main() -> None:
        log = MemoryLog()
        for start in range(0, len(bodies), 17):
            async with room(postgres, tmp_path, log) as running:
                for body in bodies[max(0, start - 5) : start + 17]:
                    now = SystemClock().now_us()
                    await log.append(TOPIC, [body, bodies[max(0, start - 3)]], clock_us=now)
                seen = bodies[: start + 17][-1]
                await running.reader.passed(known_up_to(EventRecord.FromString(seen)), 10)
        async with room(postgres, tmp_path, log) as running:
            assert await running.reader.passed(shard.sequence, 10)
            assert await broken(running, shard) == []

    asyncio.run(asyncio.wait_for(main(), 120))


def test_connections_that_are_lost_lose_nothing(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        killer = await asyncpg.connect(postgres)
        for seed in range(12):
            shard.bustle(10, seed)
            await shard.publish(running.log)
            await killer.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'bourse orders'"
            )
        await killer.close()
        assert await running.reader.passed(shard.sequence, 20)
        assert await broken(running, shard) == []

    tell(postgres, tmp_path, story)


def test_a_writer_that_was_replaced_stops(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        await shard.publish(running.log)
        other = OrdersReader(running.log, TOPIC, running.pool, 0.001)
        await other.open()
        following = asyncio.create_task(other.run())
        shard.bustle(5)
        await shard.publish(running.log)
        assert await other.passed(shard.sequence, 10)
        with pytest.raises(WriterReplaced):
            await running.reader.run()
        following.cancel()
        async with store.for_asked(running.pool) as connection:
            await store.put_asked(connection, shard.open_orders())
            async with store.standing_still(connection):
                found = await checks.all_checks(connection, TOPIC, 0, shard.sequence)
        assert found.sequence == shard.sequence
        assert all(check.ok for check in found.checks)

    tell(postgres, tmp_path, story)


def test_a_gap_in_the_events_stops_the_room(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        await running.hear(shard)
        shard.tear()
        await shard.publish(running.log)
        with pytest.raises(GapInEvents):
            await running.reader.run()

    tell(postgres, tmp_path, story)


FAULTS = {
    "a lost fill": (
        "delete from fill where trade_id = (select max(trade_id) from fill) and maker",
        ["an order is the sum of its fills", "a trade has two sides"],
    ),
    "a wrong fee": (
        "update fill set fee_minor = fee_minor + 1 where trade_id = 2048 and maker",
        ["an order is the sum of its fills"],
    ),
    "one trade with two prices": (
        "update fill set price_ticks = price_ticks + 1 where trade_id = 2048 and maker",
        ["a trade has two sides"],
    ),
    "an end that was said twice": (
        "update orders set ends = 2 where state = 3",
        ["an order ends once"],
    ),
    "an order that never ended": (
        "update orders set state = 1, ends = 0 where order_id = (select min(order_id) from orders"
        " where state = 3)",
        ["core and history have the same open orders"],
    ),
    "an order that is not there": (
        "delete from orders where filled_lots = 0 and state = 1",
        ["core and history have the same open orders"],
    ),
    "another remainder": (
        "update orders set remaining_lots = remaining_lots + 1 where state = 1",
        ["core and history have the same open orders"],
    ),
    "an order of two owners": (
        "insert into orders select (json_populate_record(o, '{\"account\": 1}')).* from orders o"
        " where state = 3 and filled_lots = 0 limit 1",
        ["an order has one owner"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_check_names_what_is_wrong(postgres: str, tmp_path: Path, fault: str) -> None:
    statement, names = FAULTS[fault]

    async def story(running: Room, shard: Shard) -> None:
        shard.bustle(40)
        await running.hear(shard)
        assert await broken(running, shard) == []
        await running.pool.execute(statement)
        found = await broken(running, shard)
        assert [line.partition(":")[0] for line in found] == names
        assert all(line.partition(": ")[2] for line in found)

    tell(postgres, tmp_path, story)
