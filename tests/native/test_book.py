"""The book by itself, in C: stories, long random runs against a reference, and the example.

Everything is built twice, as it ships and under AddressSanitizer and UBSan.
"""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["-std=c11", "-fno-wrapv", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'native'}"]
BUILDS = {
    "as_shipped": ["-O2"],
    "sanitized": [
        "-O1",
        "-g",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=undefined",
    ],
}


def build(target: Path, optimisation: list[str], *sources: Path) -> Path:
    """Compile the book with these sources into one program."""
    book = sorted((ROOT / "native").glob("book*.c"))
    command = ["gcc", *FLAGS, *optimisation, *map(str, [*book, *sources]), "-o", str(target)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stderr
    return target


def run(*command: str | Path) -> str:
    """What a program prints; it has to end well."""
    ended = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    return ended.stdout


@pytest.fixture(scope="module", params=sorted(BUILDS))
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def random_program(flavour: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = Path(__file__).parent
    target = tmp_path_factory.mktemp("book") / "book_random"
    sources = [here / "book_reference.c", here / "book_random.c"]
    return build(target, BUILDS[flavour], *sources)


# Five ways for prices to move, times three sizes of book.
@pytest.mark.parametrize("seed", range(1, 16))
def test_random_commands_do_what_two_sorted_arrays_would(
    random_program: Path, flavour: str, seed: int
) -> None:
    commands = 300_000 if flavour == "as_shipped" else 50_000
    said = run(random_program, str(seed), str(commands))
    assert f"{commands} commands" in said


def test_the_stories_of_the_book(flavour: str, tmp_path: Path) -> None:
    program = build(tmp_path / "stories", BUILDS[flavour], Path(__file__).parent / "book_stories.c")
    assert len(run(program).splitlines()) == 16


def test_the_example_shows_a_trade_and_keeps_the_book_valid(flavour: str, tmp_path: Path) -> None:
    program = build(tmp_path / "example", BUILDS[flavour], ROOT / "native" / "example.c")
    said = run(program)
    assert "trade    order 1  5 @ 100, 0 left" in said
    assert "ns a message" in said
