"""What the edge of a running exchange takes and what it refuses: values, shapes, signatures."""

import asyncio
import json
from typing import Any

from tests.journey.client import ANSWER_S
from tests.journey.contract.exchange import (
    LIMIT,
    MARKET,
    PREFIX,
    Exchange,
    Floor,
    as_json,
    told,
)

ORDERS = f"{PREFIX}/orders"
BALANCES = f"{PREFIX}/balances"
TOO_LARGE = b" " * 70_000
WRONG_KEY = {"X-Bourse-Key": "nobody"}

NO_DECIMALS: tuple[object, ...] = (
    *("1e1", "1e-1", "+10", "-10", "", ".5", "5.", " 10", "10 ", "1_0", "1,0", "0x10", "１０"),
    *("0", "0.0", "00", "NaN", "Infinity", "9" * 20, "9" * 200, "92233720368547758.08"),
    *(10, 1.5, None, True, [], {}),
)


def test_what_is_no_decimal_above_zero_that_fits_is_an_invalid_value(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        for field in ("price", "quantity"):
            for value in NO_DECIMALS:
                answer = await floor.alice.order(**{field: value})
                assert told(answer) == (400, "invalid_value"), (field, value, answer)
                assert [each["pointer"] for each in answer.body["errors"]] == [f"/{field}"]
                assert answer.headers["Content-Type"] == "application/problem+json"
        placed = await floor.alice.order(price="010.00", quantity="0001." + "0" * 30)
        assert (placed.body["price"], placed.body["quantity"]) == ("10", "1")

    exchange.tell(story)


ORDERS_REFUSED: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({**LIMIT, "price": "10.001"}, 422, "price_off_tick"),
    ({**LIMIT, "price": "10." + "0" * 50 + "1"}, 422, "price_off_tick"),
    ({**LIMIT, "quantity": "1.00001"}, 422, "quantity_off_lot"),
    ({**MARKET, "quote_quantity": "0.123456789"}, 422, "quantity_off_lot"),
    ({**LIMIT, "prise": "1"}, 400, "unknown_field"),
    ({"side": "buy"}, 400, "missing_field"),
    ({**LIMIT, "side": "BUY"}, 400, "invalid_value"),
    ({**LIMIT, "type": "iceberg"}, 400, "invalid_value"),
    ({**LIMIT, "type": "stop"}, 400, "missing_field"),
    ({**LIMIT, "trigger_price": "9"}, 400, "invalid_value"),
    ({**LIMIT, "time_in_force": "gtd"}, 400, "missing_field"),
    *(({**LIMIT, "client_order_id": name}, 400, "invalid_value") for name in ("", "a b", "x" * 37)),
    *(({**LIMIT, name: None}, 400, "invalid_value") for name in ("side", "type", "post_only")),
    ({**LIMIT, "instrument": "BTC-EUR"}, 404, "instrument_unknown"),
    ({**LIMIT, "instrument": "btc-usd"}, 404, "instrument_unknown"),
    # R-SHAPE
    *(
        ({**LIMIT, "post_only": True, "time_in_force": word}, 400, "invalid_value")
        for word in ("ioc", "fok")
    ),
    *(
        ({**MARKET, "quantity": "1", "time_in_force": word}, 400, "invalid_value")
        for word in ("gtc", "fok")
    ),
    ({**MARKET, "quantity": "1", "post_only": True}, 400, "invalid_value"),
    ({**MARKET, "quantity": "1", "price": "1"}, 400, "invalid_value"),
    ({**MARKET, "quantity": "1", "quote_quantity": "1"}, 400, "invalid_value"),
    (MARKET, 400, "missing_field"),
    ({**LIMIT, "quote_quantity": "1"}, 400, "invalid_value"),
    # The engine's, in its order.
    ({**LIMIT, "quantity": "1000000.0001"}, 422, "quantity_too_large"),
    ({**LIMIT, "price": "0.01", "quantity": "0.0001"}, 422, "notional_too_small"),
    ({**LIMIT, "price": "100.01", "quantity": "1000000"}, 422, "notional_too_large"),
    ({**LIMIT, "price": "100", "quantity": "1000000"}, 422, "insufficient_balance"),
    ({**MARKET, "quote_quantity": "0.05"}, 422, "notional_too_small"),
    ({**MARKET, "quote_quantity": "100000000.01"}, 422, "notional_too_large"),
)


