"""Orders that come together, one in the place of another, and what ends all of them at once."""

from typing import Any

from bourse.matching import v1 as matching
from tests.journey.client import open_socket
from tests.journey.contract.exchange import Exchange, Trader, told
from tests.journey.contract.stall import Stall, at_a_stall, without_fills
from tests.journey.contract.test_waiting_orders import ending


async def group(trader: Trader, kind: str, *orders: dict[str, Any]) -> list[dict[str, Any]]:
    """A group that is taken in."""
    answer = await trader.ask("POST", "/orders/groups", {"kind": kind, "orders": list(orders)})
    assert answer.status == 201, answer
    placed: list[dict[str, Any]] = answer.body["orders"]
    return placed


def pair(stall: Stall, **first: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A post-only sell at 110 and a stop at 90, as one-cancels-the-other."""
    limit = stall.order("sell", price="110", post_only=True, **first)
    return limit, stall.order("sell", type="stop", trigger_price="90")


def test_one_cancels_the_other(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice = stall.alice
        await stall.trade("100")
        limit, stop = await group(alice, "oco", *pair(stall, client_order_id="pair-1"))
        assert [limit["state"], stop["state"]] == ["open", "waiting"]
        assert {limit["group"], stop["group"]} == {limit["order_id"]}
        assert (limit["group_kind"], stop["client_order_id"]) == ("oco", None)
        orders = list(pair(stall, client_order_id="pair-1"))
        sent = {"kind": "oco", "orders": orders}
        again = await alice.ask("POST", "/orders/groups", sent)
        assert (again.status, again.body["orders"]) == (
            200,
            [{**limit, "fills": []}, {**stop, "fills": []}],
        )
        orders[1]["trigger_price"] = "89"
        assert told(await alice.ask("POST", "/orders/groups", sent))[1] == "client_order_id_reused"
        await stall.place(stall.bob, "buy", price="110", quantity="0.4")
        assert (await alice.one(stop))["remaining_quantity"] == "0.6", "the same comes off"
        await stall.trade("90")
        # The stop is triggered, so the limit order ends; nobody buys what the stop sells.
        assert ending(await stall.in_history(limit)) == ("cancelled", "linked", "0.4")
        ended = await stall.in_history(stop)
        assert ending(ended) == ("expired", "no_liquidity", "0")
        assert (ended["group"], ended["group_kind"]) == (limit["order_id"], "oco")
        await stall.settle()

    at_a_stall(exchange, story)


def test_a_bracket_waits_for_its_entry(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice, bob = stall.alice, stall.bob
        await stall.trade("100")
        exits = (
            stall.order("sell", price="110", quantity=None),
            stall.order("sell", type="stop", trigger_price="90", quantity=None),
        )
        entry, profit, stop = await group(alice, "bracket", stall.order("buy", price="99"), *exits)
        assert [entry["state"], profit["state"], stop["state"]] == ["open", "waiting", "waiting"]
        assert (profit["quantity"], profit["remaining_quantity"]) == (None, None)
        await stall.place(bob, "sell", price="99")
        # A buyer receives what is left after the fee: 0.999 BTC as a maker.
        rests = await alice.one(profit)
        assert (rests["state"], rests["quantity"]) == ("open", "0.999")
        assert (await alice.one(stop))["quantity"] == "0.999"
        await stall.place(bob, "buy", price="110", quantity="0.999")
        assert ending(await stall.in_history(profit)) == ("filled", None, "0.999")
        assert ending(await stall.in_history(stop)) == ("cancelled", "linked", "0")
        await stall.settle()

    at_a_stall(exchange, story)


def test_a_group_is_placed_whole_or_not_at_all(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice = stall.alice
        await stall.trade("100")
        limit, stop = pair(stall)
        refusals: tuple[tuple[dict[str, Any], dict[str, Any], tuple[int, str], int | None], ...] = (
            (limit, {**stop, "trigger_price": "100"}, (422, "would_trigger"), 2),
            ({**limit, "quantity": "0.00005"}, stop, (422, "quantity_off_lot"), 1),
            ({**limit, "price": "90"}, stop, (201, ""), None),
            ({**limit, "quantity": "2000000"}, stop, (422, "quantity_too_large"), 1),
            (limit, {**stop, "client_order_id": "x y"}, (400, "invalid_value"), None),
            (limit, {**stop, "side": "buy"}, (400, "invalid_value"), None),
        )
        for first, second, said, member in refusals:
            sent = {"kind": "oco", "orders": [first, second]}
            answer = await alice.ask("POST", "/orders/groups", sent)
            assert told(answer) == said, answer
            assert answer.body.get("member") == member
        orders = (await alice.ask("GET", "/orders?state=open")).body["orders"]
        assert len(orders) == 2, "those of the one that was taken"

    at_a_stall(exchange, story)


def test_an_order_takes_the_place_of_another_or_nothing_happens(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice = stall.alice
        old = await stall.place(alice, "buy", price="99", client_order_id="old")
        body = stall.order("buy", price="100", quantity="2", client_order_id="new")
        by_name, by_id = "/orders/by-client-id/old/replace", f"/orders/{old['order_id']}/replace"
        poor = await alice.ask("POST", by_name, {**body, "quantity": "900000"})
        assert (*told(poor), poor.body["member"]) == (422, "insufficient_balance", 2)
        turned = await alice.ask("POST", by_name, {**body, "side": "sell"})
        assert (*told(turned), turned.body["member"]) == (422, "replacement_differs", 2)
        assert (await alice.one(old))["state"] == "open", "a refusal leaves it as it was"
        await stall.place(stall.bob, "sell", price="100", quantity="0.5")
        done = await alice.ask("POST", by_name, body)
        assert done.status == 201, done
        assert ending(done.body["cancelled"]) == ("cancelled", "replaced", "0")
        assert ending(done.body["order"]) == ("open", None, "0.5")
        assert [fill["quantity"] for fill in done.body["order"]["fills"]] == ["0.5"]
        again = await alice.ask("POST", by_name, body)
        assert (again.status, again.body["order"]) == (200, done.body["order"])
        assert ending(again.body["cancelled"]) == ("cancelled", "replaced", "0")
        gone = await alice.ask("POST", by_id, {**body, "client_order_id": "third"})
        assert (*told(gone), gone.body["member"]) == (409, "order_ended", 1)
        assert gone.body["order"]["reason"] == "replaced"
        for name in ("/orders/1/replace", "/orders/by-client-id/nobody/replace"):
            unknown = await alice.ask("POST", name, {**body, "client_order_id": "third"})
            assert (*told(unknown), unknown.body["member"]) == (404, "order_unknown", 1)
        assert ending(await stall.in_history(old)) == ("cancelled", "replaced", "0")
        await stall.settle()

    at_a_stall(exchange, story)


def test_the_dead_mans_switch_cancels_what_is_not_renewed(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice = stall.alice
        for wrong in (-1, 999, 86_400_001, "1000"):
            answer = await alice.ask("PUT", "/dead-man", {"timeout_ms": wrong})
            assert told(answer) == (400, "invalid_value"), wrong
        reader = await stall.floor.reader.ask("PUT", "/dead-man", {"timeout_ms": 0})
        assert told(reader) == (403, "scope_missing")
        open_order = await stall.place(alice, "buy", price="90")
        waits = await stall.place(alice, "sell", type="stop", trigger_price="80")
        put = await alice.ask("PUT", "/dead-man", {"timeout_ms": 60_000})
        assert put.status == 200
        account = (await alice.ask("GET", "/account")).body
        assert account["dead_man_us"] == put.body["dead_man_us"] > open_order["created_us"]
        assert (await alice.ask("PUT", "/dead-man", {"timeout_ms": 0})).body == {
            "dead_man_us": None
        }
        due_us = (await alice.ask("PUT", "/dead-man", {"timeout_ms": 1000})).body["dead_man_us"]
        for order in (open_order, waits):
            ended = await stall.until_ended(alice, order)
            assert ending(ended) == ("cancelled", "dead_man", "0")
            assert ended["updated_us"] >= due_us
        assert (await alice.ask("GET", "/account")).body["dead_man_us"] is None
        await stall.settle()

    at_a_stall(exchange, story)


def test_an_account_has_limits_of_its_own(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice = stall.alice
        limits = matching.SetAccount(max_open_orders=2, max_commands_per_second=3)
        await stall.command("alice", set_account=limits)
        try:
            account = (await alice.ask("GET", "/account")).body
            assert (account["max_open_orders"], account["max_commands_per_second"]) == (2, 3)
            answers = [
                await alice.ask("POST", "/orders", stall.order("buy", price="90")) for _ in range(8)
            ]
            assert {told(answer) for answer in answers} <= {
                (201, ""),
                (422, "too_many_open_orders"),
                (429, "too_many_commands"),
            }
            late = [answer for answer in answers if answer.status == 429]
            assert late, answers
            assert {answer.headers["Retry-After"] for answer in late} == {"1"}
        finally:
            await stall.command("alice", set_account=matching.SetAccount())
        assert (await alice.ask("GET", "/account")).body["max_open_orders"] is None

    at_a_stall(exchange, story)


def test_a_kill_of_a_market_ends_everything_in_it(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice = stall.alice
        rests = await stall.place(alice, "buy", price="90")
        waits = await stall.place(alice, "sell", type="stop", trigger_price="80")
        await stall.command(kill=matching.Kill(instrument=stall.instrument))
        for order in (rests, waits):
            ended = await stall.in_history(order)
            assert ending(ended) == ("cancelled", "by_operator", "0")
        await stall.until_shown(phase="halt")
        await stall.settle()

    at_a_stall(exchange, story)


def test_all_of_it_is_told_on_the_private_channel(exchange: Exchange) -> None:
    async def story(stall: Stall) -> None:
        alice = stall.alice
        async with open_socket(stall.floor.session, stall.floor.url) as socket:
            await alice.authenticate(socket)
            await socket.say("subscribe", channels=["user.orders", "user.fills"])
            await stall.trade("100")
            limit, stop = await group(alice, "oco", *pair(stall))
            await stall.place(stall.bob, "buy", price="110")
            linked = await stall.in_history(stop)
            assert ending(linked) == ("cancelled", "linked", "0")
            await socket.until(lambda one: one.get("order") == without_fills(linked))
            told_of = [one["order"] for one in socket.heard if one.get("type") == "order"]
            states = {
                order["order_id"]: [each["state"] for each in told_of if _same(each, order)]
                for order in (limit, stop)
            }
            assert states[limit["order_id"]] == ["open", "filled"]
            assert states[stop["order_id"]] == ["waiting", "cancelled"]
            fill = await socket.until(
                lambda one: one.get("fill", {}).get("order_id") == limit["order_id"]
            )
            assert fill["fill"]["liquidity"] == "maker"

    at_a_stall(exchange, story)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["order_id"] == other["order_id"])
