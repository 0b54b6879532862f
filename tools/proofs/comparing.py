"""The same commands through builds by different compilers: everything that comes out is the same.

Three kinds of input: the golden log; a history from a seed, aimed with the model so that orders
meet; and inputs of the fuzz targets, kept and random, which fill every pool. After each record all
event bytes, all answers, the state hash and the balance hash are compared.
"""

import struct
import subprocess
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from tests.model.engines import ModelEngine
from tests.model.worlds import LARGE
from tests.model.worlds import SMALL as NEAR
from tests.model.writer import Writer
from tools.proofs.building import NATIVE, ROOT, SMALL, compile_fuzz, compile_program, copy_native
from tools.proofs.packs import TARGETS, pack_of

REPLAY: Final = ROOT / "tests" / "native" / "replay.c"
LEVELS: Final = ("-O0", "-O3")
INPUT_BYTES: Final = 1500
"""Of each random input for a fuzz target."""
_HEAD: Final = struct.Struct("<qI")


class Build(NamedTuple):
    """The two programs of one compiler at one level."""

    name: str
    replay: Path
    feed: Path


class Different(Exception):
    """Two builds do not agree: on what, and where first."""


def build(folder: Path, compiler: str, level: str, *, has_feed: bool = True) -> Build:
    """Compile both, or the first alone. Raises BuildFailed."""
    here = folder / f"{compiler}{level}"
    replay, feed = here / "replay", here / "feed"
    compile_program(replay, NATIVE, [REPLAY], compiler=compiler, flags=[level])
    if has_feed:
        native = copy_native(here / "small", SMALL)
        compile_fuzz(feed, native, compiler=compiler, flags=[level])
    return Build(f"{compiler} {level}", replay, feed)


def write_history(log: Path, seed: int, commands: int) -> int:
    """A log of at least so many random commands. How many records it has."""
    random = Random(seed)
    engine = ModelEngine()
    writer = Writer(random, engine.model, random.choice((NEAR, LARGE)))
    opening, offset = writer.opening(), 0
    with log.open("wb") as file:
        while engine.model.sequence < commands:
            record = opening.pop(0) if opening else writer.record(20)
            time_us, body = writer.pass_time(), record.SerializeToString()
            engine.apply(offset, time_us, record)
            file.write(_HEAD.pack(time_us, len(body)) + body)
            offset += 1
    return offset


def compare_log(builds: Sequence[Build], log: Path) -> int:
    """Replay a log by each. How many records they agreed on. Raises Different."""
    return _compare("record", [(one.name, [str(one.replay), str(log)]) for one in builds])


def compare_kept(builds: Sequence[Build]) -> int:
    """The kept inputs of every target. How many they agreed on. Raises Different."""
    return sum(
        _compare(
            f"{target} input",
            [(b.name, [str(b.feed), target, str(pack_of(target))]) for b in builds],
        )
        for target in TARGETS
    )


def compare_random(builds: Sequence[Build], target: str, seed: int, inputs: int) -> int:
    """Random inputs of a target. How many they agreed on. Raises Different."""
    what = ["random", str(seed), str(inputs), str(INPUT_BYTES)]
    commands = [(one.name, [str(one.feed), target, *what]) for one in builds]
    return _compare(f"{target} input of seed {seed}", commands)


def _compare(what: str, commands: Sequence[tuple[str, list[str]]]) -> int:
    """Run each; they print the same lines. How many."""
    first_name, first = commands[0][0], _lines(commands[0][1])
    for name, command in commands[1:]:
        for index, pair in enumerate(zip_longest(first, _lines(command))):
            if pair[0] != pair[1]:
                raise Different(f"{what} {index}\n  {first_name}: {pair[0]}\n  {name}: {pair[1]}")
    return len(first)


def _lines(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    if done.returncode:
        raise Different(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout.splitlines()
