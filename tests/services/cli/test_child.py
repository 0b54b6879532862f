"""A process is kept running, started again when it dies, and stopped when told, whatever it does.

The processes are tiny modules of our own, found through PYTHONPATH.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from services.cli.child import Backoff, Child, ChildState, Plan, Severity
from services.cli.logs import Listener, LogFile
from tests.house.tree import ROOT

STANDS = "import time\nprint('up', flush=True)\ntime.sleep(600)\n"
STUBBORN = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{STANDS}"
DIES = "import sys\nprint('no luck', flush=True)\nsys.exit(3)\n"
WRONG = "import sys\nprint('BOURSE_X is wrong.', flush=True)\nsys.exit(2)\n"
LONG_LINE = "print('x' * 200_000, flush=True)\n" + STANDS
QUICK = Backoff(first_s=0.01, most_s=0.02)
PATIENCE_S = 30.0


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


class Nursery(NamedTuple):
    """A child and all it has made us say."""

    child: Child
    said: list[str]
    log: Path

    async def until(self, holds: Callable[[], bool]) -> None:
        await until(holds)

    def heard(self, words: str) -> Callable[[], bool]:
        return lambda: self.log.exists() and words in self.log.read_text()


def nursery(folder: Path, code: str, stop_s: float = 10.0) -> Nursery:
    (folder / "tiny.py").write_text(code)
    said: list[str] = []

    def tell(_name: str, text: str, _severity: Severity) -> None:
        said.append(text)

    async def serves() -> bool:
        return heard()

    path = os.pathsep.join([str(folder), str(ROOT), str(ROOT / "gen")])
    plan = Plan("tiny", "tiny", serves, environment={"PYTHONPATH": path}, stop_s=stop_s)
    log = folder / "logs" / "tiny.log"
    listener = Listener(LogFile(log), said.append)
    made = Nursery(Child(plan, listener, tell, QUICK), said, log)
    heard = made.heard("up")
    return made


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE_S):
            await story()

    asyncio.run(bounded())


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_it_serves_and_stops(tmp_path: Path) -> None:
    async def story() -> None:
        tiny = nursery(tmp_path, STANDS)
        tiny.child.start()
        await tiny.until(lambda: tiny.child.state is ChildState.SERVING)
        pid = tiny.child.pid
        await tiny.child.stop()
        assert tiny.child.state is ChildState.STOPPED
        assert not alive(pid)
        assert tiny.said[0].startswith("serves after")
        assert tiny.said[-1] == "stopped"

    run(story)


def test_what_is_killed_comes_back(tmp_path: Path) -> None:
    async def story() -> None:
        tiny = nursery(tmp_path, STANDS)
        tiny.child.start()
        await tiny.until(lambda: tiny.child.state is ChildState.SERVING)
        first = tiny.child.pid
        os.kill(first, signal.SIGKILL)
        await tiny.until(lambda: tiny.child.pid not in (0, first))
        assert tiny.child.restarts == 1
        assert "ended with signal SIGKILL" in tiny.said
        await tiny.child.stop()

    run(story)


def test_what_dies_at_once_is_tried_again_and_its_last_words_are_told(tmp_path: Path) -> None:
    async def story() -> None:
        tiny = nursery(tmp_path, DIES)
        tiny.child.start()
        await tiny.until(lambda: tiny.child.restarts >= 3)
        assert "ended with exit code 3: no luck" in tiny.said
        await tiny.child.stop()
        assert tiny.child.state is ChildState.STOPPED

    run(story)


def test_what_the_system_refuses_to_start_is_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        tiny = nursery(tmp_path, STANDS)
        environment = dict(tiny.child.plan.environment or {})
        environment["LARGE"] = "x" * 200_000
        tiny.child.plan = tiny.child.plan._replace(environment=environment)
        tiny.child.start()
        await tiny.until(lambda: tiny.child.restarts >= 2)
        assert tiny.said[0].startswith("cannot be started: ")
        del environment["LARGE"]
        await tiny.until(lambda: tiny.child.state is ChildState.SERVING)
        await tiny.child.stop()

    run(story)


def test_what_a_new_start_would_not_mend_is_not_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        tiny = nursery(tmp_path, WRONG)
        tiny.child.start()
        await tiny.until(lambda: tiny.child.given_up != "")
        await tiny.until(lambda: tiny.child.state is ChildState.STOPPED)
        assert tiny.child.given_up == "BOURSE_X is wrong."
        assert tiny.child.restarts == 0
        await tiny.child.stop()

    run(story)


def test_what_does_not_end_is_killed(tmp_path: Path) -> None:
    async def story() -> None:
        tiny = nursery(tmp_path, STUBBORN, stop_s=0.2)
        tiny.child.start()
        await tiny.until(tiny.heard("up"))
        pid = tiny.child.pid
        await tiny.child.stop()
        assert not alive(pid)
        assert "does not end in 0.2 s: killed" in tiny.said

    run(story)


def test_stopping_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        tiny = nursery(tmp_path, STANDS)
        tiny.child.start()
        await asyncio.sleep(0)
        await tiny.child.stop()
        assert tiny.child.pid == 0
        assert tiny.child.state is ChildState.STOPPED

    run(story)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    async def story() -> None:
        tiny = nursery(tmp_path, LONG_LINE)
        tiny.child.start()
        await tiny.until(tiny.heard("up"))
        assert max(map(len, tiny.log.read_text().splitlines())) <= 64 * 1024
        await tiny.child.stop()

    run(story)


SUPERVISOR = """
import subprocess, sys, os, time
tethered = [sys.executable, "-m", "services.cli.tethered", str(os.getpid()), "tiny"]
child = subprocess.Popen(tethered, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_killed_supervisor_leaves_no_child_behind(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(STANDS)
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "gen")])
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    ) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert alive(pid)
        supervisor.kill()

    asyncio.run(until(lambda: not alive(pid)))


def test_a_child_whose_parent_is_gone_already_does_not_begin(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(STANDS)
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "gen")])
    done = subprocess.run(
        [sys.executable, "-m", "services.cli.tethered", "1", "tiny"],
        env={**os.environ, "PYTHONPATH": path},
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("stood_s", "waits_s"),
    [
        ([0, 0, 0, 0], [0.2, 0.4, 0.8, 1.6]),
        ([0] * 8, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]),
        ([0, 0, 60, 0], [0.2, 0.4, 0.2, 0.4]),
    ],
)
def test_the_wait_doubles_until_it_stood_for_a_while(
    stood_s: list[float], waits_s: list[float]
) -> None:
    backoff = Backoff()
    assert [backoff.after(each) for each in stood_s] == pytest.approx(waits_s)
