"""Everything around the processes of a simulated house: machines, their clocks, the log, the lease.

World       one seed's world; all chance comes from its one source
Machine     a name, a clock that may be wrong, and a process that may be there
Process     one life of a process: its loop, its clocks
LeasePort   `services.runtime.lease.LeaseRows` for one process
DiskPort    `services.runtime.storage.Storage` for one process
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, Final, NamedTuple, TypeAlias

from services.runtime.final import NeedsMending
from services.runtime.lease import RowsUnreachable
from services.runtime.storage import NotStored, StorageError
from tests.simulation.log import LogPort, Topics, Weather
from tests.simulation.loop import ProcessLoop, Time

START_US: Final = 1_700_000_100_000_000
"""What every right clock says at the beginning."""


class Violation(Exception):
    """A promise was not kept; says which, by whom and where."""


Main: TypeAlias = "Callable[[Process], Coroutine[Any, Any, None]]"


class Machine:
    """Where processes live, one at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.clock_off_us = 0
        self.process: Process | None = None
        self.failures = 0
        self.is_kept_down = False
        """Somebody has other plans than to start it again at once."""


class Process:
    """One life of a process. After its death nothing it does reaches anybody."""

    def __init__(self, world: "World", machine: Machine) -> None:
        self.world = world
        self.machine = machine
        self.loop = ProcessLoop(world.time, self._on_error)
        self.loop.disk_us = lambda: world.random.randint(200, 4_000)
        self.log = LogPort(self, world.topics, world.weather, world.random)
        self.ends: list[Callable[[], None]] = []
        """Called when it is dead: whoever was connected notices."""

    @property
    def is_alive(self) -> bool:
        return not self.loop.is_dead

    def now_us(self) -> int:
        """See `services.domain.clock.Clock`."""
        return self.world.now_us() + self.machine.clock_off_us

    def note(self, *what: object) -> None:
        self.world.note(self.machine.name, *what)

    def start(self, main: Main, ended: Callable[[str], None]) -> None:
        """Run it to its end; then say why it ended, unless it was killed."""
        self.loop.reach(0, self._start, main, ended)

    def _start(self, main: Main, ended: Callable[[str], None]) -> None:
        task = self.loop.create_task(main(self))
        task.add_done_callback(lambda done: self._ended(done, ended))

    def _ended(self, task: asyncio.Task[None], ended: Callable[[str], None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, NeedsMending) or (error and not _is_foreseen(error)):
            self.world.fail(f"{self.machine.name} stopped for good: {error!r}", error)
        self.note("ended", repr(error) if error else "in order")
        self.kill()
        ended(repr(error) if error else "")

    def kill(self) -> None:
        """As `kill -9` does: at once, wherever it is."""
        if not self.is_alive:
            return
        self.loop.die()
        self.machine.process = None
        for end in self.ends:
            end()

    def _on_error(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.world.fail(f"{self.machine.name}: {context.get('message')}: {error!r}", error)


def _is_foreseen(error: BaseException) -> bool:
    """What ends a process and lets it be started again."""
    return type(error).__module__.startswith("services.")


class Row(NamedTuple):
    """A lease as whoever keeps it sees it."""

    holder: str
    epoch: int
    expires_us: int


class LeasePort:
    """See `services.runtime.lease.LeaseRows`: the world's row, judged by the right clock."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world

    async def acquire(self, name: str, holder: str, duration_s: float) -> int:
        """See LeaseRows.acquire."""

        def take() -> int:
            row = self._world.lease
            if row.expires_us > self._world.now_us():
                return 0
            self._world.lease = Row(holder, row.epoch + 1, self._until(duration_s))
            return row.epoch + 1

        return await self._ask(take)

    async def renew(self, name: str, holder: str, epoch: int, duration_s: float) -> int:
        """See LeaseRows.renew."""

        def hold_on() -> int:
            row = self._world.lease
            if row[:2] != (holder, epoch) or row.expires_us <= self._world.now_us():
                return 0
            self._world.lease = Row(holder, epoch, self._until(duration_s))
            return epoch

        return await self._ask(hold_on)

    async def release(self, name: str, holder: str, epoch: int) -> None:
        """See LeaseRows.release."""

        def let_go() -> int:
            if self._world.lease[:2] == (holder, epoch):
                self._world.lease = Row(holder, epoch, self._world.now_us())
            return 0

        await self._ask(let_go)

    def drop(self) -> None:
        """See LeaseRows.drop."""

    async def close(self) -> None:
        """See LeaseRows.close."""

    def _until(self, duration_s: float) -> int:
        return self._world.now_us() + round(duration_s * 1_000_000)

    async def _ask(self, question: Callable[[], int]) -> int:
        """Asked and answered, or asked in vain; or the answer alone is lost."""
        world, process = self._world, self._process
        if not process.is_alive:
            raise RowsUnreachable("The dead ask nothing.")
        answer: asyncio.Future[int] = process.loop.create_future()
        away = world.time.now_us < world.lease_away_until_us.get(process.machine.name, 0)
        fate = world.random.randrange(3) if away else 3
        if fate == 0:
            raise RowsUnreachable("The rows are out of reach.")

        def arrive() -> None:
            found = question()
            if fate == 3:
                process.loop.reach(world.random.randint(200, 2_000), _give, answer, found)

        if fate >= 2:
            world.time.after(world.random.randint(200, 2_000), arrive)
        return await answer


class DiskPort:
    """See `services.runtime.storage.Storage`: names and bytes, perhaps shared with others."""

    def __init__(self, process: Process, files: dict[str, bytes]) -> None:
        self._process = process
        self._files = files

    async def names(self) -> list[str]:
        """See Storage.names."""
        await self._pass()
        return list(self._files)

    async def read(self, name: str) -> bytes:
        """See Storage.read."""
        await self._pass()
        if name not in self._files:
            raise NotStored(f"There is no {name}.")
        return self._files[name]

    async def write(self, name: str, pieces: Sequence[bytes]) -> None:
        """See Storage.write. Whoever is killed in the middle has written all of it or nothing."""
        content = b"".join(pieces)
        await self._pass()
        self._files[name] = content
        await self._pass()

    async def remove(self, name: str) -> None:
        """See Storage.remove."""
        await self._pass()
        self._files.pop(name, None)

    async def _pass(self) -> None:
        loop = self._process.loop
        if not self._process.is_alive:
            raise StorageError("The dead write nothing.")
        answer: asyncio.Future[int] = loop.create_future()
        loop.reach(loop.disk_us(), _give, answer, 0)
        await answer


def _give(future: asyncio.Future[int], answer: int) -> None:
    if not future.done():
        future.set_result(answer)


class World:
    """One seed's world."""

    def __init__(self, seed: int, *, refuses_clocks: bool) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.time = Time()
        self.topics = Topics(self.now_us, refuses_clocks=refuses_clocks)
        self.weather = Weather()
        self.machines: dict[str, Machine] = {}
        self.lease = Row("", 0, 0)
        self.lease_away_until_us: dict[str, int] = {}
        self.trace: list[tuple[int, tuple[object, ...]]] = []
        self.failed: Violation | None = None
        """The first promise that was not kept."""

    def now_us(self) -> int:
        """By the right clock."""
        return START_US + self.time.now_us

    def machine(self, name: str) -> Machine:
        return self.machines.setdefault(name, Machine(name))

    def note(self, *what: object) -> None:
        """Remember what happened, for whoever wants to know why."""
        self.trace.append((self.time.now_us, what))

    def fail(self, why: str, cause: BaseException | None = None) -> None:
        """A promise was not kept. The first one counts, and ends the run."""
        if self.failed is None:
            self.note("VIOLATION", why)
            self.failed = Violation(why)
            self.failed.__cause__ = cause

    def digest(self) -> str:
        """Of the whole trace."""
        return hashlib.sha256(repr(self.trace).encode()).hexdigest()

    def told(self, most: int) -> str:
        """The last of the trace, a line each."""
        lines = (f"{at_us / 1e6:10.6f}  {_words(what)}" for at_us, what in self.trace[-most:])
        return "\n".join(lines)


def _words(what: tuple[object, ...]) -> str:
    return "  ".join(str(word) for word in what)
