"""An operator's day: from the opening auction to the closing one, and at night all agrees."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bourse.marketdata import v1 as marketdata
from bourse.matching import v1 as matching
from bourse.orders import v1 as orders
from bourse.types import v1 as types
from services.cli.engine import Session, open_session
from services.cli.rooms import Rooms, open_rooms
from tests.journey.house import PATIENCE_S, House, command

BTC_USD, ETH_USD = "BTC-USD", "ETH-USD"
ETH: Final = 3
TICKS: Final = 100
"""In a unit of quote, in both markets."""


class Day:
    """The house, and orders of its three people straight to the core."""

    def __init__(self, house: House, rooms: Rooms, session: Session) -> None:
        self.house = house
        self.rooms = rooms
        self._session = session
        self._people: dict[str, int] = {}
        self._markets: dict[str, int] = {}
        self.sequence = 0

    def arrive(self, name: str) -> None:
        """Somebody with money."""
        made = self.house.bourse("account", "create", name)
        self._people[name] = int(made["account_id"])
        for asset, amount in (("USD", "1000000"), ("BTC", "100"), ("ETH", "100")):
            self.house.bourse("account", "deposit", name, asset, amount)

    async def place(self, name: str, lots: int, price: str = "0", **fields: Any) -> types.Order:
        """A limit order of so many lots, a sale if they are negative."""
        order = matching.PlaceOrder(
            instrument=self.market(fields.pop("market", BTC_USD)),
            side=types.SIDE_BUY if lots > 0 else types.SIDE_SELL,
            type=fields.pop("type", types.ORDER_TYPE_LIMIT),
            time_in_force=fields.pop("time_in_force", types.TIME_IN_FORCE_GTC),
            price_ticks=_ticks(price),
            quantity_lots=abs(lots),
            **fields,
        )
        asked = matching.Command(account=self._people[name], place_order=order)
        [outcome] = await self._session.ask(asked)
        self.sequence = outcome.order.sequence
        return outcome.order

    def market(self, symbol: str) -> int:
        """A market's number."""
        if symbol not in self._markets:
            self._markets[symbol] = int(self.described(symbol)["instrument_id"])
        return self._markets[symbol]

    def described(self, symbol: str = BTC_USD) -> dict[str, Any]:
        """What `bourse instrument list` says of a market."""
        listed = self.house.bourse("instrument", "list")["instruments"]
        newest: dict[str, Any] = [one for one in listed if one["instrument"] == symbol][-1]
        return newest

    async def until_phase(self, phase: str) -> None:
        """Wait until the market has gone on by itself."""
        deadline = time.monotonic() + PATIENCE_S
        while self.described()["phase"] != phase:
            assert time.monotonic() < deadline, self.described()
            await asyncio.sleep(0.2)

    async def history(self, name: str, order_id: int) -> orders.OrderWithFills:
        """An order with its fills, as history has it once it knows all that was asked here."""
        request = orders.GetOrderRequest(account=self._people[name], order_id=order_id)
        request.after.add(sequence=self.sequence)
        return (await self.rooms.orders.GetOrder(request, timeout=10)).order

    async def auction(self) -> tuple[int, int, int]:
        """Indicative price in ticks, volume and surplus in lots."""
        request = marketdata.GetTickerRequest(
            instrument=self.market(BTC_USD), after_sequence=self.sequence
        )
        said = (await self.rooms.marketdata.GetTicker(request, timeout=10)).auction
        return said.price_ticks, said.volume_lots, said.surplus_lots

    async def trades(self) -> list[tuple[int, int, bool]]:
        """Price in ticks, lots, and whether in an auction, of all trades, oldest first."""
        request = marketdata.ListTradesRequest(
            instrument=self.market(BTC_USD), limit=1000, after_sequence=self.sequence
        )
        found = (await self.rooms.marketdata.ListTrades(request, timeout=10)).trades
        return [(one.price_ticks, one.lots, one.auction) for one in reversed(found)]


