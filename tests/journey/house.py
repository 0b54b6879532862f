"""A whole exchange as its owner has it: `bourse up` in a folder, other commands beside it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from tests.house.tree import ROOT

PATIENCE_S: Final = 120.0
BOURSE: Final = (sys.executable, "-m", "services.cli")


class House:
    """One `bourse up`, from its first line to its last."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self.said: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [*BOURSE, "up", "--data", str(data), "--port", "0", *arguments],
            cwd=ROOT,
            env=environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                with self._news:
                    self.said.append(line)
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def until_said(self, words: str) -> str:
        """Wait for a line with these words; fail with all that was said if it ends without."""
        with self._news:
            found = self._news.wait_for(
                lambda: self._line(words) or not self._listens(), timeout=PATIENCE_S
            )
            line = self._line(words)
        assert found, f"nothing of {words!r} in {PATIENCE_S} s:\n{self.all_said()}"
        assert line, f"it ended without saying {words!r}:\n{self.all_said()}"
        return line

    def _line(self, words: str) -> str:
        return next((line for line in self.said if words in line), "")

    def _listens(self) -> bool:
        return self._process.poll() is None

    def all_said(self) -> str:
        """Everything it has said so far."""
        return "".join(self.said)

    def url(self) -> str:
        """The address of its public API, once it is up."""
        return self.until_said(" up after ").split()[-1]

    def stop(self) -> int:
        """Press Ctrl-C, wait for the end, give the exit status."""
        return self.end(signal.SIGINT)

    def end(self, number: signal.Signals) -> int:
        """Send a signal, wait for the end, give the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end, give the exit status."""
        status = self._process.wait(PATIENCE_S)
        self._listener.join()
        return status

    def bourse(self, *arguments: str) -> dict[str, Any]:
        """What a command of its owner answers, as an object."""
        done = command(*arguments, "--data", str(self.data), "--json")
        assert done.returncode == 0, f"bourse {' '.join(arguments)}: {done.stderr}"
        said: dict[str, Any] = json.loads(done.stdout)
        return said


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [*BOURSE, *arguments],
        cwd=ROOT,
        env=environment(),
        text=True,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )


def environment() -> dict[str, str]:
    """Ours, so that the code of this checkout is found whether it is installed or not."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "gen")))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be buried does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def all_gone(status: dict[str, Any]) -> bool:
    """Wait until no process is left of those that `bourse status` named, and not for ever."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if not any(alive(pid) for pid in pids(status).values()):
            return True
        time.sleep(0.05)
    return False


def pids(status: dict[str, Any]) -> dict[str, int]:
    """The processes that `bourse status` names."""
    kept = [*status["rooms"], *status["stores"]]
    return {each["name"]: each["pid"] for each in kept if each["pid"]}
