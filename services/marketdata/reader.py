"""Follows the event log into memory, from there to the watchers, and in blocks to the tape."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Final

import grpc
import structlog

from bourse.marketdata import v1 as marketdata
from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.marketdata import store
from services.marketdata.config import MarketdataConfig
from services.marketdata.state import KEPT_CANDLES, KEPT_TRADES, Markets, auctions_of
from services.marketdata.tape import Block, Tape
from services.runtime.events import BEGINNING, EventPart, follow
from services.runtime.holds import Held
from services.runtime.log import Log
from services.runtime.readers import Progress, Reached

_AGAIN_S: Final = 0.2
_ANSWER_S: Final = 10.0
_FOREVER: Final = (0, 2**63 - 1)

_log = structlog.get_logger("marketdata")


class CoreBehind(Exception):
    """The core that answered has not come to where the tape is: it knows less than we do."""


class Watcher:
    """What waits to go out on one stream. Never more than `limit`: then it is ended instead."""

    def __init__(self, limit: int, after_sequence: int) -> None:
        self.after_sequence = after_sequence
        """What it was told on a stream before this one; 0 for nothing."""
        self._queue: asyncio.Queue[marketdata.WatchResponse | None] = asyncio.Queue()
        self._limit = limit
        self._overrun = False

    def put(self, said: marketdata.WatchResponse) -> None:
        """Wait in line. Once the line is too long nothing more is taken: the stream ends."""
        if self._overrun:
            return
        if self._queue.qsize() >= self._limit:
            self.end()
        else:
            self._queue.put_nowait(said)

    def end(self) -> None:
        """Nothing more is taken: the stream ends."""
        self._overrun = True
        self._queue.put_nowait(None)

    async def get(self) -> marketdata.WatchResponse | None:
        """The next to go out; None when the stream must end."""
        return await self._queue.get()


class MarketdataReader:
    """Follows one shard. `run`, `keep` and `tell` run side by side, for ever."""

    def __init__(
        self,
        log: Log,
        tape: Tape,
        core: rpc.MatchingServiceStub,
        config: MarketdataConfig,
    ) -> None:
        self._log = log
        self._core = core
        self._config = config
        self._block = Block()
        self._begun = asyncio.Event()
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self._news = asyncio.Event()
        self._ready = asyncio.Event()
        self._watchers: set[Watcher] = set()
        self._new_watchers: list[Watcher] = []
        self._position = BEGINNING
        self.tape = tape
        self.topic = tape.topic
        self._progress = Progress(tape.topic)
        self.markets = Markets()

    async def open(self) -> None:
        """Finish what a crash left of the tape, and read back what memory holds of it.

        Raises TapeLost, ClickHouseUnavailable, and what reading the log raises.
        """
        await self.tape.take_over()
        if self.stopped:
            return
        await self.tape.open(self._log)
        place, client = self.tape.place, self.tape.client
        self._position = place.position
        self.markets.begin(place.sequence, self.tape.end.clock_us, place.position.last_part)
        self.markets.remember_auctions(await self.tape.auctions())
        for instrument in await store.instruments(client):
            market = self.markets.market(instrument)
            newest = await store.trades_below(client, instrument, 2**63 - 1, KEPT_TRADES)
            self.markets.remember_trades(instrument, newest)
            for interval, kept in KEPT_CANDLES.items():
                market.load(
                    interval,
                    await store.last_candles(client, instrument, interval, _FOREVER, kept),
                )

    @property
    def stopped(self) -> str:
        """Why nothing more of the shard is taken in; empty while it is."""
        return self._progress.stopped

    async def stop(self, why: str) -> None:
        """Take in nothing more; whoever watches is told no more."""
        await self._progress.stop(why)
        for watcher in (*self._watchers, *self._new_watchers):
            watcher.end()

    async def run(self) -> None:
        """Begin with the core's books and follow. Matching out of reach is waited for.

        Raises EventsError, and what Log.read raises.
        """
        end = await self._log.end(self.topic)
        known = await self._begin_with_books()
        self._look_if_ready(end, known)
        parts = follow(self._log, self.topic, self._position, pause_s=self._config.pause_s)
        async with aclosing(parts) as batches:
            async for batch in batches:
                for part in batch:
                    self._take(part)
                self._look_if_ready(end, known)
                self._news.set()
                await self._progress.tell()
                await self._have_room()

    def _take(self, part: EventPart) -> None:
        trades = self.markets.apply(part.record)
        self._position = part.position
        self._block.add(part.position, self.markets.sequence, self.markets.clock_us, trades)
        self._block.note(auctions_of(part.record))
        self._begun.set()

    def _look_if_ready(self, end: int, known: int) -> None:
        """Watchers are told from where the log and the books stood when we began."""
        if self._ready.is_set():
            return
        self.markets.forget_untold()
        if self._position.next_offset >= end and self.markets.sequence >= known:
            self._ready.set()

    async def _begin_with_books(self) -> int:
        """Take the core's books; returns the last sequence that is in any of them."""
        while True:
            try:
                return await self._ask_for_books()
            except (grpc.aio.AioRpcError, CoreBehind) as error:
                why = error.code().name if isinstance(error, grpc.aio.AioRpcError) else str(error)
                _log.warning("waiting for matching", reason=why)
                await asyncio.sleep(_AGAIN_S)

    async def _ask_for_books(self) -> int:
        known = 0
        call = self._core.WatchMarkets(matching.WatchMarketsRequest(), timeout=_ANSWER_S)
        try:
            said = await call.read()
        finally:
            call.cancel()
        if not isinstance(said, matching.WatchMarketsResponse):
            raise CoreBehind("matching says nothing of its markets")
        if said.sequence < self.markets.sequence:
            raise CoreBehind(f"matching stands at sequence {said.sequence}")
        for instrument in said.instruments:
            self.markets.put_phase(instrument)
            depth = await self._book_of(instrument.instrument)
            self.markets.put_book(depth, instrument.instrument)
            known = max(known, depth.sequence)
        return known

    async def _book_of(self, instrument: int) -> matching.GetDepthResponse:
        request = matching.GetDepthRequest(instrument=instrument)
        depth = await self._core.GetDepth(request, timeout=_ANSWER_S)
        key = self._position.last_key
        if key is not None and depth.command_offset < key.command_offset:
            raise CoreBehind(f"matching stands at command record {depth.command_offset}")
        return depth

    # --- To the tape --------------------------------------------------------------------

    async def keep(self) -> None:
        """Put what came on the tape, a block at a time. Raises WriterReplaced."""
        while True:
            await self._begun.wait()
            await self._block_is_due()
            block, self._block = self._block, Block()
            for event in (self._begun, self._full):
                event.clear()
            self._room.set()
            await self.tape.write(block)
            if block.trades:
                self.markets.stored(block.trades[-1].trade_id)
            await self._progress.tell()

    async def _block_is_due(self) -> None:
        try:
            async with asyncio.timeout(self._config.block_s):
                await self._full.wait()
        except TimeoutError:
            return

    async def _have_room(self) -> None:
        """Read no further while more waits for the tape than memory should hold."""
        limit = self._config.block_trades
        if len(self._block.trades) >= limit:
            self._full.set()
        while len(self._block.trades) >= 10 * limit:
            self._room.clear()
            await self._room.wait()

    def reached(self) -> Reached:
        """Up to where everything is on the tape."""
        place = self.tape.place
        return Reached(place.sequence, place.position.next_offset)

    async def held(self) -> Held:
        """What is still needed of the log: from there on it is not on the tape."""
        return self.tape.place.held()

    # --- To the watchers ----------------------------------------------------------------

    async def tell(self) -> None:
        """Tell watchers what changed, at a steady pace; tickers and candles at half of it."""
        await self._ready.wait()
        with_latest = False
        while True:
            await self._news.wait()
            self._news.clear()
            with_latest = not with_latest
            self._tell(with_latest)
            await asyncio.sleep(self._config.tick_s)
            if self.markets.waits() or self._new_watchers:
                self._news.set()

    def _tell(self, with_latest: bool) -> None:
        if not self.markets.can_tell():
            return
        said = self.markets.tick(with_latest)
        if said is not None:
            for watcher in self._watchers:
                watcher.put(said)
        if self._new_watchers:
            for watcher in self._new_watchers:
                watcher.put(self.markets.snapshot(watcher.after_sequence))
            self._watchers.update(self._new_watchers)
            self._new_watchers.clear()

    async def watch(self, after_sequence: int) -> AsyncIterator[marketdata.WatchResponse]:
        """Everything, from the next tick on. Ends when whoever listens is too slow, and when
        nothing more is taken in.

        `after_sequence` is the last one of a stream before: the trades that came after it and were
        missed are in the beginning.
        """
        with self._watching(after_sequence) as watcher:
            while (said := await watcher.get()) is not None:
                yield said

    @contextmanager
    def _watching(self, after_sequence: int) -> Iterator[Watcher]:
        watcher = Watcher(self._config.backlog, after_sequence)
        self._new_watchers.append(watcher)
        self._news.set()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if watcher in self._new_watchers:
                self._new_watchers.remove(watcher)

    # --- Waiting ------------------------------------------------------------------------

    async def passed(self, sequence: int, patience_s: float) -> bool:
        """Wait until everything up to `sequence` is known; False if that takes too long, or would
        for ever."""
        return await self._progress.until(lambda: self.markets.sequence >= sequence, patience_s)

    async def stored(self, sequence: int, patience_s: float) -> bool:
        """Wait until everything up to `sequence` is on the tape; False if that takes too long, or
        would for ever."""
        return await self._progress.until(lambda: self.tape.place.sequence >= sequence, patience_s)