def _ticks(price: str) -> int:
    whole, _, cents = price.partition(".")
    return int(whole) * TICKS + int(cents or 0)


@contextmanager
def house_in(folder: Path) -> Iterator[House]:
    house = House(folder, "--no-demo")
    try:
        house.url()
        yield house
    finally:
        house.stop()


def test_a_day_from_the_opening_auction_to_the_closing_one(data_folder: Path) -> None:
    async def live(house: House) -> None:
        async with (
            open_rooms(data_folder) as rooms,
            open_session(rooms.channel("matching")) as session,
        ):
            day = Day(house, rooms, session)
            for name in ("alice", "bob", "carol"):
                day.arrive(name)
            for part in (_opening, _fee_asset, _stop, _iceberg, _volatility, _kill, _closing):
                await part(day)

    with house_in(data_folder) as house:
        assert house.bourse("rules") == {"rules": 3, "newest": 3}
        asyncio.run(live(house))
        found = house.bourse("verify")
        assert found["ok"], found
        _log_tells_the_day(data_folder)
    assert "trades by rules" not in house.all_said()


async def _opening(day: Day) -> None:
    # In place of the first market, whose lots are too small for this.
    day.house.bourse("instrument", "add", BTC_USD, "--tick", "0.01", "--lot", "0.01")
    for phase in ("halt", "pre_open"):
        day.house.bourse("instrument", "phase", BTC_USD, phase)
    await day.place("alice", 10, "100.20")
    assert await day.auction() == (0, 0, 0)
    await day.place("bob", -7, "100.00", display_lots=2)
    assert await day.auction() == (100_20, 7, 3)
    book = day.house.bourse("book", BTC_USD)
    assert (book["bids"], book["asks"]) == ([["100.2", "0.1"]], [["100", "0.02"]])
    assert day.house.bourse("verify")["ok"], "a book may be crossed while the market gathers"
    day.house.bourse("instrument", "phase", BTC_USD, "opening_auction", "--until", "+2")
    await day.until_phase("continuous")
    assert set(await day.trades()) == {(100_20, 2, True), (100_20, 1, True)}
    assert sum(lots for _, lots, _ in await day.trades()) == 7


async def _fee_asset(day: Day) -> None:
    """Alice pays her next fee in ETH: 0.01 of it."""
    day.house.bourse("instrument", "add", ETH_USD, "--tick", "0.01", "--lot", "0.1")
    await day.place("bob", -1, "10.00", market=ETH_USD)
    await day.place("carol", 1, "10.00", market=ETH_USD)
    named = ("fee-market", BTC_USD, ETH_USD, "--discount-ppm", "250000")
    day.house.bourse("instrument", *named)
    day.house.bourse("account", "fee-asset", "alice", "on")
    assert day.described()["fee_market"] == ETH_USD
    await day.place("bob", -1, "100.30")
    bought = await day.place("alice", 1, "100.30")
    [fill] = (await day.history("alice", bought.order_id)).fills
    assert fill.fee_asset == ETH
    assert fill.fee_minor == bought.other_fee_minor > 0


async def _stop(day: Day) -> None:
    stop = await day.place(
        "carol",
        -1,
        type=types.ORDER_TYPE_STOP,
        time_in_force=types.TIME_IN_FORCE_IOC,
        trigger_ticks=99_00,
    )
    waiting = (await day.history("carol", stop.order_id)).order
    assert (waiting.state, waiting.trigger_ticks) == (types.ORDER_STATE_WAITING, 99_00)
    assert day.house.bourse("verify")["ok"], "an order that waits holds nothing"
    await day.place("alice", 5, "98.90")
    await day.place("bob", -4, "98.90")
    fired = await day.history("carol", stop.order_id)
    assert fired.order.state == types.ORDER_STATE_FILLED
    assert fired.order.triggered_us
    assert [fill.price_ticks for fill in fired.fills] == [98_90]


