"""People at the edge of a whole house, who sign what they ask."""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from bourse.accounts import v1 as accounts
from bourse.ledger import v1 as ledger
from services.domain import signing
from services.runtime.clock import SystemClock
from tests.integration.rooms import House

TIME_LIMIT_S = 120.0
PURSE_MINOR = 1_000 * 10**8
LISTENING = re.compile(r'"address":\["127.0.0.1",(\d+)\]')
Credentials = tuple[str, str]


class Running(NamedTuple):
    """A house with an edge, and two people with money."""

    house: House
    alice: Credentials
    bob: Credentials

    @property
    def url(self) -> URL:
        """Where the gateway that started last listens."""
        return URL(f"http://127.0.0.1:{LISTENING.findall(self.house.said('gateway'))[-1]}")


async def begin(house: House) -> Running:
    """Start a house, and bring two people with money into it."""
    await house.start()
    people = [await person(house, name) for name in ("alice", "bob")]
    return Running(house, *people)


async def person(house: House, name: str) -> Credentials:
    """An account with money in shard 0, and a key to trade with."""
    rooms = house.rooms()
    ask = accounts.CreateAccountRequest(request_id=secrets.token_bytes(16), name=name)
    account = (await rooms.accounts.CreateAccount(ask)).account.account
    for asset in (1, 2):
        await rooms.ledger.CreateTransfer(
            ledger.CreateTransferRequest(
                request_id=secrets.token_bytes(16),
                account=account,
                asset=asset,
                amount_minor=PURSE_MINOR,
            )
        )
    scopes = [accounts.SCOPE_READ, accounts.SCOPE_TRADE]
    key = await rooms.accounts.CreateKey(
        accounts.CreateKeyRequest(
            request_id=secrets.token_bytes(16), account=account, scopes=scopes
        )
    )
    await rooms.close()
    return key.key.key, key.secret


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: Any
    sequence: str | None


class Client:
    """One person at the edge."""

    def __init__(self, session: aiohttp.ClientSession, url: URL, who: Credentials) -> None:
        self._session = session
        self._url = url
        self._who = who

    async def ask(
        self, method: str, target: str, body: dict[str, Any] | None = None, after: str = ""
    ) -> Answer:
        target = f"/api/v1{target}"
        sent = b"" if body is None else json.dumps(body).encode()
        now_ms = SystemClock().now_us() // 1000
        headers = signing.headers(*self._who, method, target, sent, now_ms)
        headers |= {} if body is None else {"Content-Type": "application/json"}
        headers |= {"X-Bourse-After": after} if after else {}
        url = URL(f"{self._url}".rstrip("/") + target, encoded=True)
        async with self._session.request(method, url, data=sent or None, headers=headers) as said:
            body = await said.json(content_type=None)
            return Answer(said.status, body, said.headers.get("X-Bourse-Sequence"))

    async def place(self, side: str, price: str, quantity: str, **more: Any) -> Answer:
        order = {"side": side, "price": price, "quantity": quantity, **more}
        return await self.ask("POST", "/orders", {"instrument": "BTC-USD", **order})

    async def served(self) -> None:
        """Wait until the gateway takes orders and knows the key."""
        for target, status in (("/health", 200), ("/account", 200)):
            # The edge says nothing when it is ready: ask.
            while (await self.ask("GET", target)).status != status:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def socket(self) -> Any:
        return self._session.ws_connect(self._url / "ws")

    def signed(self) -> dict[str, str]:
        timestamp = str(SystemClock().now_us() // 1000)
        text = signing.text(timestamp, "5000", "GET", "/ws", b"")
        key, secret = self._who
        return {"key": key, "timestamp": timestamp, "signature": signing.sign(secret, text)}


@asynccontextmanager
async def clients(running: Running, tidy: bool = True) -> AsyncIterator[tuple[Client, Client]]:
    async with aiohttp.ClientSession() as session:
        pair = (
            Client(session, running.url, running.alice),
            Client(session, running.url, running.bob),
        )
        for client in pair:
            await client.served()
        yield pair
        for client in pair if tidy else ():
            await client.ask("DELETE", "/orders")


def story(told: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(TIME_LIMIT_S):
            await told()

    asyncio.run(limited())