def test_every_order_that_is_refused_says_why_and_leaves_nothing(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        before = await floor.alice.funds()
        for body, status, code in ORDERS_REFUSED:
            answer = await floor.alice.ask("POST", "/orders", body)
            assert told(answer) == (status, code), (body, answer)
            assert answer.body["type"] == f"urn:bourse:problem:{code}"
            assert (answer.body["status"], len(answer.body["request_id"])) == (status, 32)
        assert await floor.alice.funds() == before
        assert (await floor.alice.ask("GET", "/orders?state=open")).body["orders"] == []

    exchange.tell(story)


BODIES = (
    *((body, "malformed_json") for body in (b"{", b"nul", b'{"a":1}x', b"\xff", b"\xef\xbb\xbf{}")),
    (b'{"price":NaN}', "malformed_json"),
    (b'{"a":' * 3000, "malformed_json"),
    *((body, "invalid_value") for body in (b"[]", b"1", b"null", b'"x"')),
    (b"{}", "missing_field"),
    (
        b'{"instrument":"BTC-USD","side":"buy","side":"sell","quantity":"1","price":"1"}',
        "invalid_value",
    ),
    (as_json(LIMIT)[:-1] + b',"pric\\u0065":"10"}', "invalid_value"),
)


def test_a_body_that_is_no_json_object_is_refused(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        for body, code in BODIES:
            answer = await floor.alice.send("POST", ORDERS, body)
            assert told(answer) == (400, code), body[:40]
        assert told(await floor.alice.send("GET", BALANCES, b"{}")) == (400, "invalid_value")

    exchange.tell(story)


SIGNATURES: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({}, 200, ""),
    *(({"window_ms": window}, 200, "") for window in (2000, 5000, 60_000)),
    ({"late_ms": 50_000, "window_ms": 60_000}, 200, ""),
    ({"late_ms": 61_000, "window_ms": 60_000}, 401, "timestamp_outside_window"),
    ({"late_ms": 5001}, 401, "timestamp_outside_window"),
    ({"late_ms": -900}, 200, ""),
    ({"late_ms": -10_000}, 401, "timestamp_outside_window"),
    *(
        ({"headers": {"X-Bourse-Window": text}}, 401, "signature_invalid")
        for text in ("0", "60001", "-1", "05000", "5000.0", "", "x", "99999999", "5001")
    ),
    ({"without": ["X-Bourse-Key"]}, 401, "key_unknown"),
    ({"headers": {"X-Bourse-Key": "n" * 5000}}, 401, "key_unknown"),
    *(
        (change, 401, "signature_invalid")
        for name in ("X-Bourse-Timestamp", "X-Bourse-Signature")
        for change in ({"without": [name]}, {"headers": {name: ""}}, {"headers": {name: "x"}})
    ),
    ({"headers": {"X-Bourse-Signature": "A" * 64}}, 401, "signature_invalid"),
    ({"signed": ("GET", ORDERS, b"")}, 401, "signature_invalid"),
    ({"signed": ("POST", BALANCES, b"")}, 401, "signature_invalid"),
    ({"signed": ("GET", BALANCES, b"{}")}, 401, "signature_invalid"),
)


def test_a_signature_is_of_exactly_what_is_sent_and_of_now(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        for change, status, code in SIGNATURES:
            answer = await floor.alice.send("GET", BALANCES, **change)
            assert told(answer) == (status, code), change
        for query in ("instrument=BTC%2DUSD", "limit=%35", "state=op%65n", "&&", "limit=5&"):
            answer = await floor.alice.send("GET", f"{ORDERS}?{query}")
            assert told(answer) == (200, ""), query
        decoded = ("GET", f"{ORDERS}?instrument=BTC-USD", b"")
        answer = await floor.alice.send("GET", f"{ORDERS}?instrument=BTC%2DUSD", signed=decoded)
        assert told(answer) == (401, "signature_invalid")

    exchange.tell(story)


PRECEDENCE: tuple[tuple[str, str, bytes, dict[str, Any], int, str], ...] = (
    ("POST", "/nope", TOO_LARGE, {"headers": WRONG_KEY}, 404, "route_unknown"),
    ("PUT", "/orders", TOO_LARGE, {"headers": WRONG_KEY}, 405, "method_not_allowed"),
    ("POST", "/orders", TOO_LARGE, {"headers": {"Content-Type": "a/b"}}, 413, "body_too_large"),
    (
        "POST", "/orders", b"{", {"headers": {"Content-Type": "a/b", **WRONG_KEY}},
        415, "content_type_unsupported",
    ),
    (
        "POST", "/orders", b"{", {"headers": {"Content-Encoding": "gzip", **WRONG_KEY}},
        415, "content_type_unsupported",
    ),
    ("POST", "/orders", b"{", {"headers": WRONG_KEY}, 401, "key_unknown"),
    ("POST", "/orders", b"{", {"late_ms": 9000}, 401, "timestamp_outside_window"),
    ("POST", "/orders", b"{", {}, 403, "scope_missing"),
    ("PATCH", "/orders/1", b"{}", {}, 403, "scope_missing"),
    ("DELETE", "/orders", b"", {}, 403, "scope_missing"),
    ("GET", "/balances", b"", {}, 200, ""),
    ("GET", "/time", b"", {"headers": WRONG_KEY}, 401, "key_unknown"),
    ("GET", "/instruments", b"", {"late_ms": 9000}, 401, "timestamp_outside_window"),
    ("GET", "/openapi.json", b"", {"headers": WRONG_KEY}, 401, "key_unknown"),
    ("GET", "/asyncapi.json", b"", {"headers": WRONG_KEY}, 401, "key_unknown"),
)  # fmt: skip


def test_the_first_thing_that_is_wrong_is_told(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        for method, path, body, change, status, code in PRECEDENCE:
            answer = await floor.reader.send(method, PREFIX + path, body, **change)
            assert told(answer) == (status, code), (method, path, change)
        both = as_json({**LIMIT, "instrument": "X", "price": "1e1"})
        assert (await floor.alice.send("POST", ORDERS, both)).status == 400
        both = as_json({**LIMIT, "instrument": "X", "price": "1.0001"})
        assert (await floor.alice.send("POST", ORDERS, both)).status == 404

    exchange.tell(story)


BOUNDS = ("-1", "x", "", "1e2", "1.0", "+1", "05", "9223372036854775808", "9" * 30)
QUERIES = (
    *((f"{path}?from_us={value}", 400) for path in ("/orders", "/fills") for value in BOUNDS),
    *((f"/candles/BTC-USD?to_us={value}", 400) for value in BOUNDS),
    *((f"{path}?limit={n}", 400) for path in ("/orders", "/fills") for n in (0, 1001, "5%20")),
    *((f"/orders?cursor={value}", 400) for value in ("x", "1", "-1.1", "1.0", "9" * 25 + ".1")),
    ("/fills?cursor=x", 400),
    ("/orders?state=OPEN", 400),
    ("/orders?limit=1&limit=1", 400),
    ("/orders?instrumnt=BTC-USD", 400),
    *((f"/{path}?x=1", 400) for path in ("balances", "time", "openapi.json", "asyncapi.json")),
    ("/orders?instrument=", 404),
    ("/orderbook/BTC-USD?depth=0", 400),
    ("/orderbook/BTC-USD?depth=1001", 400),
    ("/trades/BTC-USD?before=x", 400),
    ("/candles/BTC-USD?interval=2m", 400),
    *((f"/{what}/BTC-EUR", 404) for what in ("orderbook", "trades", "ticker", "candles")),
    *((f"/orders/{number}", 400) for number in ("x", "0", "-1", "01", "9" * 20)),
    ("/orders/by-client-id/a%2Fb", 400),
    ("/orders/18446744073709551615", 404),
    ("/orders/by-client-id/nobody-s", 404),
    ("/orders/", 404),
    ("/orders?from_us=9223372036854775807", 200),
    ("/orders?cursor=9999999999999999999.9999999999999999999", 200),
    ("/orderbook/BTC-USD?depth=1000", 200),
    ("/trades/BTC-USD?before=18446744073709551615", 200),
    ("/candles/BTC-USD?interval=1d&from_us=1&to_us=9223372036854775807", 200),
)


def test_a_query_is_read_strictly(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        for target, status in QUERIES:
            answer = await floor.alice.send("GET", PREFIX + target)
            assert answer.status == status, (target, answer)

    exchange.tell(story)


def test_too_many_requests_of_a_key_wait(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        limited = None
        while limited is None:
            answers = await asyncio.gather(
                *(floor.reader.send("GET", f"{PREFIX}/time") for _ in range(500))
            )
            limited = next((one for one in answers if one.status != 200), None)
        assert told(limited) == (429, "rate_limited")
        assert int(limited.headers["Retry-After"]) >= 1
        assert (await floor.alice.ask("GET", "/balances")).status == 200, "a limit is of one key"

    exchange.tell(story)


POST: bytes = b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\n"
NO_REQUESTS: tuple[tuple[bytes, int, str], ...] = (
    (b"GARBAGE\r\n\r\n", 400, "invalid_value"),
    (b"GET / HTTP/9.9\r\n\r\n", 400, "invalid_value"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "invalid_value"),
    (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid_value"),
    (b"GET /health HTTP/1.1\r\nX: " + b"a" * 1_000_000, 400, "invalid_value"),
    (POST + b"Content-Length: -1\r\n\r\n", 400, "invalid_value"),
    (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "invalid_value"),
    (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "invalid_value"),
    (POST + b"Content-Length: 99999999999\r\n\r\n", 413, "body_too_large"),
)


def test_what_is_no_http_is_refused_and_hurts_nobody(exchange: Exchange) -> None:
    async def story(floor: Floor) -> None:
        host, port = floor.url.removeprefix("http://").split(":")
        for sent, status, code in NO_REQUESTS:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            async with asyncio.timeout(ANSWER_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.partition("Content-Length: ")[2].split("\r\n")[0])
                problem = json.loads(await reader.readexactly(length))
            assert "Content-Type: application/problem+json" in head, sent[:60]
            assert int(head.split()[1]) == status, sent[:60]
            assert (problem["status"], problem["code"]) == (status, code), sent[:60]
            writer.close()
        assert told(await floor.alice.ask("GET", "/balances")) == (200, "")

    exchange.tell(story)
