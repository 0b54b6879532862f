"""What an operator does at the command line, and what a trader sees of it at once."""

import asyncio
import json
from typing import Any

from tests.journey.client import open_socket
from tests.journey.contract.exchange import LIMIT, MARKET, Exchange, Floor, told
from tests.journey.house import command

NO_LIMITS = {"max_open_orders": 0, "max_commands_per_second": 0, "pays_fee_asset": False}
CROSSING = {**LIMIT, "price": "12", "post_only": True}


def test_a_phase_forbids_what_it_forbids_and_nothing_else(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        alice, operator = floor.alice, exchange.operator
        await floor.bob.open("sell", "12", "1")
        kept = await alice.open("buy", "9", "1", client_order_id="kept")
        path = f"/orders/{kept['order_id']}"
        for phase in ("halt", "post-only", "cancel-only"):
            ended = await alice.open("buy", "8", "1")
            said = operator("instrument", "phase", "BTC-USD", phase)
            word = phase.replace("-", "_")
            assert said == {"instrument": "BTC-USD", "phase": word, "until_us": None}
            shown = (await alice.ask("GET", "/instruments")).body["instruments"]
            assert [each["phase"] for each in shown if each["instrument"] == "BTC-USD"] == [word]
            shut = (422, "market_not_open")
            for body in (LIMIT, {**LIMIT, "quantity": "1000001"}, {**MARKET, "quantity": "1"}):
                assert told(await alice.ask("POST", "/orders", body)) == shut, (phase, body)
            assert told(await alice.ask("PATCH", path, {"quantity": "0.5"})) == shut
            waits, crosses = ((201, ""), (422, "post_only_would_trade"))
            takes = phase == "post-only"
            assert told(await alice.order(post_only=True)) == (waits if takes else shut)
            crossed = await alice.ask("POST", "/orders", CROSSING)
            assert told(crossed) == (crosses if takes else shut)
            again = await alice.order(price="9", client_order_id="kept")
            assert told(again) == (200, ""), "who asks again is answered in every phase"
            cancelled = await alice.ask("DELETE", f"/orders/{ended['order_id']}")
            assert told(cancelled) == (200, "")
            operator("instrument", "phase", "BTC-USD", "continuous")

    exchange.tell(story)


def test_a_suspended_account_may_only_cancel(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        alice, operator = floor.alice, exchange.operator
        first = await alice.open("buy", "9", "1", client_order_id="before")
        await alice.open("buy", "8", "1")
        said = operator("account", "suspend", "alice")
        assert said == {**_named(exchange, "alice"), "fee_tier": 0, "suspended": True, **NO_LIMITS}
        path, barred = f"/orders/{first['order_id']}", (403, "account_suspended")
        for body in (LIMIT, {**LIMIT, "quantity": "0.0001"}, {**MARKET, "quantity": "1"}):
            assert told(await alice.ask("POST", "/orders", body)) == barred
        assert told(await alice.ask("PATCH", path, {"quantity": "0.5"})) == barred
        again = await alice.order(price="9", client_order_id="before")
        assert told(again) == (200, ""), "the look-up of an id comes before the account"
        assert told(await alice.ask("GET", "/balances")) == (200, "")
        assert told(await alice.ask("DELETE", path)) == (200, "")
        assert len((await alice.ask("DELETE", "/orders")).body["cancelled"]) == 1
        operator("account", "suspend", "alice", "--lift")
        open_again = await alice.open("buy", "9", "1")
        ended = operator("account", "cancel-all", "alice", "--instrument", "BTC-USD")
        number = exchange.accounts["alice"]["account_id"]
        assert ended == {"account_id": number, "cancelled": [open_again["order_id"]]}
        assert (await alice.one(open_again))["reason"] == "by_operator"

    exchange.tell(story)


def _named(exchange: Exchange, name: str) -> dict[str, Any]:
    return {"account_id": exchange.accounts[name]["account_id"], "name": name}


def test_a_revoked_key_and_its_sockets_end(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        operator = exchange.operator
        made = operator("key", "create", "alice")
        assert made.keys() == {"account_id", "name", "key", "secret", "scopes"}
        holder = type(floor.alice)(floor.session, floor.url, made)
        assert told(await holder.ask("GET", "/balances")) == (200, "")
        async with open_socket(floor.session, floor.url) as socket:
            await holder.authenticate(socket)
            closed = asyncio.create_task(socket.until_closed())
            revoked = await asyncio.to_thread(operator, "key", "revoke", made["key"])
            assert await closed == 4003
            assert socket.heard[-1]["type"] == "closing"
            assert told(await holder.ask("GET", "/balances")) == (401, "key_unknown")
        listed = operator("key", "list", "alice")["keys"]
        assert revoked in listed
        assert [key["revoked_us"] is None for key in listed] == [True, False]

    exchange.tell(story)


def test_a_new_market_trades_at_once_and_again_with_another_tick(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        alice, bob, operator = floor.alice, floor.bob, exchange.operator
        operator("account", "deposit", "bob", "ETH", "10")
        fees = ("--maker-fee-ppm", "-500", "--taker-fee-ppm", "3333")
        added = operator("instrument", "add", "ETH-USD", "--tick", "0.05", "--lot", "0.01", *fees)
        assert (added["instrument"], added["instrument_id"].isdigit()) == ("ETH-USD", True)
        # Rebates are paid out of fees, so there have to be some.
        await bob.open("sell", "1000", "1")
        await alice.open("buy", "1000", "1")
        eth = {"instrument": "ETH-USD"}
        made = await bob.open("sell", "3000.05", "0.33", **eth)
        taken = await alice.open("buy", "3000.05", "0.33", **eth)
        assert taken["fees"] == [{"asset": "ETH", "amount": "0.00109989"}]
        rested = await bob.one(made)
        assert rested["fees"] == [{"asset": "USD", "amount": "-0.49500825"}], rested
        assert told(await bob.order(**eth, price="3000.01")) == (422, "price_off_tick")
        old = await bob.open("sell", "3000.05", "1", **eth)
        operator("instrument", "add", "ETH-USD", "--tick", "0.001", "--lot", "0.01")
        shown = (await alice.ask("GET", "/instruments")).body["instruments"]
        ticks = [each["tick_size"] for each in shown if each["instrument"] == "ETH-USD"]
        assert ticks == ["0.001"], "the newest of a symbol is the one"
        new = await bob.open("sell", "3000.001", "0.33", **eth)
        found = (await bob.ask("GET", "/orders?state=open&instrument=ETH-USD")).body["orders"]
        assert [order["order_id"] for order in found] == [new["order_id"], old["order_id"]]
        assert [order["price"] for order in found] == ["3000.001", "3000.05"]
        ended = (await bob.ask("DELETE", "/orders?instrument=ETH-USD")).body["cancelled"]
        assert sorted(ended) == sorted([old["order_id"], new["order_id"]])
        phases = [
            each["phase"]
            for each in operator("instrument", "list")["instruments"]
            if each["instrument"] == "ETH-USD"
        ]
        assert phases == ["cancel_only", "continuous"]

    exchange.tell(story)


def test_the_command_line_says_exactly_what_it_did(exchange: Exchange) -> None:
    operator, carol = exchange.operator, _named(exchange, "carol")
    number = {"account_id": carol["account_id"], "asset": "USD", "amount": "0.1"}
    # One as a process of its own, as a script has it; the others say nothing else there.
    for verb, bourse in (("deposit", exchange.house.bourse), ("withdraw", operator)):
        moved = bourse("account", verb, "carol", "USD", "00.10")
        assert moved.pop("sequence") > 0
        assert moved == number
    tier = operator("account", "fee-tier", "carol", "3")
    assert tier == {**carol, "fee_tier": 3, "suspended": False, **NO_LIMITS}
    listed = operator("account", "list")
    assert {"accounts", "house", "sequence"} <= listed.keys()
    assert {each["name"] for each in listed["accounts"]} == exchange.accounts.keys() - {"reader"}
    status = operator("status")
    assert {"name", "state", "pid", "lag_records", "lag_ms"} <= status["rooms"][0].keys()
    assert status["log"]["sequence"] > 0
    verified = operator("verify")
    assert (verified["ok"], verified["sequence"] > 0) == (True, True), verified
    assert {"name", "ok", "detail"} == verified["checks"][0].keys()


REFUSED = (
    ("account", "create", "alice"),
    ("account", "deposit", "alice", "USD", "1e3"),
    ("account", "deposit", "nobody", "USD", "1"),
    ("account", "withdraw", "carol", "ETH", "1"),
    ("key", "revoke", "nothing"),
    ("instrument", "add", "ETH-USD", "--tick", "0", "--lot", "1"),
    ("instrument", "phase", "BTC-USD", "ajar"),
    ("up", "--port", "0"),
)


def test_what_an_operator_gets_wrong_is_one_sentence(exchange: Exchange) -> None:
    for words in REFUSED:
        done = exchange.command(*words)
        assert (done.exit_code, done.stdout) == (1, ""), words
        assert isinstance(done.exception, SystemExit), done.exception
        assert (done.stderr.count("\n"), done.stderr.strip() != "") == (1, True), done.stderr


def test_a_port_in_use_and_a_newer_folder_are_said_in_a_sentence(exchange: Exchange) -> None:
    other = exchange.house.data.parent / "other"
    port = exchange.url.rpartition(":")[2]
    taken = command("up", "--data", str(other), "--no-demo", "--port", port)
    assert (taken.returncode, f"Port {port}" in taken.stderr) == (1, True), taken
    newer = exchange.house.data.parent / "newer"
    newer.mkdir()
    (newer / "bourse.json").write_text(json.dumps({"format": 99, "demo": False, "complete": True}))
    for words in (("up", "--no-demo", "--port", "0"), ("doctor",)):
        done = exchange.command(*words, data=newer)
        assert (done.exit_code, "newer" in done.output) == (1, True), done
