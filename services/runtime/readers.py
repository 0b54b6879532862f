"""A room's readers, one for each shard: where they stand, and how far they are behind.

Inside a room everything is per shard: a topic, a place, a lag and a hold for each. Shards are
numbered from 0; how many there are is the house's one setting for it, see Settings.shards.

What is wrong with the log of one shard, or with what was made of it, stops the reader of that shard
and no other: it goes on saying where it stands and what it holds, and why it stands. With the last
of them the room ends.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, Final, Generic, NamedTuple, NoReturn, Protocol, TypeVar

import grpc
import structlog

from bourse.types import v1 as types
from services.domain.clock import Clock
from services.runtime.config import PostgresConfig
from services.runtime.final import ShardNeedsMending
from services.runtime.holds import Held, Holds
from services.runtime.lag import Lag
from services.runtime.log import Log, LogError
from services.runtime.place import same_log
from services.runtime.postgres import Pool
from services.runtime.rpc import Context
from services.runtime.telemetry import Telemetry

_log = structlog.get_logger("readers")


_LAG_S: Final = 1.0
"""How long a log may take to say where it ends, to whoever asks for a status."""


class Reached(NamedTuple):
    """How far a reader has come on its shard."""

    sequence: int
    """The last one that is taken in; 0 before the first."""
    next_offset: int
    """The event record that it reads next."""


class Progress:
    """Wakes those who wait for a reader, when it has moved and when it never will again."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._moved = asyncio.Condition()
        self.stopped = ""
        """Why the reader goes no further; empty while it does."""

    async def tell(self) -> None:
        """The reader has moved."""
        async with self._moved:
            self._moved.notify_all()

    async def stop(self, why: str) -> None:
        """The reader goes no further."""
        _log.error("shard_is_not_followed", topic=self._topic, why=why)
        self.stopped = why
        await self.tell()

    async def until(self, has_come: Callable[[], bool], patience_s: float) -> bool:
        """Wait for a reader; False if that takes too long, or would for ever."""
        if has_come():
            return True
        try:
            async with asyncio.timeout(patience_s), self._moved:
                await self._moved.wait_for(lambda: has_come() or bool(self.stopped))
        except TimeoutError:
            return False
        return has_come()


class ShardReader(Protocol):
    """Follows the events of one shard."""

    @property
    def topic(self) -> str:
        """The event log of its shard."""

    @property
    def stopped(self) -> str:
        """Why it goes no further; empty while it does."""

    async def stop(self, why: str) -> None:
        """Go no further. Who waits for it is told so; where it stands and what it holds stay."""

    async def run(self) -> None:
        """Follow for ever. Raises ShardNeedsMending where only this shard cannot go on."""

    def reached(self) -> Reached:
        """How far it has come."""

    async def held(self) -> Held:
        """What it still needs of the log."""


ReaderT = TypeVar("ReaderT", bound=ShardReader)


class Readers(Generic[ReaderT]):
    """All readers of a room, by shard."""

    def __init__(self, log: Log, clock: Clock, readers: Sequence[ReaderT]) -> None:
        self._log = log
        self._readers = tuple(readers)
        self._lags = [Lag(log, reader.topic, clock) for reader in readers]

    async def check(self, pool: Pool) -> None:
        """Have the event log of each shard, and see that it is the one the tables were written
        from. Comes before anything is written.

        Raises ShardNeedsMending if that stops the last one.
        """
        for reader in self._readers:
            await self.guard(reader, partial(self._check, pool, reader.topic))

    async def _check(self, pool: Pool, topic: str) -> None:
        await self._log.create(topic)
        await same_log(pool, self._log, topic)

    async def guard(self, reader: ReaderT, work: Callable[[], Awaitable[None]]) -> None:
        """Do something for one reader; it alone stops if its shard needs mending.

        Raises ShardNeedsMending if no other is left, and whatever else the work raises.
        """
        try:
            await work()
        except ShardNeedsMending as error:
            if all(other.stopped for other in self._readers if other is not reader):
                raise
            if not reader.stopped:
                await reader.stop(str(error))

    def run(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What follows each shard, for ever; those that have stopped before are left out."""
        for reader in self._readers:
            if not reader.stopped:
                yield self.guard(reader, reader.run)

    def __iter__(self) -> Iterator[ReaderT]:
        return iter(self._readers)

    def get(self, shard: int) -> ReaderT | None:
        """The reader of a shard; None if there is no such shard."""
        return self._readers[shard] if shard < len(self._readers) else None

    async def of(self, shard: int, context: Context) -> ReaderT:
        """The reader of a shard that a call names; one that there is not ends the call."""
        reader = self.get(shard)
        if reader is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, self.lacks(shard))
        return reader

    def lacks(self, shard: int) -> str:
        """What is said of a shard that there is not."""
        return f"There is no shard {shard}: those here are 0 to {len(self._readers) - 1}."

    async def miss(self, reader: ReaderT, context: Context) -> NoReturn:
        """End a call that needs what its reader has not come to: UNAVAILABLE if it may yet,
        FAILED_PRECONDITION if it goes no further."""
        if reader.stopped:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, reader.stopped)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "lagging")

    def at(self) -> list[types.ShardSequence]:
        """Up to where each has taken in everything."""
        return [
            types.ShardSequence(shard=shard, sequence=reader.reached().sequence)
            for shard, reader in enumerate(self._readers)
        ]

    async def places(self) -> list[types.ReaderPlace]:
        """Where each stands, and how far that is from the end of its log."""
        return await asyncio.gather(
            *(self._place(shard, self._lags[shard]) for shard in range(len(self._readers)))
        )

    async def _place(self, shard: int, lag: Lag) -> types.ReaderPlace:
        """Where one stands, also if its log is away, hangs, or needs mending."""
        reader = self._readers[shard]
        sequence, next_offset = reader.reached()
        place = types.ReaderPlace(shard=shard, sequence=sequence, next_offset=next_offset)
        place.stopped = reader.stopped
        try:
            async with asyncio.timeout(_LAG_S):
                await lag.of(next_offset)
        except (LogError, TimeoutError):
            place.lag_unknown = True
        place.lag_records, place.lag_ms = lag.last
        return place

    def keep(
        self, room: str, postgres: PostgresConfig, telemetry: Telemetry
    ) -> Iterator[Coroutine[Any, Any, None]]:
        """What runs beside the readers, for ever: it says what they hold, how far behind they are
        and how many have stopped."""
        telemetry.count("stopped_shards", lambda: sum(bool(one.stopped) for one in self._readers))
        holds = Holds(postgres)
        for shard, (reader, lag) in enumerate(zip(self._readers, self._lags, strict=True)):
            yield holds.keep(reader.topic, room, reader.held)
            name = f"shard_{shard}_lag" if shard else "lag"
            yield lag.keep(partial(_next_offset, reader), telemetry, name)


def _next_offset(reader: ShardReader) -> int:
    return reader.reached().next_offset
