"""The README is true: its commands are run on a fresh copy of this checkout, its links followed.

A fenced block of the README is a story by its first word and what follows:

    ```sh            run by itself; ends well
    ```sh house      starts the house and stays; is stopped with Ctrl-C after its first order has
                     filled and every block beside it has ended well
    ```sh beside     run while the house is up, in the order of the page

A block that is only `tools/test` is left out, since that is what runs this. Blocks of other
languages (text, json, proto, ...) are not commands; `bash`, `shell` and `console` are refused, so
that no command escapes.
"""

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.house.tree import ROOT, name_of, our_files

# What `bourse up` says when the demo's first order has traded.
FIRST_FILL = "first order filled"
# The longest a command may take on a slow machine and a slow line: setting up is part of it.
PATIENCE_S = 540.0
ESCAPING = {"bash", "shell", "console", "shell-session", "zsh"}
# What a newcomer's shell has, and what says where packages and certificates are.
KEPT = re.compile(r"PATH|HOME|LANG|TERM|TMPDIR|(PIP|UV|SSL|REQUESTS|PYENV)_\w+|\w+_(proxy|PROXY)")


class Block(NamedTuple):
    """A fenced block: the line it starts on, its language, the word after it, its text."""

    line: int
    language: str
    kind: str
    text: str


def blocks(page: str) -> list[Block]:
    """Every fenced block of a page."""
    fenced = re.finditer(r"^```(\S*)[ ]*(\S*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [Block(page.count("\n", 0, m.start()) + 1, m[1], m[2], m[3]) for m in fenced]


README = blocks((ROOT / "README.md").read_text())
COMMANDS = [b for b in README if b.language == "sh" and b.text.strip() != "tools/test"]


def _line(block: Block) -> str:
    return f"line {block.line}"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy: our files and what machines wrote, no environment, no data, nothing built."""
    copy = tmp_path_factory.mktemp("newcomer") / "bourse"
    for file in [*our_files(), *(f for f in (ROOT / "gen").rglob("*") if f.is_file())]:
        if "__pycache__" not in file.parts:
            target = copy / name_of(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    return copy


def environment() -> dict[str, str]:
    """A newcomer's: none of this test run's own settings, and not its Python first."""
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    own = str(ROOT / ".venv" / "bin")
    path = os.pathsep.join(p for p in kept["PATH"].split(os.pathsep) if p != own)
    return {**kept, "PATH": path}


def run(block: Block, checkout: Path) -> None:
    """Run a block as a newcomer would; fail with what it said unless it ends well."""
    done = subprocess.run(
        ["sh", "-euc", block.text],
        cwd=checkout,
        env=environment(),
        text=True,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    said = f"README.md, {_line(block)}:\n{block.text}\n{done.stdout}{done.stderr}"
    assert done.returncode == 0, said


class House:
    """A house that a block has started: what it has said, and whether an order has filled."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.said: list[str] = []
        self.filled = threading.Event()
        self._process = process
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self.said.append(line)
                if FIRST_FILL in line:
                    self.filled.set()
        self.filled.set()  # it has ended; whoever waits for it shall look

    def stop(self) -> int:
        """Press Ctrl-C, wait for the end, return the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        status = self._process.wait(PATIENCE_S)
        self._listener.join()
        return status


@contextmanager
def house(block: Block, checkout: Path) -> Iterator[House]:
    """The house of a block, once its first order has filled. It is stopped whatever happens."""
    process = subprocess.Popen(
        ["sh", "-euc", f"exec {block.text}"],
        cwd=checkout,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    started = House(process)
    try:
        assert started.filled.wait(PATIENCE_S), "".join(started.said)
        assert process.poll() is None, "".join(started.said)
        yield started
    finally:
        started.stop()
    assert process.returncode == 0, "".join(started.said)


@pytest.mark.parametrize("block", [b for b in COMMANDS if not b.kind], ids=_line)
def test_a_command_works(block: Block, checkout: Path) -> None:
    run(block, checkout)


@pytest.mark.parametrize("block", [b for b in COMMANDS if b.kind == "house"], ids=_line)
@pytest.mark.timeout(3 * PATIENCE_S)
def test_the_house_starts_and_what_is_done_in_it_works(block: Block, checkout: Path) -> None:
    with house(block, checkout):
        for beside in (b for b in COMMANDS if b.kind == "beside"):
            run(beside, checkout)


def test_no_command_escapes() -> None:
    kinds = {block.kind for block in COMMANDS}
    assert kinds <= {"", "house", "beside"}
    assert [_line(block) for block in README if block.language in ESCAPING] == []
    assert "house" in kinds or "beside" not in kinds, "nothing is up to run them beside"


@pytest.mark.parametrize("page", our_files(".md"), ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page, and the heading after # where there is one."""
    for target, heading in re.findall(
        r"\]\((?!https?:|mailto:)([^)#\s]*)#?([^)\s]*)\)", page.read_text()
    ):
        file = page.parent / target if target else page
        assert file.exists(), f"{name_of(page)} links to {target}, which is not there"
        if heading and file.suffix == ".md":
            assert heading in anchors(file.read_text()), f"{name_of(page)}: no #{heading} there"


def anchors(page: str) -> set[str]:
    """What a heading can be linked by, as code hosts make it."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_blocks_are_found() -> None:
    page = "# A\n```sh house\ntools/run\n```\n\ntext\n\n```json\n{}\n```\n```sh\na\nb\n```\n"
    assert blocks(page) == [
        Block(2, "sh", "house", "tools/run\n"),
        Block(8, "json", "", "{}\n"),
        Block(11, "sh", "", "a\nb\n"),
    ]
    assert anchors("# A\n## The life of `an` order, told\n") == {"a", "the-life-of-an-order-told"}
