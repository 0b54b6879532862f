"""The leader of a shard is killed, again and again: how long nobody is answered, and nothing told.

Two replicas, and a client as the gateway is one: its order entry, beside a reader of the event log
as every room is one. Before each kill order entry uses the leader, so that both are hit by it. The
failover of order entry is the longest time between two answers around a kill, that of the events
the longest time between two event records that were read. In the end all that the client was told
is looked for in the event log: what is not there is lost, what became two orders is repeated.
"""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import uvloop

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.gateway.entry import OrderEntry
from services.gateway.state import Answered, Undecided
from services.runtime.clock import SystemClock
from services.runtime.config import Settings, load
from services.runtime.events import BEGINNING, follow
from services.runtime.log import Log, events_topic, open_log
from tools.benches.market import INSTRUMENT, Trader, opening_records
from tools.benches.pair import Pair
from tools.benches.shape import Asked, Figures, aim, quantile_ms
from tools.benches.shard import folder_beside_the_data, opening_batches, postgres, send

KILLS: Final = 50
CLIENTS: Final = 16
PAUSE_S: Final = 0.02
"""Between an answer and the client's next order: about 500 orders/s from all of them."""

SETTLE_S: Final = 0.3
"""So long the market runs on between a recovery and the next kill."""

VALID_US: Final = 5_000_000
ENTRY_AIM_MS: Final = 1000
EVENTS_AIM_MS: Final = 2000


class Kill(NamedTuple):
    """What one kill cost. Seconds."""

    entry_s: float
    events_s: float


class Client:
    """Places orders that end at once, and writes down when it was told what became of them."""

    def __init__(self, pair: Pair) -> None:
        self._entry = OrderEntry(pair.choice, SystemClock(), 2_000)
        self._stop = asyncio.Event()
        self.accepted: dict[str, int] = {}
        """Order ids by the names that were given to them."""
        self.undecided: dict[Undecided, int] = defaultdict(int)
        self.answered_at: list[float] = []
        self._names = 0

    async def run(self) -> None:
        """Place orders until told to stop."""
        running = asyncio.create_task(self._entry.run())
        await asyncio.gather(*(self._one_after_the_other() for _ in range(CLIENTS)))
        await self._entry.stop()
        running.cancel()
        await asyncio.wait([running])

    def stop(self) -> None:
        """Place no more."""
        self._stop.set()

    async def _one_after_the_other(self) -> None:
        while not self._stop.is_set():
            self._names += 1
            name = f"order-{self._names}"
            answer = await self._entry.ask(_order(name))
            self.answered_at.append(time.perf_counter())
            if isinstance(answer, Answered):
                assert not answer.outcome.refusal, "these orders are not refused"
                self.accepted[name] = answer.outcome.order.order_id
            else:
                self.undecided[answer] += 1
            await asyncio.sleep(PAUSE_S)


