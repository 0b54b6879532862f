"""The books' tables. Each function is named for what it answers or writes; SQL stands above it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

import asyncpg

from services.ledger.state import (
    Books,
    Draft,
    Entry,
    Leg,
    Settled,
    all_legs,
    all_links,
    entry_hash,
    transfer_state,
)
from services.runtime.postgres import Connection, Pool

_LOAD_BALANCES: Final = "select account, asset, shard, posted from balance"
_LOAD_HEAD: Final = "select seq, hash from journal order by seq desc limit 1"


async def load_books(connection: Connection) -> Books:
    """All balances and the end of the chain."""
    books = Books()
    head = await connection.fetchrow(_LOAD_HEAD)
    if head is not None:
        books.seq, books.head = head["seq"], head["hash"]
    books.load([tuple(row) for row in await connection.fetch(_LOAD_BALANCES)])
    return books


_BALANCE: Final = """
    insert into balance (account, asset, shard, posted, last_seq)
    select * from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[])
    on conflict (account, asset, shard)
        do update set posted = excluded.posted, last_seq = excluded.last_seq
"""


async def write(tx: Connection, draft: Draft) -> None:
    """Put a draft into the tables: three round trips, whatever its size."""
    if not draft.entries:
        return
    await tx.copy_records_to_table(
        "journal",
        records=all_links(draft.entries),
        columns=("seq", "event_key", "kind", "time_us", "prev_hash", "hash"),
    )
    await tx.copy_records_to_table(
        "posting",
        records=all_legs(draft.entries),
        columns=("seq", "leg", "account", "asset", "shard", "amount"),
    )
    accounts, assets, shards = zip(*draft.changed, strict=True)
    posted = list(draft.changed.values())
    last = [draft.last_seq[spot] for spot in draft.changed]
    await tx.execute(_BALANCE, accounts, assets, shards, posted, last)


_KNOWN_ENTRY: Final = "select exists (select from journal where event_key = $1)"


async def is_posted(connection: Connection, event_key: bytes) -> bool:
    """Has an entry of this key been posted?"""
    return bool(await connection.fetchval(_KNOWN_ENTRY, event_key))


# --- The outbox -----------------------------------------------------------------------------


class Sending(NamedTuple):
    """A credit or debit as the outbox keeps it. `amount_minor` is positive into the account."""

    number: int
    request_id: bytes
    shard: int
    account: int
    asset: int
    amount_minor: int
    state: int
    refusal: int
    sequence: int


_SENDING: Final = (
    "select number, request_id, shard, account, asset, amount, state, refusal, sequence from outbox"
)


async def transfer(connection: Connection, request_id: bytes) -> Sending | None:
    """The transfer that was asked for under this id."""
    row = await connection.fetchrow(f"{_SENDING} where request_id = $1", request_id)
    return None if row is None else Sending(*row)


async def under_way(connection: Connection, from_number: int, limit: int) -> list[Sending]:
    """Transfers the core has not answered, by number, from `from_number` on."""
    text = f"{_SENDING} where state = 1 and number >= $1 order by number limit $2"
    return [Sending(*row) for row in await connection.fetch(text, from_number, limit)]


async def numbered_from(connection: Connection, from_number: int, limit: int) -> list[Sending]:
    """Transfers by number whatever became of them: what a source sends again after a gap."""
    text = f"{_SENDING} where number >= $1 order by number limit $2"
    return [Sending(*row) for row in await connection.fetch(text, from_number, limit)]


_ENQUEUE: Final = """
    insert into outbox (number, request_id, shard, account, asset, amount, state, created_us)
    select coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5, 1, $6 from outbox
    returning number
"""


async def enqueue(tx: Connection, request_id: bytes, leg: Leg, created_us: int) -> int:
    """Number a credit or debit. Only the one writer calls this, so numbers have no gaps."""
    number: int = await tx.fetchval(
        _ENQUEUE, request_id, leg.shard, leg.account, leg.asset, leg.amount_minor, created_us
    )
    return number


_SETTLE: Final = """
    update outbox set state = s.state, refusal = s.refusal, sequence = s.sequence
    from unnest($1::bigint[], $2::smallint[], $3::int[], $4::bigint[])
        as s (number, state, refusal, sequence)
    where outbox.number = s.number and outbox.state = 1
