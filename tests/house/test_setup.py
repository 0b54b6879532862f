"""What a bare machine meets first: the lock, and sentences about what is missing."""

import os
import re
import subprocess
import sys
import tomllib

from tests.house.tree import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_dependency_is_locked_with_hashes() -> None:
    wanted = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    names = {_plain(re.split(r"[<>=!~\[; ]", each)[0]) for each in wanted}
    entries = re.split(r"\n(?=[a-zA-Z0-9])", LOCK)
    locked = {_plain(entry.split("==")[0]): entry for entry in entries}
    assert names <= locked.keys(), "run tools/lock"
    assert [name for name, entry in locked.items() if "--hash=sha256:" not in entry] == []


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_names_no_index() -> None:
    assert not re.search(r"https?://|^-", LOCK, re.MULTILINE)


def test_a_machine_without_a_compiler_is_told_so() -> None:
    bare = {"PATH": os.fspath(ROOT / "tests"), "HOME": os.environ["HOME"]}
    for tool in ("setup", "run", "test"):
        done = subprocess.run(
            [sys.executable, ROOT / "tools" / tool],
            env=bare,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1
        assert "A C compiler is missing" in done.stderr
        assert "apt-get install python3-dev python3-venv gcc" in done.stderr
