"""The index of the event log by account. Each function is named for what it answers or writes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from services.runtime.postgres import Connection, Pool


class Block(NamedTuple):
    """A run of whole event records and everybody it concerns."""

    first_offset: int
    next_offset: int
    first_sequence: int
    last_sequence: int
    time_us: int
    accounts: Sequence[int]


_ADD: Final = f"""
    insert into block ({", ".join(Block._fields)}) values ($1, $2, $3, $4, $5, $6)
"""  # noqa: S608 - names of our own columns
_FORGET: Final = "delete from block where time_us < $1"


async def add(tx: Connection, block: Block) -> None:
    """Put a block at the end of the index."""
    await tx.execute(_ADD, *block)


async def forget(tx: Connection, before_us: int) -> None:
    """Drop blocks whose last record is older than this."""
    await tx.execute(_FORGET, before_us)


_OLDEST: Final = "select min(first_sequence) from block"


async def oldest_sequence(pool: Pool) -> int:
    """The first sequence that can still be found; 1 while the index is empty."""
    return await pool.fetchval(_OLDEST) or 1


_OLDEST_OFFSET: Final = "select min(first_offset) from block"


async def oldest_offset(pool: Pool) -> int | None:
    """Where the log is still read from; None while the index is empty."""
    offset: int | None = await pool.fetchval(_OLDEST_OFFSET)
    return offset


_CONCERNING: Final = """
    select first_offset, next_offset from block
    where next_offset > $2 and last_sequence >= $3 and $1 = any(accounts) order by first_offset
"""


async def concerning(
    pool: Pool, account: int, from_offset: int, from_sequence: int
) -> list[tuple[int, int]]:
    """(first, next) offsets of the blocks from a place on that speak of an account."""
    rows = await pool.fetch(_CONCERNING, account, from_offset, from_sequence)
    return [(row["first_offset"], row["next_offset"]) for row in rows]
