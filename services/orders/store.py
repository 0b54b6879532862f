"""History's tables. Each function is named for what it answers or writes; SQL stands above it."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import asyncpg
from asyncpg.transaction import Transaction

from bourse.orders import v1 as orders
from bourse.types import v1 as types
from services.domain.ids import SHARDS
from services.orders.state import (
    FILL_COLUMNS,
    ORDER_COLUMNS,
    FillCursor,
    OrderCursor,
    Row,
    fill_of,
    order_of,
)
from services.runtime.postgres import Connection, Pool

# History can be read from the log again, and its position is in the same transaction: after a loss
# of power it merely starts a little earlier. So it leaves the disk's syncs to those who need them.
_DURABLE_LATER: Final = "set local synchronous_commit = off"

# What an order's life can change. None of these is in an index.
_CHANGING: Final = (
    "price_ticks",
    "quantity_lots",
    "quote_minor",
    "state",
    "reason",
    "remaining_lots",
    "filled_lots",
    "filled_quote_minor",
    "fee_minor",
    "updated_us",
    "sequence",
    "trigger_ticks",
    "peak_ticks",
    "triggered_us",
    "other_fee_asset",
    "other_fee_minor",
)
_NARROW: Final = {
    "side": "smallint",
    "type": "smallint",
    "time_in_force": "smallint",
    "post_only": "boolean",
    "self_trade_prevention": "smallint",
    "client_order_id": "text",
    "state": "smallint",
    "reason": "smallint",
    "ends": "smallint",
    "trigger_by": "smallint",
    "group_kind": "smallint",
    "group_member": "smallint",
}
# Numbers go as the text of an array: asyncpg looks at each element of a list to see whether it is a
# list in turn, which took more than all the rest of this room. Texts would need quotes: they stay.
_TEXTS: Final = tuple(_NARROW.get(name) == "text" for name in ORDER_COLUMNS)
_ARRAYS: Final = ", ".join(
    f"${place}::{'' if is_text else 'text::'}{_NARROW.get(name, 'bigint')}[]"
    for place, (name, is_text) in enumerate(zip(ORDER_COLUMNS, _TEXTS, strict=True), 1)
)
# "group" is a word of SQL.
_NAMES: Final = ", ".join(f'"{name}"' for name in ORDER_COLUMNS)
_PUT_ORDERS: Final = f"""
    insert into orders ({_NAMES}) select * from unnest({_ARRAYS})
    on conflict (account, order_id) do update set
        {", ".join(f"{name} = excluded.{name}" for name in _CHANGING)},
        ends = orders.ends
            + case when excluded.sequence > orders.sequence or orders.state in (1, 5)
                then excluded.ends else 0 end
    where excluded.sequence >= orders.sequence
"""  # noqa: S608 - names of our own columns


async def write(tx: Connection, orders_rows: list[Row], fills: list[Row]) -> None:
    """Put in the newest states and the fills: two round trips, whatever their number."""
    await tx.execute(_DURABLE_LATER)
    if orders_rows:
        await tx.execute(_PUT_ORDERS, *_columns(orders_rows))
    if fills:
        await tx.copy_records_to_table("fill", records=fills, columns=FILL_COLUMNS)


def _columns(rows: list[Row]) -> Iterator[Any]:
    for column, is_text in zip(zip(*rows, strict=True), _TEXTS, strict=True):
        yield column if is_text else f"{{{','.join(map(str, column))}}}"


# --- Reading --------------------------------------------------------------------------------


@asynccontextmanager
async def at_one_point(pool: Pool) -> AsyncIterator[Connection]:
    """A connection on which several questions see the same history."""
    async with pool.acquire() as connection, standing_still(connection):
        yield connection


def standing_still(connection: Connection) -> Transaction:
    """A transaction in which several questions see the same history."""
    return connection.transaction(isolation="repeatable_read", readonly=True)


_BY_ID: Final = "select * from orders where account = $1 and order_id = $2"
BY_NAME: Final = """
    select * from orders where account = $1 and client_order_id = $2 and client_order_id <> ''
    order by created_us desc, order_id desc limit 1
"""
"""The newest order of an account's name."""

_FILLS_OF: Final = (
    "select * from fill where order_id = $1 and account = $2 order by trade_id, maker"
)