"""


async def settle(tx: Connection, settled: Sequence[Settled]) -> None:
    """Write down what the core answered. An answer it gave before changes nothing."""
    if not settled:
        return
    numbers = [one.number for one in settled]
    states = [int(transfer_state(one.refusal)) for one in settled]
    refusals = [one.refusal for one in settled]
    await tx.execute(_SETTLE, numbers, states, refusals, [one.sequence for one in settled])


_COUNT_UNDER_WAY: Final = "select count(*) from outbox where state = 1"


async def count_under_way(connection: Connection) -> int:
    """How many transfers the core has not answered."""
    return int(await connection.fetchval(_COUNT_UNDER_WAY))


# --- Reading --------------------------------------------------------------------------------

_POSTINGS: Final = """
    select p.seq, p.account, p.asset, p.shard, p.amount, j.kind, j.time_us
    from posting p join journal j using (seq)
    where p.account = $1 and ($2 = 0 or p.asset = $2) and p.seq < $3
    order by p.seq desc, p.leg limit $4
"""


async def postings(
    pool: Pool, account: int, asset: int, below_seq: int, limit: int
) -> list[dict[str, Any]]:
    """Postings of an account, newest first; asset 0 is any."""
    return [dict(row) for row in await pool.fetch(_POSTINGS, account, asset, below_seq, limit)]


_UNBALANCED: Final = """
    select seq, asset from posting group by seq, asset having sum(amount) <> 0 order by seq limit 1
"""
_NOT_ZERO: Final = (
    "select asset, sum(posted) from balance group by asset having sum(posted) <> 0 limit 1"
)
_NOT_THE_SUM: Final = """
    select coalesce(b.account, p.account), coalesce(b.asset, p.asset), coalesce(b.shard, p.shard),
           coalesce(b.posted, 0), coalesce(p.posted, 0)
    from balance b full join (
        select account, asset, shard, sum(amount) as posted
        from posting group by account, asset, shard
    ) p on (b.account, b.asset, b.shard) = (p.account, p.asset, p.shard)
    where coalesce(b.posted, 0) <> coalesce(p.posted, 0) limit 1
"""
_OUTBOX_GAP: Final = """
    select number from (select number, row_number() over (order by number) as place from outbox) o
    where number <> place limit 1
"""
_CLEARING: Final = """
    select b.asset from (
        select asset, sum(posted) as posted from balance where account = 2 group by asset
    ) b full join (
        select asset, sum(amount) as posted
        from outbox where state = 1 and amount > 0 group by asset
    ) o using (asset)
    where coalesce(b.posted, 0) <> coalesce(o.posted, 0) limit 1
"""


async def first_unbalanced(tx: Connection) -> asyncpg.Record | None:
    """(seq, asset) of the first entry whose legs do not add up to zero."""
    return await tx.fetchrow(_UNBALANCED)


async def first_asset_not_zero(tx: Connection) -> asyncpg.Record | None:
    """(asset, sum) of an asset that does not add up to zero over all accounts."""
    return await tx.fetchrow(_NOT_ZERO)


async def first_balance_not_the_sum(tx: Connection) -> asyncpg.Record | None:
    """(account, asset, shard, balance, sum) of a balance that is not the sum of its postings."""
    return await tx.fetchrow(_NOT_THE_SUM)


async def first_gap_in_outbox(tx: Connection) -> int | None:
    """The first number that does not follow the one before."""
    gap: int | None = await tx.fetchval(_OUTBOX_GAP)
    return gap


async def first_clearing_not_under_way(tx: Connection) -> int | None:
    """An asset of which clearing has more or less than the deposits on their way."""
    asset: int | None = await tx.fetchval(_CLEARING)
    return asset


_CHAIN: Final = """
    select j.seq, j.event_key, j.kind, j.time_us, j.prev_hash, j.hash,
           array_agg(p.account order by p.leg) as accounts,
           array_agg(p.asset order by p.leg) as assets,
           array_agg(p.shard order by p.leg) as shards,
           array_agg(p.amount order by p.leg) as amounts
    from journal j left join posting p using (seq)
    where j.seq > $1 and j.seq <= $1 + 5000 group by j.seq order by j.seq
"""


async def broken_links(tx: Connection) -> AsyncIterator[int]:
    """The seq of every entry whose hash does not follow from the entry before and its own rows."""
    expected, seq = bytes(32), 0
    while rows := await tx.fetch(_CHAIN, seq):
        for row in rows:
            columns = zip(
                row["accounts"], row["assets"], row["shards"], row["amounts"], strict=True
            )
            # An entry without postings comes out of the join with a leg of nulls.
            legs = tuple(Leg(*leg) for leg in columns if leg[0] is not None)
            entry = Entry(row["event_key"], row["kind"], row["time_us"], legs)
            right = entry_hash(expected, row["seq"], entry)
            if row["seq"] != seq + 1 or row["prev_hash"] != expected or row["hash"] != right:
                yield row["seq"]
            expected, seq = row["hash"], row["seq"]
