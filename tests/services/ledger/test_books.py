"""The books, on the real Postgres: what events post, what is refused, what a restart finds."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from pydantic import SecretStr

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain.hashes import total_hash
from services.ledger import checks, store
from services.ledger.reader import AssetFull, Bookkeeper, RequestReused, TreasuryShort
from services.ledger.state import CLEARING, FEES, OUTSIDE, TREASURY, Broken, Leg
from services.runtime.config import PostgresConfig
from services.runtime.events import EventKey, EventPart, Position
from services.runtime.place import WriterReplaced
from services.runtime.postgres import Pool, open_postgres

USD, BTC = 1, 2
ALICE, BOB = 1000, 1001


class Core:
    """What a core would say, for as many balances as a test has: totals, hashes, keys."""

    def __init__(self) -> None:
        self.offset = 0
        self.sequence = 1
        self.totals: dict[tuple[int, int], int] = {}

    def part(self, **events: object) -> EventPart:
        """The next event record, with one command."""
        record = matching.EventRecord(
            command_offset=self.offset, time_us=1_700_000_000_000_000, first_sequence=self.sequence
        )
        record.commands.add(request_id=bytes(16))
        for name, value in events.items():
            getattr(record, name).append(value)
        record.last = True
        record.balance_hash = sum(total_hash(*k, v) for k, v in self.totals.items()) % 2**64
        position = Position(self.offset + 1, EventKey(self.offset, 0))
        self.offset += 1
        self.sequence += 1
        return EventPart(record, position)

    def credit(self, number: int, account: int, asset: int, amount: int) -> EventPart:
        self.totals[account, asset] = self.totals.get((account, asset), 0) + amount
        return self.part(moves=_move(number, account, asset, amount))

    def refuse(self, number: int, account: int, asset: int, amount: int) -> EventPart:
        part = self.part(moves=_move(number, account, asset, amount))
        part.record.commands[0].refusal = matching.REFUSAL_ASSET_CAP
        return part

    def trade(self, base: int, quote: int, taker_fee: int, maker_fee: int) -> EventPart:
        """Alice, the taker, buys from Bob."""
        moves = [
            (ALICE, BTC, base - taker_fee),
            (ALICE, USD, -quote),
            (BOB, BTC, -base),
            (BOB, USD, quote - maker_fee),
            (FEES, BTC, taker_fee),
            (FEES, USD, maker_fee),
        ]
        for account, asset, amount in moves:
            self.totals[account, asset] = self.totals.get((account, asset), 0) + amount
        return self.part(
            trades=matching.TradeEvent(
                taker_side=types.SIDE_BUY,
                taker_account=ALICE,
                maker_account=BOB,
                base_asset=BTC,
                quote_asset=USD,
                base_minor=base,
                quote_minor=quote,
                taker_fee_minor=taker_fee,
                maker_fee_minor=maker_fee,
            )
        )


def _move(number: int, account: int, asset: int, amount: int) -> matching.MoveEvent:
    return matching.MoveEvent(
        source=1, number=number, account=account, asset=asset, amount_minor=amount
    )


Story = Callable[[Pool, Bookkeeper, Core], Awaitable[None]]


def tell(dsn: str, story: Story) -> None:
    """Run a story on empty books."""

    async def main() -> None:
        pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), "ledger")
        keeper = Bookkeeper(pool)
        await keeper.open()
        await story(pool, keeper, Core())
        await pool.close()

    asyncio.run(main())


async def verify(pool: Pool, keeper: Bookkeeper, core: Core) -> list[str]:
    """Names of the checks that do not hold, the core's totals among them."""
    said = checks.CoreTotals(core.sequence - 1, 0, core.totals)
    return [one.name for one in await checks.all_checks(pool, keeper, said) if not one.ok]


async def deposit(
    keeper: Bookkeeper, core: Core, account: int, asset: int, amount: int
) -> store.Sending:
    """Fund the treasury, ask for a deposit, and let the core apply it."""
    request = bytes([account % 256, asset, *bytes(14)])
    await keeper.fund(request, 0, asset, amount)
    sending, answered = await keeper.start_transfer(request, 0, Leg(account, asset, 0, amount))
    await keeper.post(0, [core.credit(sending.number, account, asset, amount)])
    assert answered is not None
    await answered
    return sending


async def rich(keeper: Bookkeeper, core: Core) -> None:
    """Alice has 1,000 USD, Bob 50 BTC."""
    await deposit(keeper, core, ALICE, USD, 1_000)
    await deposit(keeper, core, BOB, BTC, 50)


