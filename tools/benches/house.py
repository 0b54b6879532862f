"""The whole house: the highest rate of orders at which every room keeps up.

`bourse up` on a folder of its own, all rooms and both stores as processes, and the load from this
process on the same machine: over gRPC, in batches, each order with a client order id. One order in
five trades, three in five are cancelled. A room keeps up while the oldest event it has not consumed
is younger than a second; matching, while no batch waits longer than that for its answer.

First the rate is looked for in short steps; then it is held for long, and lowered until it holds.
"""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import uvloop

from services.cli.rooms import Rooms
from services.cli.status import read_status
from services.runtime.log import commands_topic, events_topic
from tools.benches.load import ACCOUNTS, ORDERS_OF_COMMANDS, EvenLoad, Traffic
from tools.benches.running import Usage, cores, house, log_bytes, rooms_of, usage
from tools.benches.shape import Asked, Figures, grouped, quantile_ms
from tools.benches.shard import BATCH

LONG_S: Final = 60.0
STEP_S: Final = 8.0
FIRST_RATE: Final = 8_000.0
FASTER: Final = 1.4
HALVINGS: Final = 2
"""How often the gap between the last rate that held and the first that did not is halved."""
SLOWER: Final = 0.92
LONG_TRIES: Final = 5
LIMIT_MS: Final = 1000
LOOK_S: Final = 0.4
DRAIN_S: Final = 120.0
NEEDED: Final = ("matching", "ledger", "orders", "notifications", "gateway")
LAGGING: Final = ("ledger", "orders", "notifications", "marketdata")


class Step(NamedTuple):
    """What came of one rate."""

    orders_per_s: float
    gave_in: str
    """The room that did not keep up; empty if all did."""
    seconds: float
    waits: list[float]
    lag_ms: Mapping[str, int]
    """The worst that was seen, by room."""


def measure(asked: Asked) -> Figures:
    """The rate, and what it takes."""
    with house() as data:
        return uvloop.run(_bench(data, asked))


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    cores = sorted(figures["cores"].items(), key=lambda item: -item[1])
    rooms = ", ".join(f"{name} {used:.2f}" for name, used in cores if used >= 0.005)
    worst = ", ".join(f"{name} {lag} ms" for name, lag in figures["worst_lag_ms"].items())
    held = grouped(figures["orders_per_s"])
    absent = ", ".join(figures["absent"])
    return [
        f"{held} orders/s for {figures['seconds']:.0f} s with every room keeping up (aim: 15,000)"
        + (f", WITHOUT {absent}." if absent else "."),
        f"At {grouped(figures['too_fast_orders_per_s'])} orders/s {figures['gave_in_first']} gives"
        f" in first. Worst lag at the rate that held: {worst}.",
        f"A batch of {BATCH} waits {figures['answer_p50_ms']} ms (p50), {figures['answer_p99_ms']}"
        " ms (p99) for its answer.",
        f"An order takes {figures['command_bytes_an_order']} bytes of the command log,"
        f" {figures['event_bytes_an_order']} of the event log, and"
        f" {figures['wal_bytes_an_order']} of Postgres's own log (all of its tables).",
        f"Cores used: {rooms}.",
    ]


async def _bench(data: Path, asked: Asked) -> Figures:
    async with rooms_of(data, NEEDED) as rooms:
        traffic = Traffic(rooms, asked.size(ACCOUNTS, 4))
        await traffic.open()
        bench = _Bench(data, rooms, traffic)
        await bench.begin()
        if asked.quick:
            return await bench.hold(2000.0, asked.seconds or 0.3, Step(0.0, "", 0.0, [], {}), 0)
        best, failed = await bench.search()
        return await bench.hold(best, asked.seconds or LONG_S, failed, LONG_TRIES)


