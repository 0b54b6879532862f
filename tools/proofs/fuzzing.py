"""Building a target with libFuzzer, running it, and keeping what reached something new."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from tests.golden.log import RULES, read_commands
from tools.proofs.building import (
    REFERENCE,
    ROOT,
    SANITIZED,
    SMALL,
    SMALL_PART_BYTES,
    WATCH_RESTORE,
    compile_program,
    copy_native,
    fuzz_sources,
)
from tools.proofs.packs import pack_of, read_pack, unpack, write_pack

ROOM: Final = ROOT / "var" / "fuzz"
LONGEST: Final = {"codec": 4096, "core": 1500, "snapshot": 700, "book": 900}
"""Bytes of an input. Longer ones are slower and say nothing that several short ones do not."""
KEPT_BYTES: Final = 120_000
"""The most a pack may have, so that replaying all of them stays a matter of seconds."""
SEEDS: Final = 40
DEBIAN: Final = "On Debian: apt-get install clang libclang-rt-14-dev (the number is clang's)"


class Figures(NamedTuple):
    """What a run came to, as libFuzzer counts: edges of the program reached, inputs kept."""

    executions: int
    seconds: float
    edges: int
    features: int
    corpus: int
    crashes: list[Path]


def clang() -> str | None:
    """The compiler that has a fuzzer, if this machine has it."""
    return shutil.which("clang")


def build(target: str, compiler: str) -> Path:
    """The target as a program that libFuzzer drives, under ASan and UBSan.

    In it parts of event records are as short as they can be, so that all that goes on from one
    part to the next is tried all the time.
    """
    folder = ROOM / "build" / target
    folder.mkdir(parents=True, exist_ok=True)
    native = copy_native(folder, SMALL, SMALL_PART_BYTES)
    # Only what is reached of the core is worth following.
    ours = folder / "ignored"
    ours.write_text("src:*/tests/native/*\n")
    flags = [*SANITIZED, "-fsanitize=fuzzer", f"-fsanitize-coverage-ignorelist={ours}"]
    flags += [WATCH_RESTORE, f"-DFUZZ_TARGET=fuzz_{target}"]
    sources = [*fuzz_sources(), REFERENCE]
    return compile_program(
        folder / f"fuzz_{target}", native, sources, compiler=compiler, flags=flags
    )


def run(target: str, program: Path, seconds: int) -> Figures:
    """Fuzz for so long, from what is kept and what earlier runs found on this machine."""
    folder = ROOM / target
    unpack(read_pack(pack_of(target)), folder / "kept")
    unpack(_seeds(target), folder / "kept")
    (folder / "found").mkdir(exist_ok=True)
    (folder / "crashes").mkdir(exist_ok=True)
    before = set((folder / "crashes").iterdir())
    command = [str(program), f"-max_total_time={seconds}", f"-max_len={LONGEST[target]}"]
    command += [f"-artifact_prefix={folder}/crashes/", "-print_final_stats=1", "-timeout=20"]
    command += ["-rss_limit_mb=2048", "-len_control=0", str(folder / "found"), str(folder / "kept")]
    said = (folder / "log").open("w+b")
    with said:
        subprocess.run(command, stderr=said, stdout=said, timeout=seconds + 300, check=False)
        said.seek(0)
        text = said.read().decode(errors="replace")
    return _figures(text, sorted(set((folder / "crashes").iterdir()) - before))


def _seeds(target: str) -> Iterator[bytes]:
    """To begin with: true records for the codec; for the others anything, as all of it counts."""
    if target == "codec":
        for record in (record for rules in RULES for record in read_commands(rules)):
            if len(record.body) < LONGEST[target]:
                yield b"\1" + record.body
    else:
        random = Random(target)
        for _ in range(SEEDS):
            yield random.randbytes(random.randrange(LONGEST[target]))


_STATUS: Final = re.compile(r"#\d+\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/")


def _figures(text: str, crashes: list[Path]) -> Figures:
    status = _STATUS.findall(text)
    edges, features, corpus = map(int, status[-1]) if status else (0, 0, 0)
    executions = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    rate = re.search(r"stat::average_exec_per_sec:\s*(\d+)", text)
    count = int(executions[1]) if executions else 0
    seconds = count / max(1, int(rate[1])) if rate else 0.0
    return Figures(count, seconds, edges, features, corpus, crashes)


def merge(target: str, program: Path) -> tuple[int, int]:
    """Keep the fewest inputs that reach all that any of them reached. How many, and their bytes.

    What the pack has no room for stays on this machine.
    """
    folder = ROOM / target
    smallest = folder / "smallest"
    shutil.rmtree(smallest, ignore_errors=True)
    smallest.mkdir(parents=True)
    sources = [str(folder / name) for name in ("kept", "found") if (folder / name).exists()]
    command = [str(program), "-set_cover_merge=1", f"-max_len={LONGEST[target]}", "-rss_limit_mb=0"]
    subprocess.run(
        [*command, str(smallest), *sources], capture_output=True, timeout=1800, check=True
    )
    kept = _within(sorted((file.read_bytes() for file in smallest.iterdir()), key=len))
    for name in ("kept", "found"):
        shutil.rmtree(folder / name, ignore_errors=True)
    smallest.rename(folder / "found")
    return len(kept), write_pack(pack_of(target), kept)


def _within(inputs: list[bytes]) -> list[bytes]:
    """The shortest ones, as many as a pack has room for."""
    kept, size = [], 0
    for one in inputs:
        size += len(one) + 4
        if size > KEPT_BYTES:
            break
        kept.append(one)
    return kept
