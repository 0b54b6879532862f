"""What tools/coverage counts, on a small program whose coverage is known; and its tables."""

import json
import subprocess
from pathlib import Path

import pytest

from tools.proofs import building, covering

PROGRAM = """\
#include <assert.h>
static int twice(int n) {
    assert(n > 0);
    if (n > 10 && n < 100) return 3;
    return 2 * n;
}
int main(int argc, char **argv) {
    (void)argv;
    return twice(argc) == 2 ? 0 : 1;
}
"""


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, covering.Covered]:
    """A file of native/ that was run once, and what was counted of it."""
    native = tmp_path / "native"
    native.mkdir()
    (native / "twice.c").write_text(PROGRAM)
    command = ["gcc", *covering.FLAGS, str(native / "twice.c"), "-o", str(tmp_path / "twice")]
    subprocess.run(command, cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "twice"], cwd=tmp_path, check=True)
    monkeypatch.setattr(covering, "NATIVE", native)
    return covering.gather([tmp_path])


def test_lines_and_ways_are_counted_and_an_assert_has_none(
    counted: dict[str, covering.Covered],
) -> None:
    twice = counted["twice.c"]
    assert 3 in twice.lines
    assert {line for line, _, _ in twice.branches} == {4}
    assert twice.missing_branches() == [4, 4, 4]
    counts = covering.count(counted)
    assert covering.table(counts)[-1].split()[:3] == ["all", "6", "6"]
    assert (counts["all"].lines_percent(), counts["all"].branches_percent()) == (100, 25)
    assert json.loads(covering.as_json(counts))["twice.c"] == {
        "lines": 6,
        "lines_run": 6,
        "branches": 4,
        "branches_taken": 1,
        "lines_percent": 100,
        "branches_percent": 25,
    }
    assert covering.missing(counted)[0].startswith("native/twice.c:4: 3 not taken: if (n > 10")


def test_a_size_that_is_not_there_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(building.BuildFailed, match="0 places"):
        building.copy_native(tmp_path, {"no_such_size": 1})


def test_numbers_are_changed_and_nothing_else(tmp_path: Path) -> None:
    native = building.copy_native(tmp_path, building.SMALL, building.SMALL_PART_BYTES)
    for source in building.NATIVE.glob("*.[ch]"):
        before, after = source.read_text().splitlines(), (native / source.name).read_text()
        changed = sum(a != b for a, b in zip(before, after.splitlines(), strict=True))
        expected = {"core.c": len(building.SMALL), "core_api.h": 1}.get(source.name, 0)
        assert changed == expected, source.name
