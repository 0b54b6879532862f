"""Follows the event log and tells whoever listens; remembers by blocks whom it spoke of."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Final, NamedTuple

import structlog

from bourse.matching import v1 as matching
from bourse.notifications import v1 as notifications
from services.notifications import store
from services.notifications.config import NotificationsConfig
from services.notifications.state import LAST_NUMBER, Cursor, accounts_in, parse_cursor, told
from services.runtime.events import BEGINNING, EventPart, follow
from services.runtime.holds import Held
from services.runtime.log import Log, events_topic
from services.runtime.place import NOWHERE, Place, PlaceMoved, advance, find, take_over
from services.runtime.postgres import AWAY, Pool, transaction
from services.runtime.readers import Progress, Reached

_log = structlog.get_logger()

_CATCH_UP: Final = 512
"""Notifications of the past in one answer, at most."""


class Listener:
    """One subscription of a gateway's stream. `told` puts what it hears on that stream."""

    def __init__(self, number: int, account: int, answers: "Answers") -> None:
        self.number = number
        self.account = account
        self._answers = answers

    def tell(self, said: list[notifications.Notification]) -> None:
        """Put notifications on the stream."""
        self._answers.put(
            notifications.FollowResponse(subscription=self.number, notifications=said)
        )

    def started(self, cursor: Cursor) -> None:
        """Put on the stream that notifications behind this place follow."""
        answer = notifications.FollowResponse(subscription=self.number, cursor=cursor.text())
        answer.status = notifications.FOLLOW_STATUS_STARTED
        self._answers.put(answer)

    def gone(self) -> None:
        """Put on the stream that there is no going on from its cursor."""
        status = notifications.FOLLOW_STATUS_CURSOR_GONE
        self._answers.put(notifications.FollowResponse(subscription=self.number, status=status))


class Answers:
    """What waits to go out on one stream; never more than `limit`: then the stream is ended."""

    def __init__(self, limit: int) -> None:
        self._queue: asyncio.Queue[notifications.FollowResponse | None] = asyncio.Queue()
        self._limit = limit
        self._taken = asyncio.Event()
        self.overrun = False

    def put(self, answer: notifications.FollowResponse) -> None:
        """Wait in line. Once the line is too long nothing more is taken: the stream ends."""
        if self.overrun:
            return
        if self._queue.qsize() >= self._limit:
            self.end()
            return
        self._queue.put_nowait(answer)

    def end(self) -> None:
        """Nothing more will be put: the stream ends, and the gateway opens another."""
        self.overrun = True
        self._queue.put_nowait(None)

    async def room(self) -> None:
        """Wait until half of the line is free: whoever tells of the past has time."""
        while self._queue.qsize() * 2 > self._limit and not self.overrun:
            self._taken.clear()
            await self._taken.wait()

    async def get(self) -> notifications.FollowResponse | None:
        """The next answer; None when the stream must end."""
        answer = await self._queue.get()
        self._taken.set()
        return answer


class _Sealed(NamedTuple):
    """A block that nothing more is put into, and where the index stands with it."""

    block: store.Block
    after: Place


