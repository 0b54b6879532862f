"""A gateway as it stands when the other rooms have said what they say at the start."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from bourse.accounts import v1 as accounts
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain import signing
from services.gateway.__main__ import Gateway
from services.gateway.config import GatewayConfig
from services.gateway.listener import listening
from services.runtime.clock import SystemClock

TIME_LIMIT_S = 60.0
SECRET = "a-secret"
SCOPES = {
    "trader": (accounts.SCOPE_READ, accounts.SCOPE_TRADE),
    "reader": (accounts.SCOPE_READ,),
}
ORDER = b'{"instrument":"BTC-USD","side":"buy","price":"101.5","quantity":"0.2"}'
MARKETS = matching.WatchMarketsResponse(
    assets=[
        types.Asset(asset=1, code="USD", decimals=8),
        types.Asset(asset=2, code="BTC", decimals=8),
    ],
    instruments=[
        types.Instrument(
            instrument=1024,
            symbol="BTC-USD",
            base_asset=2,
            quote_asset=1,
            lot_minor=10_000,
            tick_units=1,
            tick_scale=2,
            tick_lot_minor=100,
            phase=types.PHASE_CONTINUOUS,
            min_quantity_lots=1,
            max_quantity_lots=10**10,
            min_notional_minor=10**7,
            max_notional_minor=10**16,
            market_protection_ppm=50_000,
            fees=[types.FeeRate(tier=0, maker_fee_ppm=1000, taker_fee_ppm=2000)],
        )
    ],
    client_order_id_memory_us=120_000_000,
)


def snapshot_of_keys() -> accounts.WatchKeysResponse:
    keys = [
        accounts.KeySecret(
            key=accounts.Key(key=name, account=1000, scopes=scopes),
            secret=SECRET,
            account_name="alice",
        )
        for name, scopes in SCOPES.items()
    ]
    return accounts.WatchKeysResponse(snapshot=True, keys=keys)


class Client:
    """Speaks HTTP to a gateway, and signs."""

    clock = SystemClock()

    def __init__(self, session: aiohttp.ClientSession, url: URL) -> None:
        self._session = session
        self.url = url

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        key: str | None = None,
        secret: str = SECRET,
        age_ms: int = 0,
        headers: dict[str, str] | None = None,
    ) -> "Answer":
        sent = {"Content-Type": "application/json"} if body else {}
        if key is not None:
            now_ms = self.clock.now_us() // 1000 - age_ms
            sent |= signing.headers(key, secret, method, target, body, now_ms)
        sent |= headers or {}
        url = URL(f"{self.url}".rstrip("/") + target, encoded=True)
        skip = ["Content-Type"]
        async with self._session.request(
            method, url, data=body or None, headers=sent, skip_auto_headers=skip
        ) as response:
            told = await response.json(content_type=None)
            return Answer(response.status, response.headers, told)

    def socket(self) -> Any:
        return self._session.ws_connect(self.url / "ws")


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: Mapping[str, str], body: Any) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def code(self) -> str:
        return str(self.body["code"])


@asynccontextmanager
async def gateway(
    tmp_path: Path, *, keys: bool = True, **settings: Any
) -> AsyncIterator[tuple[Gateway, Client]]:
    """A gateway whose rooms are out of reach, but have said what they say first."""
    config = GatewayConfig(data=tmp_path, **settings)
    house = Gateway(config)
    await house.markets.take(MARKETS)
    if keys:
        await house.keys.take(snapshot_of_keys())
    try:
        async with (
            listening(house.application(), house.edge.guard, "127.0.0.1", 0) as (host, port),
            aiohttp.ClientSession() as session,
            _entering(house),
        ):
            yield house, Client(session, URL(f"http://{host}:{port}/"))
    finally:
        for channel in house.channels.values():
            await channel.close()


@asynccontextmanager
async def _entering(house: Gateway) -> AsyncIterator[None]:
    entering = [asyncio.create_task(shard.entry.run()) for shard in house.shards]
    try:
        yield
    finally:
        for each in entering:
            each.cancel()
        await asyncio.gather(*entering, return_exceptions=True)


async def ask(socket: aiohttp.ClientWebSocketResponse, **request: Any) -> Any:
    """Say something on a socket, and what comes next."""
    await socket.send_str(json.dumps(request))
    return await socket.receive_json()


def signed(client: Client, key: str = "reader") -> dict[str, str]:
    """What `authenticate` takes."""
    timestamp = str(client.clock.now_us() // 1000)
    text = signing.text(timestamp, "5000", "GET", "/ws", b"")
    return {"key": key, "timestamp": timestamp, "signature": signing.sign(SECRET, text)}


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that the other side does."""
    # The far side is a process's affair and says nothing when it has changed: ask.
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def story(told: Callable[[], Awaitable[None]]) -> None:
    """Run a story to its end, within bounds."""

    async def limited() -> None:
        async with asyncio.timeout(TIME_LIMIT_S):
            await told()

    asyncio.run(limited())
