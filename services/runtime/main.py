"""The life of a process: start, run until a signal or the first failure, stop in order, say why.

    async def main() -> None:
        config = load(LedgerConfig)
        telemetry = start_telemetry("ledger", config.telemetry)
        …
        await run(serve(config.listen_address(), …), reader.follow(), telemetry=telemetry)

    if __name__ == "__main__":
        launch(main)

Exit codes: 0 after a signal, 1 after a failure, 2 after one that starting again would not mend (see
`final.py`): wrong settings, data of a newer version, a log that is not the one that was read.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

import structlog
import uvloop

from services.runtime.config import ConfigError
from services.runtime.final import GIVEN_UP, NeedsMending
from services.runtime.telemetry import Telemetry

STOP_S: Final = 10.0
"""How long each task may take to end once it is told to."""

_COLLECT_AFTER: Final = 50_000
"""Objects made and not freed between two looks at the young ones."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_log = structlog.get_logger("main")


def launch(main: Callable[[], Coroutine[Any, Any, None]]) -> NoReturn:
    """Run a room's `main` to its end and leave the process with its exit code."""
    _collect_seldom()
    try:
        uvloop.run(main())
    except ConfigError as error:
        # Nobody has said yet how lines are to look.
        print(error, file=sys.stderr)
        sys.exit(GIVEN_UP)
    except NeedsMending as error:
        _say_why(error)
        sys.exit(GIVEN_UP)
    except Exception as error:
        _say_why(error)
        sys.exit(1)
    sys.exit(0)


def _collect_seldom() -> None:
    """Look for cycles now and then only: we make hardly any, and millions of short-lived objects.

    As Python does it by itself, a room that reads the log spends a quarter of its time on it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 50)


async def run(*parts: Coroutine[Any, Any, None], telemetry: Telemetry | None = None) -> None:
    """Run the parts of a room together until SIGINT, SIGTERM or the first failure.

    Then they are cancelled one after the other, in the order given, each within `STOP_S`: so the
    server comes first and takes nothing new while the others finish. A part may end by itself; when
    all have, so does this. Raises what the first failing part raised.
    """
    tasks = [asyncio.create_task(part, name=_name(part)) for part in parts]
    counting = [] if telemetry is None else [asyncio.create_task(telemetry.export())]
    failed: BaseException | None = None
    with _Signals() as signals:
        _log.info("started")
        told = asyncio.create_task(signals.came.wait())
        try:
            failed = await _first_failure(tasks, told)
        finally:
            told.cancel()
            for task in [*tasks, *counting]:
                await _stop(task, failed)
        if failed is not None:
            raise failed
        _log.info("stopped")


async def _first_failure(
    tasks: list[asyncio.Task[None]], told: asyncio.Task[Any]
) -> BaseException | None:
    """Wait for a failure, a signal (None) or the end of all tasks (None)."""
    running: set[asyncio.Task[Any]] = {*tasks, told}
    while running != {told}:
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task in done and not task.cancelled() and (error := task.exception()):
                return error
        if told in done:
            return None
    return None


async def _stop(task: asyncio.Task[None], failed: BaseException | None) -> None:
    """Cancel a task and see it end. What it raises is said, not raised: we are stopping.

    So is what it had raised before, unless that is what has `failed`, and is raised.
    """
    event = "failed_too"
    if not task.done():
        event = "stop_failed"
        task.cancel()
        _, late = await asyncio.wait([task], timeout=STOP_S)
        if late:
            _log.warning("stop_is_late", part=task.get_name(), waited_s=STOP_S)
            return
    if not task.cancelled() and (error := task.exception()) and error is not failed:
        _log.warning(event, part=task.get_name(), why=repr(error))


def _name(part: Coroutine[Any, Any, None]) -> str:
    return str(getattr(part, "__qualname__", type(part).__name__))


class _Signals:
    """SIGINT and SIGTERM, the first as an event. The second ends the process as it stands."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    def __enter__(self) -> "_Signals":
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.came.is_set():
            # Whatever holds the stop up, the next start recovers as it would from a crash.
            os._exit(128 + number)
        self.came.set()


def _say_why(error: Exception) -> None:
    """One sentence for what we foresaw; the whole story for what we did not."""
    if type(error).__module__.startswith("services."):
        _log.error("failed", why=str(error), kind=type(error).__name__)
    else:
        _log.error("failed", why=repr(error), exc_info=error)
