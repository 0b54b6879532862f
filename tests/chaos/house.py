"""A house of real processes on wires: whoever ends is started again, as a supervisor would.

Rooms listen on sockets of their own and find one another, the log and Postgres, by wires, each of
which a fault may cut. Only what looks at the house at the end goes straight to everybody.
"""

import asyncio
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from services.cli.bootstrap import FIRST_MARKET, NewMarket, add_missing_markets, bootstrap
from services.cli.probes import any_free_port
from services.cli.replicas import replicas_at
from services.cli.rooms import Rooms
from services.cli.stores import connections_for
from services.runtime.config import Settings, load, run_folder
from services.runtime.crash import VARIABLE
from services.runtime.embedded import (
    EmbeddedError,
    EmbeddedPostgres,
    children_of,
    postgres_is_stuck,
    start_postgres,
    stop_postgres,
)
from services.runtime.embedded_kafka import running_brokers, start_kafka, stop_kafka
from services.runtime.rpc import is_serving, open_channel
from tests.chaos.wire import Place, Wire
from tests.house.tree import ROOT
from tests.journey.house import alive

ROOMS: Final = ("accounts", "ledger", "orders", "marketdata", "notifications", "gateway")
SOCKET: Final = ".s.PGSQL.5432"
FOR_GOOD: Final = 2
"""How a process ends that no new start would mend."""

AGAIN_S: Final = 0.2
STUCK_LOOK_S: Final = 2.0
SLOW_S: Final = 5.0
"""Nobody else is started meanwhile, so it is said."""
LOOK_S: Final = 0.05


def markets(shards: int) -> list[NewMarket]:
    """One in each shard."""
    others = [
        FIRST_MARKET._replace(symbol=f"{FIRST_MARKET.symbol}-{shard}") for shard in range(1, shards)
    ]
    return [FIRST_MARKET, *others]


