"""What the house tests look at: our own files, and the tools beside this Python."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
# Made by machines or by running, never by us.
NOT_OURS = {"__pycache__", "build", "dist", "gen", "node_modules", "var"}


def our_files(*suffixes: str, below: str = "") -> list[Path]:
    """Our files with one of these suffixes ("" for those without), or all; sorted."""
    return sorted(file for file in _walk(ROOT / below) if not suffixes or file.suffix in suffixes)


def _walk(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_dir():
            hidden = entry.name.startswith(".") and entry.name != ".ci"
            if not hidden and entry.name not in NOT_OURS and entry.suffix != ".egg-info":
                yield from _walk(entry)
        elif entry.suffix not in {".so", ".pyc"}:
            yield entry


def is_script(file: Path) -> bool:
    """Whether a file without a suffix is one of the Python scripts in tools/."""
    return file.parent == ROOT / "tools" and not file.suffix


def python_files() -> list[Path]:
    return [file for file in our_files(".py", "") if file.suffix or is_script(file)]


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def must_succeed(*command: str, **variables: str) -> None:
    """Run one of the tools in the root; fail with what it said unless it ends well."""
    path = f"{BIN}:/usr/bin:/bin"
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=ROOT,
        env={"PATH": path, "HOME": str(Path.home()), **variables},
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)
