"""What tools/coverage runs: each with its own counters, in a folder of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.native.codec_library import SOURCES
from tools.proofs.building import (
    NATIVE,
    ROOT,
    SMALL_PART_BYTES,
    compile_extension,
    compile_fuzz,
    copy_native,
)
from tools.proofs.covering import FLAGS
from tools.proofs.packs import TARGETS, pack_of
from tools.proofs.programs import DRIVE_A_CORE, build_book, build_driven, run, small_native

FROM_PYTHON: Final = (
    "tests/model",
    "tests/spec/test_matching.py",
    "tests/golden",
    "tests/services/matching/test_core.py",
    "tests/services/matching/test_answers.py",
    "tests/native/test_codec.py",
    "tests/native/test_codec_fields.py",
    "tests/native/test_codec_shape.py",
    "tests/native/test_codec_shape_more.py",
)
"""Tests that call the core, or the codec, in C: they get the counting one by environment."""
IN_SHORT_PARTS: Final = ("tests/model/test_core_against_model.py", "-k", "short_histories or edges")
"""Those that call it once more with parts of a hundredth: see tests/native/test_short_parts.py."""
BOOK_RUNS: Final = 15


def run_all(folder: Path) -> list[Path]:
    """Build and run everything; the folders in which it was counted."""
    shutil.rmtree(folder, ignore_errors=True)
    steps = {"python": _python, "short": _short_parts, "programs": _programs, "fuzz": _fuzz}
    for name, step in steps.items():
        (folder / name).mkdir(parents=True)
        print(f"{name} ...", file=sys.stderr, flush=True)
        step(folder / name)
    return [folder / name for name in steps]


def _python(folder: Path) -> None:
    extension = compile_extension(folder / "_core.so", FLAGS)
    environment = {
        "BOURSE_TEST_EXTENSION": str(extension),
        "BOURSE_TEST_CODEC": str(_codec(folder)),
    }
    _run_tests(FROM_PYTHON, environment)


def _short_parts(folder: Path) -> None:
    native = copy_native(folder, {}, SMALL_PART_BYTES)
    extension = compile_extension(folder / "_core.so", FLAGS, native)
    _run_tests(IN_SHORT_PARTS, {"BOURSE_TEST_EXTENSION": str(extension)})


def _run_tests(words: Sequence[str], environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += ["--noconftest", "-p", "tests.native.sanitized", *words]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode:
        sys.exit(f"the tests failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def _codec(folder: Path) -> Path:
    """The codec by itself, which reads every message and writes it again."""
    target = folder / "codec" / "codec.so"
    target.parent.mkdir()
    command = ["gcc", "-std=c11", "-g", "-fno-wrapv", "-fPIC", "-shared", *FLAGS, f"-I{NATIVE}"]
    command += [*map(str, SOURCES), "-o", str(target)]
    subprocess.run(command, check=True, timeout=120)
    return target


def _programs(folder: Path) -> None:
    native = small_native(folder)
    for name in DRIVE_A_CORE:
        run(build_driven(folder, native, name, FLAGS))
    run(build_book(folder, "book_stories", FLAGS))
    random = build_book(folder, "book_random", FLAGS)
    for seed in range(BOOK_RUNS):
        run(random, str(seed), "20000")


def _fuzz(folder: Path) -> None:
    feed = compile_fuzz(folder / "feed", small_native(folder), flags=FLAGS)
    for target in TARGETS:
        run(feed, target, pack_of(target))
