"""C programs and extensions around native/, with one compiler or another."""

import hashlib
import re
import shutil
import subprocess
import sysconfig
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
NATIVE: Final = ROOT / "native"
FUZZ: Final = ROOT / "tests" / "native" / "fuzz"
REFERENCE: Final = ROOT / "tests" / "native" / "book_reference.c"

LANGUAGE: Final = ("-std=c11", "-fno-wrapv", "-g")
SANITIZED: Final = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WATCH_RESTORE: Final = "-Wl,--wrap=core_state_hash"
"""See tests/native/fuzz/fuzz_snapshot.c."""

SMALL: Final = {
    "orders": 48,
    "orders_per_account": 16,
    "accounts": 10,
    "balances": 24,
    "client_order_ids": 24,
    "sessions": 3,
    "instruments": 3,
}
"""Sizes at which a few hundred commands fill everything, and a core opens in no time."""
SMALL_PART_BYTES: Final = 4096 + 512
"""A part that holds one step of a command, and then is full."""


class BuildFailed(Exception):
    """A compiler said no: what it said."""


def core_sources(native: Path) -> list[Path]:
    """The C files of the core, in this folder, each to be compiled by itself.

    Not the example, which has a main of its own, and not hot.c, which includes others of them.
    """
    return sorted(file for file in native.glob("*.c") if file.name not in ("example.c", "hot.c"))


def fuzz_sources() -> list[Path]:
    """The targets and what they share; feed.c has a main, for where there is no fuzzer."""
    return sorted(file for file in FUZZ.glob("*.c") if file.name != "feed.c")


def copy_native(folder: Path, sizes: dict[str, int], part_bytes: int | None = None) -> Path:
    """A copy of native/ in which a core begins with these sizes, and parts end earlier.

    Nothing else is changed, so it is the same code that runs. Returns the copy's folder.
    """
    native = folder / "native"
    for source in (NATIVE, ROOT / "gen" / "c"):
        target = folder / source.relative_to(ROOT)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    for name, value in sizes.items():
        _replace(native / "core.c", rf"(\.{name} = )\d+", rf"\g<1>{value}")
    if part_bytes is not None:
        _replace(native / "core_api.h", r"(#define CORE_PART_BYTES )\d+", rf"\g<1>{part_bytes}")
    return native


def _replace(file: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, text, file.read_text())
    if count != 1:
        raise BuildFailed(f"{file.name} has {count} places like {pattern}, not one")
    file.write_text(changed)


def compile_program(
    target: Path,
    native: Path,
    sources: Iterable[Path],
    *,
    compiler: str = "gcc",
    flags: Sequence[str] = ("-O2",),
) -> Path:
    """Compile all of the core in `native` and these sources into one program.

    Programs in one folder with the same flags share what was compiled of the core.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for_core = tuple(flag for flag in flags if not flag.startswith(("-Wl,", "-DFUZZ")))
    objects = _compile_core(target.parent, native, compiler, for_core)
    command = [compiler, *LANGUAGE, *flags, *_includes(native), *map(str, [*objects, *sources])]
    _run([*command, "-o", str(target)], target.parent)
    return target


@cache
def _compile_core(folder: Path, native: Path, compiler: str, flags: Sequence[str]) -> list[Path]:
    digest = hashlib.sha256(repr((native, compiler, flags)).encode()).hexdigest()[:8]
    objects = folder / f"objects-{digest}"
    objects.mkdir(exist_ok=True)
    sources = core_sources(native)
    halves = [sources[0::2], sources[1::2]]
    command = [compiler, *LANGUAGE, *flags, *_includes(native), "-c"]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda half: _run([*command, *map(str, half)], objects), halves))
    return [objects / f"{source.stem}.o" for source in sources]


def _includes(native: Path) -> list[str]:
    folders = (native, native.parent / "gen" / "c", REFERENCE.parent, FUZZ)
    return [f"-I{folder}" for folder in folders]


def compile_fuzz(
    target: Path, native: Path, *, compiler: str = "gcc", flags: Sequence[str] = SANITIZED
) -> Path:
    """The program that gives targets their inputs without a fuzzer: see feed.c."""
    sources = [*fuzz_sources(), FUZZ / "feed.c", REFERENCE]
    return compile_program(
        target, native, sources, compiler=compiler, flags=[*flags, WATCH_RESTORE]
    )


def compile_extension(target: Path, flags: Sequence[str], native: Path = NATIVE) -> Path:
    """The extension module as pyproject.toml builds it, with these flags besides.

    `native` may be a copy of it: see `copy_native`.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extension = project["tool"]["setuptools"]["ext-modules"][0]
    includes = [*extension["include-dirs"], sysconfig.get_paths()["include"]]
    command = ["gcc", "-shared", "-fPIC", "-g", *extension["extra-compile-args"], *flags]
    command += [f"-I{native.parent / folder}" for folder in includes]
    command += [str(native.parent / source) for source in extension["sources"]]
    # What cffi and Python write does not hold itself to our warnings.
    _run([*command, "-Wno-error", "-Wno-unused-parameter", "-o", str(target)], target.parent)
    return target


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise BuildFailed(f"{' '.join(command[:3])} ...\n{done.stderr[-4000:]}")
