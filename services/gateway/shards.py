"""The shards of the house: each decides for itself, and only here are they seen together.

Shards are numbered from 0 without gaps, as the settings name them. What an id belongs to is said
by the id; what is read is read in each shard behind a sequence of its own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Final, TypeAlias

import grpc

from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import MatchingServiceStub
from bourse.types import v1 as types
from services.domain.clock import Clock
from services.domain.ids import shard_of
from services.gateway import shapes
from services.gateway.entry import OrderEntry
from services.runtime.choice import Choice
from services.runtime.config import shard_name

Sequences: TypeAlias = Mapping[int, int]
"""A sequence for each shard that is named, by the shard's number."""

LOOK_S: Final = 1.0

NONE_NAMED: Final[Sequences] = MappingProxyType({})


class Shard:
    """The way into one shard: for its orders, and for questions about what they came to."""

    def __init__(self, number: int, addresses: str, clock: Clock, capacity: int) -> None:
        """`addresses` are those of its replicas, as `Choice` takes them."""
        self.number = number
        self.name = shard_name(number)
        # Questions go where the orders go: what was answered there is known there.
        self.replicas = Choice(addresses)
        self.entry = OrderEntry(self.replicas, clock, capacity)
        self.engine = MatchingServiceStub(self.replicas)
        self.is_halted = False
        """It stands still until operators let it go on, when it was looked at last."""

    async def look(self) -> None:
        """See whether it is halted; one that does not say so is what it was."""
        with suppress(grpc.aio.AioRpcError):
            said = await self.engine.GetStatus(matching.GetStatusRequest(), timeout=LOOK_S)
            self.is_halted = said.halt_sequence != 0

    def after(self, named: Sequences) -> int:
        """Behind what a read comes here: all that this gateway has answered, and what is named."""
        return max(named.get(self.number, 0), self.entry.answered_sequence)


class Shards:
    """All shards of the house."""

    def __init__(self, addresses: Sequence[str], clock: Clock, capacity: int) -> None:
        """`addresses` are those of each shard; of each, `capacity` commands may wait."""
        self._all = [Shard(n, each, clock, capacity) for n, each in enumerate(addresses)]

    def __iter__(self) -> Iterator[Shard]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, number: int) -> Shard:
        return self._all[number]

    @property
    def is_several(self) -> bool:
        """Whether money and orders may be in different places."""
        return len(self._all) > 1

    def of(self, number: int) -> Shard:
        """The shard that gave an id. One that no shard here can have given is unknown to each."""
        shard = shard_of(number)
        return self._all[shard if shard < len(self._all) else 0]

    def at(self, number: int, sequence: int) -> Sequences:
        """A sequence of the shard that gave an id."""
        return {self.of(number).number: sequence}

    def after(self, named: Sequences) -> Sequences:
        """Behind what a read of all shards comes: as in `Shard.after`."""
        return {shard.number: shard.after(named) for shard in self._all}


def spoken(at: Sequences) -> list[types.ShardSequence]:
    """Sequences as rooms say them to each other, ascending by shard."""
    return [types.ShardSequence(shard=n, sequence=at[n]) for n in sorted(at)]


def heard(said: Iterable[types.ShardSequence]) -> Sequences:
    """Sequences that a room has said."""
    return {one.shard: one.sequence for one in said}


def as_shown(at: Sequences) -> list[shapes.ShardSequence]:
    """Sequences as the public sees them, ascending by shard."""
    return [shapes.ShardSequence(n, at[n]) for n in sorted(at)]
