"""Orders that show a part of themselves, want a least, or are protected; auctions, bands, fees."""

from decimal import Decimal
from typing import Any

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.journey.client import open_socket
from tests.journey.contract.exchange import Exchange, told
from tests.journey.contract.stall import ETH, TICK, Stall, at_a_stall
from tests.journey.contract.test_waiting_orders import ending


async def asks_of(stall: Stall) -> list[list[str]]:
    """The asks of the public book, once all that was answered is in it."""
    now = (await stall.alice.ask("GET", "/balances")).headers["X-Bourse-Sequence"]
    book = await stall.alice.ask("GET", f"/orderbook/{stall.symbol}", after=now)
    asks: list[list[str]] = book.body["asks"]
    return asks


def test_an_iceberg_shows_its_tip(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        ice = await stall.place(stall.alice, "sell", price="100", display_quantity="0.2")
        assert (ice["quantity"], ice["display_quantity"]) == ("1", "0.2")
        assert await asks_of(stall) == [["100", "0.2"]]
        bought = await stall.place(stall.bob, "buy", price="100", quantity="0.3")
        assert ending(bought) == ("filled", None, "0.3")
        assert await asks_of(stall) == [["100", "0.1"]]
        assert (await stall.alice.one(ice))["remaining_quantity"] == "0.7"
        await stall.place(stall.bob, "buy", price="100", quantity="0.7")
        ended = await stall.in_history(ice)
        assert (*ending(ended), ended["display_quantity"]) == ("filled", None, "1", "0.2")
        too_small = stall.order("sell", price="100", display_quantity="0.0001")
        assert told(await stall.alice.ask("POST", "/orders", too_small))[1] == "quantity_too_small"
        await stall.settle()

    at_a_stall(exchange, story)


def test_a_least_fill_is_kept_or_nothing_trades(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        await stall.place(stall.bob, "sell", price="100", quantity="0.5")
        least = {"price": "100", "min_fill_quantity": "0.6"}
        nothing = await stall.place(stall.alice, "buy", **least)
        assert ending(nothing) == ("expired", "min_quantity_unfillable", "0")
        assert (await stall.in_history(nothing))["min_fill_quantity"] == "0.6"
        least["min_fill_quantity"] = "0.5"
        rests = await stall.place(stall.alice, "buy", **least)
        assert ending(rests) == ("open", None, "0.5")
        assert [fill["quantity"] for fill in rests["fills"]] == ["0.5"]
        await stall.settle()

    at_a_stall(exchange, story)


def test_a_market_order_goes_no_further_than_its_protection(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        for price in ("100", "102", "103"):
            await stall.place(stall.bob, "sell", price=price, quantity="0.3")
        bought = await stall.place(stall.alice, "buy", type="market", protection_price="102")
        assert (*ending(bought), bought["filled_quote"]) == (
            "expired",
            "no_liquidity",
            "0.6",
            "60.6",
        )
        assert (await stall.in_history(bought))["protection_price"] == "102"
        await stall.settle()

    at_a_stall(exchange, story)


def test_an_auction_gathers_trades_and_ends_what_was_for_it_alone(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice, bob = stall.alice, stall.bob
        gfa = {"time_in_force": "gfa"}
        early = await alice.ask("POST", "/orders", stall.order("buy", price="100", **gfa))
        assert told(early) == (422, "market_not_open")
        await stall.phase(types.PHASE_HALT)
        await stall.phase(types.PHASE_PRE_OPEN)
        await stall.until_shown(phase="pre_open")
        buy = await stall.place(alice, "buy", price="102", quantity="1", **gfa)
        sell = await stall.place(bob, "sell", price="98", quantity="0.6")
        assert [ending(order) for order in (buy, sell)] == [("open", None, "0")] * 2
        market = stall.order("buy", type="market")
        assert told(await alice.ask("POST", "/orders", market)) == (422, "market_not_open")
        now = (await alice.ask("GET", "/balances")).headers["X-Bourse-Sequence"]
        shown = (await alice.ask("GET", f"/auction/{stall.symbol}", after=now)).body
        assert (shown["price"], shown["volume"], shown["surplus"]) == ("102", "0.6", "0.4")
        async with open_socket(stall.floor.session, stall.floor.url) as socket:
            await socket.say("subscribe", channels=[f"auction.{stall.symbol}"])
            said = {**shown, "type": "auction", "channel": f"auction.{stall.symbol}"}
            await socket.until(lambda one: one == said)
            await stall.place(bob, "sell", price="99", quantity="0.1")
            await socket.until(lambda one: one.get("volume") == "0.7")
            await bob.ask("DELETE", f"/orders?instrument={stall.symbol}")
            await socket.until(lambda one: one.get("volume") == "0")
        sell = await stall.place(bob, "sell", price="98", quantity="0.6")
        await stall.phase(types.PHASE_OPENING_AUCTION)
        await stall.phase(types.PHASE_CONTINUOUS)
        left = await stall.in_history(buy)
        assert ending(left) == ("expired", "auction_remainder", "0.6")
        assert {fill["price"] for fill in left["fills"]} == {"102"}, "the surplus is of buys"
        assert ending(await stall.in_history(sell)) == ("filled", None, "0.6")
        await stall.until_shown(reference_price="102")
        trades = (await alice.ask("GET", f"/trades/{stall.symbol}")).body["trades"]
        assert [(each["price"], each["auction"]) for each in trades] == [("102", True)]
        over = (await alice.ask("GET", f"/auction/{stall.symbol}")).body
        assert (over["price"], over["volume"], over["surplus"]) == (None, "0", "0")
        await stall.settle()

    at_a_stall(exchange, story)


def test_a_band_refuses_ends_or_starts_an_auction(exchange: Exchange) -> None:
    async def guard(stall: Stall, auction_us: int) -> None:
        guards = matching.SetGuards(
            instrument=stall.instrument,
            reference_ticks=100 * TICK,
            static_band_ppm=200_000,
            dynamic_band_ppm=50_000,
            volatility_auction_us=auction_us,
        )
        await stall.command(set_guards=guards)

    async def story(stall: Stall) -> None:
        await stall.trade("100")
        await guard(stall, 0)
        bands = {"static_band_ppm": 200_000, "dynamic_band_ppm": 50_000}
        shown = await stall.until_shown(**bands)
        assert (shown["reference_price"], shown["volatility_auction_us"]) == ("100", None)
        far = await stall.alice.ask("POST", "/orders", stall.order("buy", price="121"))
        assert told(far) == (422, "price_outside_band")
        for price in ("105", "106"):
            await stall.place(stall.bob, "sell", price=price, quantity="0.5")
        stopped = await stall.place(stall.alice, "buy", price="106", quantity="1")
        assert ending(stopped) == ("expired", "price_band", "0.5")
        assert ending(await stall.in_history(stopped)) == ("expired", "price_band", "0.5")
        await guard(stall, 3_600_000_000)
        await stall.place(stall.bob, "sell", price="111", quantity="0.5")
        rests = await stall.place(stall.alice, "buy", price="111", quantity="1")
        assert ending(rests) == ("open", None, "0.5")
        shown = await stall.until_shown(phase="volatility_auction")
        assert shown["phase_until_us"] == rests["updated_us"] + 3_600_000_000
        await stall.settle()

    at_a_stall(exchange, story)


def test_fees_can_be_paid_in_another_asset(exchange: Exchange) -> None:
    async def settings(stall: Stall, **put: Any) -> None:
        await stall.command("alice", set_account=matching.SetAccount(**put))

    async def story(stall: Stall) -> None:
        exchange.operator("account", "deposit", "alice", "ETH", "0.005")
        price_of_fees = f"ETH-{stall.symbol}"
        other = await stall.add(price_of_fees, ETH)
        named = matching.SetFeeMarket(
            instrument=stall.instrument, fee_market=other, discount_ppm=250_000
        )
        await stall.command(set_fee_market=named)
        await stall.until_shown(fee_market=price_of_fees, fee_discount_ppm=250_000)
        exchange.operator("account", "deposit", "bob", "ETH", "1")
        for trader, side in ((stall.bob, "sell"), (stall.alice, "buy")):
            order = stall.order(side, price="40", quantity="0.01")
            await trader.place(**{**order, "instrument": price_of_fees})
        had = (await stall.alice.funds())["ETH"][0]
        await settings(stall, pays_fee_asset=True)
        try:
            assert (await stall.alice.ask("GET", "/account")).body["pays_fee_asset"] is True
            await stall.place(stall.bob, "sell", price="100", quantity="2")
            # Of 100 USD 0.2 % less a quarter is 0.15 USD, at 40 USD 0.00375 ETH.
            first = await stall.place(stall.alice, "buy", price="100")
            paid = {"asset": "ETH", "amount": "0.00375"}
            assert first["fees"] == [fill["fee"] for fill in first["fills"]] == [paid]
            assert had - (await stall.alice.funds())["ETH"][0] == Decimal("0.00375")
            assert (await stall.in_history(first))["fees"] == [paid]
        finally:
            await settings(stall)
        await stall.settle()

    at_a_stall(exchange, story)
