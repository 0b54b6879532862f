"""The index of the event log by account. Each function is named for what it answers or writes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from services.runtime.events import BEGINNING, EventKey, Position
from services.runtime.postgres import Pool


class Block(NamedTuple):
    """A run of event records and everybody it concerns."""

    first_offset: int
    next_offset: int
    last_command: int
    last_part: int
    was_last: bool
    first_sequence: int
    last_sequence: int
    time_us: int
    accounts: Sequence[int]


_ADD: Final = """
    insert into block values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    on conflict (first_offset) do nothing
"""
_FORGET: Final = "delete from block where time_us < $1"
_LAST: Final = """
    select next_offset, last_command, last_part, was_last, last_sequence from block
    order by first_offset desc limit 1
"""
_OLDEST: Final = "select min(first_sequence) from block"
_CONCERNING: Final = """
    select first_offset, next_offset from block
    where next_offset > $2 and last_sequence >= $3 and $1 = any(accounts) order by first_offset
"""


async def add(pool: Pool, block: Block) -> None:
    """Put a block at the end of the index."""
    await pool.execute(_ADD, *block)


async def forget(pool: Pool, before_us: int) -> None:
    """Drop blocks whose last record is older than this."""
    await pool.execute(_FORGET, before_us)


async def end(pool: Pool) -> tuple[Position, int]:
    """Where the index ends: the position after it, and the last sequence in it."""
    row = await pool.fetchrow(_LAST)
    if row is None:
        return BEGINNING, 0
    key = EventKey(row["last_command"], row["last_part"])
    return Position(row["next_offset"], key, row["was_last"]), row["last_sequence"]


async def oldest_sequence(pool: Pool) -> int:
    """The first sequence that can still be found; 1 while the index is empty."""
    return await pool.fetchval(_OLDEST) or 1


async def concerning(
    pool: Pool, account: int, from_offset: int, from_sequence: int
) -> list[tuple[int, int]]:
    """(first, next) offsets of the blocks from a place on that speak of an account."""
    rows = await pool.fetch(_CONCERNING, account, from_offset, from_sequence)
    return [(row["first_offset"], row["next_offset"]) for row in rows]
