"""Time that passes only when nothing is left to do, and event loops that live in it.

    Time            one queue of what is due, for everybody; it never sleeps
    ProcessLoop     what a process of the house believes to be its asyncio loop

Every process has a loop of its own over the one time. So a process can be stopped (what is due for
it waits), be frozen (its own time stands still too, as a virtual machine's does) and be killed
(what is due for it never happens) while the others go on. The order of events is that of their
times, then that in which they were asked for: nothing in it depends on the machine.
"""

import asyncio
import contextvars
import heapq
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

BUSY_STEPS: Final = 50_000
"""More steps than this at one moment are a loop that never waits."""


class Stuck(Exception):
    """Somebody goes round and round without any time passing."""


class Due(asyncio.TimerHandle):
    """Something to be called, once its time has come."""

    __slots__ = ("context", "function", "given", "is_off", "owner", "when_us")

    def __init__(
        self,
        function: Callable[..., object],
        given: tuple[Any, ...],
        context: contextvars.Context | None,
        owner: "ProcessLoop | None",
        when_us: int | None,
    ) -> None:
        self.function = function
        self.given = given
        self.context = context
        self.owner = owner
        self.when_us = when_us
        """By the owner's own time; None: at once."""
        self.is_off = False

    def cancel(self) -> None:
        self.is_off = True

    def cancelled(self) -> bool:
        return self.is_off

    def when(self) -> float:
        return (self.when_us or 0) / 1_000_000


class Time:
    """The present moment, and what comes next."""

    def __init__(self) -> None:
        self.now_us = 0
        self.steps = 0
        self.current: ProcessLoop | None = None
        """Whose code runs, or ran last."""
        self.ready: deque[Due] = deque()
        self._later: list[tuple[int, int, Due]] = []
        self._given = 0

    def at(self, time_us: int, function: Callable[..., object], *given: Any) -> Due:
        """Call something of nobody's at a moment."""
        due = Due(function, given, None, None, time_us)
        self.put(time_us, due)
        return due

    def after(self, delay_us: int, function: Callable[..., object], *given: Any) -> Due:
        return self.at(self.now_us + delay_us, function, *given)

    def put(self, time_us: int, due: Due) -> None:
        self._given += 1
        heapq.heappush(self._later, (time_us, self._given, due))

    def run(self, until_us: int, is_over: Callable[[], bool]) -> None:
        """Let things happen until then, or until it is over. Raises Stuck."""
        hooks = sys.get_asyncgen_hooks()
        self.current = None
        try:
            while not is_over():
                self._settle()
                if not self._later or self._later[0][0] > until_us:
                    self.now_us = until_us
                    return
                moment_us, _, due = heapq.heappop(self._later)
                self.now_us = max(moment_us, self.now_us)
                if not due.is_off:
                    self.ready.append(due)
            self._settle()
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(None)

    def _settle(self) -> None:
        """Do all that is to be done at this moment."""
        ready = self.ready
        limit = self.steps + BUSY_STEPS
        while ready:
            due = ready.popleft()
            if due.is_off:
                continue
            self.steps += 1
            if self.steps > limit:
                raise Stuck(f"{due.function} and others never wait for anything")
            if due.owner is None:
                due.function(*due.given)
            else:
                due.owner.step(due)


