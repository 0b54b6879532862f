"""A replica as its wiring makes it, without a process around it; and the words to talk to it."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.matching.reader import Replica
from services.matching.recovery import recover
from services.matching.state import SnapshotPace
from services.matching.store import SnapshotStore
from services.runtime.clock import SystemClock
from services.runtime.events import BEGINNING, EventKey, follow
from services.runtime.intake import Limits
from services.runtime.log import Log, commands_topic, events_topic
from services.runtime.publisher import Publisher
from services.runtime.sequencer import Sequencer
from services.runtime.storage import FolderStorage

COMMANDS, EVENTS = commands_topic(0), events_topic(0)
NEVER = SnapshotPace(records=1_000_000_000, commands=1_000_000_000)
TIME_LIMIT_S = 60.0
USD, BTC = 1, 2
ALICE, BOB = 1000, 1001

_request_ids = itertools.count(1)


@dataclass
class Running:
    """A replica. `recovered_offset` is that of the snapshot it began with, if there was one."""

    log: Log
    replica: Replica
    publisher: Publisher
    sequencer: Sequencer
    recovered_offset: int | None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def ask(self, *batches: bytes) -> list[matching.SubmitResponse]:
        """Send batches on one stream and give all answers."""
        async with aclosing(self.sequencer.submit(_sent(batches))) as answers:
            return [matching.SubmitResponse.FromString(answer) async for answer in answers]

    async def one(self, batch: bytes) -> matching.SubmitResponse:
        """Send one batch."""
        (answer,) = await self.ask(batch)
        return answer

    async def open_session(self) -> int:
        answer = await self.one(batch(0, 0, command(open_session=matching.OpenSession())))
        return answer.outcomes[0].created_id

    async def applied_up_to(self, next_offset: int) -> None:
        while self.replica.facts.next_offset < next_offset:
            await self.replica.change()

    async def failure(self) -> BaseException:
        """What the first of its tasks to fail raised."""
        done, _ = await asyncio.wait(self.tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task.exception() for task in done]
        assert failed[0] is not None
        return failed[0]


@asynccontextmanager
async def running(
    log: Log,
    data: Path,
    *,
    leading: bool = True,
    pace: SnapshotPace = NEVER,
    limits: Limits | None = None,
    retained_bytes: int = 64 * 1024 * 1024,
    store: SnapshotStore | None = None,
) -> AsyncIterator[Running]:
    """A replica of shard 0, at the log's end. Leaving is a crash: nothing is finished."""
    replica = await start(
        log,
        store or snapshots_in(data),
        leading=leading,
        pace=pace,
        limits=limits,
        retained_bytes=retained_bytes,
    )
    try:
        await replica.replica.stand()
        yield replica
    finally:
        for task in replica.tasks:
            task.cancel()
        await asyncio.gather(*replica.tasks, return_exceptions=True)


async def start(
    log: Log,
    store: SnapshotStore,
    *,
    leading: bool,
    pace: SnapshotPace,
    limits: Limits | None,
    retained_bytes: int,
) -> Running:
    for topic in (COMMANDS, EVENTS):
        await log.create(topic)
    found = await recover(log, 0, store)
    publisher = Publisher(log, EVENTS, SystemClock(), retained_bytes=retained_bytes)
    publisher.start_after(found.last_key, found.event_offset)
    replica = Replica(found.core, log, publisher, store, pace)
    sequencer = Sequencer(log, COMMANDS, 0, replica, SystemClock(), limits)
    offset = found.snapshot.offset if found.snapshot else None
    made = Running(log, replica, publisher, sequencer, offset)
    publisher.lead(leading)
    parts = (sequencer.run(), replica.follow(), replica.snapshots(), publisher.run())
    made.tasks = [asyncio.create_task(part) for part in parts]
    return made


def snapshots_in(data: Path) -> SnapshotStore:
    """The snapshots of shard 0 in a data folder."""
    return SnapshotStore(FolderStorage(data / "snapshots" / "0"), 0, 3)


def tell(story: Coroutine[Any, Any, None]) -> None:
    """Run a story to its end, in bounded time."""

    async def told() -> None:
        await asyncio.wait_for(story, TIME_LIMIT_S)

    asyncio.run(told())


