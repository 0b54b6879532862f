"""A house under load and faults from a seed; what its clients were told, held against what is.

While faults go on, clients write down what they are answered: traders of each shard, one who orders
by REST in all of them, and one who saves, and looks at what is there. Every few faults there is a
rest in which the house must come back by itself: every room serves, and an order is answered.
At the end it comes to rest, and its log, its books and its history must agree with one another and
with what the clients wrote down.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, NamedTuple

from bourse.accounts import v1 as accounts
from services.cli.key import new_key
from services.cli.rooms import Rooms
from tests.chaos import checks
from tests.chaos.faults import (
    EVERYWHERE,
    ON_A_DISK_OF_ITS_OWN,
    ON_KAFKA,
    ON_SEVERAL_SHARDS,
    Fault,
)
from tests.chaos.house import House
from tests.chaos.journals import BTC_PURSE, DECIMALS, USD_PURSE, Looks, RestOrders, Savings
from tests.integration.trading import BTC, USD, Traders

REST_AFTER = 8
"""Faults between two rests."""

COMES_BACK_S = 60.0

AT_ONCE = 12
"""Orders that all traders keep under way: a load, but not one that hides what faults do."""


@dataclass
class Report:
    """What was done, what was seen and whether it holds."""

    seed: int
    log: str
    shards: int = 1
    injected: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)
    seconds: float = 0.0
    restarts: int = 0
    orders: int = 0
    unknown: int = 0
    not_taken: int = 0
    rest_orders: int = 0
    rest_repeats: int = 0
    rest_short: int = 0
    deposits: int = 0
    asked_moves: dict[str, int] = field(default_factory=dict)
    """Of those that a client asked for, how many ended in which way."""
    moves: int = 0
    """Of all, those that the logs have the debits of."""
    looks: int = 0
    looks_in_transit: int = 0
    checked: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    longest_rest_s: float = 0.0

    @property
    def faults(self) -> int:
        """How many there were."""
        return self.injected.total()

    def note(self, what: str) -> None:
        """Put down what is over now, by the clock of the rooms' logs."""
        self.trace.append(time.strftime("%H:%M:%S ", time.gmtime()) + what)

    def as_json(self) -> dict[str, Any]:
        """As an object of plain values; the trace is left out."""
        plain = {name: value for name, value in vars(self).items() if name != "trace"}
        return {**plain, "injected": dict(self.injected.most_common()), "faults": self.faults}


Tell = Callable[[Report], None]


class Until(NamedTuple):
    """When it is enough."""

    faults: int
    end_s: float
    """By the monotonic clock."""


async def run(
    house: House,
    seed: int,
    faults: int,
    *,
    within_s: float = math.inf,
    own_disk: bool = False,
    tell: Tell = lambda _: None,
) -> Report:
    """So many faults from a seed, or as many as begin in time. Stops the house in any case."""
    report, chance = Report(seed, house.log, house.shards), Random(seed)
    began = time.monotonic()
    try:
        await house.start()
        async with _clients(house, seed) as clients:
            until = Until(faults, began + within_s)
            await _do(house, clients, report, chance, _kinds(house, own_disk), until, tell)
            await _quiet(house, clients, report)
        await checks.hold(house, clients, report)
    except Exception as error:
        report.violations.append(f"{type(error).__name__}: {error}")
    finally:
        report.violations += house.complaints
        report.restarts = house.restarts
        report.seconds = time.monotonic() - began
        await house.stop()
    return report


def _kinds(house: House, own_disk: bool) -> list[Fault]:
    kinds = [*EVERYWHERE]
    if own_disk:
        kinds += ON_A_DISK_OF_ITS_OWN
    if house.log == "kafka":
        kinds += ON_KAFKA
    if house.shards > 1:
        kinds += ON_SEVERAL_SHARDS
    return kinds


