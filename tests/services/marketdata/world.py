"""A running marketdata room: the real stores, and a core's face in front of a shard."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bourse.marketdata import v1 as marketdata
from bourse.marketdata.v1 import rpc
from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc as matching_rpc
from services.marketdata.config import MarketdataConfig
from services.marketdata.reader import MarketdataReader
from services.marketdata.server import Marketdata
from services.marketdata.tape import Tape
from services.runtime.clock import SystemClock
from services.runtime.config import ClickHouseConfig, PostgresConfig
from services.runtime.log import Log
from services.runtime.memory_log import MemoryLog
from services.runtime.postgres import open_postgres
from services.runtime.readers import Readers
from services.runtime.rpc import open_channel, serve, service
from tests.services.shard import Shard

Stores = tuple[str, tuple[ClickHouseConfig, str]]


class CoreFace(matching_rpc.MatchingServiceServicer):
    """Answers for a shard as matching would: its markets and its books."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard

    async def WatchMarkets(  # noqa: N802 - the contract's name
        self, request: matching.WatchMarketsRequest, context: Any
    ) -> AsyncIterator[matching.WatchMarketsResponse]:
        instruments = [one for _, one in sorted(self.shard.model.instruments.items())]
        yield matching.WatchMarketsResponse(instruments=instruments, sequence=self.shard.sequence)
        await asyncio.Event().wait()

    async def GetDepth(  # noqa: N802 - the contract's name
        self, request: matching.GetDepthRequest, context: Any
    ) -> matching.GetDepthResponse:
        return self.shard.depth(request.instrument)


def core_at(folder: Path, number: int) -> str:
    """The folder's place for the core of a shard."""
    return f"unix:{folder}/matching{f'-s{number}' if number else ''}.sock"


def core_of(shard: Shard, folder: Path) -> "asyncio.Task[None]":
    """Serve a core's face for a shard at the folder's place for it."""
    entry = service(
        matching_rpc.MATCHING_SERVICE,
        matching_rpc.add_MatchingServiceServicer_to_server,
        CoreFace(shard),  # type: ignore[abstract]  # the room asks for nothing else
    )
    return asyncio.create_task(serve(core_at(folder, shard.model.shard), entry))


class Room:
    """A running room and a way to ask it."""

    def __init__(
        self,
        log: Log,
        readers: Sequence[MarketdataReader],
        ask: rpc.MarketdataServiceStub,
        folder: Path,
    ) -> None:
        self.log = log
        self.readers = readers
        self.reader = readers[0]
        self.ask = ask
        self.folder = folder

    async def hear(self, shard: Shard) -> None:
        """Let the room have all that the shard said, on the tape too."""
        await shard.publish(self.log)
        assert await self.readers[shard.model.shard].stored(shard.sequence, 20)

    async def broken(self, sequence: int = 0, shard: int = 0) -> list[str]:
        """The checks of a shard that do not hold, each with its detail."""
        request = marketdata.VerifyRequest(sequence=sequence, shard=shard)
        answer = await self.ask.Verify(request)
        assert len(answer.checks) == 6
        return [f"{check.name}: {check.detail}" for check in answer.checks if not check.ok]

    async def tape(self, query: str, shard: int = 0) -> list[Any]:
        """Ask ClickHouse directly."""
        return list((await self.readers[shard].tape.client.query(query)).result_rows)


def trades_of(shard: Shard) -> list[int]:
    """The numbers of all trades of a shard, in order."""
    return [event.trade_id for record in shard.records for event in record.trades]


async def on_tape(running: Room, shard: int = 0) -> list[int]:
    """The numbers of all trades on the tape of a shard, in order."""
    query = "SELECT trade_id FROM trade ORDER BY trade_id"
    return [row[0] for row in await running.tape(query, shard)]


@asynccontextmanager
async def room(
    stores: Stores, folder: Path, log: Log, shards: int = 1, **settings: Any
) -> AsyncIterator[Room]:
    """The room as its `__main__` wires it, but for the log."""
    dsn, (clickhouse, database) = stores
    quick = {"pause_s": 0.001, "tick_s": 0.005, "block_s": 0.01, "patience_s": 0.2}
    config = MarketdataConfig(
        data=folder, clickhouse=clickhouse, database=database, **(quick | settings)
    )
    pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), "marketdata")
    cores = [open_channel(core_at(folder, number)) for number in range(shards)]
    readers = [
        MarketdataReader(
            log, Tape(pool, number, config), matching_rpc.MatchingServiceStub(core), config
        )
        for number, core in enumerate(cores)
    ]
    every = Readers(log, SystemClock(), readers)
    server = Marketdata(every, config)
    entry = service(rpc.MARKETDATA_SERVICE, rpc.add_MarketdataServiceServicer_to_server, server)
    address = f"unix:{folder}/marketdata.sock"
    running: list[asyncio.Task[None]] = []
    try:
        await every.check(pool)
        for reader in readers:
            await every.guard(reader, reader.open)
        read = [one for one in readers if not one.stopped]
        parts = [part for one in read for part in (one.keep(), one.tell(), one.tape.look_after())]
        parts += [serve(address, entry), *every.run()]
        running += [asyncio.create_task(part) for part in parts]
        async with open_channel(address) as channel:
            await channel.channel_ready()
            yield Room(log, readers, rpc.MarketdataServiceStub(channel), folder)
    finally:
        try:
            await end(*running)
        finally:
            for core, reader in zip(cores, readers, strict=True):
                await core.close()
                await reader.tape.close()
            await pool.close()


async def end(*running: "asyncio.Task[None]") -> None:
    """Cancel, and see them end; what they failed with is raised."""
    for task in running:
        task.cancel()
    for result in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


Story = Callable[[Room, Shard], Awaitable[None]]


def tell(stores: Stores, folder: Path, story: Story, **settings: Any) -> None:
    """Run a story on an empty tape, with a core at hand."""

    async def main() -> None:
        shard = Shard()
        core = core_of(shard, folder)
        try:
            async with room(stores, folder, MemoryLog(), **settings) as running:
                await story(running, shard)
        finally:
            await end(core)

    run(main())


def run(story: Coroutine[Any, Any, None]) -> None:
    """Run a story of its own to its end."""
    asyncio.run(asyncio.wait_for(story, 120))
