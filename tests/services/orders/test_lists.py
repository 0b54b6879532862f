"""Lists of orders and fills: a page comes off one index in its order, however long history is."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from bourse.orders import v1 as orders
from services.orders import store
from services.orders.state import (
    NEWEST_FILL,
    NEWEST_ORDER,
    FillCursor,
    OrderCursor,
    parse_cursor,
    parse_page,
)
from services.runtime.config import PostgresConfig
from services.runtime.postgres import Pool, open_postgres

ROWS = 60_000
ACCOUNTS, INSTRUMENTS = 3, 5
ALICE, THIRD = 1000, 3 * 1024

# Order n is created in microsecond n, by one account after the other; one in two has traded.
FILL = f"""
    insert into orders
    select {ALICE} + n % {ACCOUNTS}, n * 1024, (1 + n % {INSTRUMENTS}) * 1024, 1, 1, 1, false, 1,
        'order-' || n, 100, 10, 0, 1 + n % 4, 0, 0, 10, 1000, 1, 1, n, n, n, 1
    from generate_series(1, {ROWS}) n;
    insert into fill
    select {ALICE} + n % {ACCOUNTS}, n * 1024, false, n / 4 * 4 * 1024, 'order-' || n,
        (1 + n % {INSTRUMENTS}) * 1024, 1, 100, 10, 1000, 1, 1, n, n
    from generate_series(2, {ROWS}, 2) n;
    analyze orders; analyze fill;
"""  # noqa: S608 - numbers of our own

Story = Callable[[Pool], Awaitable[None]]


@pytest.fixture(scope="module")
def history(postgres_of_module: str) -> str:
    """The DSN of a long history."""

    async def fill() -> None:
        pool = await open_postgres(PostgresConfig(address=SecretStr(postgres_of_module)), "orders")
        async with pool:
            await pool.execute(FILL)

    asyncio.run(fill())
    return postgres_of_module


def tell(dsn: str, story: Story) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), "orders")
            async with pool:
                await story(pool)

    asyncio.run(main())


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def plan_of(pool: Pool, page: store.Page, mode: str) -> list[dict[str, Any]]:
    """The steps by which Postgres would answer, with these values or for any at all."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"set local plan_cache_mode = {mode}")
        [[said]] = await connection.fetch(f"explain (format json) {page.text}", *page.asked)
    return list(nodes(json.loads(said)[0]["Plan"]))


TIMES = {"from_us": ROWS // 4, "to_us": ROWS // 4 * 3}
ORDER_LISTS: list[tuple[dict[str, int], str]] = [
    ({}, "orders_by_time"),
    (TIMES, "orders_by_time"),
    ({"state": 2}, "orders_by_time"),
    ({"state": 2, **TIMES}, "orders_by_time"),
    ({"instrument": THIRD}, "orders_by_instrument"),
    ({"instrument": THIRD, **TIMES}, "orders_by_instrument"),
    ({"instrument": THIRD, "state": 2, **TIMES}, "orders_by_instrument"),
]
FILL_LISTS: list[tuple[dict[str, int], str]] = [
    ({}, "fill_by_time"),
    (TIMES, "fill_by_time"),
    ({"instrument": THIRD}, "fill_by_instrument"),
    ({"instrument": THIRD, **TIMES}, "fill_by_instrument"),
    ({"order_id": 400 * 1024}, "fill_of_order"),
]


def check_plan(steps: list[dict[str, Any]], index: str, filtered: bool = False) -> None:
    """One index, read in its own order: nothing is sorted, nothing else is read.

    Where rows of its span are passed over, Postgres may take the span first and sort what is left.
    """
    assert [step["Index Name"] for step in steps if "Index Name" in step] == [index], steps
    allowed = {"Limit", "Index Scan"}
    if filtered:
        allowed |= {"Bitmap Index Scan", "Bitmap Heap Scan", "Sort", "Incremental Sort"}
    assert {step["Node Type"] for step in steps} <= allowed, steps


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("place", [None, 0.5], ids=["first page", "in the middle"])
@pytest.mark.parametrize(("asked", "index"), ORDER_LISTS)
def test_a_page_of_orders_comes_off_its_index(
    history: str, asked: dict[str, int], index: str, place: float | None, mode: str
) -> None:
    async def story(pool: Pool) -> None:
        request = orders.ListOrdersRequest(account=ALICE, **asked)  # type: ignore[arg-type]
        middle = int(ROWS * (place or 0))
        at = NEWEST_ORDER if place is None else OrderCursor(middle, middle * 1024)
        steps = await plan_of(pool, store.orders_page(request, at, 100), mode)
        check_plan(steps, index, filtered="state" in asked)

    tell(history, story)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("place", [None, 0.5], ids=["first page", "in the middle"])
@pytest.mark.parametrize(("asked", "index"), FILL_LISTS)
def test_a_page_of_fills_comes_off_its_index(
    history: str, asked: dict[str, int], index: str, place: float | None, mode: str
) -> None:
    async def story(pool: Pool) -> None:
        request = orders.ListFillsRequest(account=ALICE, **asked)  # type: ignore[arg-type]
        middle = FillCursor(int(ROWS * (place or 0)), int(ROWS * (place or 0)) * 1024, True)
        page = store.fills_page(request, NEWEST_FILL if place is None else middle, 100)
        steps = await plan_of(pool, page, mode)
        # The fills of one order are few: they are found first, and sorted then.
        check_plan(steps, index, filtered="order_id" in asked)

    tell(history, story)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_a_name_comes_off_its_index(history: str, mode: str) -> None:
    async def story(pool: Pool) -> None:
        page = store.Page(store.BY_NAME, [ALICE, "order-3"])
        check_plan(await plan_of(pool, page, mode), "orders_by_name_and_time")

    tell(history, story)


def test_a_page_far_down_costs_what_the_first_one_does(history: str) -> None:
    async def blocks(pool: Pool, page: store.Page) -> int:
        explain = "explain (analyze, buffers, timing off, format json)"
        [[said]] = await pool.fetch(f"{explain} {page.text}", *page.asked)
        plan = json.loads(said)[0]["Plan"]
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])

    async def story(pool: Pool) -> None:
        request = orders.ListOrdersRequest(account=ALICE)
        first = await blocks(pool, store.orders_page(request, NEWEST_ORDER, 100))
        far_down = await blocks(pool, store.orders_page(request, OrderCursor(900, 900 * 1024), 100))
        assert far_down <= first + 5
        fills = orders.ListFillsRequest(account=ALICE)
        first = await blocks(pool, store.fills_page(fills, NEWEST_FILL, 100))
        cursor = FillCursor(900, 900 * 1024, True)
        assert await blocks(pool, store.fills_page(fills, cursor, 100)) <= first + 5

    tell(history, story)