@dataclass
class Clients:
    """Those who ask the house, and what they were told."""

    traders: list[Traders]
    """By shard."""
    savings: Savings
    looks: Looks
    rest: RestOrders
    rest_account: int
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def _clients(house: House, seed: int) -> AsyncIterator[Clients]:
    """Accounts with money, and their owners at work until the block ends."""
    straight, rooms = house.rooms(), house.wired_rooms()
    clients = await _made(house, straight, rooms, seed)
    chance, stop = Random(seed + 1), clients.stop
    working = [
        *(
            asyncio.create_task(traders.trade(stop, AT_ONCE // house.shards))
            for traders in clients.traders
        ),
        asyncio.create_task(clients.savings.go_on(rooms, stop, chance)),
        asyncio.create_task(clients.looks.go_on(stop)),
        asyncio.create_task(clients.rest.go_on(stop, chance)),
    ]
    try:
        yield clients
        stop.set()
        async with asyncio.timeout(120):
            await asyncio.gather(*working)
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        await straight.close()
        await rooms.close()


async def _made(house: House, straight: Rooms, rooms: Rooms, seed: int) -> Clients:
    for room in ("accounts", "ledger"):
        # On a busy machine the first connection takes longer than the first question waits.
        await rooms.channel(room).channel_ready()
    traders = [Traders(rooms, seed + shard, shard=shard) for shard in range(house.shards)]
    for each in traders:
        await each.open()
    saver, by_rest = [await _account(straight, f"{name}-{seed}") for name in ("saver", "rest")]
    # All of it lies in one shard, and is wanted in the others.
    for asset, units in ((USD, USD_PURSE), (BTC, BTC_PURSE)):
        await traders[-1].deposit(by_rest, asset, units * 10**DECIMALS)
    read, trade = accounts.SCOPE_READ, accounts.SCOPE_TRADE
    looking = await new_key(straight, saver, (read,))
    trading = await new_key(straight, by_rest, (read, trade))
    savings = Savings(saver, USD, [0] * house.shards)
    looks = Looks(straight.url, looking._asdict(), savings, "USD")
    orders = RestOrders(straight.url, trading._asdict(), house.markets)
    return Clients(traders, savings, looks, orders, by_rest)


async def _account(rooms: Rooms, name: str) -> int:
    request = accounts.CreateAccountRequest(request_id=name.encode()[:16].ljust(16), name=name)
    return (await rooms.accounts.CreateAccount(request)).account.account


async def _do(
    house: House,
    clients: Clients,
    report: Report,
    chance: Random,
    kinds: Sequence[Fault],
    until: Until,
    tell: Tell,
) -> None:
    """All faults: mostly one, now and then two or three at a time."""
    weights = [kind.weight for kind in kinds]
    while report.faults < until.faults and time.monotonic() < until.end_s:
        before = report.faults
        at_once = min(chance.choice((1, 1, 1, 2, 3)), until.faults - report.faults)
        chosen = [
            (kind, Random(chance.random())) for kind in chance.choices(kinds, weights, k=at_once)
        ]
        await asyncio.gather(*(_one(house, kind, own, report) for kind, own in chosen))
        await asyncio.sleep(chance.uniform(0.1, 1.0))
        if report.faults // REST_AFTER != before // REST_AFTER:
            await _quiet(house, clients, report)
        tell(report)


async def _one(house: House, kind: Fault, chance: Random, report: Report) -> None:
    report.injected[kind.name] += 1
    began = time.monotonic()
    done_to = await kind.act(house, chance)
    took = time.monotonic() - began
    report.note(f"{kind.name}: {done_to} ({took:.1f} s)")


async def _quiet(house: House, clients: Clients, report: Report) -> None:
    """With nothing wrong any more, the house must come back by itself: rooms, then answers."""
    began = time.monotonic()
    await house.all_serving()
    for traders in clients.traders:
        accepted = partial(len, traders.journal.accepted)
        await _grows(accepted, f"no order of shard {traders.shard} was acknowledged")
    try:
        await _grows(lambda: len(clients.rest.accepted), "no order by REST was decided")
    except AssertionError:
        report.note(f"by REST was answered: {clients.rest.said}")
        raise
    await _grows(lambda: clients.savings.deposits, "no deposit was made")
    await _grows(lambda: clients.looks.count, "no balances were read")
    took = time.monotonic() - began
    report.longest_rest_s = max(report.longest_rest_s, took)
    report.note(f"whole again ({took:.1f} s)")


async def _grows(count: Callable[[], int], else_say: str) -> None:
    """Wait for one more, which must come by itself. Raises AssertionError if it does not."""
    before = count()
    with suppress(TimeoutError):
        async with asyncio.timeout(COMES_BACK_S):
            # Clients do not know that we wait for them.
            while count() == before:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert count() > before, f"with nothing wrong any more, {else_say} in {COMES_BACK_S:g} s"
