"""The index of the event logs by account. Each function is named for what it answers or writes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from services.runtime.postgres import Connection, Pool


class Block(NamedTuple):
    """A run of whole event records of a shard and everybody it concerns."""

    shard: int
    first_offset: int
    next_offset: int
    first_sequence: int
    last_sequence: int
    time_us: int
    accounts: Sequence[int]


_ADD: Final = f"""
    insert into block ({", ".join(Block._fields)}) values ($1, $2, $3, $4, $5, $6, $7)
"""  # noqa: S608 - names of our own columns
_FORGET: Final = "delete from block where shard = $1 and time_us < $2"


async def add(tx: Connection, block: Block) -> None:
    """Put a block at the end of its shard's index."""
    await tx.execute(_ADD, *block)


async def forget(tx: Connection, shard: int, before_us: int) -> None:
    """Drop blocks of a shard whose last record is older than this."""
    await tx.execute(_FORGET, shard, before_us)


_OLDEST: Final = "select min(first_sequence) from block where shard = $1"


async def oldest_sequence(pool: Pool, shard: int) -> int:
    """The first sequence of a shard that can still be found; 1 while its index is empty."""
    return await pool.fetchval(_OLDEST, shard) or 1


_OLDEST_OFFSET: Final = "select min(first_offset) from block where shard = $1"


async def oldest_offset(pool: Pool, shard: int) -> int | None:
    """Where the log of a shard is still read from; None while its index is empty."""
    offset: int | None = await pool.fetchval(_OLDEST_OFFSET, shard)
    return offset


_CONCERNING: Final = """
    select first_offset, next_offset from block
    where shard = $1 and next_offset > $3 and last_sequence >= $4 and $2 = any(accounts)
    order by first_offset
"""


async def concerning(
    pool: Pool, shard: int, account: int, from_offset: int, from_sequence: int
) -> list[tuple[int, int]]:
    """(first, next) offsets of a shard's blocks from a place on that speak of an account."""
    rows = await pool.fetch(_CONCERNING, shard, account, from_offset, from_sequence)
    return [(row["first_offset"], row["next_offset"]) for row in rows]
