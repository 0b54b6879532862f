"""The embedded stores as processes of the house: kept running, stopped last."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from services.cli.child import Backoff, ChildState, Plan, Severity, Tell
from services.cli.terminal import Refused, errors
from services.runtime.embedded import (
    EmbeddedError,
    EmbeddedPostgres,
    postgres_is_stuck,
    start_postgres,
    stop_postgres,
)
from services.runtime.embedded_kafka import prepare_kafka
from services.runtime.kafka_access import Access
from services.runtime.kafka_jars import KafkaMissing, fetch_kafka, java_version, kafka_jars
from services.runtime.kafka_link import count_brokers
from services.runtime.log import LogError

LOOK_S: Final = 2.0
"""How often it is asked whether Postgres still comes to something."""


CONNECTIONS: Final = 200
"""What the embedded Postgres takes where there is one shard, however many replicas it has."""

OF_A_SHARD: Final = 16
"""So many more for another shard: seen are 13, of its replica and of each room that follows it."""

OF_A_REPLICA: Final = 8
"""So many more for another replica of it: seen are 4, and more while it looks for what it lost."""


def connections_for(replicas: Sequence[int]) -> int:
    """How many connections a house may need, with so many replicas of each of its shards."""
    others = sum(OF_A_SHARD + OF_A_REPLICA * (count - 1) for count in replicas[1:])
    return CONNECTIONS + others


def needs_postgres() -> bool:
    """Whether the rooms' Postgres or the log's is the embedded one."""
    wanted = ("BOURSE_POSTGRES_ADDRESS", "BOURSE_LOG_ADDRESS")
    return not all(os.environ.get(name) for name in wanted)


class PostgresKeeper:
    """Starts the server of a data folder, or takes over one that a killed house has left."""

    def __init__(
        self, data: Path, tell: Tell, backoff: Backoff, connections: int = CONNECTIONS
    ) -> None:
        self.name = "postgres"
        self.state = ChildState.STOPPED
        self.pid = 0
        self.restarts = 0
        self.since_us = 0
        self.on_change: Callable[[], None] = lambda: None
        self._data = data
        self._tell = tell
        self._backoff = backoff
        self._settings = {"max_connections": str(connections)}
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
            await self._until_useless(server)
            self.pid = 0
            wait_s = self._backoff.after(time.monotonic() - began_s)
            self._become(ChildState.WAITING)
            self._tell(self.name, f"ended; starts again in {wait_s:.1f} s", Severity.BAD)
            server = await self._again(wait_s)

    async def _until_useless(self, server: EmbeddedPostgres) -> None:
        """Wait until it has ended, or lives and will never serve again: then it is ended."""
        ended = asyncio.create_task(_ended(server.pid))
        was_stuck = False
        try:
            while not ended.done():
                await asyncio.wait([ended], timeout=LOOK_S)
                was_stuck = await self._is_stuck(server, was_stuck)
        finally:
            ended.cancel()

    async def _is_stuck(self, server: EmbeddedPostgres, was_stuck: bool) -> bool:
        """Whether it is; one that was before too is ended. What fails of this is tried again."""
        try:
            is_stuck = await asyncio.to_thread(postgres_is_stuck, server)
            if is_stuck and was_stuck:
                said = "refuses everybody and does not recover by itself: it is ended"
                self._tell(self.name, said, Severity.BAD)
                await asyncio.to_thread(stop_postgres, self._data, "immediate")
        except EmbeddedError as error:
            self._tell(self.name, str(error), Severity.BAD)
            return was_stuck
        return is_stuck

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
        server = await asyncio.to_thread(start_postgres, self._data, self._settings)
        self.pid = server.pid
        self._become(ChildState.SERVING)
        took_s = time.monotonic() - began_s
        self._tell(self.name, f"serves after {took_s:.1f} s", Severity.GOOD)
        return server

    def _become(self, state: ChildState) -> None:
        self.state = state
        self.since_us = time.time_ns() // 1000
        self.on_change()


def have_kafka() -> None:
    """Fetch Kafka if it is not on this machine. Raises Refused, also if there is no Java for it."""
    try:
        java_version()
        with contextlib.suppress(KafkaMissing):
            kafka_jars()
            return
        with errors.status("fetching Kafka, once"):
            fetch_kafka()
    except KafkaMissing as error:
        raise Refused(str(error)) from error


def prepared_kafka(data: Path) -> str:
    """Have the folder's own Kafka ready to be started; its address. Raises Refused.

    Nothing is prepared, and nothing is to be started, where BOURSE_LOG_ADDRESS names a log.
    """
    if os.environ.get("BOURSE_LOG_ADDRESS"):
        return ""
    have_kafka()
    try:
        return prepare_kafka(data).address
    except EmbeddedError as error:
        raise Refused(str(error)) from error


def kafka_plan(data: Path, address: str) -> Plan:
    """The broker of a data folder, as one of the processes of the house."""

    async def answers() -> bool:
        with contextlib.suppress(LogError):
            return await count_brokers(Access(address)) == 1
        return False

    return Plan("kafka", "services.runtime.embedded_kafka", answers, (str(data), "1"))


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
