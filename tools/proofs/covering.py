"""Which lines and branches of native/ were run, by gcov.

Programs are built with gcc --coverage at -O0 and count in files beside them; every process adds
its counts when it ends well. gcov says them as JSON, and here they become one table: the same
line of the same file is the same line whichever program it was compiled into.

A branch is one way out of a condition, so `a && b` has four; a switch has one for each case and one
past them all. Lines with an assert are counted as lines, their branches not: one of the two is a
broken promise, and nothing brings that about. They are found in the text of native/, by the word.
"""

import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tools.proofs.building import NATIVE

FLAGS: Final = ("-O0", "--coverage", "-Dalways_inline=unused")
"""What is inlined by force would be counted anew, with all its branches, at each of its places."""

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


class Counts(NamedTuple):
    """How many there are, and how many of them were run or taken."""

    lines: int
    lines_run: int
    branches: int
    branches_taken: int

    def __add__(self, other: object) -> "Counts":
        assert isinstance(other, Counts)
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    def lines_percent(self) -> float:
        """Of its lines so many were run."""
        return _percent(self.lines_run, self.lines)

    def branches_percent(self) -> float:
        """Of its branches so many were taken."""
        return _percent(self.branches_taken, self.branches)


def count(covered: dict[str, Covered]) -> dict[str, Counts]:
    """What was counted of each file, by its name, and of all of them together as `all`."""
    files = {name: _counts(one) for name, one in sorted(covered.items())}
    return {**files, "all": sum(files.values(), Counts(0, 0, 0, 0))}


def _counts(one: Covered) -> Counts:
    return Counts(
        len(one.lines),
        len(one.lines) - len(one.missing_lines()),
        len(one.branches),
        len(one.branches) - len(one.missing_branches()),
    )


def table(counted: dict[str, Counts]) -> list[str]:
    """A line for each file, and one for all."""
    head = f"{'':22}{'lines':>7}{'run':>7}{'':>8}{'branches':>10}{'taken':>7}"
    return [head, *(_row(name, counts) for name, counts in counted.items())]


def as_json(counted: dict[str, Counts]) -> str:
    """The same for a program: per file the four counts and two percentages."""
    rows = {
        name: {
            **counts._asdict(),
            "lines_percent": round(counts.lines_percent(), 2),
            "branches_percent": round(counts.branches_percent(), 2),
        }
        for name, counts in counted.items()
    }
    return json.dumps(rows, indent=2)


def _row(name: str, counts: Counts) -> str:
    return (
        f"{name:22}{counts.lines:7,}{counts.lines_run:7,}{counts.lines_percent():7.1f}%"
        f"{counts.branches:10,}{counts.branches_taken:7,}{counts.branches_percent():7.1f}%"
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
