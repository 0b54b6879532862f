"""The programs in C that measure book and core, compiled with the flags of the extension.

What they take and print stands at the top of each: tools/benches/native/*.c. They know the core by
its headers and are linked with its sources, all those that pyproject.toml names.
"""

import json
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent / "native"
GENERATED: Final = "gen/c/_core.c"
CODEC: Final = {"native/codec_read.c", "native/codec_shape.c", "native/codec_write.c"}


class Program(NamedTuple):
    """What one is made of."""

    name: str
    own: tuple[str, ...]
    """Files of tools/benches/native."""
    is_core: bool
    """Linked with all of the core, or with the book alone."""
    without: frozenset[str] = frozenset()
    """But not with these."""


BOOK: Final = Program("book_bench", ("book_bench.c", "scenarios.c"), False)
BOOK_DEPTH: Final = Program("book_depth", ("book_depth.c",), False)
CORE: Final = Program(
    "core_bench", ("core_bench.c", "market.c", "record_wire.c", "scenarios.c"), True
)
CORE_OF_STRUCTS: Final = Program(
    "core_bench_structs",
    ("core_bench.c", "market.c", "codec_fixed.c", "scenarios.c"),
    True,
    frozenset(CODEC),
)
CORE_DEPTH: Final = Program(
    "core_depth", ("core_depth.c", "market.c", "record_wire.c", "scenarios.c"), True
)


class Programs:
    """Compiled programs in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, program: Program) -> Path:
        """Where it is."""
        return self.folder / program.name

    def run(self, program: Program, *arguments: str | int) -> dict[str, Any]:
        """What it found. Ends the process with a sentence if the program fails."""
        command = [str(self.path(program)), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{program.name} {arguments} ended with {done.returncode}. {done.stderr}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@contextmanager
def compiled(programs: Sequence[Program]) -> Iterator[Programs]:
    """These programs, in a folder that goes afterwards. Ends the process if one does not build."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = sorted({source for program in programs for source in _sources(program)})
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = [folder / f"{source.stem}.o" for source in sources]
            list(pool.map(_compile, sources, objects))
        for program in programs:
            parts = [folder / f"{source.stem}.o" for source in _sources(program)]
            _call([*_compiler(), *map(str, parts), "-o", str(folder / program.name)])
        yield Programs(folder)


def flags() -> list[str]:
    """What the extension is compiled with: Python's own flags, then ours."""
    given = _extension()
    python = shlex.split(sysconfig.get_config_var("CFLAGS") or "")
    python += shlex.split(sysconfig.get_config_var("CCSHARED") or "")
    undefined = [f"-U{name}" for name in given["undef-macros"]]
    return [*python, *undefined, *given["extra-compile-args"]]


def compiler_name() -> str:
    """The compiler and its version, as it says."""
    done = subprocess.run([*_compiler(), "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or ["a compiler that does not say its name"])[0]


def _extension() -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found: dict[str, Any] = project["tool"]["setuptools"]["ext-modules"][0]
    return found


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def _sources(program: Program) -> list[Path]:
    ours = set(_extension()["sources"]) - {GENERATED} - program.without
    if not program.is_core:
        ours = {name for name in ours if name.startswith("native/book")}
    return [*(HERE / name for name in program.own), *(ROOT / name for name in sorted(ours))]


def _compile(source: Path, target: Path) -> None:
    includes = [f"-I{ROOT / folder}" for folder in _extension()["include-dirs"]]
    command = [*_compiler(), *flags(), *includes, f"-I{HERE}", "-c", str(source), "-o", str(target)]
    _call(command)


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"A program to measure with did not build.\n{done.stderr}")
