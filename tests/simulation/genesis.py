"""What every simulated house has behind it already: a market, accounts with money, and little room.

Made once by the core itself. So a seed begins with a short log and a snapshot of its end, and a
core of it costs microseconds instead of the megabytes that a core begins with.
"""

import functools
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from bourse.matching import v1 as matching
from services.matching.core import Core
from services.matching.store import Snapshot, SnapshotStore
from services.runtime.log import Record
from services.runtime.sequencer import wrap
from tests.services.matching.rig import BTC, USD, batch, command, credit, market
from tests.simulation.world import START_US

ACCOUNTS: Final = (1000, 1001, 1002, 1003)
FUNDS_MINOR: Final = 3 * 10**12
INSTRUMENT: Final = 1024
SOURCE: Final = 1
"""The source of money; its first numbers are used up here."""


class Genesis(NamedTuple):
    """A short past."""

    commands: list[Record]
    events: list[Record]
    snapshot: Snapshot
    state: bytes
    """What the core wrote of it."""
    files: dict[str, bytes]
    """The snapshot as it is kept."""
    next_credit: int


class _Shelf:
    """As much of a storage as one snapshot needs."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    async def write(self, name: str, pieces: Sequence[bytes]) -> None:
        self.files[name] = b"".join(pieces)


def _files_of(snapshot: Snapshot, pieces: Sequence[bytes]) -> dict[str, bytes]:
    shelf = _Shelf()
    with suppress(StopIteration):
        # Nothing in it waits for anything, so it needs no loop.
        SnapshotStore(shelf, 0, 1).write(snapshot, pieces).send(None)  # type: ignore[arg-type]
    return shelf.files


@functools.cache
def genesis() -> Genesis:
    core = Core(0)
    sizes = matching.SetSizes(
        orders=1_024,
        orders_per_account=1_000,
        accounts=64,
        balances=256,
        client_order_ids=1_024,
        client_order_id_memory_us=120_000_000,
        sessions=128,
        instruments=4,
    )
    credits = [credit(account, asset, FUNDS_MINOR) for account in ACCOUNTS for asset in (USD, BTC)]
    session = 1
    batches = [
        batch(0, 0, command(open_session=matching.OpenSession())),
        batch(session, 1, command(set_sizes=sizes), *market()),
        batch(0, 1, *credits, source=SOURCE),
        batch(session, 2, command(close_session=matching.CloseSession())),
    ]
    commands: list[Record] = []
    events: list[Record] = []
    for offset, body in enumerate(batches):
        time_us = START_US - 1_000_000 + offset
        commands.append(Record(offset, time_us, wrap(0, [body])))
        for part in core.apply(offset, time_us, commands[-1].body):
            events.append(Record(len(events), time_us, part.events))
            for answer in part.answers:
                said = matching.SubmitResponse.FromString(answer.piece)
                assert not any(outcome.refusal for outcome in said.outcomes), said
    facts = core.facts()
    last, checksum = facts.next_offset - 1, commands[-1].checksum
    snapshot = Snapshot(0, last, facts.sequence, facts.state_hash, checksum)
    pieces = list(core.snapshot())
    files = _files_of(snapshot, pieces)
    return Genesis(commands, events, snapshot, b"".join(pieces), files, len(credits) + 1)
