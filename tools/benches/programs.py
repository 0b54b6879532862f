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
HOT: Final = ROOT / "native" / "hot.c"
"""Includes the codec, or another one."""


class Program(NamedTuple):
    """What one is made of."""

    name: str
    own: tuple[str, ...]
    """Files of tools/benches/native."""
    is_core: bool
    """Linked with all of the core, or with the book alone."""
    codec: str = ""
    """The core's, if it is not the wire format's: a file of tools/benches/native."""


BOOK: Final = Program("book_bench", ("book_bench.c", "scenarios.c"), False)
BOOK_DEPTH: Final = Program("book_depth", ("book_depth.c",), False)
CORE: Final = Program(
    "core_bench", ("core_bench.c", "market.c", "record_wire.c", "scenarios.c"), True
)
CORE_OF_STRUCTS: Final = Program(
    "core_bench_structs",
    ("core_bench.c", "market.c", "scenarios.c"),
    True,
    "codec_fixed.c",
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
        parts = sorted({part for program in programs for part in _parts(program)})
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda part: _compile(part, folder / part.object), parts))
        for program in programs:
            objects = [str(folder / part.object) for part in _parts(program)]
            _call([*_compiler(), *objects, "-o", str(folder / program.name)])
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


class _Part(NamedTuple):
    """A file to compile, and with which codec in it."""

    source: Path
    codec: str = ""

    @property
    def object(self) -> str:
        """What it is compiled to."""
        return f"{self.source.stem}{self.codec}.o"


def _parts(program: Program) -> list[_Part]:
    own = [_Part(HERE / name) for name in program.own]
    if not program.is_core:
        return [*own, *map(_Part, sorted(HOT.parent.glob("book*.c")))]
    ours = sorted(ROOT / name for name in set(_extension()["sources"]) - {GENERATED})
    return [*own, *(_Part(file, program.codec if file == HOT else "") for file in ours)]


def _compile(part: _Part, target: Path) -> None:
    includes = [f"-I{ROOT / folder}" for folder in _extension()["include-dirs"]]
    codec = [f'-DCORE_CODEC="{part.codec}"'] if part.codec else []
    command = [*_compiler(), *flags(), *codec, *includes, f"-I{HERE}"]
    _call([*command, "-c", str(part.source), "-o", str(target)])


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"A program to measure with did not build.\n{done.stderr}")
