"""What every bench is: a module with `measure` and `say`.

measure(asked: Asked) -> Figures       names and numbers, as `--json` prints them
say(figures: Figures) -> list[str]     the same in sentences, with the aims beside them
"""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

Figures = dict[str, Any]


class Asked(NamedTuple):
    """What whoever measures wants."""

    runs: int = 0
    """How often; the median counts. 0: as often as the bench thinks right."""
    seconds: float = 0.0
    """How long a run lasts, where that can be chosen. 0: as long as the bench thinks right."""
    quick: bool = False
    """Only see whether it works: everything is small and the figures mean nothing."""
    brokers: int = 1
    """Of Kafka, where one is measured."""

    def runs_or(self, usual: int) -> int:
        """How often: as asked, else once where it is to be quick, else as usual."""
        return self.runs or (1 if self.quick else usual)

    def size(self, usual: int, small: int) -> int:
        """How much of something."""
        return small if self.quick else usual


class Bench(Protocol):
    """A module that measures."""

    def measure(self, asked: Asked) -> Figures:
        """Do it. Ends the process with a sentence if something else would be measured."""

    def say(self, figures: Figures) -> list[str]:
        """What came out, for people."""


def machine() -> str:
    """The processor, how many there are, and the kernel."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def aim(is_met: bool, what: str) -> str:
    """What was aimed at, and whether it came out so, in brackets: (aim: at most 40: met)."""
    return f"(aim: {what}: {'met' if is_met else 'missed'})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns: the first to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in (head, *rows)
    ]


def quantile_ms(seconds: Sequence[float], share: float) -> float:
    """A quantile, in milliseconds."""
    return 1000 * sorted(seconds)[min(int(len(seconds) * share), len(seconds) - 1)]


def grouped(number: float) -> str:
    """A whole number as people read it: 1,234,567."""
    return f"{round(number):,}"
