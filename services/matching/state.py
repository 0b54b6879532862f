"""What a replica remembers beside its core: how fresh it is, and when a snapshot or a tick is due.

Times are microseconds of any clock that only goes forward, and are handed in.
"""

from dataclasses import dataclass
from typing import Final

SERVES_WITHIN_US: Final = 200_000
"""A replica answers questions only if it was at the log's end within this time."""

TICK_US: Final = 1_000_000
"""So much time may pass on the log without a record; then the leader appends a tick."""
DUE_TICK_US: Final = 100_000
"""So much, while something waits for a time that has come."""

LEADER_WAITS: Final = 2
"""So many times the pace a leader leaves to the standbys, whose time nobody waits for."""

NEVER_US: Final = -(1 << 62)


@dataclass
class Progress:
    """How far a replica has come, and when."""

    fresh_at_us: int = NEVER_US
    """At this time everything that was in the log had been applied."""
    applied_at_us: int = NEVER_US
    """When the last record was applied."""
    snapshot_next_offset: int = 0
    """`next_offset` of the state in the newest snapshot; 0 if there is none."""
    snapshot_sequence: int = 0
    """Last sequence in the newest snapshot; where another took it, that of when this one saw it."""


@dataclass(frozen=True)
class SnapshotPace:
    """A snapshot is due after so many records or so many commands, whichever comes first.

    A replica that leads waits for twice as many: it takes one only where no other does.
    """

    records: int
    commands: int


def may_serve(progress: Progress, now_us: int) -> bool:
    """Whether what the core says is true enough to be told."""
    return now_us - progress.fresh_at_us <= SERVES_WITHIN_US


def tick_due(progress: Progress, now_us: int, something_is_due: bool) -> bool:
    """Whether the shard's time would stand still without a tick, or something wait for it."""
    return now_us - progress.applied_at_us >= (DUE_TICK_US if something_is_due else TICK_US)


def snapshot_due(
    progress: Progress, pace: SnapshotPace, next_offset: int, sequence: int, *, leads: bool
) -> bool:
    """Whether enough has happened since the newest snapshot, whoever took it."""
    times = LEADER_WAITS if leads else 1
    records = next_offset - progress.snapshot_next_offset
    commands = sequence - progress.snapshot_sequence
    return records >= pace.records * times or (records > 0 and commands >= pace.commands * times)
