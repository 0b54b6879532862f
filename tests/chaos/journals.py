"""What was asked of a house under faults, and what was answered: the client's side.

Orders go by order entry and by REST, deposits and moves between shards by the ledger. Whoever gets
no answer asks again with the same id until there is one, as the public API tells them to.
"""

import asyncio
import math
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

import aiohttp
import grpc

from bourse.ledger import v1 as ledger
from services.cli.rooms import Rooms
from tests.journey.client import Answer, Client

T = TypeVar("T")

ASK_AGAIN_S = 0.2
REST_S = 4.0
SHORT_US = 50_000
"""A move that is good for so long only is often refused."""

ENDED = (ledger.MOVE_STATE_DONE, ledger.MOVE_STATE_REFUSED, ledger.MOVE_STATE_RETURNED)

DECIMALS = 8
USD_PURSE, BTC_PURSE = 10_000_000, 500_000
"""Units that go into the account of the orders by REST."""


async def answered(ask: Callable[[], Awaitable[T]], within_s: float = math.inf) -> T:
    """Ask by gRPC until there is an answer. Raises what is said last if there is none in time."""
    until_s = time.monotonic() + within_s
    while True:
        try:
            return await ask()
        except grpc.aio.AioRpcError:
            if time.monotonic() > until_s:
                raise
            await asyncio.sleep(ASK_AGAIN_S)


@dataclass
class Savings:
    """Money that went into an account which does nothing else, and from shard to shard there."""

    account: int
    asset: int
    slices_minor: list[int]
    """What every shard is to have of it, as far as everything was answered."""
    asked_minor: int = 0
    """Of the deposit that is under way."""
    deposits: int = 0
    moves: Counter[str] = field(default_factory=Counter)
    """By what became of them."""
    sequences: dict[int, int] = field(default_factory=dict)
    """Of the last deposit in each shard."""

    @property
    def done_minor(self) -> int:
        """All of it."""
        return sum(self.slices_minor)

    async def go_on(self, rooms: Rooms, stop: asyncio.Event, chance: Random) -> None:
        """One deposit after the other, and where there are several shards a move after each.

        The last one is waited for, however long it takes.
        """
        shards = range(len(self.slices_minor))
        while not stop.is_set():
            await self._deposit(rooms, chance.choice(shards), chance.randint(1, 10**9))
            if len(shards) > 1:
                from_shard, to_shard = chance.sample(shards, 2)
                await self._move(rooms, from_shard, to_shard, chance)
            await asyncio.sleep(0.1)

    async def _deposit(self, rooms: Rooms, shard: int, amount_minor: int) -> None:
        self.asked_minor = amount_minor
        request = ledger.CreateTransferRequest(
            request_id=secrets.token_bytes(16),
            account=self.account,
            asset=self.asset,
            amount_minor=amount_minor,
            shard=shard,
        )
        while True:
            told = await answered(lambda: rooms.ledger.CreateTransfer(request, timeout=5))
            if told.transfer.state == ledger.TRANSFER_STATE_DONE:
                break
        self.asked_minor = 0
        self.slices_minor[shard] += amount_minor
        self.sequences[shard] = told.transfer.sequence
        self.deposits += 1

    async def _move(self, rooms: Rooms, from_shard: int, to_shard: int, chance: Random) -> None:
        """Now and then more than there is, or with so little time that it may be refused."""
        there_minor = self.slices_minor[from_shard]
        is_too_much = there_minor == 0 or chance.random() < 0.1
        until_us = time.time_ns() // 1000 + chance.choice((SHORT_US, 5_000_000))
        request = ledger.MoveMoneyRequest(
            request_id=secrets.token_bytes(16),
            account=self.account,
            asset=self.asset,
            amount_minor=there_minor + 1 if is_too_much else chance.randint(1, there_minor),
            from_shard=from_shard,
            to_shard=to_shard,
            valid_until_us=until_us * chance.choice((0, 1)),
            wait_ms=1000,
        )
        while True:
            told = await answered(lambda: rooms.ledger.MoveMoney(request, timeout=5))
            if told.move.state in ENDED:
                break
        if told.move.state == ledger.MOVE_STATE_DONE:
            self.slices_minor[from_shard] -= request.amount_minor
            self.slices_minor[to_shard] += request.amount_minor
        name = ledger.MoveState.Name(told.move.state)
        self.moves[name.removeprefix("MOVE_STATE_").lower()] += 1


