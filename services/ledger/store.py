"""The books' tables. Each function is named for what it answers or writes; SQL stands above it."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import asyncpg

from bourse.ledger import v1 as ledger
from services.ledger.state import Books, Draft, Entry, Leg, Settled, entry_hash
from services.runtime.postgres import Connection

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
        records=_links(draft.entries),
        columns=("seq", "event_key", "kind", "time_us", "prev_hash", "hash"),
    )
    await tx.copy_records_to_table(
        "posting",
        records=_legs(draft.entries),
        columns=("seq", "leg", "account", "asset", "shard", "amount"),
    )
    accounts, assets, shards = zip(*draft.changed, strict=True)
    posted = list(draft.changed.values())
    last = [draft.last_seq[spot] for spot in draft.changed]
    await tx.execute(_BALANCE, accounts, assets, shards, posted, last)


def _links(
    entries: Iterable[tuple[int, Entry, bytes, bytes]],
) -> Iterator[tuple[int, bytes, str, int, bytes, bytes]]:
    for seq, entry, before, after in entries:
        yield seq, entry.event_key, entry.kind, entry.time_us, before, after


def _legs(entries: Iterable[tuple[int, Entry, bytes, bytes]]) -> Iterator[tuple[int, ...]]:
    for seq, entry, _, _ in entries:
        for number, (account, asset, shard, amount_minor) in enumerate(entry.legs):
            yield seq, number, account, asset, shard, amount_minor


_KNOWN_ENTRY: Final = "select exists (select from journal where event_key = $1)"


async def is_posted(connection: Connection, event_key: bytes) -> bool:
    """Has an entry of this key been posted?"""
    return bool(await connection.fetchval(_KNOWN_ENTRY, event_key))


# --- The outbox -----------------------------------------------------------------------------


class Sending(NamedTuple):
    """A credit or debit as the outbox keeps it. `amount_minor` is positive into the account."""

    source: int
    shard: int
    number: int
    """In its source and shard."""
    request_id: bytes
    account: int
    asset: int
    amount_minor: int
    valid_until_us: int
    """0 for no deadline."""
    state: int
    refusal: int
    sequence: int

    @property
    def leg(self) -> Leg:
        """What it does to an account."""
        return Leg(self.account, self.asset, self.shard, self.amount_minor)


class Asking(NamedTuple):
    """A credit or debit that is to be numbered."""

    source: int
    request_id: bytes
    leg: Leg
    valid_until_us: int = 0
    move: bytes | None = None
    """The move it is a leg of; None: it is a transfer."""


_COLUMNS: Final = (
    "source, shard, number, request_id, account, asset, amount, valid_until_us, state, refusal,"
    " sequence"
)
_SENDING: Final = f"select {_COLUMNS} from outbox"  # noqa: S608 - names of our own columns


async def transfer(connection: Connection, request_id: bytes) -> Sending | None:
    """The transfer that was asked for under this id."""
    row = await connection.fetchrow(f"{_SENDING} where source = 1 and request_id = $1", request_id)
    return None if row is None else Sending(*row)


_FROM_NUMBER: Final = f"{_SENDING} where source = $1 and shard = $2 and number >= $3"
_UNDER_WAY: Final = f"{_FROM_NUMBER} and state = 1 order by number limit $4"
_NUMBERED_FROM: Final = f"{_FROM_NUMBER} order by number limit $4"


async def under_way(
    connection: Connection, source: int, shard: int, from_number: int, limit: int
) -> list[Sending]:
    """What a core has not answered of a source, by number, from `from_number` on."""
    rows = await connection.fetch(_UNDER_WAY, source, shard, from_number, limit)
    return [Sending(*row) for row in rows]


async def numbered_from(
    connection: Connection, source: int, shard: int, from_number: int, limit: int
) -> list[Sending]:
    """By number whatever became of it: what a source sends again after a gap."""
    rows = await connection.fetch(_NUMBERED_FROM, source, shard, from_number, limit)
    return [Sending(*row) for row in rows]


_ENQUEUE: Final = f"""
    insert into outbox (source, shard, number, request_id, account, asset, amount, valid_until_us,
        move, state, created_us)
    select n.source, n.shard,
        row_number() over (partition by n.source, n.shard order by n.place) + coalesce((
            select max(number) from outbox o where (o.source, o.shard) = (n.source, n.shard)
        ), 0),
        n.request_id, n.account, n.asset, n.amount, n.valid_until_us, n.move, 1, $9
    from unnest($1::smallint[], $2::smallint[], $3::bytea[], $4::bigint[], $5::bigint[],
            $6::bigint[], $7::bigint[], $8::bytea[])
        with ordinality
        as n (source, shard, request_id, account, asset, amount, valid_until_us, move, place)
    returning {_COLUMNS}
