"""The one writer of the books: it follows every shard, and takes in money on its way.

Whatever is written goes through `Bookkeeper.draft`: one at a time, place and epoch compared in the
same transaction. After anything but a plain success the books are read again from the tables.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from services.domain.clock import Clock
from services.domain.sequences import known_up_to
from services.ledger import moves, store
from services.ledger.state import (
    NO_SHARD,
    OUTSIDE,
    OUTSIDE_SOURCE,
    TREASURY,
    UNDER_WAY,
    Books,
    Broken,
    Draft,
    Leg,
    Move,
    funding,
    halted_after,
    outside_leg,
)
from services.runtime.crash import crash_point
from services.runtime.events import EventPart, follow
from services.runtime.holds import Held
from services.runtime.log import Log, events_topic
from services.runtime.place import NOWHERE, PlaceMoved, advance, find, hold, take_over
from services.runtime.postgres import AWAY, Connection, Pool, transaction
from services.runtime.readers import Reached

_AGAIN_S: Final = 0.5
MOST_MINOR: Final = 2**62
"""There is no more of an asset, in all."""

LOOK_HOME_S: Final = 1.0
"""How often is looked for money that no shard takes, and whose pause is over."""

_log = structlog.get_logger()


class TreasuryShort(Exception):
    """The treasury has less than the transfer needs. `posted_minor` is what it has."""

    def __init__(self, posted_minor: int) -> None:
        super().__init__(f"the treasury has {posted_minor} minor units")
        self.posted_minor = posted_minor


class AssetFull(Exception):
    """There would be more of an asset than `MOST_MINOR`."""


class RequestReused(Exception):
    """The request id was used for something else."""


class PostingStopped(Exception):
    """Nothing more of a shard is posted: money that left it, or came to it, would be on its way
    until somebody has mended that."""


class ShardHalted(Exception):
    """A shard is halted: money would stay where it is, or between the shards, until operators have
    let it go on."""


class TooManyMoves(Exception):
    """As many moves are under way as may be."""


_REFUSED: Final = (
    *(TreasuryShort, AssetFull, RequestReused, PostingStopped, ShardHalted, TooManyMoves),
    Broken,
)
"""Said before anything is written: the books are what they were."""

_NO_LIMITS_SAID: Final = moves.Limits()


class Bookkeeper:
    """Owns the books: whoever wants to post goes through `draft`."""

    def __init__(self, pool: Pool, shards: int = 1, limits: moves.Limits = _NO_LIMITS_SAID) -> None:
        self._pool = pool
        self._limits = limits
        self._topics = [events_topic(shard) for shard in range(shards)]
        self._turn = asyncio.Lock()
        self._books = Books()
        self._stale = True
        # A transfer by source, shard and number, a move by its id.
        self._waiting: dict[tuple[int, int, int] | bytes, asyncio.Future[None]] = {}
        self._moved = asyncio.Condition()
        self._under_way = moves.Counts()
        self.places = [NOWHERE for _ in self._topics]
        """How far each shard is posted."""
        self.stopped = ["" for _ in self._topics]
        """Why nothing more of a shard is posted; empty while it is."""
        self.halted: set[int] = set()
        """The shards that are halted, by what is posted of them."""
        self.numbered = [asyncio.Event() for _ in self._topics]
        """Set when there is something new to be sent to a shard."""

    async def open(self) -> None:
        """Become the writer, and read the books."""
        async with transaction(self._pool) as tx:
            # One transaction: whoever wrote before writes nothing more, to whichever shard.
            self.places = [await take_over(tx, topic) for topic in self._topics]
            await self._load(tx)
        self._stale = False

    async def _load(self, tx: Connection) -> None:
        self._books = await store.load_books(tx)
        self._under_way = await moves.count_under_way(tx)
        self.halted = await store.halted(tx)

    @property
    def books(self) -> Books:
        """The books as last committed. Only for reading."""
        return self._books

    @asynccontextmanager
    async def draft(self, shard: int = 0) -> AsyncIterator[tuple[Draft, Connection]]:
        """A transaction on the books; what is put into the draft is written at its end.

        It holds the place of a shard: the one it posts, or else the first.
        """
        async with self._turn:
            if self._stale:
                await self._reload()
            draft = Draft(self.books)
            try:
                async with transaction(self._pool) as tx:
                    await hold(tx, self._topics[shard], self.places[shard])
                    yield draft, tx
                    await store.write(tx, draft)
                    crash_point("ledger.in_transaction")
                crash_point("ledger.after_commit")
            except _REFUSED:
                raise
            except BaseException:
                self._stale = True
                raise
            draft.commit()

    async def _reload(self) -> None:
        async with transaction(self._pool) as tx:
            for shard, topic in enumerate(self._topics):
                self.places[shard] = await find(tx, topic, self.places[shard].epoch)
                # Held, so that a commit whose answer was lost is over before the books are read.
                await hold(tx, topic, self.places[shard])
            await self._load(tx)
            over = await self._over(tx)
        self._stale = False
        for what in over:
            self._answer(what)

    async def _over(self, tx: Connection) -> list[tuple[int, int, int] | bytes]:
        """Of what somebody waits for, what a commit has ended whose answer was lost."""
        transfers = [what for what in self._waiting if not isinstance(what, bytes)]
        of_moves = [what for what in self._waiting if isinstance(what, bytes)]
        return [*await store.answered(tx, transfers), *await moves.ended(tx, of_moves)]

    async def post(self, shard: int, parts: Sequence[EventPart]) -> None:
        """Post event parts of a shard and move its place, all or nothing. Raises Broken."""
        last = parts[-1]
        async with self.draft(shard) as (draft, tx):
            at = self.places[shard]
            # A lost commit may have happened after all: then the parts are behind us already.
            fresh = [part for part in parts if part.position.next_offset > at.position.next_offset]
            after = at.then(last.position, known_up_to(last.record)) if fresh else at
            settled = [one for part in fresh for one in draft.follow(part.record)]
            went_on, numbered = await moves.go_on(tx, shard, settled, last.record.time_us)
            await store.settle(tx, settled)
            is_halted = shard in self.halted
            for part in fresh:
                is_halted = halted_after(part.record, is_halted)
            if is_halted != (shard in self.halted):
                await store.write_halt(tx, shard, is_halted)
            if fresh:
                await advance(tx, self._topics[shard], at, after)
        self.places[shard] = after
        self.halted = self.halted | {shard} if is_halted else self.halted - {shard}
        self._tell(numbered)
        for one in settled:
            self._answer(one[:3])
        for move in went_on:
            if move.state not in UNDER_WAY:
                self._under_way.ended(move)
                self._answer(move.request_id)
        async with self._moved:
            self._moved.notify_all()

    async def stop(self, shard: int, why: str) -> None:
        """Post nothing more of a shard."""
        self.stopped[shard] = why
        _log.error("posting stopped", shard=shard, reason=why)
        async with self._moved:
            self._moved.notify_all()

    def is_posted(self, shard: int) -> bool:
        """Whether what a shard says still comes into the books."""
        return not self.stopped[shard]

    async def passed(self, sequence: int, shard: int = 0) -> bool:
        """Wait until everything of a shard up to `sequence` is posted; False if it never will."""
        async with self._moved:
            await self._moved.wait_for(
                lambda: self.places[shard].sequence >= sequence or self.stopped[shard]
            )
        return self.places[shard].sequence >= sequence

    def _tell(self, numbered: Sequence[store.Sending]) -> None:
        for one in numbered:
            self.numbered[one.shard].set()

    def _end_of(self, what: tuple[int, int, int] | bytes) -> asyncio.Future[None]:
        return self._waiting.setdefault(what, asyncio.Future())

    def _answer(self, what: tuple[int, int, int] | bytes) -> None:
        waiting = self._waiting.pop(what, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def fund(self, request_id: bytes, now_us: int, asset: int, amount_minor: int) -> int:
        """Money from outside into the treasury, once for a request id. Returns what it then has.

        Raises AssetFull.
        """
        async with self.draft() as (draft, tx):
            entry = funding(request_id, now_us, asset, amount_minor)
            if not await store.is_posted(tx, entry.event_key):
                if amount_minor - self.books.posted(OUTSIDE, asset) > MOST_MINOR:
                    raise AssetFull("above 2^62 in all")
                draft.add(entry)
        return self.books.posted(TREASURY, asset)

    async def start_transfer(
        self, request_id: bytes, now_us: int, leg: Leg
    ) -> tuple[store.Sending, asyncio.Future[None] | None]:
        """Number a transfer and post its outside leg. The future ends when the core has answered.

        One that is known goes on as it is. Raises RequestReused; of a new one PostingStopped,
        TreasuryShort.
        """
        async with self.draft() as (draft, tx):
            known = await store.transfer(tx, request_id)
            if known is None:
                self._need_posted(leg.shard)
                if leg.amount_minor > 0:
                    self._need_treasury(leg)
                    draft.add(outside_leg(request_id, now_us, leg.asset, leg.amount_minor))
                asking = store.Asking(OUTSIDE_SOURCE, request_id, leg)
                (known,) = await store.enqueue(tx, [asking], now_us)
        if known.leg != leg:
            raise RequestReused("this request id was used for another transfer")
        self._tell([known])
        return known, self._end_of(known[:3]) if known.state == 1 else None

    def _need_posted(self, shard: int) -> None:
        if why := self.stopped[shard]:
            raise PostingStopped(f"nothing of shard {shard} is posted: {why}")

    def _need_treasury(self, leg: Leg) -> None:
        posted = self.books.posted(TREASURY, leg.asset, NO_SHARD)
        if posted < leg.amount_minor:
            raise TreasuryShort(posted)

    async def start_move(
        self, move: Move, valid_until_us: int, now_us: int
    ) -> asyncio.Future[None] | None:
        """Write a new move down and number its debit. The future ends when the move does.

        One that is known goes on as it is, and has no future if it has ended. Raises RequestReused;
        of a new one PostingStopped, ShardHalted, TooManyMoves.
        """
        async with self.draft() as (_, tx):
            known = await moves.find(tx, move.request_id)
            if known is None:
                self._need_a_way(move)
                await moves.begin(tx, move, valid_until_us, now_us)
        if known is None:
            self._under_way.begun(move)
            self.numbered[move.from_shard].set()
        elif known[:6] != move[:6]:
            raise RequestReused("this request id was used for another move")
        elif known.state not in UNDER_WAY:
            return None
        return self._end_of(move.request_id)

    def _need_a_way(self, move: Move) -> None:
        """See that a move would come to its end soon, as far as that is known."""
        for shard in (move.from_shard, move.to_shard):
            self._need_posted(shard)
            if shard in self.halted:
                raise ShardHalted(f"shard {shard} is halted")
        if why := self._under_way.too_many(move, self._limits):
            raise TooManyMoves(why)

    @property
    def moves_under_way(self) -> int:
        """Moves between shards that have not ended."""
        return self._under_way.all()

    async def offer_again(self, now_us: int) -> None:
        """Number anew what is on its way back, was refused there too, and has waited."""
        async with self._pool.acquire() as connection:
            if not await moves.turned_away(connection, now_us):
                return
        async with self.draft() as (_, tx):
            numbered = await moves.ask_next(tx, await moves.turned_away(tx, now_us), now_us)
        self._tell(numbered)


class LedgerReader:
    """Follows the event log of a shard into the books."""

    def __init__(self, log: Log, shard: int, keeper: Bookkeeper, pause_s: float) -> None:
        self.topic = events_topic(shard)
        self._log = log
        self._shard = shard
        self._keeper = keeper
        self._pause_s = pause_s

    @property
    def stopped(self) -> str:
        """Why nothing more of the shard is posted; empty while it is."""
        return self._keeper.stopped[self._shard]

    async def stop(self, why: str) -> None:
        """Post nothing more of the shard."""
        await self._keeper.stop(self._shard, why)

    def reached(self) -> Reached:
        """Up to where the shard is posted."""
        place = self._keeper.places[self._shard]
        return Reached(place.sequence, place.position.next_offset)

    async def held(self) -> Held:
        """What is still needed of the log."""
        return self._keeper.places[self._shard].held()

    async def run(self) -> None:
        """Follow for ever. What core and ledger disagree on stops the posting of this shard only,
        not the process."""
        position = self._keeper.places[self._shard].position
        try:
            async for parts in follow(self._log, self.topic, position, pause_s=self._pause_s):
                await self._post(parts)
        except Broken as broken:
            await self._keeper.stop(self._shard, str(broken))
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
                return await self._keeper.post(self._shard, parts)
            except (*AWAY, PlaceMoved) as error:
                _log.warning("posting waits", shard=self._shard, reason=str(error))
                await asyncio.sleep(_AGAIN_S)


async def bring_home(keeper: Bookkeeper, clock: Clock) -> None:
    """Offer money that no shard takes to the one it came from, now and again, for ever."""
    while True:
        await asyncio.sleep(LOOK_HOME_S)
        try:
            await keeper.offer_again(clock.now_us())
        except (*AWAY, PlaceMoved) as error:
            _log.warning("what returns waits", reason=str(error))
