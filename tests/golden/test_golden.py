"""The core makes of the golden logs what it made of them on the first day."""

from collections.abc import Iterable

import pytest

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.matching.core import Core
from tests.golden.log import RULES, Record, expected_of, line_of, read_commands

FIRST_OF_RULES_2 = matching.COMMAND_KIND_REPLACE_ORDER
OF_RULES_3 = {matching.COMMAND_KIND_HALT, matching.COMMAND_KIND_RESUME}
KINDS = {*matching.CommandKind.values()} - {matching.COMMAND_KIND_UNSPECIFIED}
OF_RULES_1 = {kind for kind in KINDS - {matching.COMMAND_KIND_TIME} if kind < FIRST_OF_RULES_2}

of_each_version = pytest.mark.parametrize("rules", RULES)


def lines_of(rules: int) -> list[str]:
    return expected_of(rules).read_text().splitlines()


def apply_all(core: Core, records: Iterable[Record]) -> list[str]:
    first = core.facts().next_offset
    return [line_of(list(core.apply(at, *record))) for at, record in enumerate(records, first)]


@of_each_version
def test_the_golden_log_gives_what_it_gave(rules: int) -> None:
    core = Core(0)
    assert apply_all(core, read_commands(rules)) == lines_of(rules)
    assert core.validate() == 0
    assert core.facts().rules == rules


@of_each_version
def test_it_gives_the_same_from_a_snapshot_in_the_middle(rules: int) -> None:
    log, lines = list(read_commands(rules)), lines_of(rules)
    for middle in (1, len(log) // 3, len(log) - 20):
        core = Core(0)
        apply_all(core, log[:middle])
        restored = Core.restore(b"".join(core.snapshot()))
        assert restored.facts() == core.facts()
        assert apply_all(restored, log[middle:]) == lines[middle:]


@pytest.mark.parametrize(
    ("rules", "kinds", "refusals"),
    [(1, OF_RULES_1, 12), (2, KINDS - OF_RULES_1 - OF_RULES_3, 18), (3, KINDS - OF_RULES_1, 18)],
)
def test_a_golden_log_holds_a_bit_of_everything(
    rules: int, kinds: set[matching.CommandKind], refusals: int
) -> None:
    core, asked, refused, parts = Core(0), set(), set(), 0
    reasons: set[types.EndReason] = set()
    for at, record in enumerate(read_commands(rules)):
        for part in core.apply(at, *record):
            events = matching.EventRecord.FromString(part.events)
            asked |= {mark.kind for mark in events.commands}
            refused |= {mark.refusal for mark in events.commands}
            reasons |= {event.order.reason for event in events.orders}
            parts = max(parts, events.part + 1)
    assert rules == 3 or parts > 1, "a record that takes more than one part"
    assert kinds <= asked
    assert len(refused) > refusals
    assert rules == 1 or len(reasons) > 10
