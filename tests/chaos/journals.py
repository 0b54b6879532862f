"""What was asked of a house under faults, and what was answered: the client's side.

Orders go by order entry and by REST, deposits by the ledger. Whoever gets no answer asks again with
the same id until there is one, as the public API tells them to.
"""

import asyncio
import secrets
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
import grpc

from bourse.ledger import v1 as ledger
from services.cli.rooms import Rooms
from tests.journey.client import Client

ASK_AGAIN_S = 0.2
REST_S = 4.0


@dataclass
class Deposits:
    """Money that went into an account which does nothing else."""

    account: int
    asset: int
    done_minor: int = 0
    count: int = 0

    async def go_on(self, rooms: Rooms, stop: asyncio.Event, chance: Random) -> None:
        """One deposit after the other; the last one is waited for, however long it takes."""
        while not stop.is_set():
            amount_minor = chance.randint(1, 10**9)
            await self._until_done(rooms, secrets.token_bytes(16), amount_minor)
            self.done_minor += amount_minor
            self.count += 1
            await asyncio.sleep(0.1)

    async def _until_done(self, rooms: Rooms, request_id: bytes, amount_minor: int) -> None:
        request = ledger.CreateTransferRequest(
            request_id=request_id,
            account=self.account,
            asset=self.asset,
            amount_minor=amount_minor,
        )
        while True:
            try:
                answer = await rooms.ledger.CreateTransfer(request, timeout=5)
                if answer.transfer.state == ledger.TRANSFER_STATE_DONE:
                    return
            except grpc.aio.AioRpcError:
                await asyncio.sleep(ASK_AGAIN_S)


@dataclass
class RestOrders:
    """Orders by REST, each asked for again until it is decided."""

    url: str
    account: dict[str, Any]
    accepted: dict[str, str] = field(default_factory=dict)
    """Client order id to order id."""
    refused: set[str] = field(default_factory=set)
    repeats: int = 0

    async def go_on(self, stop: asyncio.Event, chance: Random) -> None:
        """One order after the other, far from the market; few of them rest."""
        timeout = aiohttp.ClientTimeout(total=REST_S)
        number = 0
        while not stop.is_set():
            number += 1
            price = str(chance.randint(50, 90))
            order = {
                "instrument": "BTC-USD",
                "side": "buy",
                "quantity": "0.1",
                "price": price,
                "time_in_force": chance.choice(("ioc",) * 9 + ("gtc",)),
                "client_order_id": f"rest-{number}",
            }
            # A session each: a connection that hangs must not be met again.
            async with aiohttp.ClientSession(timeout=timeout) as session:
                await self._until_decided(Client(session, self.url, self.account), order)
            await asyncio.sleep(0.05)

    async def _until_decided(self, client: Client, order: dict[str, Any]) -> None:
        name = order["client_order_id"]
        while True:
            try:
                answer = await client.ask("POST", "/orders", order)
            except (OSError, TimeoutError, ValueError, aiohttp.ClientError):
                answer = None
            if answer is not None and answer.status in (200, 201):
                self.accepted[name] = answer.body["order_id"]
                return
            # What came too late may come again; all else was said of the order itself.
            code = answer.body["code"] if answer is not None and answer.status == 422 else ""
            if code not in ("", "expired_in_transit"):
                self.refused.add(name)
                return
            self.repeats += 1
            await asyncio.sleep(ASK_AGAIN_S)
