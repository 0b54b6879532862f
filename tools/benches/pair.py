"""Two replicas of a shard to measure: processes that are started, killed and started again."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import grpc

from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import ORDER_ENTRY_SERVICE, MatchingServiceStub
from services.cli.replicas import replicas_at
from services.runtime.choice import Choice
from services.runtime.config import run_folder
from services.runtime.rpc import is_serving
from tools.benches.shard import ROOT, START_S, Submit

COUNT: Final = 2
LOOK_S: Final = 0.02


class Pair:
    """Replicas 0 and 1 on the Postgres of a data folder. None runs until it is started."""

    def __init__(self, data: Path, **settings: str) -> None:
        addresses = ",".join(f"unix:{run_folder(data)}/replica-{n}.sock" for n in range(COUNT))
        self.choice = Choice(addresses)
        self._replicas = replicas_at(addresses)
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}",
            "BOURSE_DATA": str(data),
            "BOURSE_TELEMETRY_LEVEL": "error",
            "BOURSE_MATCHING_ADDRESS": addresses,
            **settings,
        }

    def start(self, number: int) -> None:
        """Start one."""
        # What the last one has left would be knocked at, and gRPC knock ever more seldom.
        self._socket(number).unlink(missing_ok=True)
        place = {"BOURSE_MATCHING_LISTEN": self._replicas[number].address}
        self._running[number] = subprocess.Popen(
            [sys.executable, "-m", "services.matching"], env=self._environment | place
        )

    def kill(self, number: int) -> None:
        """End one as a power cut would."""
        process = self._running.pop(number)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End all of them in order."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait()

    async def serving(self, number: int) -> None:
        """Wait until one serves. Raises TimeoutError."""
        deadline = time.monotonic() + START_S
        while not (
            self._socket(number).exists() and await is_serving(self.choice.replicas[number])
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f"replica {number} does not serve")
            await asyncio.sleep(LOOK_S)

    def _socket(self, number: int) -> Path:
        return Path(self._replicas[number].address.removeprefix("unix:"))

    def submit(self, number: int) -> Submit:
        """Streams into one of them."""
        submit: Submit = self.choice.replicas[number].stream_stream(
            f"/{ORDER_ENTRY_SERVICE}/Submit"
        )
        return submit

    async def status(self, number: int) -> matching.GetStatusResponse | None:
        """What one says of itself; None if it does not answer."""
        if not self._socket(number).exists():
            return None
        stub = MatchingServiceStub(self.choice.replicas[number])
        try:
            return await stub.GetStatus(matching.GetStatusRequest(), timeout=1)
        except grpc.aio.AioRpcError:
            return None

    async def leader(self) -> int:
        """The one that publishes; waits until there is one. Raises TimeoutError."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            for number in self._running:
                said = await self.status(number)
                if said is not None and said.leader and said.epoch:
                    return number
            await asyncio.sleep(LOOK_S)
        raise TimeoutError("nobody leads")
