"""The rules of orders, R-PRICE to R-AMEND, as an account sees them: fees and balances exact."""

from decimal import Decimal
from typing import Any

from tests.journey.contract.exchange import LIMIT, Balances, Exchange, Floor, Trader, told

MODES = ("none", "cancel_maker", "cancel_taker", "cancel_both", "decrement")


async def moved(trader: Trader, before: Balances) -> dict[str, tuple[str, str]]:
    """What has changed in an account, available and held, by asset."""
    now = await trader.funds()
    changed = {
        asset: tuple(_plain(new - old) for new, old in zip(now[asset], had, strict=True))
        for asset, had in before.items()
        if now[asset] != had
    }
    return {asset: (change[0], change[1]) for asset, change in changed.items()}


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}" if number else "0"


def ending(order: dict[str, Any]) -> tuple[str, str | None, str]:
    """How an order stands: state, reason, how much of it has traded."""
    return order["state"], order["reason"], order["filled_quantity"]


def test_price_time_holds_and_fees_are_exact(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        alice, bob, had = floor.alice, floor.bob, await floor.alice.funds()
        bob_had = await bob.funds()
        sells = (("101.41", "0.0333"), ("101.41", "0.01"), ("101.4", "0.007"))
        first, *_ = [await bob.open("sell", *each) for each in sells]
        assert await moved(bob, bob_had) == {"BTC": ("-0.0503", "0.0503")}
        bought = await alice.open("buy", "105", "0.1")
        traded = [(fill["price"], fill["quantity"]) for fill in bought["fills"]]
        assert traded == [sells[2], sells[0], sells[1]], "best price first, then the oldest"
        assert bought["fees"] == [{"asset": "BTC", "amount": "0.0001006"}]
        assert bought["filled_quote"] == "5.100853"
        spent = {"USD": ("-10.319353", "5.2185"), "BTC": ("0.0501994", "0")}
        assert await moved(alice, had) == spent, "what a better price saves is let go"
        # Of 0.7098, 3.376953 and 1.0141 USD, each fee rounded up to 0.00000001.
        assert await moved(bob, bob_had) == {"USD": ("5.09575214", "0"), "BTC": ("-0.0503", "0")}
        assert (await bob.one(first))["fees"] == [{"asset": "USD", "amount": "0.00337696"}]
        assert await alice.one(bought) == bought
        fills = (await alice.ask("GET", f"/fills?order_id={bought['order_id']}")).body["fills"]
        assert [fill["trade_id"] for fill in reversed(fills)] == [
            fill["trade_id"] for fill in bought["fills"]
        ]

    exchange.tell(story)


def test_market_orders_walk_no_further_than_book_protection_and_quote(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        alice, bob = floor.alice, floor.bob
        nothing = await alice.at_market("buy", quantity="1")
        assert ending(nothing) == ("expired", "no_liquidity", "0")
        assert (nothing["time_in_force"], nothing["price"], nothing["fees"]) == ("ioc", None, [])
        for price in ("100", "104", "105", "105.01"):
            await bob.open("sell", price, "0.5")
        protected = await alice.at_market("buy", quantity="3")
        assert ending(protected) == ("expired", "no_liquidity", "1.5")
        assert (protected["filled_quote"], protected["remaining_quantity"]) == ("154.5", "1.5")
        by_quote = await alice.at_market("buy", quote_quantity="10.6")
        assert ending(by_quote) == ("filled", None, "0.1009")
        assert (by_quote["quantity"], by_quote["remaining_quantity"]) == (None, None)
        assert (by_quote["quote_quantity"], by_quote["filled_quote"]) == ("10.6", "10.595509")
        assert (await alice.at_market("buy", quote_quantity="100"))["reason"] == "no_liquidity"
        for price, quantity in (("100", "0.5"), ("95", "1"), ("94.99", "1")):
            await bob.open("buy", price, quantity)
        sold = await alice.at_market("sell", quote_quantity="60")
        assert (*ending(sold), sold["filled_quote"]) == ("filled", None, "0.6052", "59.994")

    exchange.tell(story)


def test_a_market_order_needs_what_the_walk_would_move_and_no_more(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        await floor.bob.open("sell", "100", "2")
        buy = {"instrument": "BTC-USD", "side": "buy", "type": "market", "quantity": "1"}
        refused = await floor.carol.ask("POST", "/orders", buy)
        assert told(refused) == (422, "insufficient_balance")
        assert "needs 100 USD; 0 USD is available" in refused.body["detail"]
        sold = await floor.carol.at_market("sell", quantity="1")
        assert ending(sold) == ("expired", "no_liquidity", "0"), "there is nothing to move"

    exchange.tell(story)


def test_ioc_fok_and_post_only_keep_their_word(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        alice, bob = floor.alice, floor.bob
        await bob.open("sell", "100", "20")
        for trader in (alice, bob):
            answer = await trader.order(price="100", post_only=True)
            assert told(answer) == (422, "post_only_would_trade"), "own orders are in the book too"
        waits = await alice.open("buy", "99", "1", post_only=True)
        amended = await alice.ask("PATCH", f"/orders/{waits['order_id']}", {"price": "100"})
        assert told(amended) == (422, "post_only_would_trade")
        rest = await alice.open("buy", "100", "25", time_in_force="ioc")
        assert ending(rest) == ("expired", "ioc_remainder", "20")
        await bob.open("sell", "100", "5")
        before = await alice.funds()
        too_much = await alice.open("buy", "100", "6", time_in_force="fok")
        assert ending(too_much) == ("expired", "fok_unfillable", "0")
        assert await moved(alice, before) == {}
        assert ending(await alice.open("buy", "100", "5", time_in_force="fok"))[0] == "filled"

    exchange.tell(story)


async def _meet_oneself(
    floor: Floor, quantity: str, **incoming: str
) -> tuple[tuple[str, str | None, str], tuple[str, str | None, str], str]:
    """Alice's own sell stands before bob's; how it and her buy end, and her buy's quantity."""
    for trader in (floor.alice, floor.bob):
        await trader.ask("DELETE", "/orders")
    own = await floor.alice.open("sell", "100", "1")
    await floor.bob.open("sell", "101", "1")
    taker = await floor.alice.open("buy", "101", quantity, **incoming)
    return ending(await floor.alice.one(own)), ending(taker), taker["quantity"]


STANDS = ("open", None, "0")
PREVENTED = ("cancelled", "self_trade", "0")
UNFILLABLE = ("expired", "fok_unfillable", "0")
TRADED = {
    "none": (("filled", None, "1"), ("filled", None, "1.5"), "1.5"),
    "cancel_maker": (PREVENTED, ("open", None, "1"), "1.5"),
    "cancel_taker": (STANDS, PREVENTED, "1.5"),
    "cancel_both": (PREVENTED, PREVENTED, "1.5"),
    "decrement": (PREVENTED, ("filled", None, "0.5"), "0.5"),
}
FILLED_OR_KILLED = {
    "none": (("filled", None, "1"), ("filled", None, "1"), "1"),
    "cancel_maker": (PREVENTED, ("filled", None, "1"), "1"),
    "cancel_taker": (STANDS, UNFILLABLE, "1"),
    "cancel_both": (STANDS, UNFILLABLE, "1"),
    "decrement": (STANDS, UNFILLABLE, "1"),
}


def test_own_orders_meet_in_the_incoming_orders_mode(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        for mode in MODES:
            found = await _meet_oneself(floor, "1.5", self_trade_prevention=mode)
            assert found == TRADED[mode], mode
            fok = {"self_trade_prevention": mode, "time_in_force": "fok"}
            assert await _meet_oneself(floor, "1", **fok) == FILLED_OR_KILLED[mode], mode

    exchange.tell(story)


def test_an_amend_keeps_its_place_only_when_it_asks_for_less(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        alice, bob = floor.alice, floor.bob
        first, second = await bob.open("sell", "100", "2"), await bob.open("sell", "100", "1")
        path = f"/orders/by-client-id/{first['client_order_id']}"
        assert (await bob.ask("PATCH", path, {"quantity": "1.5"})).body["quantity"] == "1.5"
        await alice.open("buy", "100", "1")
        assert (await bob.one(first))["filled_quantity"] == "1", "less keeps its place"
        refusals: tuple[tuple[dict[str, Any], tuple[int, str]], ...] = (
            ({"quantity": "1"}, (422, "quantity_below_filled")),
            ({"quantity": "1.00001"}, (422, "quantity_off_lot")),
            ({"quantity": "1000001"}, (422, "quantity_too_large")),
            ({"price": "100.001"}, (422, "price_off_tick")),
            ({"price": "0"}, (400, "invalid_value")),
            ({"side": "buy"}, (400, "unknown_field")),
            ({}, (400, "missing_field")),
        )
        for change, refused in refusals:
            assert told(await bob.ask("PATCH", path, change)) == refused, change
        assert (await bob.one(first))["quantity"] == "1.5", "a refused amend changes nothing"
        assert (await bob.ask("PATCH", path, {"quantity": "2.5"})).body["fills"] == []
        await alice.open("buy", "100", "1")
        assert (await bob.one(second))["state"] == "filled", "more goes to the back"
        waits = await alice.open("buy", "99", "1")
        crossed = await alice.ask("PATCH", f"/orders/{waits['order_id']}", {"price": "100"})
        assert ending(crossed.body) == ("filled", None, "1")
        assert [fill["liquidity"] for fill in crossed.body["fills"]] == ["taker"]

    exchange.tell(story)


def test_an_order_lives_with_both_of_its_names_until_it_has_ended(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        placed = await floor.alice.open("buy", "10", "1", client_order_id="both-names")
        paths = (f"/orders/{placed['order_id']}", "/orders/by-client-id/both-names")
        for path in paths:
            assert (await floor.alice.ask("GET", path)).body == {**placed, "fills": []}
            for method, body in (("GET", None), ("PATCH", {"price": "1"}), ("DELETE", None)):
                stranger = await floor.bob.ask(method, path, body)
                assert told(stranger) == (404, "order_unknown"), "others' orders are not seen"
        ended = await floor.alice.ask("DELETE", paths[1])
        assert ending(ended.body) == ("cancelled", "by_owner", "0")
        for path in paths:
            for method, body in (("PATCH", {"price": "1"}), ("DELETE", None)):
                again = await floor.alice.ask(method, path, body)
                assert told(again) == (409, "order_ended")
                assert again.body["order"]["state"] == "cancelled"
        for method, body in (("PATCH", {"price": "1"}), ("DELETE", None)):
            assert told(await floor.alice.ask(method, "/orders/1", body))[1] == "order_unknown"

    exchange.tell(story)


def test_a_whole_book_is_cancelled_at_once(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        placed = [(await floor.alice.ask("POST", "/orders", LIMIT)) for _ in range(3)]
        ids = [answer.body["order_id"] for answer in placed]
        cancelled = (await floor.alice.ask("DELETE", "/orders?instrument=BTC-USD")).body
        assert sorted(cancelled["cancelled"]) == sorted(set(ids))
        assert (await floor.alice.ask("DELETE", "/orders")).body == {"cancelled": []}
        unknown = await floor.alice.ask("DELETE", "/orders?instrument=BTC-EUR")
        assert told(unknown) == (404, "instrument_unknown")

    exchange.tell(story)