"""  # noqa: S608 - names of our own columns


async def enqueue(tx: Connection, asked: Sequence[Asking], created_us: int) -> list[Sending]:
    """Number credits and debits. Only the one writer calls this, so numbers have no gaps."""
    if not asked:
        return []
    legs = [one.leg for one in asked]
    rows = await tx.fetch(
        _ENQUEUE,
        [one.source for one in asked],
        [leg.shard for leg in legs],
        [one.request_id for one in asked],
        [leg.account for leg in legs],
        [leg.asset for leg in legs],
        [leg.amount_minor for leg in legs],
        [one.valid_until_us for one in asked],
        [one.move for one in asked],
        created_us,
    )
    return [Sending(*row) for row in rows]


_SETTLE: Final = """
    update outbox set state = s.state, refusal = s.refusal, sequence = s.sequence
    from unnest($1::smallint[], $2::smallint[], $3::bigint[], $4::smallint[], $5::int[],
            $6::bigint[])
        as s (source, shard, number, state, refusal, sequence)
    where (outbox.source, outbox.shard, outbox.number) = (s.source, s.shard, s.number)
        and outbox.state = 1
"""


async def settle(tx: Connection, settled: Sequence[Settled]) -> None:
    """Write down what the cores answered. An answer given before changes nothing."""
    if not settled:
        return
    sources, shards, numbers, refusals, sequences = zip(*settled, strict=True)
    states = [int(_transfer_state(refusal)) for refusal in refusals]
    await tx.execute(_SETTLE, sources, shards, numbers, states, refusals, sequences)


def _transfer_state(refusal: int) -> "ledger.TransferState":
    return ledger.TRANSFER_STATE_REFUSED if refusal else ledger.TRANSFER_STATE_DONE


_ANSWERED: Final = """
    select source, shard, number from outbox
    where (source, shard, number) in (select * from
            unnest($1::smallint[], $2::smallint[], $3::bigint[])) and state <> 1
"""


async def answered(
    connection: Connection, asked: Sequence[tuple[int, int, int]]
) -> list[tuple[int, int, int]]:
    """Those of some credits and debits, by source, shard and number, that a core has answered."""
    if not asked:
        return []
    return [tuple(row) for row in await connection.fetch(_ANSWERED, *zip(*asked, strict=True))]


_COUNT_UNDER_WAY: Final = "select count(*) from outbox where source = 1 and state = 1"


async def count_under_way(connection: Connection) -> int:
    """How many transfers the cores have not answered."""
    return int(await connection.fetchval(_COUNT_UNDER_WAY))


# --- Halts ----------------------------------------------------------------------------------

_HALTED: Final = "select shard from halt"
_HALT: Final = "insert into halt values ($1) on conflict do nothing"
_RESUME: Final = "delete from halt where shard = $1"


async def halted(connection: Connection) -> set[int]:
    """The shards that are halted."""
    return {row[0] for row in await connection.fetch(_HALTED)}


async def write_halt(tx: Connection, shard: int, is_halted: bool) -> None:
    """Put down that a shard is halted, or is not any more."""
    await tx.execute(_HALT if is_halted else _RESUME, shard)


# --- Reading --------------------------------------------------------------------------------

_POSTINGS: Final = """
    select p.seq, p.account, p.asset, p.shard, p.amount, j.kind, j.time_us
    from (
        select * from posting where account = $1 and ($2 = 0 or asset = $2) and seq < $3
        order by seq desc fetch first $4 rows with ties
    ) p join journal j using (seq)
    order by p.seq desc, p.leg
"""


async def postings(
    connection: Connection, account: int, asset: int, below_seq: int, limit: int
) -> list[dict[str, Any]]:
    """Postings of an account, newest first; asset 0 is any. Above the limit where the last entry
    has more: a page goes on below a whole one."""
    rows = await connection.fetch(_POSTINGS, account, asset, below_seq, limit)
    return [dict(row) for row in rows]


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
    select source, shard, number from (
        select source, shard, number,
               row_number() over (partition by source, shard order by number) as place
        from outbox
    ) o
    where number <> place order by source, shard, number limit 1
"""
_CLEARING: Final = """
    select asset from (
        select asset, sum(posted) as posted from balance where account = 2 group by asset
    ) b full join (
        select asset, sum(amount) as posted
        from outbox where source = 1 and state = 1 and amount > 0 group by asset
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


async def first_gap_in_outbox(tx: Connection) -> asyncpg.Record | None:
    """(source, shard, number) of the first that does not follow the one before."""
    return await tx.fetchrow(_OUTBOX_GAP)


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
