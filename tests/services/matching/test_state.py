"""When a replica may answer, and when a snapshot or a tick is due."""

import pytest

from services.matching.state import (
    DUE_TICK_US,
    NEVER_US,
    SERVES_WITHIN_US,
    TICK_US,
    Progress,
    SnapshotPace,
    may_serve,
    snapshot_due,
    tick_due,
)


@pytest.mark.parametrize(
    ("fresh_at_us", "serves"),
    [
        (NEVER_US, False),
        (5_000_000, True),
        (5_000_000 - SERVES_WITHIN_US, True),
        (4_799_999, False),
    ],
)
def test_a_replica_serves_near_the_end_of_the_log(fresh_at_us: int, serves: bool) -> None:
    assert may_serve(Progress(fresh_at_us=fresh_at_us), 5_000_000) is serves


@pytest.mark.parametrize(
    ("applied_at_us", "something_is_due", "due"),
    [
        (NEVER_US, False, True),
        (5_000_000 - TICK_US, False, True),
        (4_000_001, False, False),
        (5_000_000 - DUE_TICK_US, True, True),
        (4_900_001, True, False),
    ],
)
def test_a_tick_is_due_when_a_second_went_by_without_a_record_or_sooner_if_something_waits(
    applied_at_us: int, something_is_due: bool, due: bool
) -> None:
    assert tick_due(Progress(applied_at_us=applied_at_us), 5_000_000, something_is_due) is due


@pytest.mark.parametrize(
    ("next_offset", "sequence", "leads", "due"),
    [
        (100, 1000, False, False),
        (109, 1009, False, False),
        (110, 1000, False, True),
        (101, 1010, False, True),
        (119, 1019, True, False),
        (120, 1000, True, True),
        (101, 1020, True, True),
    ],
)
def test_a_snapshot_is_due_after_records_or_commands_and_later_where_one_leads(
    next_offset: int, sequence: int, leads: bool, due: bool
) -> None:
    progress = Progress(snapshot_next_offset=100, snapshot_sequence=1000)
    pace = SnapshotPace(records=10, commands=10)
    assert snapshot_due(progress, pace, next_offset, sequence, leads=leads) is due
