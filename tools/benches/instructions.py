"""Instructions, counted by cachegrind: the same on a busy machine as on a quiet one."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

ABSENT: Final = (
    "Instructions were not counted: valgrind is not on this machine (apt-get install valgrind)."
)
_COST: Final = re.compile(r"[+-]?\d+ (\d+)")


class Place(NamedTuple):
    """Where instructions stand."""

    file: str
    """Of the line, without folders: of what was inlined it is where that was written."""
    function: str
    """That was called, with all that was inlined into it."""


def can_count() -> bool:
    """Whether there is something to count with."""
    return shutil.which("valgrind") is not None


def count(program: Path, *arguments: str | int) -> Counter[Place]:
    """Instructions of a whole run, by place. Ends the process if the program fails."""
    target = program.with_suffix(".cachegrind")
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={target}"]
    command += [str(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{program.name} {arguments} failed under cachegrind. {done.stderr[-2000:]}")
    return read(target.read_text().splitlines())


def read(lines: Iterable[str]) -> Counter[Place]:
    """What a file of cachegrind says."""
    found: Counter[Place] = Counter()
    file = function = ""
    for line in lines:
        if line.startswith("fl="):
            file = Path(line[3:]).name
        elif line.startswith("fn="):
            function = line[3:]
        elif cost := _COST.fullmatch(line):
            found[Place(file, function)] += int(cost[1])
    return found
