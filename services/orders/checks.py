"""The invariants of history, each with a sentence that says where it first does not hold."""

from collections.abc import AsyncIterator

import asyncpg

from bourse.orders import v1 as orders
from services.orders import store
from services.orders.state import first_difference
from services.runtime.place import find
from services.runtime.postgres import Connection, Pool


async def all_checks(
    pool: Pool, topic: str, request: orders.VerifyRequest
) -> orders.VerifyResponse:
    """Every check, at one point of history. Slow: it reads all of it."""
    async with store.at_one_point(pool) as tx:
        trades = await store.count_trades(tx, request.sequence)
        checks = [check async for check in _checks(tx, request, trades)]
        sequence = (await find(tx, topic)).sequence
        return orders.VerifyResponse(checks=checks, sequence=sequence, trades=trades)


async def _checks(
    tx: Connection, request: orders.VerifyRequest, trades: int
) -> AsyncIterator[orders.Check]:
    row = await store.first_not_ended_once(tx)
    yield _check("an order ends once", row, "order {0}, sequence {1}: ended {2} times")
    row = await store.first_of_two_accounts(tx)
    yield _check("an order has one owner", row, "order {0} has {1}")
    row = await store.first_not_the_sum(tx)
    sums = "order {0}, sequence {1}: lots {2} and {3}, quote {4} and {5}, fee {6} and {7}"
    yield _check("an order is the sum of its fills", row, sums)
    row = await store.first_not_a_pair(tx)
    found = f"{trades} trades"
    yield _check("a trade has two sides", row, "trade {0}, sequence {1}: {2} fills", found)
    ids = [order.order_id for order in request.open_orders]
    history = await store.open_or_named(tx, ids)
    broken = first_difference(request.open_orders, history, request.sequence)
    detail = broken or f"{len(ids)} orders at sequence {request.sequence}"
    yield orders.Check(
        name="core and history have the same open orders", ok=broken is None, detail=detail
    )


def _check(
    name: str, broken: asyncpg.Record | None, sentence: str, found: str = ""
) -> orders.Check:
    detail = found if broken is None else sentence.format(*broken)
    return orders.Check(name=name, ok=broken is None, detail=detail)
