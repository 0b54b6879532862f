"""Cutting a shard's two logs: below everybody who still needs them, whole partitions at a time.

The command log is needed from the oldest proven snapshot that is kept, the event log from the same
record on, by which that snapshot is believed, and by every reader from its place. The leader cuts;
two that overlap cut the same.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from services.matching.store import SnapshotStore
from services.runtime.holds import COMMAND_READERS, EVENT_READERS, Held, Holds, floor_of
from services.runtime.log import Log, LogError, commands_topic, events_topic
from services.runtime.postgres import PostgresError
from services.runtime.postgres_wake import GONE
from services.runtime.storage import StorageError

READER: Final = "snapshots"
"""The name under which a shard's snapshots hold its logs."""

_log = structlog.get_logger("retention")


class Retention:
    """Cuts both logs of a shard while `leads` says so."""

    def __init__(
        self,
        log: Log,
        shard: int,
        store: SnapshotStore,
        holds: Holds,
        *,
        leads: Callable[[], bool],
        every_s: float,
        silent_s: float,
    ) -> None:
        self._log = log
        self._topics = (
            (commands_topic(shard), COMMAND_READERS),
            (events_topic(shard), EVENT_READERS),
        )
        self._store = store
        self._holds = holds
        self._leads = leads
        self._every_s = every_s
        self._silent_s = silent_s
        self._said: dict[str, str] = {}
        self.cut_records = 0
        """How many this process has cut off."""
        self.lost_holds = 0
        """How many holds it has taken from readers that were silent."""

    async def run(self) -> None:
        """Cut now and again, for ever. Whatever is out of reach is waited for."""
        try:
            while True:
                await asyncio.sleep(self._every_s)
                try:
                    if self._leads():
                        await self.cut()
                except (*GONE, PostgresError, StorageError, LogError, TimeoutError) as error:
                    _log.warning("log_not_cut", why=str(error))
        finally:
            self._holds.close()

    async def cut(self) -> None:
        """Cut both logs as far as they may be. Nothing is cut before a snapshot is proven."""
        proven = [one.offset for one in await self._store.kept() if one.is_proven]
        proof = await self._store.proof(proven[-1]) if proven else None
        if proof is None:
            return
        # The record a snapshot stands after stays too: by it a start sees that this is its log.
        places = (proven[-1], proof.first_event)
        for (topic, readers), place in zip(self._topics, places, strict=True):
            start = await self._log.start(topic)
            if place < start:
                # Were this hold lost like a reader's, newer snapshots would lose their events too.
                self._say(topic, f"the oldest proven snapshot needs it from {place} on")
                continue
            await self._holds.put(topic, READER, Held(place))
            await self._cut(topic, readers, start)

    async def _cut(self, topic: str, readers: Sequence[str], start: int) -> None:
        for reader in await self._holds.expire(topic, self._silent_s, start):
            self.lost_holds += 1
            _log.error("hold_lost", topic=topic, reader=reader, silent_s=self._silent_s)
        below = floor_of(await self._holds.all(topic), readers)
        if isinstance(below, str):
            self._say(topic, below)
            return
        self._say(topic, "")
        if below > start:
            cut_to = await self._log.cut(topic, below)
            self.cut_records += cut_to - start

    def _say(self, topic: str, why: str) -> None:
        """Say why a topic is not cut, once."""
        if why and self._said.get(topic) != why:
            _log.warning("log_not_cut", topic=topic, why=why)
        self._said[topic] = why