async def one_order(
    pool: Pool, account: int, order_id: int, client_order_id: str
) -> orders.OrderWithFills | None:
    """An order by its id or, if that is 0, the newest of its name in any shard; with its fills."""
    async with at_one_point(pool) as connection:
        if order_id:
            row = await connection.fetchrow(_BY_ID, account, order_id)
        else:
            row = await connection.fetchrow(BY_NAME, account, client_order_id)
        if row is None:
            return None
        fills = await connection.fetch(_FILLS_OF, row["order_id"], account)
    return orders.OrderWithFills(order=order_of(row), fills=map(fill_of, fills))


_TOP: Final = 2**63 - 1


class Page(NamedTuple):
    """A page of a list, newest first: a statement, and what it is asked with.

    What is not asked for is not in the statement, so each has one index that gives its rows in
    their order.
    """

    text: str
    asked: list[Any]


def orders_page(request: orders.ListOrdersRequest, below: OrderCursor, limit: int) -> Page:
    """Orders of an account below a place."""
    only = {"instrument": request.instrument, "state": request.state}
    return _page("orders", OrderCursor._fields, request, below, only, limit)


def fills_page(request: orders.ListFillsRequest, below: FillCursor, limit: int) -> Page:
    """Fills of an account below a place."""
    only = {"instrument": request.instrument, "order_id": min(request.order_id, _TOP)}
    return _page("fill", FillCursor._fields, request, below, only, limit)


def _page(
    table: str,
    place: Sequence[str],
    request: orders.ListOrdersRequest | orders.ListFillsRequest,
    below: Row,
    only: Mapping[str, int],
    limit: int,
) -> Page:
    """`place` names the columns that a list is ordered by, its time first."""
    # The place is a bound of the time too: else Postgres begins at the newest and passes over all
    # that lies above.
    before_us = min(request.to_us or _TOP, below[0] + 1)
    asked = [request.account, request.from_us, before_us, *below]
    given = ", ".join(f"${number}" for number in range(4, 4 + len(place)))
    conditions = [f"({', '.join(place)}) < ({given})"]
    for column, wanted in only.items():
        if wanted:
            asked.append(wanted)
            conditions.append(f"{column} = ${len(asked)}")
    asked.append(limit)
    text = f"""
        select * from {table}
        where account = $1 and {place[0]} >= $2 and {place[0]} < $3
            and {" and ".join(conditions)}
        order by {", ".join(f"{column} desc" for column in place)} limit ${len(asked)}
    """  # noqa: S608 - names of our own tables and columns
    return Page(text, asked)


async def some_orders(
    pool: Pool, request: orders.ListOrdersRequest, below: OrderCursor, limit: int
) -> list[types.Order]:
    """Orders of an account below a place, newest first."""
    text, asked = orders_page(request, below, limit)
    return [order_of(row) for row in await pool.fetch(text, *asked)]


async def some_fills(
    pool: Pool, request: orders.ListFillsRequest, below: FillCursor, limit: int
) -> list[orders.Fill]:
    """Fills of an account below a place, newest first."""
    text, asked = fills_page(request, below, limit)
    return [fill_of(row) for row in await pool.fetch(text, *asked)]


# --- Checking -------------------------------------------------------------------------------

