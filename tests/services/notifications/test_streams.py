"""Private streams: everything once, in order, from wherever a client stopped."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from pydantic import SecretStr

from bourse.matching import v1 as matching
from bourse.notifications import v1 as notifications
from bourse.types import v1 as types
from services.notifications.config import NotificationsConfig
from services.notifications.reader import Answers, Listener, NotificationsReader
from services.notifications.state import Cursor, parse_cursor, told
from services.runtime.config import PostgresConfig
from services.runtime.log import Log
from services.runtime.memory_log import MemoryLog
from services.runtime.place import WriterReplaced
from services.runtime.postgres import Pool, open_postgres

TOPIC = "bourse.events.0"
ALICE, BOB, CAROL = 1000, 1001, 1002


def part(number: int, *accounts: int) -> matching.EventRecord:
    """Event record `number`: one command a given account, an order and a balance of each."""
    record = matching.EventRecord(command_offset=number, first_sequence=number * 10 + 1, last=True)
    for command, account in enumerate(accounts):
        record.commands.add(request_id=bytes(16), account=account)
        record.orders.add(
            command=command, order=types.Order(order_id=number * 1024, account=account)
        )
        record.balances.add(command=command, account=account, asset=1, available_minor=number)
    return record


class House:
    """A log, an index and a reader on both; `restart` makes a new reader as a new process would."""

    def __init__(self, log: Log, pool: Pool, block_records: int) -> None:
        self.log = log
        self.pool = pool
        self.config = NotificationsConfig(block_records=block_records)
        self._published = 0
        self._following: asyncio.Task[None] | None = None

    async def restart(self) -> None:
        """End the old reader where it stands and begin a new one."""
        await self.stop()
        await self.pool.expire_connections()  # a new process has connections of its own
        self.reader = NotificationsReader(self.log, 0, self.pool, self.config)
        await self.reader.open()
        self._following = asyncio.create_task(self.reader.run())

    async def stop(self) -> None:
        """End the reader."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])

    async def ended(self) -> None:
        """Wait for the reader's own end, and raise what it ended with."""
        assert self._following is not None
        await asyncio.wait_for(self._following, 10)

    async def publish(self, *accounts: int) -> None:
        """The next event record."""
        body = part(self._published, *accounts).SerializeToString()
        self._published += 1
        await self.log.append(TOPIC, [body], clock_us=0)

    async def listen(self, account: int, after: str = "") -> "Heard":
        """A client of an account."""
        answers = Answers(1000)
        listener = Listener(1, account, answers)
        task = asyncio.create_task(self.reader.listen(listener, after, answers))
        return Heard(answers, task)


class Heard:
    """What a client hears."""

    def __init__(self, answers: Answers, task: "asyncio.Task[None]") -> None:
        self._answers = answers
        self._task = task

    async def status(self) -> notifications.FollowStatus:
        """How its subscription was answered."""
        answer = await asyncio.wait_for(self._answers.get(), 10)
        assert answer is not None
        return answer.status

    async def next(self, count: int) -> list[notifications.Notification]:
        """The next `count` notifications, and no more."""
        said: list[notifications.Notification] = []
        while len(said) < count:
            answer = await asyncio.wait_for(self._answers.get(), 10)
            assert answer is not None
            said.extend(answer.notifications)
        assert len(said) == count
        return said


Story = Callable[[House], Awaitable[None]]


def tell(dsn: str, story: Story, block_records: int = 2) -> None:
    """Run a story in a house of its own."""

    async def main() -> None:
        pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), "notifications")
        log = MemoryLog(clock_us=lambda: 0)
        await log.create(TOPIC)
        house = House(log, pool, block_records)
        await house.restart()
        await story(house)
        await house.stop()
        await pool.close()

    asyncio.run(main())


def test_a_stream_starts_now_and_misses_nothing(postgres: str) -> None:
    async def story(house: House) -> None:
        await house.publish(ALICE)
        # A reader serves once it has read all there was at its start: so the first is the past.
        await house.restart()
        heard = await house.listen(ALICE)
        assert await heard.status() == notifications.FOLLOW_STATUS_STARTED
        await house.publish(BOB, ALICE)
        said = await heard.next(2)
        assert [(one.account, one.sequence) for one in said] == [(ALICE, 12), (ALICE, 12)]
        assert [one.WhichOneof("body") for one in said] == ["order", "balance"]

    tell(postgres, story)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("block_records", [1, 3, 100])
