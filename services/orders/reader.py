"""The one writer of a shard's history: it follows the event log, and each batch is one transaction.

The position moves in the same transaction, if it and the epoch are still what this writer knows.
After anything but a plain success the place is read again and the log is followed from there.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final, NamedTuple

import structlog

from services.domain.sequences import known_up_to
from services.orders import store
from services.orders.state import Row, fill_rows, order_rows
from services.runtime.crash import crash_point
from services.runtime.events import EventPart, Position, follow
from services.runtime.holds import Held
from services.runtime.log import Log
from services.runtime.place import NOWHERE, Place, PlaceMoved, advance, find, take_over
from services.runtime.postgres import AWAY, Pool, transaction
from services.runtime.readers import Progress, Reached

_AGAIN_S: Final = 0.2

_log = structlog.get_logger("orders")


class _Batch(NamedTuple):
    """Rows that go into the tables together, and where history stands after them."""

    position: Position
    sequence: int
    orders: list[Row]
    fills: list[Row]


async def _next(batches: AsyncIterator[list[EventPart]]) -> _Batch:
    parts = await anext(batches)
    records = [part.record for part in parts]
    rows = order_rows(records), fill_rows(records)
    return _Batch(parts[-1].position, known_up_to(records[-1]), *rows)


class OrdersReader:
    """Follows the events of a shard into history."""

    def __init__(self, log: Log, topic: str, pool: Pool, pause_s: float) -> None:
        self._log = log
        self.topic = topic
        self._pool = pool
        self._pause_s = pause_s
        self._progress = Progress(topic)
        self.place = NOWHERE
        """Up to where everything is in the tables."""

    async def open(self) -> None:
        """Become the writer."""
        self.place = await take_over(self._pool, self.topic)

    @property
    def stopped(self) -> str:
        """Why nothing more of the shard is taken in; empty while it is."""
        return self._progress.stopped

    async def stop(self, why: str) -> None:
        """Take in nothing more."""
        await self._progress.stop(why)

    def reached(self) -> Reached:
        """Up to where everything is in the tables."""
        return Reached(self.place.sequence, self.place.position.next_offset)

    async def held(self) -> Held:
        """What is still needed of the log."""
        return self.place.held()

    async def run(self) -> None:
        """Follow for ever; Postgres out of reach is waited for.

        Raises WriterReplaced, EventsError, and what Log.read raises.
        """
        while True:
            try:
                await self._follow()
            except (*AWAY, PlaceMoved) as error:
                _log.warning("history waits", reason=str(error))
            await self._find_place()

    async def _follow(self) -> None:
        """Read on and make rows while the batch before is written: both take a core's time."""
        parts = follow(self._log, self.topic, self.place.position, pause_s=self._pause_s)
        async with aclosing(parts) as batches:
            coming = asyncio.create_task(_next(batches))
            try:
                while True:
                    batch = await coming
                    coming = asyncio.create_task(_next(batches))
                    await self._write(batch)
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    async def _write(self, batch: _Batch) -> None:
        after = self.place.then(batch.position, batch.sequence)
        async with transaction(self._pool) as tx:
            await store.write(tx, batch.orders, batch.fills)
            await advance(tx, self.topic, self.place, after)
            crash_point("orders.in_transaction")
        await self._move(after)

    async def _find_place(self) -> None:
        """Read the place until Postgres answers. Raises WriterReplaced."""
        while True:
            try:
                place = await find(self._pool, self.topic, self.place.epoch)
                break
            except AWAY as error:
                _log.warning("history waits", reason=str(error))
                await asyncio.sleep(_AGAIN_S)
        await self._move(place)

    async def _move(self, place: Place) -> None:
        self.place = place
        await self._progress.tell()

    async def passed(self, sequence: int, patience_s: float) -> bool:
        """Wait until everything up to `sequence` is in the tables; False if that takes too long,
        or would for ever."""
        return await self._progress.until(lambda: self.place.sequence >= sequence, patience_s)