_ENDS: Final = """
    select order_id, sequence, ends from orders
    where ends <> case when state in (1, 5) then 0 else 1 end order by sequence limit 1
"""
_TWICE: Final = """
    select order_id, count(*) from orders group by order_id having count(*) > 1
    order by order_id limit 1
"""
# A sum over an order's life stays at the top where it would pass it. Fees are added up by asset: an
# order may have paid some of them in another than what it receives, and in one other at most.
_NOT_THE_SUM: Final = """
    select order_id, coalesce(o.sequence, f.sequence) as sequence,
        o.filled_lots, f.lots, o.filled_quote_minor, f.quote, o.fee_minor, f.fee,
        o.other_fee_minor, f.other_fee
    from orders o full join (
        select account, order_id, min(sequence) as sequence, sum(lots) as lots,
            least(sum(quote_minor), 9223372036854775807) as quote,
            coalesce(sum(fee_minor) filter (where not is_other), 0) as fee,
            coalesce(sum(fee_minor) filter (where is_other), 0) as other_fee,
            coalesce(min(fee_asset) filter (where is_other), 0) as least_other,
            coalesce(max(fee_asset) filter (where is_other), 0) as most_other
        from (
            select fill.*, fill.fee_asset <> own.fee_asset as is_other
            from fill left join orders own using (account, order_id)
        ) with_order
        group by account, order_id
    ) f using (account, order_id)
    where (coalesce(o.filled_lots, -1), coalesce(o.filled_quote_minor, -1))
            is distinct from (coalesce(f.lots, 0), coalesce(f.quote, 0))
        or (o.fee_minor < 9223372036854775807 and o.fee_minor <> coalesce(f.fee, 0))
        or (o.other_fee_minor < 9223372036854775807
            and o.other_fee_minor <> coalesce(f.other_fee, 0))
        or o.other_fee_asset <> coalesce(f.least_other, 0)
        or o.other_fee_asset <> coalesce(f.most_other, 0)
    order by 2 limit 1
"""
_NOT_A_PAIR: Final = """
    select trade_id, min(sequence) as sequence, count(*) from fill group by trade_id
    having count(*) <> 2 or count(*) filter (where maker) <> 1
        or count(distinct (instrument, price_ticks, lots, quote_minor, time_us, sequence)) <> 1
        or min(side) <> 1 or max(side) <> 2
    order by 2 limit 1
"""
# Ids carry their shard: see services/domain/ids.py.
_COUNT_TRADES: Final = f"""
    select count(*) from fill where maker and trade_id % {SHARDS} = $1 and sequence <= $2
"""  # noqa: S608 - a number of our own


async def first_not_ended_once(tx: Connection) -> asyncpg.Record | None:
    """(order_id, sequence, ends) of the first order that ended more than once, or only perhaps."""
    return await tx.fetchrow(_ENDS)


async def first_of_two_accounts(tx: Connection) -> asyncpg.Record | None:
    """(order_id, count) of an order id that two accounts have."""
    return await tx.fetchrow(_TWICE)


async def first_not_the_sum(tx: Connection) -> asyncpg.Record | None:
    """(order_id, sequence, lots, quote and fee by order and by fills) of the first that differs."""
    return await tx.fetchrow(_NOT_THE_SUM)


async def first_not_a_pair(tx: Connection) -> asyncpg.Record | None:
    """(trade_id, sequence, count) of the first trade whose fills are not its two sides."""
    return await tx.fetchrow(_NOT_A_PAIR)


_ASKED: Final = "create temp table asked (order_id bigint primary key, encoded bytea not null)"
_FORGET_ASKED: Final = "drop table if exists asked"
_PAIRS: Final = f"""
    select o.*, a.encoded
    from (select * from orders where order_id % {SHARDS} = $1) o
    full join asked a on a.order_id = o.order_id
    where o.state in (1, 5) or a.order_id is not null order by coalesce(o.order_id, a.order_id)
"""  # noqa: S608 - a number of our own
_AT_A_TIME: Final = 1000


@asynccontextmanager
async def for_asked(pool: Pool) -> AsyncIterator[Connection]:
    """A connection with a table for the orders that somebody else says are open.

    However many they are, they wait in Postgres and not in memory.
    """
    async with pool.acquire() as connection:
        await connection.execute(_ASKED)
        try:
            yield connection
        finally:
            # A connection that was lost has dropped it already.
            if not connection.is_closed():
                await connection.execute(_FORGET_ASKED)


async def put_asked(connection: Connection, orders_said: Iterable[types.Order]) -> None:
    """Add orders that somebody else says are open."""
    rows = [(order.order_id, order.SerializeToString()) for order in orders_said]
    await connection.copy_records_to_table("asked", records=rows, columns=("order_id", "encoded"))


async def open_or_asked(
    tx: Connection, shard: int
) -> AsyncIterator[tuple[types.Order | None, types.Order | None]]:
    """(as it is here, as it was said) of each order of a shard that is open here or was said to be,
    by id."""
    async for row in tx.cursor(_PAIRS, shard, prefetch=_AT_A_TIME):
        encoded = row["encoded"]
        here = None if row["order_id"] is None else order_of(row)
        yield here, None if encoded is None else types.Order.FromString(encoded)


async def count_trades(tx: Connection, shard: int, up_to_sequence: int) -> int:
    """How many trades of a shard history has, of commands up to a sequence."""
    return int(await tx.fetchval(_COUNT_TRADES, shard, up_to_sequence))
