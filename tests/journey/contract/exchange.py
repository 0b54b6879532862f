"""A running exchange and those who trade on it, each with what a demanding bot can send."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import yarl
from typer.testing import CliRunner, Result

from services.cli import engine
from services.cli.__main__ import app
from services.cli.rooms import Rooms, open_rooms
from services.domain import signing
from tests.journey.client import Answer, Client, open_session
from tests.journey.house import PATIENCE_S, House

PREFIX: Final = "/api/v1"
LIMIT: Final = {"instrument": "BTC-USD", "side": "buy", "price": "10", "quantity": "1"}
MARKET: Final = {"instrument": "BTC-USD", "side": "buy", "type": "market"}

Balances = dict[str, tuple[Decimal, Decimal]]


def told(answer: Answer) -> tuple[int, str]:
    """Status and code; the code is empty unless the request was refused."""
    return answer.status, answer.body["code"] if answer.status >= 400 else ""


class Trader(Client):
    """A client that can also get everything wrong."""

    def __init__(self, session: aiohttp.ClientSession, url: str, account: dict[str, Any]) -> None:
        super().__init__(session, url, account)
        self._session, self.url = session, url

    async def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        late_ms: int = 0,
        window_ms: int | None = None,
        without: Sequence[str] = (),
        headers: dict[str, str] | None = None,
        signed: tuple[str, str, bytes] | None = None,
    ) -> Answer:
        """A request as it stands, `late_ms` old. `signed`: sign this instead of what is sent."""
        what = signed or (method, target, body)
        now_ms = time.time_ns() // 1_000_000 - late_ms
        sent = signing.headers(self.key, self.secret, *what, now_ms, window_ms)
        if body:
            sent["Content-Type"] = "application/json"
        kept = {name: value for name, value in sent.items() if name not in without}
        return await self.exactly(method, target, body, {**kept, **(headers or {})})

    async def exactly(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> Answer:
        """These bytes and headers, and nothing of ours."""
        url = yarl.URL(self.url + target, encoded=True)
        async with self._session.request(
            method, url, data=body or None, headers=headers, skip_auto_headers=["Content-Type"]
        ) as answer:
            return Answer(answer.status, await answer.json(content_type=None), dict(answer.headers))

    async def order(self, **fields: Any) -> Answer:
        """A limit order for 1 BTC at 10 USD, but for what is said here."""
        return await self.ask("POST", "/orders", {**LIMIT, **fields})

    async def open(self, side: str, price: str, quantity: str, **more: Any) -> dict[str, Any]:
        """A limit order that is taken in."""
        said = {"side": side, "price": price, "quantity": quantity}
        return await self.place(**{**LIMIT, **said, **more})

    async def at_market(self, side: str, **fields: Any) -> dict[str, Any]:
        """A market order that is taken in."""
        return await self.place(**{**MARKET, "side": side, **fields})

    async def one(self, order: dict[str, Any]) -> dict[str, Any]:
        """An order as it stands now."""
        answer = await self.ask("GET", f"/orders/{order['order_id']}")
        assert answer.status == 200, answer
        stands: dict[str, Any] = answer.body
        return stands

    async def funds(self) -> Balances:
        """Available and held, as numbers."""
        return {
            asset: (Decimal(available), Decimal(held))
            for asset, (available, held) in (await self.balances()).items()
        }


class Floor(NamedTuple):
    """Everybody on one trading floor, for as long as a test lasts.

    Alice and bob have money and trade; carol has none. Dora has money for what takes many orders,
    so that nobody else's lists grow by them.
    """

    session: aiohttp.ClientSession
    url: str
    alice: Trader
    bob: Trader
    carol: Trader
    dora: Trader
    reader: Trader
    """Of carol too, with a key that may only read."""


class Exchange:
    """The house, and the accounts that were made in it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.url = house.url()
        names = ("alice", "bob", "carol", "dora")
        money = (("USD", "1000000"), ("BTC", "1000"))
        funding = [("account", "deposit", name, *some) for name in names[:2] for some in money]
        funding.append(("account", "deposit", "dora", *money[0]))
        self._desk = ThreadPoolExecutor(1)
        self.accounts = {name: self.operator("account", "create", name) for name in names}
        for words in funding:
            self.operator(*words)
        self.accounts["reader"] = self.operator("key", "create", "carol", "--scope", "read")

    def operator(self, *words: str) -> dict[str, Any]:
        """What a command of its owner answers, as an object."""
        done = self.command(*words, "--json")
        assert done.exit_code == 0, f"bourse {' '.join(words)}: {done.stderr}"
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def command(self, *words: str, data: Path | None = None) -> Result:
        """Run a command of its owner, on another folder if one is named, whatever it ends with.

        It runs in a thread of ours, which has no loop yet: to start a Python for each command takes
        many times what the command does.
        """
        arguments = [*words, "--data", str(data or self.house.data)]
        return self._desk.submit(CliRunner().invoke, app, arguments).result(PATIENCE_S)

    def close(self) -> None:
        """Nothing more is asked of its owner."""
        self._desk.shutdown()

    @asynccontextmanager
    async def floor(self) -> AsyncIterator[Floor]:
        """The floor, with nobody's order in a book."""
        async with open_session() as session:
            traders = {
                name: Trader(session, self.url, account) for name, account in self.accounts.items()
            }
            for name in ("alice", "bob", "dora"):
                assert (await traders[name].ask("DELETE", "/orders")).status == 200
            yield Floor(session, self.url, **traders)

    @asynccontextmanager
    async def rooms(self) -> AsyncIterator[Rooms]:
        """The way behind the edge, which operators have."""
        async with open_rooms(self.house.data) as rooms:
            yield rooms

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[engine.Session]:
        """The engine, as an operator speaks with it."""
        async with self.rooms() as rooms, engine.open_session(rooms.channel("matching")) as opened:
            yield opened

    def number(self, name: str) -> int:
        """The number of an account."""
        return int(self.accounts[name]["account_id"])

    def tell(self, story: Callable[[Floor], Awaitable[None]]) -> None:
        """Let a story happen on the floor."""

        async def happen() -> None:
            async with self.floor() as floor:
                await story(floor)

        asyncio.run(happen())


def as_json(body: object) -> bytes:
    """A body."""
    return json.dumps(body).encode()
