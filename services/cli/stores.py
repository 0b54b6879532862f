"""The embedded Postgres as one of the processes of the house: kept running, stopped last."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from services.cli.child import Backoff, ChildState, Severity, Tell
from services.runtime.embedded import (
    EmbeddedError,
    EmbeddedPostgres,
    start_postgres,
    stop_postgres,
)


class PostgresKeeper:
    """Starts the server of a data folder, or takes over one that a killed house has left."""

    def __init__(self, data: Path, tell: Tell, backoff: Backoff) -> None:
        self.name = "postgres"
        self.state = ChildState.STOPPED
        self.pid = 0
        self.restarts = 0
        self.since_us = 0
        self.on_change: Callable[[], None] = lambda: None
        self._data = data
        self._tell = tell
        self._backoff = backoff
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Have it accept connections, and from now on start it again if it dies.

        Raises EmbeddedError if it cannot be started at all.
        """
        self._become(ChildState.STARTING)
        server = await self._launch()
        self._keeping = asyncio.create_task(self._keep(server))

    async def stop(self) -> None:
        """Write everything and end it."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        self._become(ChildState.STOPPING)
        try:
            await asyncio.to_thread(stop_postgres, self._data)
        except EmbeddedError as error:
            self._tell(self.name, str(error), Severity.BAD)
        self.pid = 0
        self._become(ChildState.STOPPED)
        self._tell(self.name, "stopped", Severity.NEWS)

    async def _keep(self, server: EmbeddedPostgres) -> None:
        while True:
            began_s = time.monotonic()
            await _ended(server.pid)
            self.pid = 0
            wait_s = self._backoff.after(time.monotonic() - began_s)
            self._become(ChildState.WAITING)
            self._tell(self.name, f"ended; starts again in {wait_s:.1f} s", Severity.BAD)
            server = await self._again(wait_s)

    async def _again(self, wait_s: float) -> EmbeddedPostgres:
        while True:
            await asyncio.sleep(wait_s)
            self.restarts += 1
            try:
                return await self._launch()
            except EmbeddedError as error:
                wait_s = self._backoff.after(0.0)
                self._tell(self.name, f"{error}; again in {wait_s:.1f} s", Severity.BAD)

    async def _launch(self) -> EmbeddedPostgres:
        began_s = time.monotonic()
        # Shielded by nature: a thread goes on if we are cancelled, and the server is found later.
        server = await asyncio.to_thread(start_postgres, self._data)
        self.pid = server.pid
        self._become(ChildState.SERVING)
        took_s = time.monotonic() - began_s
        self._tell(self.name, f"serves after {took_s:.1f} s", Severity.GOOD)
        return server

    def _become(self, state: ChildState) -> None:
        self.state = state
        self.since_us = time.time_ns() // 1000
        self.on_change()


async def _ended(pid: int) -> None:
    """Wait for the end of a process that is not our child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(handle)
        with contextlib.suppress(OSError):
            os.close(handle)
