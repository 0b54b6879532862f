"""A command log that was put down once, with what the core made of it: the same for ever.

    python -m tests.golden.log

writes both anew. That is for the days before anybody has a log of their own: from then on a change
of behaviour is a new version of the rules, and gets a golden log of its own beside this one.
"""

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from bourse.matching import v1 as matching
from services.matching.core import Core, Part
from tests.golden.flow import Flow

HERE: Final = Path(__file__).parent
COMMANDS: Final = HERE / "commands.bin"
"""Of each command record: the log's time and its length, little-endian in 8 and 4 bytes; itself."""
EXPECTED: Final = HERE / "expected.txt"
"""A line for each record, see `line_of`."""
_HEAD: Final = struct.Struct("<qI")
SEED: Final = 20


class Record(NamedTuple):
    """A command record and the time the log gave it."""

    time_us: int
    body: bytes


def read_commands() -> Iterator[Record]:
    """The golden log."""
    log, at = COMMANDS.read_bytes(), 0
    while at < len(log):
        time_us, length = _HEAD.unpack_from(log, at)
        at += _HEAD.size + length
        yield Record(time_us, log[at - length : at])


def line_of(parts: list[Part]) -> str:
    """How many parts a record made, the SHA-256 of their bytes, and the two hashes after it."""
    last = matching.EventRecord.FromString(parts[-1].events)
    digest = hashlib.sha256(b"".join(part.events for part in parts)).hexdigest()
    return f"{len(parts)} {digest} {last.state_hash:016x} {last.balance_hash:016x}"


def answers_of(parts: list[Part], batches: int) -> list[bytes]:
    """The encoded answer of each batch of a record."""
    answers = [b""] * batches
    for part in parts:
        for answer in part.answers:
            answers[answer.batch] += answer.piece
    return answers


def play(flow: Flow, records: Iterator[tuple[int, bytes]], core: Core) -> Iterator[Record]:
    """Records of a flow, each applied and its answers heard before the next is made."""
    for time_us, body in records:
        parts = list(core.apply(core.facts().next_offset, time_us, body))
        batches = len(matching.CommandRecord.FromString(body).requests)
        flow.heard(
            [matching.SubmitResponse.FromString(answer) for answer in answers_of(parts, batches)]
        )
        yield Record(time_us, body)


def main() -> None:
    flow, core = Flow(SEED), Core(0)
    log = [
        *play(flow, flow.records(210), core),
        *play(flow, flow.crowd(3500), core),
        *play(flow, flow.more_records(40), core),
    ]
    COMMANDS.write_bytes(b"".join(_HEAD.pack(time_us, len(body)) + body for time_us, body in log))
    again = Core(0)
    lines = [line_of(list(again.apply(at, *record))) for at, record in enumerate(log)]
    EXPECTED.write_text("".join(f"{line}\n" for line in lines))
    print(f"{len(log)} records, {COMMANDS.stat().st_size} bytes")


if __name__ == "__main__":
    main()