async def _iceberg(day: Day) -> None:
    tip = await day.place("bob", -9, "99.50", display_lots=3)
    await day.place("alice", 3, "99.50")
    assert day.house.bourse("book", BTC_USD)["asks"] == [["99.5", "0.03"]]
    order = (await day.history("bob", tip.order_id)).order
    assert (order.remaining_lots, order.display_lots) == (6, 3)


async def _volatility(day: Day) -> None:
    """The next price is further away than the band: what is left of the order waits for it."""
    bands = ("--dynamic-band-ppm", "50000", "--volatility-auction", "10")
    day.house.bourse("instrument", "guards", BTC_USD, *bands, "--static-band-ppm", "500000")
    await day.place("carol", -5, "120.00")
    await day.place("alice", 10, "120.00")
    assert (await day.trades())[-1] == (99_50, 3, False)
    assert await day.auction() == (120_00, 4, -1)
    assert day.described()["phase"] == "volatility_auction"
    await day.until_phase("continuous")
    assert (await day.trades())[-1] == (120_00, 4, True)
    assert day.described()["reference_price"] == "120"


async def _kill(day: Day) -> None:
    stop = await day.place(
        "carol",
        -1,
        type=types.ORDER_TYPE_STOP,
        time_in_force=types.TIME_IN_FORCE_IOC,
        trigger_ticks=90_00,
    )
    day.house.bourse("account", "limits", "carol", "--open-orders", "5")
    killed = day.house.bourse("account", "kill", "carol")["cancelled"]
    assert len(killed) == 2, "what was left of the sale, and what waited"
    assert str(stop.order_id) in killed
    people = {one["name"]: one for one in day.house.bourse("account", "list")["accounts"]}
    settings = people["carol"]["settings"]
    assert (settings["suspended"], settings["max_open_orders"]) == (True, 5)
    assert people["alice"]["settings"]["pays_fee_asset"]


async def _closing(day: Day) -> None:
    day.house.bourse("instrument", "mark", BTC_USD, "119")
    assert day.described()["mark_price"] == "119"
    day.house.bourse("instrument", "phase", BTC_USD, "closing_auction", "--until", "+2")
    await day.place("bob", -2, "118.00", time_in_force=types.TIME_IN_FORCE_GFA)
    bid = await day.place("alice", 2, "119.00", time_in_force=types.TIME_IN_FORCE_GFA)
    await day.until_phase("closed")
    assert (await day.history("alice", bid.order_id)).order.state == types.ORDER_STATE_FILLED
    assert (await day.trades())[-1][1:] == (2, True)
    rest = day.house.bourse("instrument", "kill", BTC_USD)["cancelled"]
    assert rest, "bids of the day before are still there"
    assert day.described()["phase"] == "halt"


def _log_tells_the_day(data: Path) -> None:
    said = command("log", "--data", str(data), "--json")
    titles = [json.loads(line)["command"] for line in said.stdout.splitlines()]
    assert any(title.endswith(" time") for title in titles)
    assert "auctions" in titles
    kinds = {title.split()[1] for title in titles if title.startswith("#")}
    assert kinds >= {"kill", "set_guards", "set_mark", "set_fee_market", "use_rules", "set_phase"}


def test_a_folder_of_older_rules_says_how_to_raise_them(data_folder: Path) -> None:
    birth = {"format": 1, "demo": False, "complete": True}
    (data_folder / "bourse.json").write_text(json.dumps(birth))
    with house_in(data_folder) as house:
        assert "`bourse rules use 3`" in house.until_said("trades by rules 1.")
        assert house.bourse("rules")["rules"] == 1
        assert house.bourse("rules", "use", "3")["rules"] == 3
        assert house.bourse("rules", "use", "3")["before"] == 3
        back = command("rules", "use", "1", "--data", str(data_folder))
        assert (back.returncode, "no way back" in back.stderr) == (1, True)
