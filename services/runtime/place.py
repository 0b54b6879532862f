"""How far a room has come on an event log: one row of its own table, moved with what it writes.

Every room that follows the event log into tables keeps its place in `consumer_offset`, a table of
the same shape in the schema of each. A transaction that writes what events say moves the place too,
if place and epoch are still what the writer knows: so every event counts once, and of two writers
the newer one wins. After anything but a plain success the place is read again.

With the place stands the checksum of the record that was read last. At a start `same_log` looks
whether the log still has it: one that was rolled back is not followed any further.

    WriterReplaced      another process writes these tables now; this one must not any more
    PlaceMoved          the place is not where the writer thought: an earlier commit has happened
"""

from typing import Final, NamedTuple

import asyncpg

from services.runtime.events import BEGINNING, EventKey, Position, still_there
from services.runtime.final import NeedsMending
from services.runtime.holds import Held
from services.runtime.log import Log
from services.runtime.postgres import Connection, Pool


class WriterReplaced(NeedsMending):
    """Another process writes these tables now; this one must not write any more."""


class PlaceMoved(Exception):
    """The place is not where this writer thought: read it again."""


class Place(NamedTuple):
    """How far a room has come, and under which epoch it writes."""

    position: Position
    sequence: int
    """The last one of which everything is in the tables; 0 before the first."""
    epoch: int
    """Grows by one with each writer that takes over."""

    def then(self, position: Position, sequence: int) -> "Place":
        """Further on: at a position, with everything up to a sequence. That never goes back."""
        return Place(position, max(self.sequence, sequence), self.epoch)

    def held(self) -> Held:
        """What whoever stands here needs of the log."""
        return Held(self.position.next_offset, self.position.checksum)


NOWHERE: Final = Place(BEGINNING, 0, 0)
"""Of somebody who has not taken over yet."""

_COLUMNS: Final = (
    "next_offset, last_command, last_part, record_ended, checksum, sequence, writer_epoch"
)
_TAKE_OVER: Final = f"""
    insert into consumer_offset (topic, {_COLUMNS}) values ($1, $2, $3, $4, $5, $6, 0, 1)
    on conflict (topic) do update set writer_epoch = consumer_offset.writer_epoch + 1
    returning {_COLUMNS}
"""  # noqa: S608 - names of our own columns


async def take_over(connection: Pool | Connection, topic: str) -> Place:
    """Become the writer: whoever wrote before finds its epoch gone."""
    row = await connection.fetchrow(_TAKE_OVER, topic, *_flat(BEGINNING))
    assert row is not None, "it was inserted or updated"
    return _place(row)


_FIND: Final = f"select {_COLUMNS} from consumer_offset where topic = $1"  # noqa: S608 - ours


async def same_log(pool: Pool, log: Log, topic: str) -> None:
    """See that the log is the one these tables were written from, before anything is written.

    Raises RolledBack, TopicUnknown.
    """
    row = await pool.fetchrow(_FIND, topic)
    if row is not None:
        await still_there(log, topic, _place(row).position)


async def find(connection: Pool | Connection, topic: str, epoch: int | None = None) -> Place:
    """Where the tables stand, for the writer of an epoch or, if none, for whoever reads them.

    Raises WriterReplaced.
    """
    row = await connection.fetchrow(_FIND, topic)
    if row is None:
        raise WriterReplaced(
            f"The place on {topic} is gone from its table: the data was replaced while it was"
            " written. Start again once nobody else writes it."
        )
    if epoch not in (None, row["writer_epoch"]):
        raise WriterReplaced(
            f"Another process follows {topic} into these tables: it writes under epoch"
            f" {row['writer_epoch']}, and this one under {epoch}. Stop one of them."
        )
    return _place(row)


_MOVE: Final = """
    update consumer_offset
    set next_offset = $4, last_command = $5, last_part = $6, record_ended = $7, checksum = $8,
        sequence = $9
    where topic = $1 and next_offset = $2 and writer_epoch = $3
"""


async def advance(tx: Connection, topic: str, before: Place, after: Place) -> None:
    """Move the place, if it and the epoch are still what they were; else nothing is written.

    Raises WriterReplaced, PlaceMoved.
    """
    was = (topic, before.position.next_offset, before.epoch)
    done = await tx.execute(_MOVE, *was, *_flat(after.position), after.sequence)
    if done != "UPDATE 1":
        await _say_why(tx, topic, before)


_HOLD: Final = """
    select from consumer_offset where topic = $1 and next_offset = $2 and writer_epoch = $3
    for update
"""


async def hold(tx: Connection, topic: str, at: Place) -> None:
    """See that the place is still this one, and keep it there until the transaction ends.

    Raises WriterReplaced, PlaceMoved.
    """
    if await tx.fetchrow(_HOLD, topic, at.position.next_offset, at.epoch) is None:
        await _say_why(tx, topic, at)


async def _say_why(tx: Connection, topic: str, expected: Place) -> None:
    found = await find(tx, topic, expected.epoch)
    raise PlaceMoved(
        f"The place on {topic} is offset {found.position.next_offset}, not"
        f" {expected.position.next_offset}."
    )


def _place(row: asyncpg.Record) -> Place:
    key = EventKey(row["last_command"], row["last_part"])
    position = Position(row["next_offset"], key, row["record_ended"], row["checksum"])
    return Place(position, row["sequence"], row["writer_epoch"])


def _flat(position: Position) -> tuple[int, int, int, bool, int | None]:
    assert position.last_key is not None, "a place begins at the log's first part"
    return (position.next_offset, *position.last_key, position.last_part, position.checksum)