def test_a_deposit_goes_through_clearing_and_waits_for_the_core(postgres: str) -> None:
    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        await keeper.fund(bytes(16), 0, USD, 1_000)
        sending, answered = await keeper.start_transfer(bytes(16), 0, Leg(ALICE, USD, 0, 400))
        assert keeper.books.posted(CLEARING, USD) == 400
        assert keeper.books.posted(ALICE, USD, 0) == 0, "nothing is Alice's before the core says so"
        await keeper.post(0, [core.credit(sending.number, ALICE, USD, 400)])
        assert answered is not None
        assert answered.done()
        assert keeper.books.posted(ALICE, USD, 0) == 400
        assert keeper.books.posted(CLEARING, USD) == 0
        assert keeper.books.posted(OUTSIDE, USD) == -1_000
        assert await verify(pool, keeper, core) == []

    tell(postgres, story)


def test_there_is_no_more_of_an_asset_than_2_to_the_62(postgres: str) -> None:
    """Also where two ask at once; and what was posted is answered again, not refused."""

    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        asked = [(bytes([number, *bytes(15)]), 0, USD, 2**61 + 1) for number in (1, 2)]
        said = await asyncio.gather(*(keeper.fund(*each) for each in asked), return_exceptions=True)
        assert [str(each) for each in said] == [str(2**61 + 1), "above 2^62 in all"]
        assert await keeper.fund(*asked[0]) == 2**61 + 1
        assert await keeper.fund(bytes(16), 0, USD, 2**61 - 1) == 2**62
        assert await keeper.fund(bytes(16), 0, USD, 2**61 - 1) == 2**62
        with pytest.raises(AssetFull):
            await keeper.fund(*asked[1])
        assert await verify(pool, keeper, core) == []

    tell(postgres, story)


def test_a_refused_credit_is_reversed(postgres: str) -> None:
    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        await keeper.fund(bytes(16), 0, USD, 1_000)
        sending, _ = await keeper.start_transfer(bytes(16), 0, Leg(ALICE, USD, 0, 400))
        await keeper.post(0, [core.refuse(sending.number, ALICE, USD, 400)])
        assert keeper.books.posted(TREASURY, USD) == 1_000
        async with pool.acquire() as connection:
            row = await store.transfer(connection, bytes(16))
        assert row is not None
        assert (row.state, row.refusal) == (3, matching.REFUSAL_ASSET_CAP)
        assert await verify(pool, keeper, core) == []

    tell(postgres, story)


@pytest.mark.parametrize(
    ("applied", "alice", "treasury"),
    [pytest.param(True, 700, 300, id="applied"), pytest.param(False, 1_000, 0, id="refused")],
)
def test_a_withdrawal_moves_only_once_the_core_has_taken_it(
    postgres: str, applied: bool, alice: int, treasury: int
) -> None:
    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        await deposit(keeper, core, ALICE, USD, 1_000)
        sending, _ = await keeper.start_transfer(b"w" * 16, 0, Leg(ALICE, USD, 0, -300))
        assert keeper.books.posted(ALICE, USD, 0) == 1_000
        said = core.credit if applied else core.refuse
        await keeper.post(0, [said(sending.number, ALICE, USD, -300)])
        assert keeper.books.posted(ALICE, USD, 0) == alice
        assert keeper.books.posted(TREASURY, USD) == treasury
        assert await verify(pool, keeper, core) == []

    tell(postgres, story)


@pytest.mark.parametrize(
    ("taker_fee", "maker_fee"),
    [(2, 3), (0, 0), (10, 0), (1, -2)],
    ids=["both pay", "nobody pays", "the fee takes it all", "a rebate"],
)
def test_a_trade_adds_up(postgres: str, taker_fee: int, maker_fee: int) -> None:
    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        await rich(keeper, core)
        await keeper.post(0, [core.trade(10, 300, 0, 3)])
        await keeper.post(0, [core.trade(10, 300, taker_fee, maker_fee)])
        assert keeper.books.posted(ALICE, BTC, 0) == 20 - taker_fee
        assert keeper.books.posted(BOB, USD, 0) == 600 - 3 - maker_fee
        assert keeper.books.posted(FEES, USD, 0) == 3 + maker_fee
        assert await verify(pool, keeper, core) == []

    tell(postgres, story)


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_of_postings_leave_nothing_out(limit: int, postgres: str) -> None:
    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        await rich(keeper, core)
        for _ in range(3):
            await keeper.post(0, [core.trade(10, 300, 0, 3)])
        pages, below_seq = [], 2**63 - 1
        async with pool.acquire() as connection:
            while page := await store.postings(connection, ALICE, 0, below_seq, limit):
                pages.append([(row["asset"], row["amount"]) for row in page])
                below_seq = page[-1]["seq"]
        trade = [(BTC, 10), (USD, -300)]
        assert [one for page in pages for one in page] == [*trade * 3, (USD, 1_000)]
        assert all(page[:2] == trade for page in pages[:-1])

    tell(postgres, story)


def test_the_same_request_is_the_same_transfer(postgres: str) -> None:
    async def story(_: Pool, keeper: Bookkeeper, core: Core) -> None:
        first = await deposit(keeper, core, ALICE, USD, 400)
        again, answered = await keeper.start_transfer(first.request_id, 9, Leg(ALICE, USD, 0, 400))
        assert (again.number, answered) == (first.number, None)
        with pytest.raises(RequestReused):
            await keeper.start_transfer(first.request_id, 9, Leg(ALICE, USD, 0, 401))
        await keeper.fund(first.request_id, 9, USD, 400)
        assert keeper.books.posted(OUTSIDE, USD) == -400

    tell(postgres, story)


