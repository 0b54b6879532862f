"""The walls of design: import-linter keeps them, and these tests close what it leaves open.

The contracts themselves are in pyproject.toml. import-linter is silent about a room nobody listed,
about a pattern that matches nothing, and about what Python cannot see in imports.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, must_succeed, name_of, our_files

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
# What rooms stand on; every other folder of services/ is a room.
PIPES_AND_WORDS = {"services.domain", "services.runtime"}
ONLY_FILE_THAT_KNOWS_C = "services/matching/core.py"


def test_the_walls_stand() -> None:
    must_succeed("lint-imports", "--no-logo", "--no-cache", PYTHONPATH=f"{ROOT}:{ROOT / 'gen'}")


def _folders() -> set[str]:
    below = (file.relative_to(ROOT).parts for file in our_files(".py", below="services"))
    return {f"services.{parts[1]}" for parts in below if len(parts) > 2}


def test_every_room_is_listed() -> None:
    rooms = _folders() - PIPES_AND_WORDS
    independence = next(each for each in CONTRACTS if each["type"] == "independence")
    inside = next(each for each in CONTRACTS if "containers" in each)
    above = next(each for each in CONTRACTS if each["name"].startswith("Rooms stand on"))
    assert set(independence["modules"]) == rooms
    assert set(inside["containers"]) == rooms
    assert set(above["layers"][0].split(" : ")) == rooms


def test_every_room_is_kept_from_the_slow_codec() -> None:
    slow = next(each for each in CONTRACTS if "bourse_client" in each.get("forbidden_modules", []))
    assert set(slow["source_modules"]) == _folders() - {"services.cli"}


def test_every_pattern_matches_what_is_there() -> None:
    """A pattern of import-linter must find each file it is meant for, and at least one."""
    for pattern in _patterns():
        files = [ROOT / root / pattern.replace(".", "/") for root in (".", "gen")]
        found = [f for file in files for f in (*ROOT.glob(_below(file)), *ROOT.glob(_py(file)))]
        assert found, f"{pattern} in pyproject.toml matches nothing"


def _patterns() -> Iterator[str]:
    for contract in CONTRACTS:
        for key in ("modules", "source_modules", "protected_modules", "allowed_importers"):
            yield from contract.get(key, [])


def _below(file: Path) -> str:
    return f"{file.relative_to(ROOT).as_posix()}/__init__.py"


def _py(file: Path) -> str:
    return f"{file.relative_to(ROOT).as_posix()}.py"


def test_only_one_file_knows_the_extension() -> None:
    """The compiled module is not in import-linter's graph, so the text is searched."""
    knows = re.compile(r"import _core\b|\bmatching\._core\b|from _core\b|_core import\b")
    found = [
        name_of(file)
        for file in our_files(".py", below="services")
        if knows.search(file.read_text())
    ]
    assert set(found) <= {ONLY_FILE_THAT_KNOWS_C}


def _laws() -> list[Path]:
    return [
        file
        for file in our_files(".py", below="services")
        if file.name == "state.py" or file.is_relative_to(ROOT / "services" / "domain")
    ]


# Names that reach outside, or that are not exact near money, without any import.
NOT_IN_A_LAW = {"open", "input", "print", "exec", "eval", "__import__", "float", "complex", "hash"}


@pytest.mark.parametrize("file", _laws(), ids=name_of)
def test_a_law_reaches_nothing_and_is_exact(file: Path) -> None:
    """No I/O, no floats, nothing asynchronous, nothing that differs from run to run."""
    for node in ast.walk(ast.parse(file.read_text())):
        where = f"{name_of(file)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Name):
            assert node.id not in NOT_IN_A_LAW, f"{where} uses {node.id}"
        if isinstance(node, ast.Constant):
            assert not isinstance(node.value, float), f"{where} has a float"
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), f"{where} waits"
        assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)), (
            f"{where} divides into a float; // stays exact"
        )
