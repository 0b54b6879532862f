"""The same commands through gcc -O0 and gcc -O3: the same of both.

tools/compilers does more of it, and with clang too.
"""

from pathlib import Path

import pytest

from tests.golden.log import RULES, commands_of, expected_of
from tools.proofs import comparing
from tools.proofs.programs import run


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> list[comparing.Build]:
    folder = tmp_path_factory.mktemp("compilers")
    return [comparing.build(folder, "gcc", level, has_feed=False) for level in comparing.LEVELS]


@pytest.mark.parametrize("rules", RULES)
def test_the_golden_log(builds: list[comparing.Build], rules: int) -> None:
    log, lines = commands_of(rules), expected_of(rules).read_text().splitlines()
    assert comparing.compare_log(builds, log) == len(lines)
    # Parts, state hash and balance hash are also those on paper.
    for said, expected in zip(run(builds[0].replay, log).splitlines(), lines, strict=True):
        parts, _, _, state, balances = said.split()
        assert [parts, state, balances] == [expected.split()[i] for i in (0, 2, 3)]


def test_a_history_from_a_seed(builds: list[comparing.Build], tmp_path: Path) -> None:
    log = tmp_path / "history.log"
    records = comparing.write_history(log, seed=11, commands=1_500)
    assert comparing.compare_log(builds, log) == records


def test_a_difference_is_told(tmp_path: Path) -> None:
    two = []
    for name in ("one", "other"):
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\necho same\necho {name}\n")
        script.chmod(0o755)
        two.append(comparing.Build(name, script, script))
    with pytest.raises(comparing.Different, match="record 1\n  one: one\n  other: other"):
        comparing.compare_log(two, tmp_path)
