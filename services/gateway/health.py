"""Which rooms answer and which shards are halted, asked once a second, so that asking the gateway
costs nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import grpc
from msgspec import UNSET

from services.gateway.shapes import Health, RoomState
from services.gateway.shards import Shards
from services.runtime.rpc import is_serving

EVERY_S: Final = 1.0


class Rooms:
    """The other rooms as their health services see them. `run` runs for ever."""

    def __init__(
        self,
        channels: Mapping[str, grpc.aio.Channel],
        shards: Shards,
        takes_orders: Callable[[], Sequence[bool]],
        is_heard: Mapping[str, Callable[[], bool]],
    ) -> None:
        """`takes_orders` says it of each shard, `is_heard` of a room that we follow whether its
        streams stand.
        """
        self._channels = channels
        self._shards = shards
        self._takes_orders = takes_orders
        self._is_heard = is_heard
        self._serving = dict.fromkeys(channels, False)

    async def run(self) -> None:
        """Ask all of them, for ever."""
        while True:
            names = list(self._channels)
            answers, _ = await asyncio.gather(
                asyncio.gather(*(is_serving(self._channels[name]) for name in names)),
                asyncio.gather(*(shard.look() for shard in self._shards)),
            )
            self._serving = dict(zip(names, answers, strict=True))
            await asyncio.sleep(EVERY_S)

    def health(self) -> Health:
        """What is said of the whole house."""
        answer = {
            name: serving and self._is_heard.get(name, _always)()
            for name, serving in self._serving.items()
        }
        rooms: dict[str, RoomState] = {
            name: "serving" if answers else "degraded" for name, answers in answer.items()
        }
        halted = [shard.number for shard in self._shards if shard.is_halted]
        takes_orders = [
            takes and number not in halted for number, takes in enumerate(self._takes_orders())
        ]
        if not any(takes_orders):
            return Health("unavailable", rooms, halted or UNSET)
        is_whole = all(answer.values()) and all(takes_orders)
        return Health("serving" if is_whole else "degraded", rooms, halted or UNSET)


def _always() -> bool:
    return True
