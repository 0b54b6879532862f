"""Command logs that were put down once, with what the core made of them: the same for ever.

    python -m tests.golden.log 3

writes those of rules 3 anew. That is for the days before anybody has a log of their own under these
rules: from then on a change of behaviour is a new version of the rules, and gets a golden log of
its own beside these.
"""

import hashlib
import struct
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.matching.core import Core, Part
from tests.golden.flow import Flow
from tests.model.engines import ModelEngine
from tests.model.features import ALL
from tests.model.halting import HaltingWriter
from tests.model.worlds import SMALL
from tests.model.writer import Gateway, Writer

HERE: Final = Path(__file__).parent
RULES: Final = (1, 2, 3)
"""The versions of the rules that have a golden log."""
_HEAD: Final = struct.Struct("<qI")
SEED: Final = 20


class Record(NamedTuple):
    """A command record and the time the log gave it."""

    time_us: int
    body: bytes


def commands_of(rules: int) -> Path:
    """Of each command record: the log's time, its length (8 and 4 bytes, little-endian), itself."""
    return HERE / f"commands-{rules}.bin"


def expected_of(rules: int) -> Path:
    """A line for each record, see `line_of`."""
    return HERE / f"expected-{rules}.txt"


def read_commands(rules: int) -> Iterator[Record]:
    """The golden log of these rules."""
    log, at = commands_of(rules).read_bytes(), 0
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


def log_of_rules_1() -> list[Record]:
    flow, core = Flow(SEED), Core(0)
    return [
        *play(flow, flow.records(210), core),
        *play(flow, flow.crowd(3500), core),
        *play(flow, flow.more_records(40), core),
    ]


def log_of_rules_2() -> list[Record]:
    """Everything that can be asked, at random, then an auction of more than one part."""
    model = ModelEngine(0)
    writer = Writer(Random(2), model.model, SMALL, ALL)
    asked = (writer.record(6) for _ in range(220))
    log: list[Record] = []
    for offset, record in enumerate(chain(writer.opening(), asked, auction(writer))):
        log.append(Record(writer.pass_time(), record.SerializeToString()))
        model.apply(offset, log[-1].time_us, record)
    return log


def log_of_rules_3() -> list[Record]:
    """The same in a shard that is halted now and then, and goes on."""
    model = ModelEngine(0)
    writer = HaltingWriter(Random(3), model.model, SMALL)
    opening = writer.opening()
    log: list[Record] = []
    for offset in range(240):
        record = opening.pop(0) if opening else writer.record(6)
        log.append(Record(writer.pass_time(), record.SerializeToString()))
        model.apply(offset, log[-1].time_us, record)
    return log


LOGS: Final = {1: log_of_rules_1, 2: log_of_rules_2, 3: log_of_rules_3}


def auction(writer: Writer) -> Iterator[matching.CommandRecord]:
    """A new market, a thousand bids and asks that cross, and what becomes of them."""
    who, market = 77, matching.Command(request_id=bytes(16))
    new = market.add_instrument.instrument
    new.CopyFrom(SMALL.markets[0])
    new.symbol, new.phase = "GOLD", types.PHASE_PRE_OPEN
    session = writer.record_of(matching.SubmitRequest(commands=[_alone("open_session")]))
    gateway = Gateway()
    yield session
    gateway.session = writer.model.sequence
    yield writer.record_of(writer.next_batch(gateway, [market]))
    instrument = writer.model.instruments_given * 1024
    credits = [_alone("credit", who) for _ in range(2)]
    for command, asset in zip(credits, (new.base_asset, new.quote_asset), strict=True):
        command.credit.asset, command.credit.amount_minor = asset, 100_000_000
    number = writer.model.sources.get(9, 0) + 1
    yield writer.record_of(matching.SubmitRequest(source=9, number=number, commands=credits))
    for _ in range(2):
        yield writer.record_of(writer.next_batch(gateway, _crossing(who, instrument)))
    opened = _alone("set_phase")
    opened.set_phase.instrument, opened.set_phase.phase = instrument, types.PHASE_CONTINUOUS
    yield writer.record_of(writer.next_batch(gateway, [opened]))


def _alone(kind: str, account: int = 0) -> matching.Command:
    command = matching.Command(request_id=bytes(16), account=account)
    getattr(command, kind).SetInParent()
    return command


def _crossing(who: int, instrument: int) -> list[matching.Command]:
    commands = []
    for at in range(2_800):
        command = _alone("place_order", who)
        order = command.place_order
        order.instrument, order.type = instrument, types.ORDER_TYPE_LIMIT
        order.side = types.SIDE_BUY if at % 2 else types.SIDE_SELL
        order.time_in_force = types.TIME_IN_FORCE_GTC
        order.self_trade_prevention = types.SELF_TRADE_PREVENTION_NONE
        order.price_ticks, order.quantity_lots = 95 + at * 7 % 11, 1 + at % 5
        commands.append(command)
    return commands


def main() -> None:
    rules = int(sys.argv[1])
    log = LOGS[rules]()
    commands = commands_of(rules)
    commands.write_bytes(b"".join(_HEAD.pack(time_us, len(body)) + body for time_us, body in log))
    core = Core(0)
    lines = [line_of(list(core.apply(at, *record))) for at, record in enumerate(log)]
    expected_of(rules).write_text("".join(f"{line}\n" for line in lines))
    print(f"{len(log)} records, {commands.stat().st_size} bytes")


if __name__ == "__main__":
    main()
