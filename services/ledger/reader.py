"""The one writer of the books: it follows the event log, and takes in transfers on their way.

Whatever is written goes through `Bookkeeper.draft`: one at a time, position and epoch compared in
the same transaction. After anything but a plain success the books are read again from the tables.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from services.domain.sequences import known_up_to
from services.ledger import store
from services.ledger.state import (
    NO_SHARD,
    TREASURY,
    Books,
    Broken,
    Draft,
    Leg,
    funding,
    outside_leg,
)
from services.runtime.crash import crash_point
from services.runtime.events import EventPart, follow
from services.runtime.holds import Held
from services.runtime.log import Log
from services.runtime.place import NOWHERE, PlaceMoved, advance, find, hold, take_over
from services.runtime.postgres import AWAY, Connection, Pool, transaction

_AGAIN_S: Final = 0.5

_log = structlog.get_logger()


class TreasuryShort(Exception):
    """The treasury has less than the transfer needs. `posted_minor` is what it has."""

    def __init__(self, posted_minor: int) -> None:
        super().__init__(f"the treasury has {posted_minor} minor units")
        self.posted_minor = posted_minor


class RequestReused(Exception):
    """The request id was used for another transfer."""


class Bookkeeper:
    """Owns the books: whoever wants to post goes through `draft`."""

    def __init__(self, pool: Pool, topic: str) -> None:
        self._pool = pool
        self._topic = topic
        self._turn = asyncio.Lock()
        self._books = Books()
        self._stale = True
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._moved = asyncio.Condition()
        self.place = NOWHERE
        self.stopped = ""

    async def open(self) -> None:
        """Become the writer, and read the books."""
        async with self._pool.acquire() as connection:
            self.place = await take_over(connection, self._topic)
            self._books = await store.load_books(connection)
        self._stale = False

    async def held(self) -> Held:
        """What is still needed of the log."""
        return self.place.held()

    @property
    def books(self) -> Books:
        """The books as last committed. Only for reading."""
        return self._books

    @asynccontextmanager
    async def draft(self) -> AsyncIterator[tuple[Draft, Connection]]:
        """A transaction on the books; what is put into the draft is written at its end."""
        async with self._turn:
            if self._stale:
                await self._reload()
            draft = Draft(self.books)
            try:
                async with transaction(self._pool) as tx:
                    await hold(tx, self._topic, self.place)
                    yield draft, tx
                    await store.write(tx, draft)
                    crash_point("ledger.in_transaction")
            except (TreasuryShort, RequestReused, Broken):
                # Said before anything was written: the books are what they were.
                raise
            except BaseException:
                self._stale = True
                raise
            draft.commit()

    async def _reload(self) -> None:
        async with self._pool.acquire() as connection:
            self.place = await find(connection, self._topic, self.place.epoch)
            self._books = await store.load_books(connection)
        self._stale = False

    async def post(self, parts: Sequence[EventPart]) -> None:
        """Post event parts and move the position, all or nothing. Raises Broken."""
        last = parts[-1]
        async with self.draft() as (draft, tx):
            at = self.place
            # A lost commit may have happened after all: then the parts are behind us already.
            fresh = [part for part in parts if part.position.next_offset > at.position.next_offset]
            after = at.then(last.position, known_up_to(last.record)) if fresh else at
            settled = [one for part in fresh for one in draft.follow(part.record)]
            await store.settle(tx, settled)
            if fresh:
                await advance(tx, self._topic, at, after)
        self.place = after
        for one in settled:
            self._answer(one.number)
        async with self._moved:
            self._moved.notify_all()

    async def passed(self, sequence: int) -> None:
        """Wait until everything up to `sequence` is posted."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.place.sequence >= sequence)

    def _answer(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def fund(self, request_id: bytes, now_us: int, asset: int, amount_minor: int) -> int:
        """Money from outside into the treasury, once for a request id. Returns what it then has."""
        async with self.draft() as (draft, tx):
            entry = funding(request_id, now_us, asset, amount_minor)
            if not await store.is_posted(tx, entry.event_key):
                draft.add(entry)
        return self.books.posted(TREASURY, asset)

    async def start_transfer(
        self, request_id: bytes, now_us: int, leg: Leg
    ) -> tuple[store.Sending, asyncio.Future[None] | None]:
        """Number a transfer and post its outside leg. The future ends when the core has answered.

        Raises TreasuryShort, RequestReused.
        """
        async with self.draft() as (draft, tx):
            known = await store.transfer(tx, request_id)
            if known is None:
                if leg.amount_minor > 0:
                    self._need_treasury(leg)
                    draft.add(outside_leg(request_id, now_us, leg.asset, leg.amount_minor))
                number = await store.enqueue(tx, request_id, leg, now_us)
                known = store.Sending(
                    number, request_id, leg.shard, *leg[:2], leg.amount_minor, 1, 0, 0
                )
        if (known.account, known.asset, known.amount_minor) != (*leg[:2], leg.amount_minor):
            raise RequestReused("this request id was used for another transfer")
        if known.state != 1:
            return known, None
        return known, self._waiting.setdefault(known.number, asyncio.Future())

    def _need_treasury(self, leg: Leg) -> None:
        posted = self.books.posted(TREASURY, leg.asset, NO_SHARD)
        if posted < leg.amount_minor:
            raise TreasuryShort(posted)


class LedgerReader:
    """Follows the event log of a shard into the books."""

    def __init__(self, log: Log, topic: str, keeper: Bookkeeper, pause_s: float) -> None:
        self._log = log
        self._topic = topic
        self._keeper = keeper
        self._pause_s = pause_s

    async def run(self) -> None:
        """Follow for ever. What core and ledger disagree on stops the posting, not the process."""
        try:
            async for parts in follow(
                self._log, self._topic, self._keeper.place.position, pause_s=self._pause_s
            ):
                await self._post(parts)
        except Broken as broken:
            self._keeper.stopped = str(broken)
            _log.error("posting stopped", reason=str(broken))
            # The process stays, to answer what it was that differed.
            await asyncio.Event().wait()

    async def _post(self, parts: Sequence[EventPart]) -> None:
        """Post a batch; if core and ledger disagree in it, all that comes before the difference."""
        try:
            await self._until_known(parts)
        except Broken:
            if len(parts) == 1:
                raise
            for part in parts:
                await self._until_known([part])

    async def _until_known(self, parts: Sequence[EventPart]) -> None:
        while True:
            try:
                return await self._keeper.post(parts)
            except (*AWAY, PlaceMoved) as error:
                _log.warning("posting waits", reason=str(error))
                await asyncio.sleep(_AGAIN_S)
