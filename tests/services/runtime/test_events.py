"""A consumer sees every part once and in order, and stops at a gap."""

import asyncio
import time
from contextlib import aclosing

import pytest

from bourse.matching import v1 as matching
from services.runtime.events import (
    BEGINNING,
    EventKey,
    EventPart,
    EventUnreadable,
    GapInEvents,
    Position,
    follow,
    with_commands,
)
from services.runtime.log import RolledBack
from services.runtime.memory_log import MemoryLog

TOPIC = "bourse.events.0"


def part(command_offset: int, number: int = 0, *, last: bool = True) -> bytes:
    return matching.EventRecord(
        command_offset=command_offset, part=number, last=last
    ).SerializeToString()


def consume(
    bodies: list[bytes], count: int, position: Position = BEGINNING, pause_s: float = 0.0
) -> list[EventPart]:
    async def run() -> list[EventPart]:
        log = MemoryLog()
        await log.create(TOPIC)
        for body in bodies:
            await log.append(TOPIC, [body], clock_us=time.time_ns() // 1000)
        parts: list[EventPart] = []
        async with aclosing(follow(log, TOPIC, position, pause_s=pause_s)) as batches:
            async for batch in batches:
                parts += batch
                if len(parts) >= count:
                    break
        return parts

    return asyncio.run(asyncio.wait_for(run(), 10))


def test_parts_come_in_order_with_the_place_after_them() -> None:
    parts = consume([part(0), part(1, 0, last=False), part(1, 1), part(2)], 4)
    assert [one.key for one in parts] == [(0, 0), (1, 0), (1, 1), (2, 0)]
    assert parts[1].position[:3] == (2, EventKey(1, 0), False)
    assert parts[2].position[:3] == (3, EventKey(1, 1), True)


def test_what_two_publishers_published_counts_once() -> None:
    twice = [
        part(0),
        part(1, 0, last=False),
        part(0),
        part(1, 0, last=False),
        part(1, 1),
        part(1, 1),
    ]
    parts = consume([*twice, part(1, 0, last=False), part(2)], 4, pause_s=0.01)
    assert [one.key for one in parts] == [(0, 0), (1, 0), (1, 1), (2, 0)]


def test_a_consumer_goes_on_from_where_it_was() -> None:
    bodies = [part(0), part(1, 0, last=False), part(1, 1), part(2)]
    for before in consume(bodies, 4)[:-1]:
        # The same bytes at another time are another log, and these are.
        position = before.position._replace(checksum=None)
        after = consume(bodies, 4 - position.next_offset, position)
        assert after[0].position.next_offset == position.next_offset + 1


def test_a_consumer_does_not_go_on_in_another_log() -> None:
    bodies = [part(0), part(1), part(2)]
    before = consume(bodies, 3)[1].position
    with pytest.raises(RolledBack, match=r"Offset 1 .* is another one now"):
        consume(bodies, 1, before)
    with pytest.raises(RolledBack, match=r"Offset 1 .* is not there"):
        consume(bodies[:1], 1, before)


@pytest.mark.parametrize(
    ("bodies", "sentence"),
    [
        ([part(1)], "from command record -1, part 0 .its last., to command record 1, part 0"),
        ([part(0, 1)], "to command record 0, part 1, at offset 0"),
        ([part(0), part(2)], "from command record 0, part 0 .its last., to command record 2"),
        ([part(0, 0, last=False), part(1)], "from command record 0, part 0, to command record 1"),
        ([part(0, 0, last=False), part(0, 2)], "to command record 0, part 2"),
        ([part(0), part(0, 1)], "to command record 0, part 1"),
    ],
)
def test_a_gap_stops_the_consumer(bodies: list[bytes], sentence: str) -> None:
    with pytest.raises(GapInEvents, match=sentence):
        consume(bodies, len(bodies))


@pytest.mark.parametrize("odd", [part(3), b"\xff\xff"], ids=["gap", "unreadable"])
def test_all_that_comes_before_is_given(odd: bytes) -> None:
    assert [one.key for one in consume([part(0), part(1), odd], 2)] == [(0, 0), (1, 0)]


def test_without_a_last_key_the_first_part_may_be_any() -> None:
    assert consume([part(7), part(8)], 2, Position(0, None))[0].key == (7, 0)
    # A log is cut wherever a partition ends.
    assert consume([part(7, 1), part(8)], 2, Position(0, None))[1].key == (8, 0)
    with pytest.raises(GapInEvents):
        consume([part(7, 1), part(9)], 2, Position(0, None))


def test_what_is_not_an_event_record_stops_the_consumer() -> None:
    with pytest.raises(EventUnreadable, match=r"Offset 1 of bourse\.events\.0"):
        consume([part(0), b"\xff\xff"], 2)


def test_events_inherit_the_envelope_of_their_command() -> None:
    record = matching.EventRecord(
        first_sequence=100,
        commands=[matching.CommandMark(account=n, request_id=bytes([n]) * 16) for n in range(3)],
        trades=[matching.TradeEvent(command=2, lots=5), matching.TradeEvent(command=0, lots=6)],
    )
    found = [
        (sequence, command.account, trade.lots)
        for sequence, command, trade in with_commands(record, record.trades)
    ]
    assert found == [(102, 2, 5), (100, 0, 6)]
