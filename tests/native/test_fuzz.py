"""The kept inputs of the fuzz targets, and some random ones, where there is gcc alone.

tools/fuzz lets clang's libFuzzer look for new ones.
"""

from pathlib import Path

import pytest

from tools.proofs.building import SMALL, compile_fuzz, copy_native
from tools.proofs.packs import TARGETS, pack_of, read_pack, write_pack
from tools.proofs.programs import run, small_native

RANDOM_INPUTS = 60
INPUT_BYTES = 900


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def sanitized(folder: Path) -> Path:
    """Under ASan and UBSan, with parts as short as they can be."""
    return compile_fuzz(folder / "sanitized", small_native(folder))


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """As it ships, but for small pools."""
    native = copy_native(folder / "plain-native", SMALL)
    return compile_fuzz(folder / "plain", native, flags=["-O2"])


def states(said: str) -> list[str]:
    """The index of each input, and the digest of the states it led to."""
    return [line.rsplit(" ", 1)[0] for line in said.splitlines()]


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_kept_breaks_nothing(target: str, sanitized: Path, plain: Path) -> None:
    watched, shipped = (run(feed, target, pack_of(target)) for feed in (sanitized, plain))
    assert len(watched.splitlines()) == len(read_pack(pack_of(target))) > 100
    assert states(watched) == states(shipped), "where parts end changes no state"


@pytest.mark.parametrize("target", TARGETS)
def test_random_inputs_break_nothing(target: str, sanitized: Path, plain: Path) -> None:
    what = [target, "random", "7", str(RANDOM_INPUTS), str(INPUT_BYTES)]
    watched, shipped = (run(feed, *what) for feed in (sanitized, plain))
    assert len(watched.splitlines()) == RANDOM_INPUTS
    assert states(watched) == states(shipped)


def test_one_input_can_be_told_step_by_step(plain: Path) -> None:
    last = len(read_pack(pack_of("core"))) - 1
    *steps, digest = run(plain, "core", pack_of("core"), str(last)).splitlines()
    assert digest.startswith(f"{last} ")
    assert sum(step.startswith("  state ") for step in steps) > 1


def test_a_pack_is_the_same_whatever_the_order(tmp_path: Path) -> None:
    pack = tmp_path / "some.pack"
    assert write_pack(pack, [b"bb", b"", b"a", b"bb"]) == 15
    assert read_pack(pack) == [b"", b"a", b"bb"]
    assert read_pack(tmp_path / "none.pack") == []
