"""Command records that operators had to skip: a row each, on a topic of its own in the same log.

A row stands before its record in the sense that counts: whoever applies the command log reads all
rows first. So a record is skipped by every replay, or by none.
"""

import hashlib
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final

from bourse.matching import v1 as matching
from services.runtime.final import NeedsMending
from services.runtime.log import Log, Record, TopicUnknown
from services.runtime.tail import Tail

Skips = Mapping[int, matching.SkippedRecord]
"""By the offset of the command record."""

NONE: Final[Skips] = {}


class SkipMistaken(NeedsMending):
    """A row says to skip a record, and the record that stands there is another one."""


def skips_topic(shard: int) -> str:
    """Where the skipped records of a shard's command log are named."""
    return f"bourse.skips.{shard}"


async def read_skips(log: Log, shard: int) -> Skips:
    """All of them; none if there is no such topic yet. Raises LogUnavailable."""
    topic = skips_topic(shard)
    try:
        start, end = await log.start(topic), await log.end(topic)
    except TopicUnknown:
        return NONE
    tail = Tail(log, topic)
    try:
        async with aclosing(tail.records(start, end)) as records:
            rows = [matching.SkippedRecord.FromString(record.body) async for record in records]
    finally:
        await tail.close()
    return {row.offset: row for row in rows}


async def append_skip(log: Log, row: matching.SkippedRecord) -> None:
    """Put down that a record is skipped. Raises LogError; OutcomeUnknown may simply be repeated."""
    await log.create(skips_topic(row.shard))
    await log.append(skips_topic(row.shard), [row.SerializeToString()], clock_us=row.time_us)


def is_skipped(skips: Skips, topic: str, record: Record) -> bool:
    """Whether this command record is to be skipped. Raises SkipMistaken."""
    row = skips.get(record.offset)
    if row is None:
        return False
    if hashlib.sha256(record.body).digest() != row.sha256:
        raise SkipMistaken(
            f"Record {record.offset} of {topic} is to be skipped, as {row.proposed_by} and"
            f" {row.confirmed_by} have agreed, and it is not the record that they have seen: this"
            " log is another one, or was rolled back. Nothing of it may be applied."
        )
    return True
