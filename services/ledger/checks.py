"""The invariants of the books, each with the sentence that says where it first does not hold."""

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from bourse.ledger import v1 as ledger
from services.ledger import moves, store
from services.ledger.reader import Bookkeeper
from services.runtime.postgres import Connection, Pool


class CoreTotals(NamedTuple):
    """What the core says everybody has."""

    sequence: int
    """What it is true at."""
    shard: int
    minor: Mapping[tuple[int, int], int]
    """Totals by account and asset, minor units."""


async def all_checks(pool: Pool, keeper: Bookkeeper, core: CoreTotals) -> list[ledger.Check]:
    """Every check, at one point of the books. Slow: it reads all postings."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        return [check async for check in _checks(connection, keeper, core)]


async def _checks(
    tx: Connection, keeper: Bookkeeper, core: CoreTotals
) -> AsyncIterator[ledger.Check]:
    row = await store.first_unbalanced(tx)
    text = f"entry {row[0]}, asset {row[1]}" if row else None
    yield _check("every entry adds up to zero", text)
    row = await store.first_asset_not_zero(tx)
    text = f"asset {row[0]}: {row[1]} minor units" if row else None
    yield _check("all accounts add up to zero", text)
    row = await store.first_balance_not_the_sum(tx)
    place = f"account {row[0]}, asset {row[1]}, shard {row[2]}" if row else ""
    text = f"{place}: {row[3]} is not {row[4]}" if row else None
    yield _check("a balance is the sum of its postings", text)
    broken = [seq async for seq in store.broken_links(tx)]
    yield _check("the chain of entries is whole", f"first at entry {broken[0]}" if broken else None)
    row = await store.first_gap_in_outbox(tx)
    text = f"source {row[0]}, shard {row[1]}, at number {row[2]}" if row else None
    yield _check("the outbox has no gaps", text)
    asset = await store.first_clearing_not_under_way(tx)
    yield _check(
        "clearing is what is under way", None if asset is None else f"asset {asset} is not"
    )
    asset = await moves.first_transit_not_under_way(tx)
    text = None if asset is None else f"asset {asset} is not"
    yield _check("transit is what is between the shards", text)
    yield _check("core and ledger agree at every record", keeper.stopped[core.shard] or None)
    yield _check("core and ledger state the same totals", _totals(keeper, core))


def _totals(keeper: Bookkeeper, core: CoreTotals) -> str | None:
    """The first total that differs, if the ledger stands where the core's totals were read."""
    if keeper.places[core.shard].sequence != core.sequence:
        # The balance hash of every record was compared on the way here: nothing is left unproven.
        return None
    ours = keeper.books.balances
    unknown = (
        (account, asset, theirs, 0)
        for (account, asset), theirs in core.minor.items()
        if theirs and (account, asset, core.shard) not in ours
    )
    other = (
        (account, asset, core.minor.get((account, asset), 0), posted)
        for (account, asset, shard), posted in ours.items()
        if shard == core.shard and posted != core.minor.get((account, asset), 0)
    )
    first = min((*unknown, *other), default=None)
    return first and "account {}, asset {}: {} and {}".format(*first)


def _check(name: str, broken: str | None) -> ledger.Check:
    return ledger.Check(name=name, ok=broken is None, detail=broken or "")