def test_the_treasury_gives_what_it_has(postgres: str) -> None:
    async def story(_: Pool, keeper: Bookkeeper, __: Core) -> None:
        await keeper.fund(bytes(16), 0, USD, 10)
        with pytest.raises(TreasuryShort):
            await keeper.start_transfer(bytes(16), 0, Leg(ALICE, USD, 0, 11))
        assert keeper.books.posted(TREASURY, USD) == 10

    tell(postgres, story)


def test_the_first_difference_from_the_core_stops_the_books(postgres: str) -> None:
    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        await rich(keeper, core)
        before = keeper.places[0]
        core.totals[ALICE, USD] += 1
        with pytest.raises(Broken, match="sequence 3"):
            await keeper.post(0, [core.trade(10, 300, 1, 1)])
        assert keeper.places[0] == before
        assert keeper.books.posted(ALICE, BTC, 0) == 0

    tell(postgres, story)


def test_a_restart_finds_everything_and_posts_nothing_twice(postgres: str) -> None:
    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        await rich(keeper, core)
        trade = core.trade(10, 300, 1, 1)
        await keeper.post(0, [trade])
        after = Bookkeeper(pool)
        await after.open()
        assert after.places[0].position == trade.position
        assert after.books == keeper.books
        await after.post(0, [trade])
        assert after.books.posted(ALICE, BTC, 0) == 9
        assert await verify(pool, after, core) == []

    tell(postgres, story)


def test_only_the_newest_ledger_may_write(postgres: str) -> None:
    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        await rich(keeper, core)
        newer = Bookkeeper(pool)
        await newer.open()
        trade = core.trade(10, 300, 1, 1)
        with pytest.raises(WriterReplaced):
            await keeper.post(0, [trade])
        await newer.post(0, [trade])
        with pytest.raises(WriterReplaced):
            await keeper.fund(b"x" * 16, 0, USD, 1)

    tell(postgres, story)


def test_a_ledger_that_was_replaced_takes_no_money_either(postgres: str) -> None:
    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        await rich(keeper, core)
        newer = Bookkeeper(pool)
        await newer.open()
        with pytest.raises(WriterReplaced):
            await keeper.fund(b"x" * 16, 0, USD, 1)
        with pytest.raises(WriterReplaced):
            await keeper.start_transfer(b"y" * 16, 0, Leg(ALICE, USD, 0, -1))
        assert newer.books == keeper.books
        assert await verify(pool, newer, core) == []

    tell(postgres, story)


def test_a_command_that_goes_on_in_the_next_part_is_not_posted_yet(postgres: str) -> None:
    async def story(_: Pool, keeper: Bookkeeper, core: Core) -> None:
        await rich(keeper, core)
        sequence = keeper.places[0].sequence
        whole = core.trade(10, 300, 0, 0)
        first, second = whole.record, matching.EventRecord()
        second.CopyFrom(first)
        first.last, first.balance_hash = False, 0
        del first.trades[:]
        second.part = 1
        key = EventKey(second.command_offset, 0)
        place = whole.position._replace(last_key=key, last_part=False)
        await keeper.post(0, [EventPart(first, place)])
        assert keeper.places[0].sequence == sequence
        place = Position(place.next_offset + 1, key._replace(part=1))
        await keeper.post(0, [EventPart(second, place)])
        assert keeper.places[0].sequence == sequence + 1

    tell(postgres, story)


@pytest.mark.parametrize(
    "tampering",
    [
        "update posting set amount = amount + 1 where seq = 1",
        "delete from journal",
        "truncate posting",
    ],
)
def test_what_is_written_stays_written(postgres: str, tampering: str) -> None:
    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        await rich(keeper, core)
        with pytest.raises(asyncpg.RestrictViolationError):
            await pool.execute(tampering)
        assert await verify(pool, keeper, core) == []

    tell(postgres, story)


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        (
            "update posting set amount = -amount where seq = 1",
            ["a balance is the sum of its postings", "the chain of entries is whole"],
        ),
        ("update journal set time_us = 1 where seq = 2", ["the chain of entries is whole"]),
        (
            "update posting set amount = amount + 1 where seq = 1 and leg = 0",
            [
                "every entry adds up to zero",
                "a balance is the sum of its postings",
                "the chain of entries is whole",
            ],
        ),
    ],
)
def test_whoever_gets_past_the_trigger_is_found_out(
    postgres: str, tampering: str, found: list[str]
) -> None:
    async def story(pool: Pool, keeper: Bookkeeper, core: Core) -> None:
        await rich(keeper, core)
        await pool.execute(f"set session_replication_role = replica; {tampering}")
        assert await verify(pool, keeper, core) == found

    tell(postgres, story)
