"""Orders that wait for a price, from their placing through REST to history and the books."""

from typing import Any

from tests.journey.contract.exchange import Exchange, told
from tests.journey.contract.stall import Stall, at_a_stall, without_fills


def ending(order: dict[str, Any]) -> tuple[str, str | None, str]:
    """How an order stands: state, reason, how much of it has traded."""
    return order["state"], order["reason"], order["filled_quantity"]


def test_a_stop_and_a_take_profit_wait_and_trade_at_market(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice, bob = stall.alice, stall.bob
        stop = await stall.place(alice, "sell", type="stop", trigger_price="95")
        profit = await stall.place(alice, "sell", type="take_profit", trigger_price="105")
        for order, price in ((stop, "95"), (profit, "105")):
            assert ending(order) == ("waiting", None, "0")
            assert (order["trigger_price"], order["trigger_by"]) == (price, "last")
            assert (order["time_in_force"], order["triggered_us"]) == ("ioc", None)
            assert await alice.one(order) == order
        await stall.trade("100")
        await stall.place(bob, "buy", price="94")
        for order in (stop, profit):
            assert (await alice.one(order))["state"] == "waiting", "100 is between the two"
        await stall.trade("95")
        sold = await stall.in_history(stop)
        assert (*ending(sold), sold["filled_quote"]) == ("filled", None, "1", "94")
        assert (sold["trigger_price"], sold["triggered_us"]) == ("95", sold["updated_us"])
        assert [fill["liquidity"] for fill in sold["fills"]] == ["taker"]
        refused = await alice.ask(
            "POST", "/orders", stall.order("sell", type="stop", trigger_price="96")
        )
        assert told(refused) == (422, "would_trigger")
        await stall.trade("105")
        assert ending(await stall.in_history(profit)) == ("expired", "no_liquidity", "0")
        await stall.settle()

    at_a_stall(exchange, story)


def test_their_limits_watch_the_mark_price_and_rest(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice = stall.alice
        waits = {"price": "90", "trigger_by": "mark"}
        stop = await stall.place(alice, "sell", type="stop_limit", trigger_price="95", **waits)
        kept = await stall.place(
            alice, "sell", type="take_profit_limit", trigger_price="120", **waits
        )
        await stall.mark(100)
        await stall.until_shown(mark_price="100")
        for state in ("open", "waiting"):
            listed = await alice.ask("GET", f"/orders?state={state}&instrument={stall.symbol}")
            assert listed.body["orders"] == [without_fills(order) for order in (kept, stop)]
        path = f"/orders/{kept['order_id']}"
        amended = await alice.ask("PATCH", path, {"quantity": "2"})
        assert told(amended) == (422, "market_not_open")
        assert "replace" in amended.body["detail"]
        await stall.mark(95)
        rests = await alice.one(stop)
        assert (*ending(rests), rests["remaining_quantity"]) == ("open", None, "0", "1")
        assert rests["triggered_us"] == rests["updated_us"] > rests["created_us"]
        cancelled = await alice.ask("DELETE", path)
        assert ending(cancelled.body) == ("cancelled", "by_owner", "0")
        ended = await stall.in_history(kept)
        assert (ended["trigger_price"], ended["trigger_by"]) == ("120", "mark")
        await stall.place(stall.bob, "buy", price="90")
        assert ending(await stall.in_history(stop)) == ("filled", None, "1")
        await stall.settle()

    at_a_stall(exchange, story)


def test_a_trailing_stop_follows_the_price(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice = stall.alice
        near = await stall.place(alice, "sell", type="trailing_stop", trail="5")
        far = await stall.place(
            alice, "sell", type="trailing_stop", trail_ppm=100_000, activation_price="110"
        )
        assert (near["trigger_price"], near["peak_price"], near["trail"]) == (None, None, "5")
        assert (far["trail_ppm"], far["activation_price"]) == (100_000, "110")
        for price in ("100", "112", "108"):
            await stall.trade(price)
        follows = await alice.one(near)
        assert (follows["trigger_price"], follows["peak_price"]) == ("107", "112")
        assert (await alice.one(far))["trigger_price"] == "100.8"
        await stall.place(stall.bob, "buy", price="106")
        await stall.trade("107")
        sold = await stall.in_history(near)
        assert (*ending(sold), sold["filled_quote"]) == ("filled", None, "1", "106")
        assert (await alice.ask("DELETE", f"/orders/{far['order_id']}")).status == 200
        ended = await stall.in_history(far)
        assert (ended["trail_ppm"], ended["peak_price"]) == (100_000, "112")
        await stall.settle()

    at_a_stall(exchange, story)


def test_what_could_not_be_taken_when_it_is_triggered_ends(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        poor = stall.floor.carol
        order = {"type": "stop_limit", "price": "90", "trigger_price": "95"}
        stop = await stall.place(poor, "sell", **order)
        await stall.trade("95")
        ended = await poor.one(stop)
        assert ending(ended) == ("expired", "trigger_refused", "0")

    at_a_stall(exchange, story)


def test_a_gtd_order_ends_at_its_time(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice = stall.alice
        order = stall.order("buy", price="90", time_in_force="gtd", expires_us=1)
        assert told(await alice.ask("POST", "/orders", order)) == (422, "expiry_passed")
        now_us = (await alice.ask("GET", "/time")).body["time_us"]
        gtd = {"time_in_force": "gtd", "expires_us": now_us + 1_500_000}
        rests = await stall.place(alice, "buy", price="90", **gtd)
        assert (*ending(rests), rests["expires_us"]) == ("open", None, "0", gtd["expires_us"])
        ended = await stall.until_ended(alice, rests)
        assert ending(ended) == ("expired", "time_reached", "0")
        assert ended["updated_us"] >= gtd["expires_us"] == ended["expires_us"]
        await stall.settle()

    at_a_stall(exchange, story)
