"""The core makes of the golden log what it made of it on the first day."""

from collections.abc import Iterable

from bourse.matching import v1 as matching
from services.matching.core import Core
from tests.golden.log import EXPECTED, Record, line_of, read_commands

LINES = EXPECTED.read_text().splitlines()


def apply_all(core: Core, records: Iterable[Record]) -> list[str]:
    first = core.facts().next_offset
    return [line_of(list(core.apply(at, *record))) for at, record in enumerate(records, first)]


def test_the_golden_log_gives_what_it_gave() -> None:
    core = Core(0)
    assert apply_all(core, read_commands()) == LINES
    assert core.validate() == 0


def test_it_gives_the_same_from_a_snapshot_in_the_middle() -> None:
    log = list(read_commands())
    for middle in (1, len(log) // 3, len(log) - 20):
        core = Core(0)
        apply_all(core, log[:middle])
        restored = Core.restore(b"".join(core.snapshot()))
        assert restored.facts() == core.facts()
        assert apply_all(restored, log[middle:]) == LINES[middle:]


def test_the_golden_log_holds_a_bit_of_everything() -> None:
    core, kinds, refusals, parts = Core(0), set(), set(), 0
    for at, record in enumerate(read_commands()):
        for part in core.apply(at, *record):
            events = matching.EventRecord.FromString(part.events)
            kinds |= {mark.kind for mark in events.commands}
            refusals |= {mark.refusal for mark in events.commands}
            parts = max(parts, events.part + 1)
    assert parts > 1, "a record that takes more than one part"
    of_rules_1 = {kind for kind in matching.CommandKind.values() if kind < 24}
    assert kinds == of_rules_1 - {matching.COMMAND_KIND_UNSPECIFIED, matching.COMMAND_KIND_TIME}
    assert len(refusals) > 12