@dataclass
class Looks:
    """Balances of the savings by REST while they come and move: each look must be exact."""

    url: str
    key: dict[str, Any]
    savings: Savings
    code: str
    """Of the asset that is saved."""
    count: int = 0
    in_transit: int = 0
    """How many of them saw money between two shards."""
    wrong: list[str] = field(default_factory=list)

    async def go_on(self, stop: asyncio.Event) -> None:
        """One look after the other."""
        while not stop.is_set():
            least_minor = self.savings.done_minor
            seen = sorted(self.savings.sequences.items())
            after = ",".join(f"{shard}:{sequence}" for shard, sequence in seen)
            answer = await asked(self.url, self.key, "GET", "/balances", after=after)
            if answer is not None and answer.status == 200:
                self._hold(answer, least_minor)
            await asyncio.sleep(0.1)

    def _hold(self, answer: Answer, least_minor: int) -> None:
        """What is there is what was there before, and no more than was asked for meanwhile."""
        most_minor = self.savings.done_minor + self.savings.asked_minor
        total_minor = total(answer, self.code)
        self.count += 1
        self.in_transit += any("in_transit" in one for one in answer.body["balances"])
        if not least_minor <= total_minor <= most_minor:
            self.wrong.append(f"{total_minor} not in {least_minor}..{most_minor}: {answer.body}")


def total(answer: Answer, code: str) -> int:
    """All that GET /balances says of an asset, minor units."""
    parts = [
        Decimal(one.get(name, "0"))
        for one in answer.body["balances"]
        for name in ("available", "held", "in_transit")
        if one["asset"] == code
    ]
    return int(sum(parts, Decimal()).scaleb(DECIMALS))


async def asked(
    url: str,
    key: dict[str, Any],
    method: str,
    target: str,
    body: dict[str, Any] | None = None,
    after: str = "",
) -> Answer | None:
    """Ask by REST once; None if there was no answer that can be read."""
    timeout = aiohttp.ClientTimeout(total=REST_S)
    # A session each: a connection that hangs must not be met again.
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            return await Client(session, url, key).ask(method, target, body, after)
        except (OSError, TimeoutError, ValueError, aiohttp.ClientError):
            return None


@dataclass
class RestOrders:
    """Orders by REST, each asked for again until it is decided.

    Its money is one purse. Most orders want a good part of it and trade nothing, so that where
    there are several shards it goes where the next one is; some are small and trade or stay.
    """

    url: str
    key: dict[str, Any]
    markets: Sequence[str]
    """One of each shard; what they trade is the same."""
    accepted: dict[str, str] = field(default_factory=dict)
    """Client order id to order id."""
    refused: dict[str, str] = field(default_factory=dict)
    """Client order id to what was said of it."""
    repeats: int = 0
    short: int = 0
    """How often money did not come in time."""
    said: str = ""
    """To the last one that was not taken."""

    async def go_on(self, stop: asyncio.Event, chance: Random) -> None:
        """One order after the other."""
        number = 0
        while not stop.is_set():
            number += 1
            kind = chance.choice(KINDS)
            order = kind(chance, chance.choice(("buy", "sell")))
            market = chance.choice(self.markets)
            await self._until_decided(
                {**order, "instrument": market, "client_order_id": f"rest-{number}"}
            )
            await asyncio.sleep(0.05)

    async def _until_decided(self, order: dict[str, Any]) -> None:
        name = order["client_order_id"]
        while True:
            answer = await asked(self.url, self.key, "POST", "/orders", order)
            if answer is not None and answer.status in (200, 201):
                self.accepted[name] = answer.body["order_id"]
                return
            self.said = "nothing" if answer is None else str(answer.body)
            # What came too late may come again; all else was said of the order itself.
            code = answer.body["code"] if answer is not None and answer.status == 422 else ""
            is_short = code == "insufficient_balance" and len(self.markets) > 1
            if code not in ("", "expired_in_transit") and not is_short:
                assert answer is not None
                self.refused[name] = answer.body["detail"]
                return
            self.short += is_short
            self.repeats += 1
            await asyncio.sleep(ASK_AGAIN_S)


def _large(chance: Random, side: str) -> dict[str, Any]:
    """Far from the market, so it ends at once; with much of the purse."""
    order, part = _resting(chance, side), chance.randint(10, 80)
    purse = USD_PURSE // int(order["price"]) if side == "buy" else BTC_PURSE
    return {**order, "quantity": str(purse * part // 100), "time_in_force": "ioc"}


def _trading(_chance: Random, side: str) -> dict[str, Any]:
    """With what the traders have there."""
    price = "101" if side == "buy" else "99"
    return {"side": side, "quantity": "0.01", "price": price, "time_in_force": "ioc"}


def _resting(chance: Random, side: str) -> dict[str, Any]:
    """Far from the market, and little of it."""
    price = chance.randint(50, 90) if side == "buy" else chance.randint(110, 150)
    return {"side": side, "quantity": "0.1", "price": str(price), "time_in_force": "gtc"}


KINDS = (_large,) * 6 + (_trading,) * 2 + (_resting,)
"""What is ordered how often."""
