"""Records as Kafka keeps them: an append is one batch, and a batch is in the log whole or not.

What we did not write ourselves is recognised where it can be, and never passed on: a reader that
took it for ours would show every room something that never happened.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from services.runtime.log import (
    MAX_APPEND_BYTES,
    Record,
    RecordTooLarge,
    TopicUnsound,
)

MAX_BATCH_BYTES: Final = 2 * MAX_APPEND_BYTES
"""What a topic takes at once: an append of the largest size, and what stands around its records."""

_MAGIC: Final = 2
_NO_COMPRESSION: Final = 0
_LOG_APPEND_TIME: Final = 1


class Identity(NamedTuple):
    """By what a broker knows a batch again that is sent twice.

    A batch of an older epoch is refused once one of a newer epoch is in the log.
    """

    producer: int
    epoch: int
    sequence: int
    """Of the first record: records of one epoch are counted from 0."""


def encode(bodies: Sequence[bytes], identity: Identity, clock_us: int) -> bytearray:
    """One batch of them all. Raises RecordTooLarge."""
    builder = DefaultRecordBatchBuilder(_MAGIC, _NO_COMPRESSION, 0, *identity, MAX_BATCH_BYTES)
    clock_ms = clock_us // 1000
    for number, body in enumerate(bodies):
        if builder.append(number, clock_ms, None, body, []) is None:
            raise RecordTooLarge(
                f"An append of {len(bodies)} records is above {MAX_BATCH_BYTES} bytes, with what"
                " stands around them."
            )
    built: bytearray = builder.build()
    return built


def decode(topic: str, data: bytes, wanted: int) -> list[Record]:
    """The records of what a broker has sent, from offset `wanted` on, without a gap.

    It sends whole batches, so some may stand before; what it cut off at the end is left for the
    next time. Raises TopicUnsound.
    """
    records: list[Record] = []
    batches = MemoryRecords(data)
    try:
        while batches.has_next():
            batch = batches.next_batch()
            if batch.next_offset <= wanted:
                continue
            _refuse_foreign_batch(topic, batch)
            for found in batch:
                if found.offset < wanted:
                    continue
                records.append(_ours(topic, found, wanted))
                wanted += 1
    except CorruptRecordException as error:
        raise _unsound(topic, wanted, f"cannot be read: {error}") from error
    return records


def _refuse_foreign_batch(topic: str, batch: Any) -> None:
    """Raise TopicUnsound if this is no batch that an append of ours would have made."""
    offset = batch.base_offset
    if not isinstance(batch, DefaultRecordBatch):
        raise _unsound(topic, offset, "has a format of before Kafka 0.11")
    if batch.is_control_batch or batch.is_transactional:
        raise _unsound(topic, offset, "belongs to a transaction, and this log has none")
    if batch.compression_type != _NO_COMPRESSION:
        raise _unsound(topic, offset, "is compressed, and nothing of ours is")
    if batch.timestamp_type != _LOG_APPEND_TIME:
        raise _unsound(topic, offset, "has the time of its sender and not that of the log")
    if not batch.validate_crc():
        raise _unsound(topic, offset, "is damaged: its checksum is wrong")


def _ours(topic: str, found: Any, wanted: int) -> Record:
    if found.offset != wanted:
        raise TopicUnsound(
            f"{topic} has a hole: offset {found.offset} stands where {wanted} belongs. Somebody has"
            " removed records from the middle of it: restore it from a backup."
        )
    if found.value is None or found.key is not None or found.headers:
        raise _unsound(
            topic, wanted, "was not written by Bourse: it has no value, a key or headers"
        )
    return Record(wanted, found.timestamp * 1000, found.value)


def _unsound(topic: str, offset: int, what: str) -> TopicUnsound:
    return TopicUnsound(
        f"The record at offset {offset} of {topic} {what}. Nobody else may write to this topic:"
        " see to that, and restore it from a backup."
    )