def test_pages_are_whole_and_in_order_whatever_is_asked_for(history: str) -> None:
    async def story(pool: Pool) -> None:
        for asked, _ in ORDER_LISTS:
            request = orders.ListOrdersRequest(account=ALICE, **asked)  # type: ignore[arg-type]
            found: list[int] = []
            below = NEWEST_ORDER
            while True:
                page = await store.some_orders(pool, request, below, 997)
                found += [order.order_id for order in page]
                if len(page) < 997:
                    break
                below = OrderCursor(page[-1].created_us, page[-1].order_id)
            assert found == expected(asked)

    def expected(asked: dict[str, int]) -> list[int]:
        first, end = asked.get("from_us", 0), asked.get("to_us", ROWS + 1)
        return [
            n * 1024
            for n in reversed(range(max(first, 1), end))
            if n % ACCOUNTS == 0
            and asked.get("instrument") in (None, (1 + n % INSTRUMENTS) * 1024)
            and asked.get("state") in (None, 1 + n % 4)
        ]

    tell(history, story)


def test_a_cursor_need_not_be_an_order_of_the_account(history: str) -> None:
    """A symbol of several instruments is merged from several lists; so may a client's be."""

    async def story(pool: Pool) -> None:
        async def after(created_us: int, order_id: int) -> list[int]:
            request = orders.ListOrdersRequest(account=ALICE)
            page = await store.some_orders(pool, request, OrderCursor(created_us, order_id), 2)
            return [order.order_id for order in page]

        assert await after(9, 9 * 1024) == [6 * 1024, 3 * 1024]
        assert await after(9, 10 * 1024) == [9 * 1024, 6 * 1024]
        assert await after(10, 10 * 1024) == [9 * 1024, 6 * 1024]
        assert await after(*NEWEST_ORDER) == [ROWS * 1024, (ROWS - 3) * 1024]
        assert await after(1, 1024) == []

    tell(history, story)


def test_an_order_that_changes_touches_no_index(history: str) -> None:
    async def story(pool: Pool) -> None:
        columns = await pool.fetch(
            """
            select distinct a.attname from pg_index i
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
            where i.indrelid = 'orders'::regclass
            """
        )
        fixed = {"account", "order_id", "instrument", "client_order_id", "created_us"}
        assert {column[0] for column in columns} == fixed

    tell(history, story)


@pytest.mark.parametrize("text", ["", "1", "1.2", "1.2.2", "-1.2.0", "1.2.0.0", "x.2.0", "1.2.٠"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    assert parse_cursor(text) is None


@pytest.mark.parametrize("text", ["", "1", "1.", "1.2.0", "-1.2", "1.x", "1.٠"])
def test_what_is_no_page_is_refused(text: str) -> None:
    assert parse_page(text) is None


def test_a_cursor_reads_as_it_was_written() -> None:
    for cursor in (NEWEST_FILL, FillCursor(0, 1024, False)):
        assert parse_cursor(cursor.text()) == cursor
    for place in (NEWEST_ORDER, OrderCursor(0, 1024)):
        assert parse_page(place.text()) == place
