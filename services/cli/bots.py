"""The demo's bots: makers who quote around a wandering price, and takers who trade with them.

They use the public API with keys of their own, as anybody's bots would.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, Final, NamedTuple

import aiohttp
import structlog

from services.cli.edge import Answer, Credentials, signed
from services.cli.quotes import (
    BUY,
    SELL,
    Change,
    Move,
    Quote,
    Scale,
    Standing,
    TakeBack,
    Walk,
    changes,
    ladder,
)

ANSWER_S: Final = 5.0
MAKER_EVERY_S: Final = 1.0
TAKER_EVERY_S: Final = 1.2
FIRST_TAKE_S: Final = 0.3
"""The makers have filled the book by then; whoever starts the house waits for the first trade."""

CHANGES_A_TURN: Final = 4
PAUSE_S: Final = 2.0
"""After an answer that was none, a bot leaves the exchange in peace for this long."""

_log = structlog.get_logger("demo")
_OPEN: Final = "/api/v1/orders?state=open&limit=1000&instrument="


class Trader:
    """An account's way to the public API, over connections that stay open."""

    def __init__(self, session: aiohttp.ClientSession, url: str, credentials: Credentials) -> None:
        self._session = session
        self._url = url
        self._credentials = credentials

    async def ask(self, method: str, target: str, body: dict[str, Any] | None = None) -> Answer:
        """One signed request; status 0 if nobody answers."""
        sent, headers = signed(method, target, body, self._credentials)
        try:
            async with self._session.request(
                method, self._url + target, data=sent or None, headers=headers
            ) as answer:
                return Answer(answer.status, await answer.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return Answer(0, None)

    async def standing(self, symbol: str, scale: Scale) -> list[Standing] | None:
        """Its open orders in a market; None if the exchange does not say."""
        answer = await self.ask("GET", _OPEN + symbol)
        if answer.status != 200:
            code = answer.body.get("code") if isinstance(answer.body, dict) else None
            _log.warning("no_quotes", market=symbol, status=answer.status, code=code)
            return None
        return [
            Standing(
                order["order_id"],
                order["side"],
                scale.ticks(order["price"]),
                scale.lots(order["remaining_quantity"]),
            )
            for order in answer.body["orders"]
            if order["price"]
        ]

    async def take_all_back(self) -> None:
        """Cancel everything; a few times, for the exchange may be busy."""
        for _ in range(3):
            if (await self.ask("DELETE", "/api/v1/orders")).status == 200:
                return
            await asyncio.sleep(0.2)


class Stall(NamedTuple):
    """A market as the bots see it: its name, its units, where its price is now, and sizes."""

    symbol: str
    scale: Scale
    fair_ticks: Callable[[], int]
    maker_lots: range
    taker_lots: range


async def trade(
    url: str,
    makers: Sequence[tuple[Credentials, int]],
    takers: Sequence[Credentials],
    stalls: Sequence[Stall],
    walks: Iterable[Walk],
) -> None:
    """Make and take in all stalls until cancelled; then take all quotes back.

    A maker comes with how much further out it stands than the keenest, in ppm.
    """
    chance = Random()
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        making = [(Trader(session, url, key), shift_ppm) for key, shift_ppm in makers]
        taking = itertools.cycle([Trader(session, url, key) for key in takers])
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(wander(list(walks), chance))
                for stall in stalls:
                    group.create_task(take(next(taking), stall, chance))
                    for trader, shift_ppm in making:
                        group.create_task(make(trader, stall, shift_ppm, chance))
        finally:
            await asyncio.gather(*(trader.take_all_back() for trader, _ in making))


async def wander(walks: Sequence[Walk], chance: Random) -> None:
    """Let prices wander, for ever."""
    while True:
        await asyncio.sleep(MAKER_EVERY_S)
        for walk in walks:
            walk.step(chance)


async def make(trader: Trader, stall: Stall, shift_ppm: int, chance: Random) -> None:
    """Keep quotes around the price, for ever. What stands is asked for, never remembered."""
    most = 10 * CHANGES_A_TURN
    while True:
        standing = await trader.standing(stall.symbol, stall.scale)
        if standing is None:
            await asyncio.sleep(PAUSE_S)
            continue
        fair_ticks = stall.fair_ticks()
        wanted = ladder(fair_ticks, shift_ppm, stall.maker_lots, chance)
        for change in changes(standing, wanted, fair_ticks, most):
            if not await _carry_out(trader, stall, change):
                break
        # The first turn fills the book; after that a little at a time.
        most = CHANGES_A_TURN
        await asyncio.sleep(MAKER_EVERY_S * chance.uniform(0.8, 1.2))


async def _carry_out(trader: Trader, stall: Stall, change: Change) -> bool:
    """False if the exchange is in no state to be asked for more."""
    scale = stall.scale
    match change:
        case Quote(side, price_ticks, lots):
            body = {
                "instrument": stall.symbol,
                "side": side,
                "quantity": scale.quantity_text(lots),
                "price": scale.price_text(price_ticks),
            }
            answer = await trader.ask("POST", "/api/v1/orders", body)
        case Move(order_id, price_ticks):
            moved = {"price": scale.price_text(price_ticks)}
            answer = await trader.ask("PATCH", f"/api/v1/orders/{order_id}", moved)
        case TakeBack(order_id):
            answer = await trader.ask("DELETE", f"/api/v1/orders/{order_id}")
    return 200 <= answer.status < 500 and answer.status != 429


async def take(trader: Trader, stall: Stall, chance: Random) -> None:
    """Trade with whoever quotes, now and then, for ever; mostly the way it went last."""
    side, pause_s = BUY, FIRST_TAKE_S
    while True:
        await asyncio.sleep(pause_s)
        pause_s = TAKER_EVERY_S * chance.uniform(0.2, 1.8)
        if chance.random() < 0.4:
            side = SELL if side == BUY else BUY
        body = {
            "instrument": stall.symbol,
            "side": side,
            "type": "market",
            "quantity": stall.scale.quantity_text(chance.choice(stall.taker_lots)),
        }
        answer = await trader.ask("POST", "/api/v1/orders", body)
        if not 200 <= answer.status < 500:
            await asyncio.sleep(PAUSE_S)