class House:
    """Everything that runs. `stop` leaves nothing behind, in whatever state it is."""

    def __init__(
        self, data: Path, replicas: int = 2, log: str = "postgres", shards: int = 1
    ) -> None:
        """`replicas` of each shard."""
        self.data = data
        self.log = log
        self.shards = shards
        self.places = [
            each for shard in range(shards) for each in replicas_at("," * (replicas - 1), shard)
        ]
        self.replicas = tuple(place.name for place in self.places)
        self.markets = tuple(market.symbol for market in markets(shards))
        """By shard. All trade the same for the same."""
        self.processes = (*self.replicas, *ROOMS, "clickhouse")
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.held: set[str] = set()
        """Whom a fault keeps from being started again."""
        self.complaints: list[str] = []
        """Who ended for good, with its last words: nobody may."""
        self.restarts = 0
        self.wires: dict[str, Wire] = {}
        self.port = any_free_port("127.0.0.1")
        self._postgres: EmbeddedPostgres
        self._looked_s = 0.0
        self._was_stuck = False
        self._keeper: asyncio.Task[None] | None = None

    # --- beginning and end ----------------------------------------------------------------------

    async def start(self) -> None:
        """Start all of it, and make the beginnings of an exchange."""
        for folder in ("logs", "clocks"):
            (self.data / folder).mkdir(exist_ok=True)
        self._near.mkdir(exist_ok=True)
        await self.start_postgres()
        if self.log == "kafka":
            await self.start_kafka()
        await self._string_wires()
        for name in self.processes:
            self.launch(name)
        self._keeper = asyncio.create_task(self._keep())
        await self.all_serving()
        rooms = self.rooms()
        await bootstrap(rooms)
        for shard, market in enumerate(markets(self.shards)):
            await add_missing_markets(rooms, [market], shard)
        await rooms.close()

    async def stop(self) -> None:
        """End everything."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()
        for wire in self.wires.values():
            await wire.close()
        await asyncio.to_thread(stop_kafka, self.data, "immediate")
        await asyncio.to_thread(stop_postgres, self.data, "immediate")

    async def start_postgres(self) -> None:
        """Have Postgres running."""
        count = len(self.replicas) // self.shards
        settings = {
            "shared_buffers": "64MB",
            "max_wal_size": "512MB",
            "min_wal_size": "64MB",
            "max_connections": str(connections_for([count] * self.shards)),
        }
        self._postgres = await asyncio.to_thread(start_postgres, self.data, settings)

    async def start_kafka(self) -> None:
        """Have the broker running. What it tells of itself is the near end of its wire."""
        wire = self.wires.get("log")
        told = f"PLAINTEXT://127.0.0.1:{wire.near.port}" if wire else ""
        settings = {"advertised.listeners": told} if told else {}
        place = await asyncio.to_thread(
            start_kafka, self.data, heap_mb=256, quick=True, settings=settings
        )
        if wire:
            # A port that somebody took meanwhile is another one now.
            wire.far = Place(port=place.ports[0])

    def launch(self, name: str, crash_at: str = "") -> None:
        """Start a room; `crash_at` is the place where it is to kill itself."""
        room = name.partition("-")[0]
        with (self.data / "logs" / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", f"services.{room}"],
                env={**self._environment(name, room), VARIABLE: crash_at},
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def _environment(self, name: str, room: str) -> dict[str, str]:
        clock = self.data / "clocks" / name
        if not clock.exists():
            clock.write_bytes(bytes(8))
        path = (ROOT / "tests" / "chaos" / "clock", ROOT, ROOT / "gen")
        addresses = {
            f"BOURSE_{each.upper()}_ADDRESS": address for each, address in self.wired().items()
        }
        listens = {} if room == "clickhouse" else {f"BOURSE_{room.upper()}_LISTEN": self.own(name)}
        shards = {place.name: place.shard for place in self.places}
        return {
            **os.environ,
            **addresses,
            **listens,
            "BOURSE_MATCHING_SHARD": str(shards.get(name, 0)),
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "CHAOS_CLOCK": str(clock),
            "BOURSE_DATA": str(self.data),
            "BOURSE_GATEWAY_PORT": str(self.port),
            "BOURSE_MATCHING_SNAPSHOT_RECORDS": "2000",
            "BOURSE_POSTGRES_ADDRESS": f"postgresql://postgres@/bourse?host={self._near / 'pg'}",
            "BOURSE_LOG_ADDRESS": self._log_address(),
            "BOURSE_LOG_REPLICATION": "1",
            "BOURSE_LOG_MIN_ISR": "1",
        }

    # --- who is where ---------------------------------------------------------------------------

    @property
    def _near(self) -> Path:
        return run_folder(self.data) / "w"

    def own(self, name: str) -> str:
        """Where a process listens."""
        return f"unix:{run_folder(self.data) / name}.sock"

    def wired(self) -> dict[str, str]:
        """Where every room is found by wire; all replicas of matching."""
        found = {room: f"unix:{self._near / room}.sock" for room in ROOMS}
        return {**found, "matching": self._cores(lambda name: f"unix:{self._near / name}.sock")}

    def _cores(self, address: Callable[[str], str]) -> str:
        """All replicas of all shards, as the settings name them."""
        return ";".join(
            ",".join(map(address, self.replicas_of(shard))) for shard in range(self.shards)
        )

    def replicas_of(self, shard: int) -> list[str]:
        """The names of a shard's replicas."""
        return [place.name for place in self.places if place.shard == shard]

    def _log_address(self) -> str:
        if self.log == "kafka":
            return f"kafka://127.0.0.1:{self.wires['log'].near.port}"
        return f"postgresql://postgres@/bourse?host={self._near / 'log'}"

    async def _string_wires(self) -> None:
        server = Place(str(run_folder(self.data) / "pg" / SOCKET))
        for name in (*ROOMS, *self.replicas):
            far = Place(self.own(name).removeprefix("unix:"))
            self.wires[name] = Wire(name, Place(f"{self._near / name}.sock"), far)
        for name in ("pg", "log"):
            (self._near / name).mkdir(exist_ok=True)
            self.wires[name] = Wire(name, Place(str(self._near / name / SOCKET)), server)
        if self.log == "kafka":
            await self._string_to_kafka()
        for wire in self.wires.values():
            await wire.open()

    async def _string_to_kafka(self) -> None:
        """Brokers tell their clients where they are: they must be told to name the wire."""
        place = await asyncio.to_thread(start_kafka, self.data, heap_mb=256, quick=True)
        wire = Wire("log", Place(port=0), Place(port=place.ports[0]))
        await wire.open()
        self.wires["log"] = wire
        await asyncio.to_thread(stop_kafka, self.data)
        await self.start_kafka()

    def rooms(self) -> Rooms:
        """Channels straight to the rooms."""
        own = {room: self.own(room) for room in ROOMS}
        return self._rooms({**own, "matching": self._cores(self.own)})

    def wired_rooms(self) -> Rooms:
        """Channels by the wires, as everybody else has them."""
        return self._rooms(self.wired())

    def _rooms(self, addresses: dict[str, str]) -> Rooms:
        config = load(Settings, ["--data", str(self.data)])
        log = config.log
        if self.log == "kafka":
            log = log.model_copy(update={"address": SecretStr(self._log_address())})
        told = config.model_copy(update={"addresses": addresses, "log": log})
        return Rooms(told, f"http://127.0.0.1:{self.port}")

    # --- what faults do -------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """End a process as a power cut would."""
        process = self.running.get(name)
        if process is not None:
            process.kill()
            process.wait()

    def freeze(self, name: str) -> None:
        """Let a process stand still."""
        self._signal(self.running[name].pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on, if it is still there."""
        if name in self.running:
            self._signal(self.running[name].pid, signal.SIGCONT)

    def signal_postgres(self, number: signal.Signals) -> None:
        """To the server and all its backends."""
        for pid in (self._postgres.pid, *children_of(self._postgres.pid)):
            self._signal(pid, number)

    def signal_kafka(self, number: signal.Signals) -> None:
        """To the broker."""
        for pid in running_brokers(self.data).values():
            self._signal(pid, number)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def step_clock(self, name: str, error_us: int) -> None:
        """Have a process be wrong about the time of day by so much."""
        with (self.data / "clocks" / name).open("r+b") as file:
            file.write(struct.pack("<q", error_us))

    # --- staying up -----------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Start again whoever has ended, unless a fault holds it. A full disk may refuse it."""
        while True:
            await asyncio.sleep(LOOK_S)
            began = time.monotonic()
            try:
                await self._start_again()
            except (EmbeddedError, OSError) as error:
                # Such as a log that cannot be opened: the disk may be full, and is not for ever.
                self._note(str(error))
            if (took_s := time.monotonic() - began) > SLOW_S:
                self._note(f"starting again took {took_s:.1f} s")

    def _note(self, what: str) -> None:
        """Put down what keeps the house from being whole; a full disk loses it."""
        with suppress(OSError), (self.data / "logs" / "keeper.log").open("a") as log:
            log.write(f"{time.strftime('%H:%M:%S', time.gmtime())} {what}\n")

    async def _start_again(self) -> None:
        for name, process in list(self.running.items()):
            if name not in self.held and process.poll() is not None:
                await self._again(name, process.returncode)
        if "postgres" not in self.held:
            await self._keep_postgres()
        if self.log == "kafka" and "kafka" not in self.held and not running_brokers(self.data):
            self.restarts += 1
            await self.start_kafka()

    async def _keep_postgres(self) -> None:
        """Start it again if it has ended, or lives and will never serve: as `bourse up` does."""
        if not alive(self._postgres.pid):
            self.restarts += 1
            return await self.start_postgres()
        if time.monotonic() - self._looked_s < STUCK_LOOK_S:
            return None
        self._looked_s = time.monotonic()
        is_stuck = await asyncio.to_thread(postgres_is_stuck, self._postgres)
        if is_stuck and self._was_stuck:
            await asyncio.to_thread(stop_postgres, self.data, "immediate")
        self._was_stuck = is_stuck
        return None

    async def _again(self, name: str, status: int) -> None:
        if status == FOR_GOOD:
            self.complaints.append(self.said(name))
        self.restarts += 1
        await asyncio.sleep(AGAIN_S)
        self.launch(name)

    async def serves(self, name: str) -> bool:
        """Whether a process says that it serves."""
        channel = open_channel(self.own(name))
        try:
            return await is_serving(channel)
        finally:
            await channel.close()

    async def all_serving(self, within_s: float = 90.0) -> None:
        """Wait until every room serves. Raises AssertionError with what the silent one said."""
        waiting = [name for name in self.processes if name != "clickhouse"]
        try:
            async with asyncio.timeout(within_s):
                while waiting:
                    waiting = [name for name in waiting if not await self.serves(name)]
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(
                f"{waiting} did not serve in {within_s:g} s. {self.said(waiting[0])}"
            ) from None

    def said(self, name: str) -> str:
        """The end of a process's log."""
        return f"{name}: " + (self.data / "logs" / f"{name}.log").read_text()[-3000:]
