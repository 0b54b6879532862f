"""A market of a story's own: no order, no price and no guard in it but the story's."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.cli import engine
from tests.journey.contract.exchange import Exchange, Floor, Trader
from tests.journey.house import PATIENCE_S

USD: Final = 1
BTC: Final = 2
ETH: Final = 3
TICK: Final = 100
"""Ticks in a dollar."""

_numbers: Final = itertools.count(1)


class Stall:
    """One market, those who trade there, and the operator behind it."""

    def __init__(
        self, exchange: Exchange, floor: Floor, session: engine.Session, symbol: str
    ) -> None:
        self.alice, self.bob, self.floor = floor.alice, floor.bob, floor
        self.exchange = exchange
        self.symbol = symbol
        self.instrument = 0
        self._session = session

    async def command(self, account: str = "", **kind: Any) -> matching.Outcome:
        """What an operator asks of the engine, in the name of an account if one is said."""
        number = self.exchange.number(account) if account else 0
        [outcome] = await self._session.ask(matching.Command(account=number, **kind))
        return outcome

    async def add(self, symbol: str, base_asset: int) -> int:
        """Open a market for US dollars: tick 0.01, lot 0.0001, fees of 1000 and 2000 ppm."""
        instrument = types.Instrument(
            symbol=symbol,
            base_asset=base_asset,
            quote_asset=USD,
            lot_minor=10_000,
            tick_units=1,
            tick_scale=2,
            phase=types.PHASE_CONTINUOUS,
            min_quantity_lots=1,
            max_quantity_lots=10**10,
            min_notional_minor=10**7,
            max_notional_minor=10**16,
            market_protection_ppm=50_000,
            fees=[types.FeeRate(maker_fee_ppm=1000, taker_fee_ppm=2000)],
        )
        added = matching.AddInstrument(instrument=instrument)
        return (await self.command(add_instrument=added)).created_id

    async def phase(self, phase: "types.Phase", until_us: int = 0) -> None:
        """Move the market to a phase."""
        move = matching.SetPhase(instrument=self.instrument, phase=phase, until_us=until_us)
        await self.command(set_phase=move)

    async def mark(self, dollars: int) -> None:
        """Put the mark price."""
        put = matching.SetMark(instrument=self.instrument, price_ticks=dollars * TICK)
        await self.command(set_mark=put)

    async def place(self, trader: Trader, side: str, **fields: Any) -> dict[str, Any]:
        """An order here that is taken in; one unit of base unless a quantity is said."""
        return await trader.place(**self.order(side, **fields))

    def order(self, side: str, **fields: Any) -> dict[str, Any]:
        """The body of an order here; one unit of base unless a quantity is said."""
        sized = {} if fields.keys() & {"quantity", "quote_quantity"} else {"quantity": "1"}
        body = {"instrument": self.symbol, "side": side, **sized, **fields}
        return {name: value for name, value in body.items() if value is not None}

    async def trade(self, price: str, quantity: str = "0.1") -> None:
        """Let bob sell to alice at a price: it is the last one then."""
        sell = await self.place(self.bob, "sell", price=price, quantity=quantity)
        await self.place(self.alice, "buy", price=price, quantity=quantity)
        assert (await self.bob.one(sell))["state"] == "filled"

    async def until_shown(self, **fields: Any) -> dict[str, Any]:
        """The market as the public sees it, once these fields are so."""
        shown: dict[str, Any] = await until(
            self._shown, lambda market: fields.items() <= market.items()
        )
        return shown

    async def _shown(self) -> dict[str, Any]:
        told = (await self.alice.ask("GET", "/instruments")).body["instruments"]
        return next(each for each in told if each["instrument"] == self.symbol)

    async def in_history(self, order: dict[str, Any]) -> dict[str, Any]:
        """An order that has ended, as the list of ended orders has it."""
        owner = self.alice if await self._is_of(self.alice, order) else self.bob
        target = f"/orders?instrument={self.symbol}&limit=1000"
        listed = (await owner.ask("GET", target)).body["orders"]
        found = next(each for each in listed if each["order_id"] == order["order_id"])
        one = await owner.one(order)
        assert found == without_fills(one)
        return one

    async def until_ended(self, trader: Trader, order: dict[str, Any]) -> dict[str, Any]:
        """An order that ends by itself, once it has."""
        standing = ("open", "waiting")
        ended: dict[str, Any] = await until(
            lambda: trader.one(order), lambda now: now["state"] not in standing
        )
        return ended

    async def _is_of(self, trader: Trader, order: dict[str, Any]) -> bool:
        return (await trader.ask("GET", f"/orders/{order['order_id']}")).status == 200

    async def settle(self) -> None:
        """The ledger comes to the balances that the engine has, of everybody here."""
        for name, trader in (("alice", self.alice), ("bob", self.bob)):
            await self._settled(self.exchange.number(name), trader)

    async def _settled(self, account: int, trader: Trader) -> None:
        answer = await trader.ask("GET", "/balances")
        after = answer.body["sequences"][0]["sequence"]
        codes = {USD: "USD", BTC: "BTC", ETH: "ETH"}
        async with self.exchange.rooms() as rooms:
            asked = ledger.ListBalancesRequest(account=account)
            told = await until(
                lambda: rooms.ledger.ListBalances(asked),
                lambda has: bool(has.at[0].sequence >= after),
            )
        booked: dict[str, Decimal] = {}
        for each in told.balances:
            amount = Decimal(each.posted_minor).scaleb(-8)
            booked[codes[each.asset]] = booked.get(codes[each.asset], Decimal(0)) + amount
        has = {
            each["asset"]: Decimal(each["available"]) + Decimal(each["held"])
            for each in answer.body["balances"]
        }
        assert booked == has


def without_fills(order: dict[str, Any]) -> dict[str, Any]:
    """An order as lists and private channels have it."""
    return {name: value for name, value in order.items() if name != "fills"}


async def until(ask: Callable[[], Awaitable[Any]], enough: Callable[[Any], bool]) -> Any:
    """Ask until the answer is what is waited for, and give it; fail after a long while."""
    ends = time.monotonic() + PATIENCE_S
    while not enough(told := await ask()):
        assert time.monotonic() < ends, told
        await asyncio.sleep(0.05)
    return told


def at_a_stall(exchange: Exchange, story: Callable[[Stall], Awaitable[None]]) -> None:
    """Let a story happen in a new market; what it leaves open is cancelled."""

    async def happen(floor: Floor) -> None:
        async with exchange.engine() as session:
            stall = Stall(exchange, floor, session, f"BTC-STALL{next(_numbers)}")
            stall.instrument = await stall.add(stall.symbol, BTC)
            async with asyncio.timeout(PATIENCE_S):
                await until(lambda: _known(stall), bool)
            try:
                await story(stall)
            finally:
                for trader in (floor.alice, floor.bob):
                    await trader.ask("DELETE", "/orders")

    exchange.tell(happen)


async def _known(stall: Stall) -> bool:
    """Whether the edge has heard of it."""
    answer = await stall.alice.ask("GET", f"/ticker/{stall.symbol}")
    return answer.status == 200
