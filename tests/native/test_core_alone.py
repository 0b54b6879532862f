"""The core in C without Python: no memory, words that are wrong, snapshots that are, callers."""

from pathlib import Path

import pytest

from tools.proofs.building import SANITIZED
from tools.proofs.programs import build_driven, run, small_native


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alone")


@pytest.fixture(scope="module")
def native(folder: Path) -> Path:
    return small_native(folder)


def test_without_memory_it_says_so_and_stays_as_it_was(folder: Path, native: Path) -> None:
    said = run(build_driven(folder, native, "core_memory", SANITIZED))
    failed = {line.rpartition(": ")[0]: int(line.rpartition(": ")[2]) for line in said.splitlines()}
    assert failed["open a core"] >= 20
    assert failed["grow"] >= 15
    assert failed["add an instrument"] >= 1
    assert failed["restore"] >= 20


def test_callers_who_are_wrong_change_nothing(folder: Path, native: Path) -> None:
    assert run(build_driven(folder, native, "core_edges", SANITIZED)) == "all refused\n"


def test_the_validator_notices_every_word_that_means_something(folder: Path, native: Path) -> None:
    said = run(build_driven(folder, native, "core_broken", ["-O1"]))
    assert int(said.splitlines()[-1].split()[0]) >= 100, "rules that found something"


def test_a_snapshot_with_a_wrong_word_is_refused_or_a_state_like_any(
    folder: Path, native: Path
) -> None:
    said = run(build_driven(folder, native, "core_snapshots", SANITIZED)).split()
    tried, let_in = int(said[0]), int(said[2])
    assert tried > 30_000
    assert let_in < tried / 2