class Listener:
    """Reads the event log as rooms do: each part once, in order; a gap ends it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.read_at: list[float] = []
        self.orders: defaultdict[str, set[int]] = defaultdict(set)
        """Order ids by name, of all orders that events speak of."""

    async def run(self) -> None:
        """Read without end. Raises GapInEvents."""
        async with aclosing(follow(self._log, events_topic(0), BEGINNING)) as told:
            async for parts in told:
                for part in parts:
                    for event in part.record.orders:
                        self.orders[event.order.client_order_id].add(event.order.order_id)
                self.read_at.append(time.perf_counter())


def measure(asked: Asked) -> Figures:
    """Milliseconds of both failovers, and what was lost or repeated."""
    kills = asked.runs or asked.size(KILLS, 2)
    with folder_beside_the_data() as data, postgres(data):
        return uvloop.run(_with_a_pair(data, kills))


async def _with_a_pair(data: Path, kills: int) -> Figures:
    pair = Pair(data)
    try:
        return await _measure(pair, load(Settings, ["--data", str(data)]), kills)
    finally:
        pair.stop()
        await pair.choice.close()


async def _measure(pair: Pair, config: Settings, kills: int) -> Figures:
    for number in range(2):
        pair.start(number)
        await pair.serving(number)
    await send(pair.submit(0), opening_batches(opening_records(Trader())[:3]))
    log = await open_log(config.log)
    client, listener = Client(pair), Listener(log)
    listening = asyncio.create_task(listener.run())
    placing = asyncio.create_task(client.run())
    done: list[Kill] = []
    while len(done) < kills:
        used, killed = await pair.choice.pick(), await pair.leader()
        await asyncio.sleep(SETTLE_S)
        cost = await _kill(pair, killed, client, listener)
        # At the very first order entry may use the one that does not lead.
        if used is pair.choice.replicas[killed]:
            done.append(cost)
        pair.start(killed)
        await pair.serving(killed)
    client.stop()
    await placing
    await _until_read(client, listener)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await log.close()
    return _figures(done, client, listener)


async def _kill(pair: Pair, leader: int, client: Client, listener: Listener) -> Kill:
    """Kill a leader; wait until orders that came later are answered and told."""
    answers, records = len(client.answered_at) - 1, len(listener.read_at) - 1
    pair.kill(leader)
    killed_at = time.perf_counter()
    accepted = len(client.accepted)
    # Both lists are filled by others.
    while len(client.accepted) < accepted + 2 * CLIENTS:  # noqa: ASYNC110
        await asyncio.sleep(PAUSE_S)
    await _until_read(client, listener)
    assert client.answered_at[-1] > killed_at
    return Kill(_longest_s(client.answered_at[answers:]), _longest_s(listener.read_at[records:]))


async def _until_read(client: Client, listener: Listener) -> None:
    """Wait until the newest order that was accepted by now stands in the events."""
    newest = next(reversed(client.accepted))
    while newest not in listener.orders:  # noqa: ASYNC110
        await asyncio.sleep(PAUSE_S)


def _longest_s(moments: Sequence[float]) -> float:
    return max(later - earlier for earlier, later in pairwise(moments))


def _figures(kills: Sequence[Kill], client: Client, listener: Listener) -> Figures:
    entry, events = [kill.entry_s for kill in kills], [kill.events_s for kill in kills]
    told = listener.orders
    return {
        "kills": len(kills),
        **_spread("entry", entry),
        **_spread("events", events),
        "accepted": len(client.accepted),
        "lost": sum(id_ not in told.get(name, ()) for name, id_ in client.accepted.items()),
        "repeated": sum(len(told.get(name, ())) > 1 for name in client.accepted),
        "not_taken": client.undecided[Undecided.NOT_TAKEN],
        "unknown": client.undecided[Undecided.UNKNOWN],
    }


def _spread(name: str, seconds: Sequence[float]) -> dict[str, int]:
    return {
        f"{name}_p50_ms": round(quantile_ms(seconds, 0.5)),
        f"{name}_p99_ms": round(quantile_ms(seconds, 0.99)),
        f"{name}_max_ms": round(1000 * max(seconds)),
    }


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    f = figures
    entry = aim(f["entry_p99_ms"] <= ENTRY_AIM_MS, f"p99 at most {ENTRY_AIM_MS} ms")
    events = aim(f["events_p99_ms"] <= EVENTS_AIM_MS, f"p99 at most {EVENTS_AIM_MS} ms")
    return [
        f"{f['kills']} times the leader was killed, with order entry on it.",
        f"Order entry was silent for {f['entry_p50_ms']} ms (p50), {f['entry_p99_ms']} ms (p99),"
        f" {f['entry_max_ms']} ms at most {entry}.",
        f"Events were silent for {f['events_p50_ms']} ms (p50), {f['events_p99_ms']} ms (p99),"
        f" {f['events_max_ms']} ms at most {events}.",
        f"Of {f['accepted']} orders that were accepted {f['lost']} are lost and {f['repeated']}"
        f" repeated; {f['not_taken']} were not taken, of {f['unknown']} nothing was known.",
    ]


def _order(name: str) -> matching.Command:
    """A bid far below the market that ends at once, since nobody sells there."""
    clock = SystemClock()
    command = matching.Command(
        request_id=secrets.token_bytes(16), account=1000, valid_until_us=clock.now_us() + VALID_US
    )
    command.place_order.MergeFrom(
        matching.PlaceOrder(
            instrument=INSTRUMENT,
            side=types.SIDE_BUY,
            type=types.ORDER_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_IOC,
            price_ticks=1,
            quantity_lots=1,
            client_order_id=name,
        )
    )
    return command
