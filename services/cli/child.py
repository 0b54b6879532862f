"""One process of the house: started, watched, started again when it dies, stopped when told.

starting ──serves──▶ serving ──dies──▶ waiting ──a while──▶ starting
    └────dies────────────────────────────▲
any of them ──told──▶ stopping ──▶ stopped ◀── dies of what a new start would not mend
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from services.cli.logs import LINE_BYTES, Listener
from services.runtime.final import GIVEN_UP

SERVES_LOOK_S: Final = 0.1

KILLED_S: Final = 5.0
"""How long the kernel may take to end what was killed."""


class ChildState(Enum):
    """Where a process stands."""

    STARTING = "starting"
    SERVING = "serving"
    WAITING = "waiting"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Severity(Enum):
    """How an event is coloured."""

    NEWS = "news"
    GOOD = "good"
    BAD = "bad"


Tell = Callable[[str, str, Severity], None]
"""Takes the name of a process and a sentence about it."""


@dataclass
class Backoff:
    """How long to wait before a process is started again: twice as long each time, to a limit."""

    first_s: float = 0.2
    most_s: float = 10.0
    forgiven_s: float = 30.0
    """A process that stood this long has earned a quick start again."""
    failures: int = 0

    def after(self, stood_s: float) -> float:
        """Seconds to wait after a process that stood so long has died."""
        self.failures = 1 if stood_s >= self.forgiven_s else self.failures + 1
        return min(self.first_s * 2.0 ** (self.failures - 1), self.most_s)


class Plan(NamedTuple):
    """What is to run, and how to see that it serves."""

    name: str
    module: str
    serves: Callable[[], Awaitable[bool]]
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] | None = None
    """Beside our own."""
    stop_s: float = 20.0
    """How long it may take to end once it is told to; then it is killed."""


class Child:
    """Keeps one process running, from `start` to `stop`."""

    def __init__(self, plan: Plan, listener: Listener, tell: Tell, backoff: Backoff) -> None:
        self.plan = plan
        self.state = ChildState.STOPPED
        self.pid = 0
        """0 while no process runs."""
        self.restarts = 0
        self.since_us = 0
        """When `state` began, microseconds since 1970."""
        self.given_up = ""
        """What it said when it ended in a way that starting it again would not mend."""
        self.on_change: Callable[[], None] = lambda: None
        """Called whenever `state` or `pid` has changed."""
        self._listener = listener
        self._tell = tell
        self._backoff = backoff
        self._told_to_stop = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Of the room, or whatever else it is."""
        return self.plan.name

    def start(self) -> None:
        """Start it, and from now on start it again whenever it dies."""
        self._keeping = asyncio.create_task(self._keep(), name=self.name)

    async def stop(self) -> None:
        """Tell it to end, wait for as long as its plan allows, then kill it."""
        self._told_to_stop.set()
        if self._keeping is not None:
            await self._end(self._keeping)
        self._become(ChildState.STOPPED)
        self._listener.close()

    async def _end(self, keeping: asyncio.Task[None]) -> None:
        if self.pid:
            self._become(ChildState.STOPPING)
            self._signal(signal.SIGTERM)
        _, late = await asyncio.wait([keeping], timeout=self.plan.stop_s)
        if late:
            self._tell(self.name, f"does not end in {self.plan.stop_s:g} s: killed", Severity.BAD)
            self.kill()
            await asyncio.wait([keeping], timeout=KILLED_S)

    def kill(self) -> None:
        """End it at once, as a crash would, and do not start it again."""
        self._told_to_stop.set()
        self._signal(signal.SIGKILL)

    async def _keep(self) -> None:
        while not self._told_to_stop.is_set():
            stood_s = await self._once()
            if self._told_to_stop.is_set() or self.given_up:
                break
            wait_s = self._backoff.after(stood_s)
            self._become(ChildState.WAITING)
            self._tell(self.name, f"starts again in {wait_s:.1f} s", Severity.NEWS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told_to_stop.wait(), wait_s)
            self.restarts += 1
        self._become(ChildState.STOPPED)

    async def _once(self) -> float:
        """One process from its start to its end; how long it stood, in seconds."""
        began_s = time.monotonic()
        self._listener.forget()
        try:
            process = await self._start()
        except OSError as error:
            self._tell(self.name, f"cannot be started: {error}", Severity.BAD)
            return 0.0
        self.pid = process.pid
        self._become(ChildState.STARTING)
        if self._told_to_stop.is_set():
            # Told while the process was being made: there was nobody to tell it to.
            self._signal(signal.SIGTERM)
        watching = asyncio.create_task(self._until_it_serves(began_s))
        listening = asyncio.create_task(self._listen(process))
        status = await process.wait()
        self.pid = 0
        watching.cancel()
        # What it said last is in the pipe still; somebody it left behind may hold the other end.
        await asyncio.wait([listening], timeout=1)
        listening.cancel()
        self._say_how_it_ended(status)
        return time.monotonic() - began_s

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services.cli.tethered", str(os.getpid()), self.plan.module),
            *self.plan.arguments,
            env={**os.environ, **(self.plan.environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C at the terminal is for us; we end the house in its order.
            start_new_session=True,
        )

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        rest = b""
        while said := await process.stdout.read(LINE_BYTES):
            *lines, rest = (rest + said).split(b"\n")
            for line in lines:
                self._listener.hear(line)
            if len(rest) > LINE_BYTES:
                self._listener.hear(rest)
                rest = b""
        if rest:
            self._listener.hear(rest)

    async def _until_it_serves(self, began_s: float) -> None:
        while True:
            if await self.plan.serves():
                break
            await asyncio.sleep(SERVES_LOOK_S)
        if self.state is ChildState.STARTING:
            self._become(ChildState.SERVING)
            took_s = time.monotonic() - began_s
            self._tell(self.name, f"serves after {took_s:.1f} s", Severity.GOOD)

    def _say_how_it_ended(self, status: int) -> None:
        if self._told_to_stop.is_set():
            self._tell(self.name, "stopped", Severity.NEWS)
            return
        # Whoever is killed says nothing of it; its last line is about something else.
        words = self._listener.last_words() if status > 0 else ""
        if status == GIVEN_UP:
            self.given_up = words or "It does not say why; see its log."
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
        self._tell(self.name, f"ended with {how}{': ' if words else ''}{words}", Severity.BAD)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _become(self, state: ChildState) -> None:
        self.state = state
        self.since_us = time.time_ns() // 1000
        self.on_change()
