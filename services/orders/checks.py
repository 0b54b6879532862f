"""The invariants of history, each with a sentence that says where it first does not hold."""

from collections.abc import AsyncIterator

import asyncpg

from bourse.orders import v1 as orders
from services.orders import store
from services.orders.state import difference
from services.runtime.place import find
from services.runtime.postgres import Connection


async def all_checks(
    tx: Connection, topic: str, shard: int, core_sequence: int
) -> orders.StreamVerifyResponse:
    """Every check, in a transaction that stands still. Slow: it reads all of history.

    The open orders of the shard's core at its sequence are in the table for what was asked; what
    history says of itself is checked for all shards.
    """
    trades = await store.count_trades(tx, shard, core_sequence)
    checks = [check async for check in _checks(tx, shard, core_sequence, trades)]
    sequence = (await find(tx, topic)).sequence
    return orders.StreamVerifyResponse(checks=checks, sequence=sequence, trades=trades)


async def _checks(
    tx: Connection, shard: int, core_sequence: int, trades: int
) -> AsyncIterator[orders.Check]:
    row = await store.first_not_ended_once(tx)
    yield _check("an order ends once", row, "order {0}, sequence {1}: ended {2} times")
    row = await store.first_of_two_accounts(tx)
    yield _check("an order has one owner", row, "order {0} has {1}")
    row = await store.first_not_the_sum(tx)
    sums = "order {0}, sequence {1}: lots {2} and {3}, quote {4} and {5}, fee {6} and {7}"
    sums += ", other fee {8} and {9}"
    yield _check("an order is the sum of its fills", row, sums)
    row = await store.first_not_a_pair(tx)
    found = f"{trades} trades"
    yield _check("a trade has two sides", row, "trade {0}, sequence {1}: {2} fills", found)
    broken, compared = await _compare(tx, shard, core_sequence)
    detail = broken or f"{compared} orders at sequence {core_sequence}"
    yield orders.Check(
        name="core and history have the same open orders", ok=broken is None, detail=detail
    )


async def _compare(tx: Connection, shard: int, core_sequence: int) -> tuple[str | None, int]:
    """The first open order that differs from the core's, and how many of the core's were seen."""
    compared = 0
    async for ours, theirs in store.open_or_asked(tx, shard):
        compared += theirs is not None
        broken = difference(ours, theirs, core_sequence)
        if broken is not None:
            return broken, compared
    return None, compared


def _check(
    name: str, broken: asyncpg.Record | None, sentence: str, found: str = ""
) -> orders.Check:
    detail = found if broken is None else sentence.format(*broken)
    return orders.Check(name=name, ok=broken is None, detail=detail)
