"""The programs of tests/native: built in one way or another, and run."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.proofs.building import (
    FUZZ,
    NATIVE,
    REFERENCE,
    ROOT,
    SMALL,
    SMALL_PART_BYTES,
    WATCH_RESTORE,
    compile_program,
    copy_native,
)

TESTS: Final = ROOT / "tests" / "native"
DRIVEN: Final = tuple(
    FUZZ / f"{name}.c" for name in ("fuzz", "grammar", "grammar_orders", "grammar_values", "driven")
)
NO_MEMORY: Final = tuple(f"-Wl,--wrap={name}" for name in ("malloc", "calloc", "aligned_alloc"))
DRIVE_A_CORE: Final[dict[str, tuple[Sequence[str], Sequence[str]]]] = {
    "core_memory": ((), NO_MEMORY),
    "core_broken": ((), ()),
    "core_edges": ((), ()),
    "core_snapshots": (("fuzz_snapshot.c",), (WATCH_RESTORE,)),
}
"""What each is made of besides itself, and what the linker is told."""


class Failed(Exception):
    """A program did not end well: what it said."""


def run(*command: str | Path) -> str:
    """What a program prints. Raises Failed."""
    words = list(map(str, command))
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise Failed(f"{words}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def small_native(folder: Path) -> Path:
    """A copy of native/ with small numbers and short parts."""
    return copy_native(folder / "short", SMALL, SMALL_PART_BYTES)


def build_driven(folder: Path, native: Path, name: str, flags: Sequence[str]) -> Path:
    """One of DRIVE_A_CORE, which drive a core with the fuzz targets' grammar."""
    sources, linked = DRIVE_A_CORE[name]
    files = [TESTS / f"{name}.c", *DRIVEN, *(FUZZ / source for source in sources)]
    return compile_program(folder / name, native, files, flags=[*flags, *linked])


def build_book(folder: Path, name: str, flags: Sequence[str]) -> Path:
    """book_stories or book_random."""
    sources = [TESTS / f"{name}.c", *([REFERENCE] if name == "book_random" else [])]
    return compile_program(folder / name, NATIVE, sources, flags=flags)
