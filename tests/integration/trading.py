"""A trader that writes down what it was told, so that a test can hold the house to it."""

import asyncio
import random
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field

from bourse.accounts import v1 as accounts
from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.cli.rooms import Rooms
from services.gateway.entry import OrderEntry
from services.gateway.state import Answer, Answered, Undecided
from services.runtime.clock import SystemClock

INSTRUMENT = 1024
"""The first of shard 0; that of another shard has its number added."""
USD, BTC = 1, 2
PURSE_MINOR = 10**15


@dataclass
class Journal:
    """What was acknowledged."""

    accepted: dict[str, matching.Outcome] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    nothing: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    last_sequence: int = 0

    def note(self, name: str, answer: Answer) -> None:
        """Write down an answer."""
        if isinstance(answer, Answered):
            self.last_sequence = max(self.last_sequence, answer.sequence)
            if answer.outcome.refusal:
                self.refused.add(name)
            else:
                self.accepted[name] = answer.outcome
        else:
            (self.nothing if answer is Undecided.NOT_TAKEN else self.unknown).add(name)


class Traders:
    """Some accounts with money, and orders of theirs that meet each other around one price.

    All of it in the first market of one shard.
    """

    def __init__(self, rooms: Rooms, seed: int, count: int = 4, shard: int = 0) -> None:
        self.journal = Journal()
        self.shard = shard
        self.deposited: Counter[tuple[int, int]] = Counter()
        """Minor units by account and asset."""
        self._rooms = rooms
        self._random = random.Random(seed)
        self._count = count
        self.replicas = rooms.channel("matching", shard)
        self._entry = OrderEntry(self.replicas, SystemClock(), 2_000)
        self._numbers = 0
        self._seed = seed
        self.accounts: list[int] = []

    async def open(self) -> None:
        """Make the accounts and give them money."""
        for number in range(self._count):
            request = accounts.CreateAccountRequest(
                request_id=secrets.token_bytes(16), name=f"trader-{self._seed}-{number}"
            )
            made = await self._rooms.accounts.CreateAccount(request)
            self.accounts.append(made.account.account)
        for account in self.accounts:
            for asset in (USD, BTC):
                await self.deposit(account, asset, PURSE_MINOR)

    async def deposit(self, account: int, asset: int, amount_minor: int) -> None:
        """Money from the treasury."""
        request = ledger.CreateTransferRequest(
            request_id=secrets.token_bytes(16),
            account=account,
            asset=asset,
            amount_minor=amount_minor,
            shard=self.shard,
        )
        await self._rooms.ledger.CreateTransfer(request)
        self.deposited[account, asset] += amount_minor

    async def trade(self, stop: asyncio.Event, at_once: int = 40) -> None:
        """Keep `at_once` orders under way until told to stop, then wait for their answers."""
        running = asyncio.create_task(self._entry.run())
        await asyncio.gather(*(self._one_after_the_other(stop) for _ in range(at_once)))
        await self._entry.stop()
        running.cancel()
        await asyncio.wait([running])

    async def _one_after_the_other(self, stop: asyncio.Event) -> None:
        mine: list[tuple[int, str]] = []
        while not stop.is_set():
            if mine and self._random.random() < 0.5:
                await self._entry.ask(self._cancel(*mine.pop(0)))
                continue
            account, name, command = self._place()
            answer = await self._entry.ask(command)
            self.journal.note(name, answer)
            if isinstance(answer, Answered):
                mine.append((account, name))
            else:
                # The house is away: no use in asking a thousand times a second.
                await asyncio.sleep(0.05)

    def _place(self) -> tuple[int, str, matching.Command]:
        self._numbers += 1
        name = f"{self._seed}-{self._numbers}"
        account = self._random.choice(self.accounts)
        command = self._command(account)
        place = command.place_order
        place.instrument, place.client_order_id = INSTRUMENT + self.shard, name
        place.side = self._random.choice((types.SIDE_BUY, types.SIDE_SELL))
        place.type, place.time_in_force = types.ORDER_TYPE_LIMIT, types.TIME_IN_FORCE_GTC
        place.price_ticks = 10_000 + self._random.randint(-20, 20)
        place.quantity_lots = self._random.randint(100, 1_000)
        return account, name, command

    def _cancel(self, account: int, name: str) -> matching.Command:
        command = self._command(account)
        command.cancel_order.client_order_id = name
        return command

    def _command(self, account: int) -> matching.Command:
        until_us = time.time_ns() // 1000 + 5_000_000
        return matching.Command(
            request_id=secrets.token_bytes(16), account=account, valid_until_us=until_us
        )