async def published_keys(log: Log) -> list[EventKey]:
    """The keys of all parts in the event log as a consumer sees them: each once, without gaps."""
    written = [EventKey(record.command_offset, record.part) for record in await events(log)]
    keys: list[EventKey] = []
    if not written:
        return keys
    async with aclosing(follow(log, EVENTS, BEGINNING)) as batches:
        async for parts in batches:
            keys += [part.key for part in parts]
            if keys[-1] >= max(written):
                break
    return keys


async def events(log: Log) -> list[matching.EventRecord]:
    """All event records, repeats and all."""
    records = [await log.one(EVENTS, offset) for offset in range(await log.end(EVENTS))]
    return [matching.EventRecord.FromString(record.body) for record in records if record]


async def _sent(batches: tuple[bytes, ...]) -> AsyncGenerator[bytes, None]:
    for each in batches:
        yield each


# --- batches ----------------------------------------------------------------------------------


def batch(session: int, number: int, *commands: matching.Command, source: int = 0) -> bytes:
    return matching.SubmitRequest(
        session=session, number=number, source=source, commands=commands
    ).SerializeToString()


def command(account: int = 0, valid_until_us: int = 0, **kind: Any) -> matching.Command:
    return matching.Command(
        request_id=next(_request_ids).to_bytes(16, "big"),
        account=account,
        valid_until_us=valid_until_us,
        **kind,
    )


def tick() -> bytes:
    return batch(0, 0, command(tick=matching.Tick()))


def place(
    account: int,
    side: types.Side,
    lots: int,
    price_ticks: int,
    *,
    name: str = "",
    instrument: int = 1024,
    valid_until_us: int = 0,
) -> matching.Command:
    order = matching.PlaceOrder(
        instrument=instrument,
        side=side,
        type=types.ORDER_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_GTC,
        price_ticks=price_ticks,
        quantity_lots=lots,
        client_order_id=name,
    )
    return command(account, valid_until_us, place_order=order)


def buy(account: int, lots: int, price_ticks: int, **more: Any) -> matching.Command:
    return place(account, types.SIDE_BUY, lots, price_ticks, **more)


def sell(account: int, lots: int, price_ticks: int, **more: Any) -> matching.Command:
    return place(account, types.SIDE_SELL, lots, price_ticks, **more)


def amend(account: int, name: str, price_ticks: int) -> matching.Command:
    return command(
        account,
        amend_order=matching.AmendOrder(client_order_id=name, price_ticks=price_ticks),
    )


def cancel_all(account: int) -> matching.Command:
    return command(account, cancel_all=matching.CancelAll())


def credit(account: int, asset: int, amount_minor: int) -> matching.Command:
    return command(account, credit=matching.Credit(asset=asset, amount_minor=amount_minor))


async def open_market(replica: Running) -> int:
    """Two assets, one instrument (1024), two funded accounts. Gives the session it was done in.

    Batch 1 of the session and numbers 1 to 4 of source 1 are used up.
    """
    session = await replica.open_session()
    made = await replica.one(batch(session, 1, *market()))
    assert [outcome.refusal for outcome in made.outcomes] == [0, 0, 0]
    funds = [credit(account, asset, 10**12) for account in (ALICE, BOB) for asset in (USD, BTC)]
    funded = await replica.one(batch(0, 1, *funds, source=1))
    assert [outcome.refusal for outcome in funded.outcomes] == [0, 0, 0, 0]
    return session


def market() -> list[matching.Command]:
    """What makes two assets and one instrument known."""
    fees = [types.FeeRate(tier=0, maker_fee_ppm=1000, taker_fee_ppm=2000)]
    instrument = types.Instrument(
        symbol="BTC-USD",
        base_asset=BTC,
        quote_asset=USD,
        lot_minor=1_000_000,
        tick_units=1,
        tick_scale=2,
        phase=types.PHASE_CONTINUOUS,
        min_quantity_lots=1,
        max_quantity_lots=1_000_000,
        min_notional_minor=1,
        max_notional_minor=1 << 60,
        market_protection_ppm=100_000,
        fees=fees,
    )
    usd = types.Asset(asset=USD, code="USD", decimals=8)
    btc = types.Asset(asset=BTC, code="BTC", decimals=8)
    return [
        command(add_asset=matching.AddAsset(asset=usd)),
        command(add_asset=matching.AddAsset(asset=btc)),
        command(add_instrument=matching.AddInstrument(instrument=instrument)),
    ]