class ProcessLoop:
    """The loop of one process, from its start to its end: as much of one as the house asks for."""

    def __init__(self, time: Time, on_error: Callable[[dict[str, Any]], None]) -> None:
        self._time = time
        self._as_loop = cast(asyncio.AbstractEventLoop, self)
        self._on_error = on_error
        self._behind_us = 0
        self._stopped_at_us: int | None = None
        self._freezes = False
        self._parked: list[Due] = []
        self._tasks: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._given = 0
        self._signals: dict[int, Callable[[], object]] = {}
        self._fuse = 0
        self._burnt: Callable[[], None] = lambda: None
        self.is_dead = False
        self.disk_us: Callable[[], int] = lambda: 0
        """How long the next piece of work takes that is handed to a thread."""

    # --- what is done to it -----------------------------------------------------------------

    @property
    def is_stopped(self) -> bool:
        return self._stopped_at_us is not None

    def stop_it(self, *, freezes: bool) -> None:
        """Stand still until `go_on`; with `freezes` its own time does too."""
        if self._stopped_at_us is None:
            self._stopped_at_us, self._freezes = self._time.now_us, freezes

    def go_on(self) -> None:
        if self._stopped_at_us is None:
            return
        if self._freezes:
            self._behind_us += self._time.now_us - self._stopped_at_us
        self._stopped_at_us = None
        parked, self._parked = self._parked, []
        self._time.ready.extend(parked)

    def light(self, steps: int, burnt: Callable[[], None]) -> None:
        """After so many more steps, call this in the middle of everything."""
        self._fuse, self._burnt = steps, burnt

    def die(self) -> None:
        """Never do anything again. What is in the middle of something is thrown away."""
        self.is_dead = True
        self._parked.clear()
        tasks = sorted(asyncio.all_tasks(self._as_loop), key=self._tasks.__getitem__)
        self._become_current()
        for task in tasks:
            _throw_away(task)
        # Nobody's code runs now, and the next loop of this thread may be a real one.
        self._time.current = None
        asyncio._set_running_loop(None)
        sys.set_asyncgen_hooks(firstiter=None, finalizer=None)

    def step(self, due: Due) -> None:
        """Do one thing, if this process can."""
        if self.is_dead:
            return
        if self._stopped_at_us is not None:
            self._parked.append(due)
            return
        if due.when_us is not None and due.when_us + self._behind_us > self._time.now_us:
            self._time.put(due.when_us + self._behind_us, due)
            return
        if self._fuse:
            self._fuse -= 1
            if self._fuse == 0:
                self._burnt()
                return
        self._become_current()
        try:
            if due.context is None:
                due.function(*due.given)
            else:
                due.context.run(due.function, *due.given)
        except Exception as error:
            self._on_error({"message": f"{due.function} failed", "exception": error})

    def _become_current(self) -> None:
        if self._time.current is not self:
            self._time.current = self
            asyncio._set_running_loop(self._as_loop)
            # A generator keeps the hook of the loop that it was begun in.
            sys.set_asyncgen_hooks(finalizer=self._close)

    def _close(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Close a generator that nobody has closed, as every loop does."""
        if not self.is_dead:
            self.create_task(generator.aclose())

    def signal(self, number: int) -> bool:
        """Have the process hear a signal; False if it does not listen, or has heard it before."""
        if handler := self._signals.pop(number, None):
            self.call_soon(handler)
        return handler is not None

    # --- what asyncio asks of a loop --------------------------------------------------------

    def time(self) -> float:
        return self.stopwatch_us() / 1_000_000

    def stopwatch_us(self) -> int:
        """See `services.runtime.clock.Stopwatch`."""
        return self._time.now_us - self._behind_us

    def call_soon(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        due = Due(callback, args, context or contextvars.copy_context(), self, None)
        self._time.ready.append(due)
        return due

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        when_us = round(when * 1_000_000)
        due = Due(callback, args, context or contextvars.copy_context(), self, when_us)
        self._time.put(when_us + self._behind_us, due)
        return due

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + max(delay, 0.0), callback, *args, context=context)

    def reach(self, delay_us: int, function: Callable[..., object], *given: Any) -> None:
        """Something from outside gets here after a while, by everybody's time."""
        self._time.put(self._time.now_us + delay_us, Due(function, given, None, self, None))

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self._as_loop)

    def create_task(
        self,
        coro: Generator[Any, None, Any] | Coroutine[Any, Any, Any],
        *,
        name: object = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self._as_loop, name="", context=context)
        self._tasks[task] = self._given = self._given + 1
        return task

    def run_in_executor(
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Done in one go, a while from now: a process that is killed before has not done it."""
        future = self.create_future()
        self.reach(self.disk_us(), _work, future, func, args)
        return future

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        self._signals[sig] = lambda: callback(*args)

    def remove_signal_handler(self, sig: int) -> bool:
        return self._signals.pop(sig, None) is not None

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.is_dead

    def is_closed(self) -> bool:
        return self.is_dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_dead:
            self._on_error(context)


def _work(future: asyncio.Future[Any], function: Callable[..., Any], given: Any) -> None:
    if future.cancelled():
        return
    try:
        future.set_result(function(*given))
    except Exception as error:
        future.set_exception(error)


def _throw_away(task: asyncio.Task[Any]) -> None:
    """End a task of a dead process. Its `finally` blocks run, and reach nobody."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine = task.get_coro()
    for _ in range(20):
        try:
            coroutine.close()
            return
        except RuntimeError:
            # It awaits something in a `finally`; being closed again gets it past that.
            continue
        except BaseException:
            return
