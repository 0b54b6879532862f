"""The one writer of a shard's tape: each block once, whatever is killed or lost on the way."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Final, TypeVar

import structlog
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.domain.sequences import known_up_to
from services.marketdata import store
from services.marketdata.config import MarketdataConfig
from services.marketdata.state import Auction, Trade, auctions_of, trades_of
from services.runtime.clickhouse import ClickHouseUnavailable, open_clickhouse
from services.runtime.crash import crash_point
from services.runtime.events import BEGINNING, EventKey, Position, follow
from services.runtime.final import ShardNeedsMending
from services.runtime.log import Log, events_topic
from services.runtime.place import NOWHERE, Place, PlaceMoved, advance, find, hold, take_over
from services.runtime.postgres import AWAY, Pool, transaction

_AGAIN_S: Final = 0.3
_ANSWER_S: Final = 30.0
_START_S: Final = 60.0
_LOOK_S: Final = 5.0
"""How often it is asked whether a disk has been full."""

_CLICKHOUSE_LOST: Final = (ClickHouseError, ClickHouseUnavailable, OSError, TimeoutError)
_LOST: Final = (*_CLICKHOUSE_LOST, *AWAY, PlaceMoved)

AnswerT = TypeVar("AnswerT")
_log = structlog.get_logger("marketdata")


class TapeLost(ShardNeedsMending):
    """The tape is not the one that was written, and the log does not reach back to its start."""


class TapeTorn(Exception):
    """A full disk has cost the tape what it had acknowledged: the next start writes it anew."""


class TapeUnavailable(Exception):
    """ClickHouse does not answer at the moment."""


class Block:
    """A run of event parts, as far as the tape is concerned."""

    def __init__(self) -> None:
        self.position: Position | None = None
        self.sequence = 0
        self.clock_us = 0
        self.trades: list[Trade] = []
        self.auctions: dict[int, Auction] = {}
        """Those that changed, by instrument, as they stood last."""

    def note(self, auctions: Iterable[Auction]) -> None:
        """Take in the auctions of the part that was added."""
        self.auctions |= {auction.instrument: auction for auction in auctions}

    def add(
        self, position: Position, sequence: int, clock_us: int, trades: Iterable[Trade]
    ) -> None:
        """Take in the next part: where one stands after it, and what traded in it."""
        self.position, self.sequence, self.clock_us = position, sequence, clock_us
        self.trades += trades


class Tape:
    """Owns the tape of a shard: whoever wants to write goes through `write`.

    Each shard has a database of its own, so that it counts, checks and writes anew what is its own.
    """

    def __init__(self, pool: Pool, shard: int, config: MarketdataConfig) -> None:
        self._pool = pool
        self._config = config
        self.shard = shard
        self.topic = events_topic(shard)
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()
        # Nothing is inserted while the tables are loaded anew.
        self._tables = asyncio.Lock()
        self._was_full = False
        self._torn = ""
        self.turn = asyncio.Lock()
        """Whoever holds it sees no block come."""
        self.place = NOWHERE
        self.end = store.EMPTY

    @property
    def client(self) -> AsyncClient:
        """ClickHouse, as last found."""
        assert self._client is not None, "the tape is opened before it is read"
        return self._client

    async def take_over(self) -> None:
        """Become the writer, and know where the tape stands."""
        self.place = await take_over(self._pool, self.topic)
        self.end = await store.end(self._pool, self.topic)

    async def open(self, log: Log) -> None:
        """Finish the block that was on its way, and see that it is this tape.

        Raises TapeLost, ClickHouseUnavailable, and what reading the log raises.
        """
        await self._connect(None, _START_S)
        await store.make_tables(self.client)
        if self.place.position == BEGINNING and await log.start(self.topic) > 0:
            await self._begin_late(log)
        if self.end.pending_to is not None:
            await self.write(await self._pending(log, self.end.pending_to))
        found = await self._count()
        if found != self.end.trades:
            await self._start_over(log, found)

    async def _count(self) -> int:
        """How many trades can be read; where that is not what was written, after another look."""
        try:
            found = await store.count_whole(self.client)
        except ClickHouseError as error:
            _log.warning("tape cannot be read", reason=str(error).partition("\n")[0])
            found = -1
        if found == self.end.trades:
            return found
        await self._load_again()
        return await store.count_whole(self.client)

    async def _load_again(self) -> None:
        """Load the tables anew, and see whether they still have what was written."""
        async with self._tables:
            await store.load_again(self.client)
            found = await store.count_whole(self.client)
        if found < self.end.trades:
            self._torn = f"The tape has {found} trades where {self.end.trades} were written."

    async def look_after(self) -> None:
        """Load the tables anew once a disk that was full has room again, for ever.

        Who writes notices a full disk; a merge of a tape that nobody writes to meets it as well.
        Raises TapeTorn where a block that was acknowledged could not be read back.
        """
        known = before = 0
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._torn:
                raise TapeTorn(self._torn)
            try:
                times = await store.times_full(self.client)
                if (known != times or self._was_full) and times == before:
                    await self._load_again()
                    known, self._was_full = times, False
                before = times
            except _CLICKHOUSE_LOST as error:
                _log.warning("tape is not looked after", reason=str(error).partition("\n")[0])

    async def close(self) -> None:
        """Let go of ClickHouse."""
        if self._client is not None:
            await self._client.close()

    async def _connect(self, lost: AsyncClient | None, patience_s: float) -> None:
        """Look for it anew: the embedded one may come back at another address.

        Of several who have lost the same client, the first one does it for all.
        """
        async with self._connecting:
            if self._client is not lost:
                return
            where, database = self._config.clickhouse, self._config.database_of(self.shard)
            found = await open_clickhouse(where, database, patience_s=patience_s)
            self._client = found
            if lost is not None:
                await lost.close()

    async def _pending(self, log: Log, pending_to: int) -> Block:
        """The block that was announced, made again from the log."""
        block = Block()
        async with aclosing(follow(log, self.topic, self.place.position)) as batches:
            async for parts in batches:
                for part in parts:
                    record = part.record
                    sequence = max(self.place.sequence, block.sequence, known_up_to(record))
                    block.add(part.position, sequence, record.time_us, trades_of(record))
                    block.note(auctions_of(record))
                    if part.position.next_offset >= pending_to:
                        return block
        raise AssertionError("a reader of the log never ends")

    async def _begin_late(self, log: Log) -> None:
        """Begin with the first whole command record that the log still has: after a restore."""
        start = await log.start(self.topic)
        async with aclosing(follow(log, self.topic, Position(start, None))) as batches:
            async for parts in batches:
                whole = next((part for part in parts if part.record.part == 0), None)
                if whole is not None:
                    break
        assert whole is not None, "a reader of the log never ends"
        offset, record = whole.position.next_offset - 1, whole.record
        before = Position(offset, EventKey(record.command_offset - 1, 0))
        after = Place(before, record.first_sequence - 1, self.place.epoch)
        end = store.EMPTY._replace(begins_at=offset)
        _log.warning("tape begins where the log was cut", offset=offset)
        await self._move(after, end, ())
        self.place, self.end = after, end

    async def _start_over(self, log: Log, found: int) -> None:
        """Write the tape anew from the log's start. Raises TapeLost if that has been cut."""
        said = f"The tape has {found} trades where {self.end.trades} were written"
        if await log.start(self.topic) > 0:
            raise TapeLost(
                f"{said}, and {self.topic} has been cut, so it cannot be written anew. Restore"
                " ClickHouse and Postgres from one backup."
            )
        _log.warning("tape is written anew from the log", reason=said)
        beginning = NOWHERE._replace(epoch=self.place.epoch)
        await self._move(beginning, store.EMPTY, ())
        await store.drop_tables(self.client)
        await store.make_tables(self.client)
        self.place, self.end, self._torn = beginning, store.EMPTY, ""

    async def write(self, block: Block) -> None:
        """Put a block on the tape and move on. Tries until it is known to be there.

        Raises WriterReplaced.
        """
        assert block.position is not None, "an empty block is not written"
        async with self.turn:
            after = self.place.then(block.position, block.sequence)
            trades = self.end.trades + len(block.trades)
            end = store.End(block.clock_us, trades, None, self.end.begins_at)
            is_lost = False
            while True:
                try:
                    if not (is_lost and await self._is_at(after)):
                        await self._try_to_write(block, after, end)
                    break
                except _LOST as error:
                    _log.warning("tape waits", reason=str(error).partition("\n")[0])
                    is_lost = True
                    self._was_full = self._was_full or store.says_disk_full(error)
                    await asyncio.sleep(_AGAIN_S)
            self.place, self.end = after, end

    async def _try_to_write(self, block: Block, after: Place, end: store.End) -> None:
        if block.trades:
            to = after.position.next_offset
            await self._announce(to)
            crash_point("marketdata.before_block")
            token = f"{self.topic}:{self.place.position.next_offset}-{to}"
            await self._insert(block.trades, token)
            crash_point("marketdata.after_block")
        await self._move(after, end, block.auctions.values())

    async def _announce(self, pending_to: int) -> None:
        """Write down where the block ends that is on its way."""
        async with transaction(self._pool) as tx:
            await hold(tx, self.topic, self.place)
            await store.put_end(tx, self.topic, self.end._replace(pending_to=pending_to))

    async def _move(self, after: Place, end: store.End, auctions: Iterable[Auction]) -> None:
        """Move on, if place and epoch are still ours."""
        async with transaction(self._pool) as tx:
            await advance(tx, self.topic, self.place, after)
            await store.put_end(tx, self.topic, end)
            await store.put_auctions(tx, self.topic, auctions)

    async def auctions(self) -> list[Auction]:
        """Auctions as they stood where the tape stands."""
        return await store.auctions(self._pool, self.topic)

    async def _insert(self, trades: list[Trade], token: str) -> None:
        client = self.client
        try:
            async with asyncio.timeout(_ANSWER_S), self._tables:
                await store.insert(client, trades, token)
        except _CLICKHOUSE_LOST:
            await self._connect(client, _AGAIN_S)
            raise

    async def _is_at(self, after: Place) -> bool:
        """After a lost answer: did the place move? Raises WriterReplaced."""
        return await find(self._pool, self.topic, after.epoch) == after

    async def _mend(self, client: AsyncClient, error: BaseException) -> None:
        """Do what may let the next question succeed where this one has failed."""
        if store.says_torn(error):
            await self._load_again()
        else:
            await self._connect(client, _AGAIN_S)

    async def read(self, ask: Callable[[AsyncClient], Awaitable[AnswerT]]) -> AnswerT:
        """Ask ClickHouse, a second time if it has moved, or has loaded what it could not read anew.

        Raises TapeUnavailable.
        """
        client = self.client
        try:
            return await _ask(client, ask)
        except _CLICKHOUSE_LOST as first:
            try:
                await self._mend(client, first)
                return await _ask(self.client, ask)
            except _CLICKHOUSE_LOST as error:
                raise TapeUnavailable(str(error).partition("\n")[0]) from error


async def _ask(client: AsyncClient, ask: Callable[[AsyncClient], Awaitable[AnswerT]]) -> AnswerT:
    async with asyncio.timeout(_ANSWER_S):
        return await ask(client)
