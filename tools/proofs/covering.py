"""Which lines and branches of native/ were run, by gcov.

Programs are built with gcc --coverage at -O0 and count in files beside them; every process adds
its counts when it ends well. gcov says them as JSON, and here they become one table: the same
line of the same file is the same line whichever program it was compiled into.

A branch is one way out of a condition, so `a && b` has four. Lines with an assert are counted as
lines, their branches not: one of the two is the end of the process, and nothing tests that.
"""

import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tools.proofs.building import NATIVE

FLAGS: Final = ("-O0", "--coverage")
_ASSERT: Final = re.compile(r"\bassert\(")


class Covered(NamedTuple):
    """Of one file: its lines that hold code, and its branches, by line and order; how often run."""

    lines: dict[int, int]
    branches: dict[tuple[int, str, int], int]

    def missing_lines(self) -> list[int]:
        """Those that were never run."""
        return sorted(line for line, count in self.lines.items() if not count)

    def missing_branches(self) -> list[int]:
        """The lines of branches that were never taken, once for each."""
        return sorted(line for (line, _, _), count in self.branches.items() if not count)


def gather(folders: list[Path]) -> dict[str, Covered]:
    """What ran, by name of the file in native/. In or below `folders` is what was counted."""
    covered: dict[str, Covered] = {}
    for folder in sorted({file.parent for one in folders for file in one.rglob("*.gcda")}):
        for file in _reports(folder):
            name = Path(file["file"]).name
            if "native/" in file["file"] and (NATIVE / name).exists():
                _add(covered.setdefault(name, Covered({}, {})), file, _asserting(name))
    return covered


def _asserting(name: str) -> set[int]:
    lines = (NATIVE / name).read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if _ASSERT.search(line)}


def _add(covered: Covered, file: dict[str, Any], asserting: set[int]) -> None:
    for line in file["lines"]:
        number = line["line_number"]
        covered.lines[number] = covered.lines.get(number, 0) + line["count"]
        if number in asserting:
            continue
        for index, branch in enumerate(line["branches"]):
            key = (number, line.get("function_name", ""), index)
            covered.branches[key] = covered.branches.get(key, 0) + branch["count"]


def _reports(folder: Path) -> Iterator[dict[str, Any]]:
    """What gcov says of each file that was compiled into what lies in this folder."""
    counted = sorted(str(file) for file in folder.glob("*.gcda"))
    if not counted:
        return
    command = ["gcov", "--json-format", "--branch-probabilities", *counted]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    for report in folder.glob("*.gcov.json.gz"):
        yield from json.loads(gzip.decompress(report.read_bytes()))["files"]
        report.unlink()


def table(covered: dict[str, Covered]) -> list[str]:
    """A line for each file, and one for all."""
    head = f"{'':22}{'lines':>7}{'run':>7}{'':>8}{'branches':>10}{'taken':>7}"
    rows = [head]
    total = [0, 0, 0, 0]
    for name, one in sorted(covered.items()):
        counts = [
            len(one.lines),
            len(one.lines) - len(one.missing_lines()),
            len(one.branches),
            len(one.branches) - len(one.missing_branches()),
        ]
        total = [a + b for a, b in zip(total, counts, strict=True)]
        rows.append(_row(name, counts))
    return [*rows, _row("all", total)]


def shares(covered: dict[str, Covered]) -> tuple[float, float]:
    """Lines and branches run, of all of them, in percent."""
    lines = [count for one in covered.values() for count in one.lines.values()]
    branches = [count for one in covered.values() for count in one.branches.values()]
    return _percent(sum(map(bool, lines)), len(lines)), _percent(
        sum(map(bool, branches)), len(branches)
    )


def _row(name: str, counts: list[int]) -> str:
    lines, run, branches, taken = counts
    return (
        f"{name:22}{lines:7,}{run:7,}{_percent(run, lines):7.1f}%"
        f"{branches:10,}{taken:7,}{_percent(taken, branches):7.1f}%"
    )


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 100.0


def missing(covered: dict[str, Covered]) -> list[str]:
    """Each line of the code that was not run, or of which a branch was never taken."""
    rows = []
    for name, one in sorted(covered.items()):
        text = (NATIVE / name).read_text().splitlines()
        never = set(one.missing_lines())
        ways = one.missing_branches()
        for number in sorted(never | set(ways)):
            what = "not run" if number in never else f"{ways.count(number)} not taken"
            rows.append(f"native/{name}:{number}: {what}: {text[number - 1].strip()}")
    return rows
