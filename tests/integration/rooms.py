"""A house whose rooms a test starts, kills and starts again: real processes on real stores."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.cli.bootstrap import bootstrap
from services.cli.rooms import Rooms
from services.runtime.config import Settings, load
from services.runtime.crash import VARIABLE
from services.runtime.embedded import start_postgres, stop_postgres
from services.runtime.rpc import is_serving

ROOMS: Final = (
    "accounts",
    "matching",
    "ledger",
    "orders",
    "marketdata",
    "notifications",
    "gateway",
)
START_S: Final = 60.0


class House:
    """The rooms of one data folder. Whatever was started is gone after `stop`."""

    def __init__(
        self, data: Path, rooms: tuple[str, ...] = ROOMS, settings: Mapping[str, str] | None = None
    ) -> None:
        self.data = data
        self.settings = settings or {}
        """More of the environment of its rooms."""
        self.names = rooms
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._postgres = 0

    async def start(self) -> None:
        """Start the stores and all rooms, and make the beginnings of an exchange."""
        await self.start_stores()
        for room in self.names:
            self.launch(room)
        await self.all_serving()
        rooms = self.rooms()
        await bootstrap(rooms)
        await rooms.close()

    async def start_stores(self) -> None:
        """Postgres, and the owner of ClickHouse."""
        server = await asyncio.to_thread(
            start_postgres, self.data, {"shared_buffers": "64MB", "max_wal_size": "1GB"}
        )
        self._postgres = server.pid
        self.launch("clickhouse")

    def launch(self, room: str, crash_at: str = "") -> None:
        """Start a room; `crash_at` is the place where it is to kill itself."""
        logs = self.data / "logs"
        logs.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            **self.settings,
            "BOURSE_DATA": str(self.data),
            "BOURSE_GATEWAY_PORT": "0",
            VARIABLE: crash_at,
        }
        with (logs / f"{room}.log").open("ab") as log:
            self.running[room] = subprocess.Popen(
                [sys.executable, "-m", f"services.{room}"],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=Path(__file__).resolve().parents[2],
            )

    def kill(self, room: str) -> None:
        """End a room as a power cut would."""
        process = self.running.pop(room)
        process.kill()
        process.wait()

    async def died(self, room: str, within_s: float = 60.0) -> bool:
        """Wait for a room to kill itself; False if it does not."""
        try:
            await asyncio.to_thread(self.running[room].wait, within_s)
        except subprocess.TimeoutExpired:
            return False
        del self.running[room]
        return True

    async def kill_everything(self) -> None:
        """End all rooms and all of Postgres at once, and start them again."""
        os.kill(self._postgres, signal.SIGKILL)
        names = list(self.running)
        for room in names:
            self.running[room].kill()
        for room in names:
            self.running.pop(room).wait()
        await self.start_stores()
        for room in self.names:
            self.launch(room)

    async def serving(self, room: str) -> None:
        """Wait until a room serves. Fails with the end of its log if it ends instead."""
        rooms = self.rooms()
        try:
            async with asyncio.timeout(START_S):
                while not await is_serving(rooms.channel(room)):
                    process = self.running.get(room)
                    assert process is not None, f"{room} was not started"
                    assert process.poll() is None, self.said(room)
                    await asyncio.sleep(0.1)
        finally:
            await rooms.close()

    async def all_serving(self) -> None:
        """Wait until all rooms serve."""
        for room in self.names:
            await self.serving(room)

    def said(self, room: str) -> str:
        """The end of a room's log."""
        log = self.data / "logs" / f"{room}.log"
        return f"{room}: " + log.read_text()[-3000:]

    def rooms(self) -> Rooms:
        """Channels to the rooms."""
        return Rooms(load(Settings, ["--data", str(self.data)]))

    def stop(self) -> None:
        """End everything, in whatever state it is."""
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()
        self.running.clear()
        stop_postgres(self.data, "immediate")