class _Bench:
    """Steps at different rates on one house."""

    def __init__(self, data: Path, rooms: Rooms, traffic: Traffic) -> None:
        self._data = data
        self._rooms = rooms
        self._traffic = traffic
        self._present: list[str] = []

    async def begin(self) -> None:
        """See which rooms follow the log, and let them come to its end."""
        self._present = sorted(await self._lags())
        await self._caught_up()

    async def search(self) -> tuple[float, Step]:
        """(the highest rate that held in short steps, the lowest that did not)."""
        best, rate = 0.0, FIRST_RATE
        failed = await self._step(rate, STEP_S)
        while not failed.gave_in:
            best, rate = rate, rate * FASTER
            failed = await self._step(rate, STEP_S)
        for _ in range(HALVINGS):
            middle = (best + failed.orders_per_s) / 2
            step = await self._step(middle, STEP_S)
            if step.gave_in:
                failed = step
            else:
                best = middle
        return best, failed

    async def hold(self, rate: float, seconds: float, failed: Step, tries: int) -> Figures:
        """Hold a rate for long; a lower one each time it cannot be held."""
        while True:
            # Made before anything is counted: whoever sends them has made them elsewhere.
            self._traffic.make(EvenLoad(self._traffic, rate).batches_in(seconds))
            before = await usage(self._data)
            step = await self._step(rate, seconds)
            after = await usage(self._data)
            if not step.gave_in or not tries:
                return await self._figures(step, failed, before, after)
            failed, rate, tries = step, rate * SLOWER, tries - 1

    async def _step(self, rate: float, seconds: float) -> Step:
        """One rate, until a room is a second behind; then until all have caught up."""
        load = EvenLoad(self._traffic, rate)
        count = load.batches_in(seconds)
        self._traffic.make(count)
        start = time.perf_counter()
        running = asyncio.create_task(load.run(count))
        worst: dict[str, int] = dict.fromkeys(["matching", *self._present], 0)
        gave_in = ""
        while not running.done():
            await asyncio.wait([running], timeout=LOOK_S)
            lags = {"matching": round(load.oldest_s * 1000) if not running.done() else 0}
            lags |= await self._lags()
            worst |= {name: max(worst[name], lag) for name, lag in lags.items() if name in worst}
            if not gave_in and max(lags.values()) > LIMIT_MS:
                gave_in = max(lags, key=lambda name: lags[name])
                load.stop()
        await running
        took_s = time.perf_counter() - start
        await self._caught_up()
        return Step(rate, gave_in, took_s, load.waits, worst)

    async def _lags(self) -> dict[str, int]:
        """Age of the oldest event a room has not consumed, in milliseconds, by room."""
        said = await read_status(self._rooms, self._data)
        return {
            room["name"]: room["lag_ms"]
            for room in said["rooms"]
            if room["name"] in LAGGING and "next_offset" in room
        }

    async def _caught_up(self) -> None:
        deadline = time.monotonic() + DRAIN_S
        while any((await self._lags()).values()):
            if time.monotonic() > deadline:
                raise TimeoutError("the rooms do not catch up")
            await asyncio.sleep(LOOK_S)

    async def _figures(self, step: Step, failed: Step, before: Usage, after: Usage) -> Figures:
        orders = len(step.waits) * BATCH * ORDERS_OF_COMMANDS
        command_bytes, event_bytes = [
            await log_bytes(self._data, topic, before.ends[topic], after.ends[topic])
            for topic in (commands_topic(0), events_topic(0))
        ]
        return {
            "orders_per_s": 0 if step.gave_in else round(step.orders_per_s),
            "seconds": round(step.seconds, 1),
            "absent": [room for room in LAGGING if room not in self._present],
            "gave_in_first": failed.gave_in or "nobody",
            "too_fast_orders_per_s": round(failed.orders_per_s),
            "worst_lag_ms": dict(step.lag_ms),
            "answer_p50_ms": round(quantile_ms(step.waits, 0.50), 1),
            "answer_p99_ms": round(quantile_ms(step.waits, 0.99), 1),
            "command_bytes_an_order": round(command_bytes / orders),
            "event_bytes_an_order": round(event_bytes / orders),
            "wal_bytes_an_order": round((after.wal_bytes - before.wal_bytes) / orders),
            "cores": cores(before, after),
        }
