"""A house whose rooms a test starts, kills and starts again: real processes on real stores."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import grpc

from services.cli.bootstrap import bootstrap
from services.cli.replicas import replicas_at, room_of
from services.cli.rooms import Rooms
from services.runtime.config import Settings, load, run_folder
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
        self,
        data: Path,
        rooms: tuple[str, ...] = ROOMS,
        settings: Mapping[str, str] | None = None,
        replicas: int = 1,
        shards: int = 1,
    ) -> None:
        self.data = data
        sockets = [run_folder(data) / f"replica-{number}.sock" for number in range(replicas)]
        first = ",".join(f"unix:{socket}" for socket in sockets)
        others = [f"unix:{run_folder(data)}/shard-{shard}.sock" for shard in range(1, shards)]
        self.replicas = replicas_at(first)
        """Of shard 0: the first has the name of the room. Other shards have one each."""
        self.others = [each for n, one in enumerate(others, 1) for each in replicas_at(one, n)]
        self._addresses = {"matching": ";".join([first, *others])}
        self.settings = {"BOURSE_MATCHING_ADDRESS": self._addresses["matching"], **(settings or {})}
        """More of the environment of its rooms."""
        self.names = (*rooms, *(each.name for each in (*self.replicas[1:], *self.others)))
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

    def launch(self, room: str, crash_at: str = "", **more: str) -> None:
        """Start a room; `crash_at` is the place where it is to kill itself.

        `more` goes into its environment.
        """
        logs = self.data / "logs"
        logs.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            **self.settings,
            "BOURSE_DATA": str(self.data),
            "BOURSE_GATEWAY_PORT": "0",
            VARIABLE: crash_at,
            **more,
        }
        everywhere = (*self.replicas, *self.others)
        if replica := next((each for each in everywhere if each.name == room), None):
            environment["BOURSE_MATCHING_LISTEN"] = replica.address
            environment["BOURSE_MATCHING_SHARD"] = str(replica.shard)
        with (logs / f"{room}.log").open("ab") as log:
            self.running[room] = subprocess.Popen(
                [sys.executable, "-m", f"services.{room_of(room)}"],
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
                while not await is_serving(self._way(rooms, room)):
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

    def _way(self, rooms: Rooms, room: str) -> grpc.aio.Channel:
        """To a room, or to one of its replicas and no other."""
        names = [each.name for each in self.replicas]
        if room in names:
            return rooms.channel("matching").replicas[names.index(room)]
        for replica in self.others:
            if replica.name == room:
                return rooms.channel("matching", replica.shard)
        return rooms.channel(room)

    def rooms(self) -> Rooms:
        """Channels to the rooms."""
        config = load(Settings, ["--data", str(self.data)])
        return Rooms(config.model_copy(update={"addresses": self._addresses}))

    def stop(self) -> None:
        """End everything, in whatever state it is."""
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()
        self.running.clear()
        stop_postgres(self.data, "immediate")
