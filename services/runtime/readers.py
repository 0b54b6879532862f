"""A room's readers, one for each shard: where they stand, and how far they are behind.

Inside a room everything is per shard: a topic, a place, a lag and a hold for each. Shards are
numbered from 0; how many there are is the house's one setting for it, see Settings.shards.
"""

from collections.abc import Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import grpc

from bourse.types import v1 as types
from services.domain.clock import Clock
from services.runtime.config import PostgresConfig
from services.runtime.holds import Held, Holds
from services.runtime.lag import Lag
from services.runtime.log import Log, events_topic
from services.runtime.place import same_log
from services.runtime.postgres import Pool
from services.runtime.rpc import Context
from services.runtime.telemetry import Telemetry


async def open_events(log: Log, pool: Pool, shards: int) -> list[str]:
    """Have the event log of each shard, and see that it is the one the tables were written from.

    Returns their topics, by shard. Raises RolledBack.
    """
    topics = [events_topic(shard) for shard in range(shards)]
    for topic in topics:
        await log.create(topic)
        await same_log(pool, log, topic)
    return topics


class Reached(NamedTuple):
    """How far a reader has come on its shard."""

    sequence: int
    """The last one that is taken in; 0 before the first."""
    next_offset: int
    """The event record that it reads next."""


class ShardReader(Protocol):
    """Follows the events of one shard."""

    @property
    def topic(self) -> str:
        """The event log of its shard."""

    def reached(self) -> Reached:
        """How far it has come."""

    async def held(self) -> Held:
        """What it still needs of the log."""


ReaderT = TypeVar("ReaderT", bound=ShardReader)


class Readers(Generic[ReaderT]):
    """All readers of a room, by shard."""

    def __init__(self, log: Log, clock: Clock, readers: Sequence[ReaderT]) -> None:
        self._readers = tuple(readers)
        self._lags = [Lag(log, reader.topic, clock) for reader in readers]

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

    def at(self) -> list[types.ShardSequence]:
        """Up to where each has taken in everything."""
        return [
            types.ShardSequence(shard=shard, sequence=reader.reached().sequence)
            for shard, reader in enumerate(self._readers)
        ]

    async def places(self) -> list[types.ReaderPlace]:
        """Where each stands, and how far that is from the end of its log."""
        places = []
        for shard, (reader, lag) in enumerate(zip(self._readers, self._lags, strict=True)):
            sequence, next_offset = reader.reached()
            records, milliseconds = await lag.of(next_offset)
            place = types.ReaderPlace(shard=shard, sequence=sequence, next_offset=next_offset)
            place.lag_records, place.lag_ms = records, milliseconds
            places.append(place)
        return places

    def keep(
        self, room: str, postgres: PostgresConfig, telemetry: Telemetry
    ) -> Iterator[Coroutine[Any, Any, None]]:
        """What runs beside the readers, for ever: it says what they hold and how far behind they
        are."""
        holds = Holds(postgres)
        for shard, (reader, lag) in enumerate(zip(self._readers, self._lags, strict=True)):
            yield holds.keep(reader.topic, room, reader.held)
            name = f"shard_{shard}_lag" if shard else "lag"
            yield lag.keep(partial(_next_offset, reader), telemetry, name)


def _next_offset(reader: ShardReader) -> int:
    return reader.reached().next_offset