class NotificationsReader:
    """Follows one shard. Holds nothing of the past but the block that is being made."""

    def __init__(self, log: Log, shard: int, pool: Pool, config: NotificationsConfig) -> None:
        self._log = log
        self._shard = shard
        self.topic = events_topic(shard)
        self._pool = pool
        self._config = config
        self._live: dict[int, set[Listener]] = {}
        self._first_sequence = 0
        self._last: EventPart | None = None
        self._records_in_block = 0
        self._concerned: set[int] = set()
        self._place = NOWHERE
        self._sealed: _Sealed | None = None
        self._in_doubt = False
        self._caught_up = asyncio.Event()
        self._end = 0
        self._progress = Progress(self.topic)
        self.position = BEGINNING
        self.sequence = 0

    async def open(self) -> None:
        """Go on where the index ends. Streams are served once the log's present end is reached."""
        self._place = await take_over(self._pool, self.topic)
        self.position, self.sequence = self._place.position, self._place.sequence
        self._end = await self._log.end(self.topic)
        self._note_progress()

    @property
    def stopped(self) -> str:
        """Why nothing more of the shard is told; empty while it is."""
        return self._progress.stopped

    async def stop(self, why: str) -> None:
        """Tell nothing more. Who subscribes from now on stands where it is, as do those before."""
        await self._progress.stop(why)
        self._caught_up.set()

    async def run(self) -> None:
        """Follow for ever. Raises WriterReplaced, EventsError, and what Log.read raises."""
        async with aclosing(follow(self._log, self.topic, self.position)) as batches:
            async for parts in batches:
                for part in parts:
                    self._take(part)
                await self._index()

    def _take(self, part: EventPart) -> None:
        record = part.record
        if self._last is None:
            self._first_sequence = record.first_sequence
        self._last, self._records_in_block = part, self._records_in_block + 1
        concerned = accounts_in(record)
        self._concerned |= concerned
        self.position = part.position
        self.sequence = max(self.sequence, record.first_sequence + len(record.commands) - 1)
        wanted = concerned & self._live.keys()
        if wanted:
            for account, said in _grouped(told(record, wanted)).items():
                for listener in self._live[account]:
                    listener.tell(said)
        self._note_progress()

    def _note_progress(self) -> None:
        if self.position.next_offset >= self._end:
            self._caught_up.set()

    # --- The index ----------------------------------------------------------------------

    async def _index(self) -> None:
        """Write down whom a full block concerns. If Postgres is away, the next one simply grows.

        Raises WriterReplaced.
        """
        if self._sealed is None:
            self._sealed = self._seal()
        if self._sealed is None:
            return
        try:
            await self._store(self._sealed)
        except (*AWAY, PlaceMoved) as error:
            self._in_doubt = True
            _log.warning("index waits", reason=str(error))
            return
        self._place, self._sealed, self._in_doubt = self._sealed.after, None, False

    async def _store(self, sealed: _Sealed) -> None:
        epoch = self._place.epoch
        if self._in_doubt and await find(self._pool, self.topic, epoch) == sealed.after:
            return
        async with transaction(self._pool) as tx:
            await advance(tx, self.topic, self._place, sealed.after)
            await store.add(tx, sealed.block)
            await store.forget(
                tx, self._shard, sealed.block.time_us - self._config.keep_s * 1_000_000
            )

    def _seal(self) -> _Sealed | None:
        """Begin a new block if the present one is full and no record goes on behind it."""
        last = self._last
        if last is None or self._records_in_block < self._config.block_records:
            return None
        if not last.position.last_part:
            return None
        block = store.Block(
            shard=self._shard,
            first_offset=self._place.position.next_offset,
            next_offset=last.position.next_offset,
            first_sequence=self._first_sequence,
            last_sequence=self.sequence,
            time_us=last.record.time_us,
            accounts=sorted(self._concerned),
        )
        self._last, self._records_in_block = None, 0
        self._concerned.clear()
        return _Sealed(block, self._place.then(last.position, self.sequence))

    def reached(self) -> Reached:
        """Up to where everybody who listens was told."""
        return Reached(self.sequence, self.position.next_offset)

    async def held(self) -> Held:
        """What is still needed of the log: all that a cursor may be resumed from."""
        oldest = await store.oldest_offset(self._pool, self._shard)
        return self._place.held() if oldest is None else Held(oldest)

    # --- Listeners ----------------------------------------------------------------------

    def drop(self, listener: Listener) -> None:
        """Tell it nothing more."""
        listening = self._live.get(listener.account)
        if listening is not None:
            listening.discard(listener)
            if not listening:
                del self._live[listener.account]

    async def listen(self, listener: Listener, after: str, answers: Answers) -> None:
        """Tell a listener all that came after its cursor, then everything as it happens.

        Nothing of a shard that has stopped, however much is there: what follows its cursor is told
        once that is mended, and no cursor is called gone by a log that is not what it must be.
        """
        await self._caught_up.wait()
        cursor = parse_cursor(after) if after else None
        if self.stopped and (cursor or not after):
            listener.started(cursor or self._now())
            return
        if after and not await self._known(cursor):
            listener.gone()
            return
        listener.started(cursor or self._now())
        if cursor is not None:
            await self._tell_past(listener, cursor, answers)
        self._live.setdefault(listener.account, set()).add(listener)

    def _now(self) -> Cursor:
        """Behind everything that was read so far, and before any part that comes next."""
        key = self.position.last_key
        return Cursor(self.sequence, key.part if key else 0, LAST_NUMBER)

    async def _known(self, cursor: Cursor | None) -> bool:
        if cursor is None or cursor.sequence > self.sequence:
            return False
        return cursor.sequence + 1 >= await store.oldest_sequence(self._pool, self._shard)

    async def _tell_past(self, listener: Listener, cursor: Cursor, answers: Answers) -> None:
        """Read the log where it speaks of the account, until nothing lies between that and now.

        Returns without a pause after the last look, so that nothing can happen in between.
        """
        place = 0
        while place < self.position.next_offset:
            indexed, now = self._place.position.next_offset, self.position.next_offset
            ranges = [(max(place, indexed), now)]
            if place < indexed:
                blocks = await store.concerning(
                    self._pool, self._shard, listener.account, place, cursor.sequence
                )
                ranges = [*blocks, *ranges]
            for first, after_last in ranges:
                await self._tell_range(listener, cursor, (max(first, place), after_last), answers)
            place = now

    async def _tell_range(
        self, listener: Listener, cursor: Cursor, span: tuple[int, int], answers: Answers
    ) -> None:
        said: list[notifications.Notification] = []
        async for record in self._records(*span):
            for _, notification in told(record, {listener.account}):
                place = parse_cursor(notification.cursor)
                if place is not None and place > cursor:
                    said.append(notification)
            if len(said) >= _CATCH_UP:
                listener.tell(said)
                said = []
                await answers.room()
        if said:
            listener.tell(said)

    async def _records(self, first: int, after_last: int) -> AsyncIterator[matching.EventRecord]:
        """Event records of a span of the log; one that two publishers wrote comes once."""
        if first >= after_last:
            return
        last_key = (-1, 0)
        async for batch in self._log.read(self.topic, first):
            for record in batch:
                if record.offset >= after_last:
                    return
                part = matching.EventRecord.FromString(record.body)
                if (part.command_offset, part.part) > last_key:
                    last_key = (part.command_offset, part.part)
                    yield part
            if batch[-1].offset + 1 >= after_last:
                return


def _grouped(
    said: Iterable[tuple[int, notifications.Notification]],
) -> dict[int, list[notifications.Notification]]:
    by_account: dict[int, list[notifications.Notification]] = {}
    for account, notification in said:
        by_account.setdefault(account, []).append(notification)
    return by_account
