"""What waits for the log: the bytes of a record, the order and the bounds of the queue."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bourse.matching import v1 as matching
from services.runtime.intake import MAX_BATCH_BYTES, MAX_RECORD_BATCHES, Entry, Limits, Queue
from services.runtime.log import MAX_RECORD_BYTES
from services.runtime.sequencer import wrap


@given(some.integers(0, 1023), some.lists(some.binary(max_size=300), max_size=20))
def test_a_record_is_what_the_protobuf_library_would_write(
    shard: int, batches: list[bytes]
) -> None:
    record = matching.CommandRecord(shard=shard, requests=batches)
    assert wrap(shard, batches) == record.SerializeToString()


@pytest.mark.parametrize("length", [127, 128, 16_383, 16_384, MAX_BATCH_BYTES])
def test_lengths_of_every_size_are_written(length: int) -> None:
    record = wrap(1023, [bytes(length)])
    assert (
        record == matching.CommandRecord(shard=1023, requests=[bytes(length)]).SerializeToString()
    )
    assert len(record) <= MAX_RECORD_BYTES


def _queue(limits: Limits, *sizes: int) -> Queue:
    queue = Queue(limits)
    for size in sizes:
        assert queue.offer(Entry(bytes(size), None), only_cancels=True)
    return queue


def test_a_record_takes_what_fits_in_the_order_it_came() -> None:
    async def story() -> None:
        queue = _queue(Limits(), 300_000, 200_000, 100_000, 7)
        assert [len(entry.body) for entry in queue.take()] == [300_000, 200_000]
        assert [len(entry.body) for entry in queue.take()] == [100_000, 7]
        assert (len(queue), queue.bytes, queue.filled.is_set()) == (0, 0, False)

    asyncio.run(story())


def test_a_record_takes_no_more_batches_than_the_core() -> None:
    async def story() -> None:
        queue = _queue(Limits(batches=10_000), *([1] * (MAX_RECORD_BATCHES + 1)))
        assert len(queue.take()) == MAX_RECORD_BATCHES
        assert len(queue.take()) == 1

    asyncio.run(story())


def test_the_largest_batch_fits_into_a_record() -> None:
    async def story() -> None:
        queue = _queue(Limits(), MAX_BATCH_BYTES, MAX_BATCH_BYTES)
        assert len(wrap(1023, [entry.body for entry in queue.take()])) == MAX_RECORD_BYTES
        assert len(queue.take()) == 1

    asyncio.run(story())


@pytest.mark.parametrize("limits", [Limits(batches=100), Limits(bytes=1000)])
def test_a_tenth_of_the_queue_is_kept_for_cancels(limits: Limits) -> None:
    async def story() -> None:
        queue = Queue(limits)
        orders = [queue.offer(Entry(bytes(10), None), only_cancels=False) for _ in range(100)]
        cancels = [queue.offer(Entry(bytes(10), None), only_cancels=True) for _ in range(100)]
        assert (sum(orders), sum(cancels)) == (90, 10)

    asyncio.run(story())