def test_a_client_goes_on_where_it_stopped(
    postgres: str, restarts: bool, block_records: int
) -> None:
    async def story(house: House) -> None:
        heard = await house.listen(ALICE)
        await heard.status()
        for accounts in [(ALICE,), (BOB,), (ALICE, BOB), (CAROL,), (BOB, ALICE), (BOB,), (ALICE,)]:
            await house.publish(*accounts)
        everything = await heard.next(8)
        if restarts:
            await house.restart()
        for place, stopped_at in enumerate(everything):
            again = await house.listen(ALICE, stopped_at.cursor)
            assert await again.status() == notifications.FOLLOW_STATUS_STARTED
            rest = everything[place + 1 :]
            assert await again.next(len(rest)) == rest
        await house.publish(ALICE)
        assert [one.sequence for one in await again.next(2)] == [71, 71]

    tell(postgres, story, block_records)


def test_what_two_publishers_wrote_is_told_once(postgres: str) -> None:
    async def story(house: House) -> None:
        heard = await house.listen(ALICE)
        await heard.status()
        await house.publish(ALICE)
        await house.log.append(TOPIC, [part(0, ALICE).SerializeToString()], clock_us=0)
        await house.publish(ALICE)
        said = await heard.next(4)
        assert [one.sequence for one in said] == [1, 1, 11, 11]
        again = await house.listen(ALICE, "0.0.0")
        await again.status()
        assert await again.next(4) == said

    tell(postgres, story)


KILL = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'bourse notifications'
"""


def test_an_index_whose_connections_are_lost_misses_nobody(postgres: str) -> None:
    """They are ended a little later each time, so that some commits are under way."""

    async def lose(killer: "asyncpg.Connection[asyncpg.Record]", number: int) -> None:
        await asyncio.sleep(number * 0.0002)
        if number % 2:
            await killer.execute(KILL)

    async def story(house: House) -> None:
        killer = await asyncpg.connect(postgres)
        heard = await house.listen(ALICE)
        await heard.status()
        everything = []
        for number in range(60):
            losing = asyncio.create_task(lose(killer, number))
            await house.publish(ALICE if number % 3 else BOB)
            everything += await heard.next(2 if number % 3 else 0)
            await losing
        await killer.close()
        await house.restart()
        for place in (0, 17, 42):
            again = await house.listen(ALICE, everything[place].cursor)
            assert await again.status() == notifications.FOLLOW_STATUS_STARTED
            assert await again.next(79 - place) == everything[place + 1 :]
        blocks = await house.pool.fetch("select first_offset, next_offset from block order by 1")
        assert len(blocks) > 5
        assert [block[0] for block in blocks] == [0, *(block[1] for block in blocks[:-1])]

    tell(postgres, story)


def test_only_the_newest_room_writes_the_index(postgres: str) -> None:
    async def story(house: House) -> None:
        other = NotificationsReader(house.log, 0, house.pool, house.config)
        await other.open()
        await house.publish(ALICE)
        await house.publish(ALICE)
        with pytest.raises(WriterReplaced):
            await house.ended()

    tell(postgres, story)


@pytest.mark.parametrize("cursor", ["x", "1", "1.1", "01.0.1", "99.0.1", "-1.0.0", "1.0.1.1"])
def test_what_is_no_cursor_is_gone(postgres: str, cursor: str) -> None:
    async def story(house: House) -> None:
        await house.publish(ALICE)
        heard = await house.listen(ALICE, cursor)
        assert await heard.status() == notifications.FOLLOW_STATUS_CURSOR_GONE

    tell(postgres, story)


def test_a_gateway_that_does_not_read_is_ended_not_cheated() -> None:
    answers = Answers(3)
    listener = Listener(1, ALICE, answers)
    for _ in range(9):
        listener.tell([notifications.Notification()])

    async def everything() -> list[notifications.FollowResponse | None]:
        return [await answers.get() for _ in range(4)]

    heard = asyncio.run(everything())
    assert [answer is None for answer in heard] == [False, False, False, True]


def test_a_trade_tells_both_sides() -> None:
    record = part(0, ALICE)
    record.trades.add(
        command=0,
        trade_id=1024,
        taker_side=types.SIDE_BUY,
        taker_account=ALICE,
        maker_account=BOB,
        taker_order_id=2048,
        maker_order_id=1024,
        base_asset=2,
        quote_asset=1,
        taker_fee_minor=3,
        maker_fee_minor=-4,
        taker_client_order_id="t",
        maker_client_order_id="m",
    )
    fills = {a: n.fill for a, n in told(record, {ALICE, BOB}) if n.WhichOneof("body") == "fill"}
    taker, maker = fills[ALICE], fills[BOB]
    assert (taker.side, taker.fee_asset, taker.fee_minor) == (types.SIDE_BUY, 2, 3)
    assert (maker.side, maker.fee_asset, maker.fee_minor) == (types.SIDE_SELL, 1, -4)
    assert (taker.client_order_id, maker.client_order_id) == ("t", "m")
    assert (taker.order_id, maker.order_id, taker.maker, maker.maker) == (2048, 1024, False, True)


def test_a_cursor_reads_as_it_was_written() -> None:
    assert parse_cursor(Cursor(4711, 2, 3).text()) == Cursor(4711, 2, 3)
