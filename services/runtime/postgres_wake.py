"""How a reader hears that a record came: LISTEN and NOTIFY, always after the commit.

A NOTIFY inside the append would hold a lock of the whole database until the commit is on disk, and
so let only one topic commit at a time. Sent afterwards it may be lost in a crash; that is why a
reader looks by itself now and then, and why nothing in here is tried twice.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg

from services.runtime.postgres import LOST, PostgresUnavailable, connect

if TYPE_CHECKING:
    Opened: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Opened = asyncpg.Connection

GONE: Final = (*LOST, PostgresUnavailable)
"""What comes of a connection that cannot be had, or was or is just being lost."""

_RING: Final = "select pg_notify(topic, '') from unnest($1::text[]) as topic"


class Wakes:
    """Wakes the readers of topics: those of this process at once, those of others by NOTIFY."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._holders: Counter[str] = Counter()
        self._listening: set[str] = set()
        self._listener: Opened | None = None
        self._listener_lock = asyncio.Lock()
        self._grown: set[str] = set()
        self._grew = asyncio.Event()
        self._ringer: asyncio.Task[None] | None = None

    @contextmanager
    def event(self, topic: str) -> Iterator[asyncio.Event]:
        """An event set whenever the topic may have grown. The reader clears it before it looks."""
        event = asyncio.Event()
        self._events[topic].add(event)
        try:
            yield event
        finally:
            self._events[topic].discard(event)

    @asynccontextmanager
    async def heard(self, topic: str) -> AsyncIterator[None]:
        """Inside the block, growth that other processes ring for is heard."""
        self._holders[topic] += 1
        try:
            await self.listen(topic)
            yield
        finally:
            self._holders[topic] -= 1
            if self._holders[topic] == 0:
                await self._unlisten(topic)

    async def listen(self, topic: str) -> None:
        """Listen, on a connection that is alive. Does nothing if we do already, or cannot."""
        async with self._listener_lock:
            try:
                if self._listener is None or self._listener.is_closed():
                    self._listener = await self._open()
                if topic not in self._listening:
                    await self._listener.add_listener(topic, self._on_notify)
                    self._listening.add(topic)
            except GONE:
                return

    def wake(self, topic: str) -> None:
        """Let the readers of this process look."""
        for event in self._events[topic]:
            event.set()

    def ring(self, topic: str) -> None:
        """Say to all that a topic has grown. Rings that come while one is under way become one."""
        self.wake(topic)
        self._grown.add(topic)
        self._grew.set()
        if self._ringer is None:
            self._ringer = asyncio.create_task(self._ring_on(), name="log ringer")

    async def close(self) -> None:
        """End the task and the connections."""
        if self._ringer is not None:
            self._ringer.cancel()
            await asyncio.gather(self._ringer, return_exceptions=True)
        if self._listener is not None:
            self._listener.terminate()

    async def _open(self) -> Opened:
        self._listening.clear()
        listener = await connect(self._address, "log listener", patience_s=0)
        listener.add_termination_listener(self._on_end)
        return listener

    async def _unlisten(self, topic: str) -> None:
        async with self._listener_lock:
            if topic not in self._listening or self._listener is None or self._holders[topic]:
                return
            self._listening.discard(topic)
            try:
                await self._listener.remove_listener(topic, self._on_notify)
            except GONE:
                return

    def _on_notify(self, _connection: Any, _pid: int, channel: str, _payload: object) -> None:
        self.wake(channel)

    def _on_end(self, _connection: Any) -> None:
        """Nobody rings us any more: let every reader look, and so find out and listen again."""
        for topic in list(self._events):
            self.wake(topic)

    async def _ring_on(self) -> None:
        bell: Opened | None = None
        try:
            while True:
                await self._grew.wait()
                self._grew.clear()
                topics, self._grown = self._grown, set()
                try:
                    if bell is None or bell.is_closed():
                        bell = await connect(self._address, "log ringer", patience_s=0)
                    await bell.execute(_RING, list(topics))
                except GONE:
                    continue
        finally:
            if bell is not None:
                bell.terminate()
