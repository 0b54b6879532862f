"""What every request goes through: which problem comes first, and what is said of each."""

from pathlib import Path
from typing import Any

import pytest

from services.gateway.__main__ import Gateway
from tests.services.gateway.world import ORDER, gateway, story

LONG = b'{"instrument":"' + b"x" * 70_000 + b'"}'
OFF_TICK = ORDER.replace(b"101.5", b"101.505")
# Each request is wrong in the way of its line and in ways of later lines; the first one counts.
PRECEDENCE: list[tuple[int, str, dict[str, Any]]] = [
    (404, "route_unknown", {"target": "/api/v1/nothing", "body": LONG}),
    (405, "method_not_allowed", {"method": "PUT", "body": LONG}),
    (413, "body_too_large", {"body": LONG, "headers": {"Content-Type": "text/plain"}}),
    (415, "content_type_unsupported", {"body": b"{", "headers": {"Content-Type": "text/plain"}}),
    (401, "key_unknown", {"body": b"{"}),
    (401, "key_unknown", {"key": "nobody", "body": b"{"}),
    (401, "signature_invalid", {"key": "reader", "secret": "no", "age_ms": 9000}),
    (401, "timestamp_outside_window", {"key": "reader", "age_ms": 9000, "body": b"{"}),
    (403, "scope_missing", {"key": "reader", "body": b"{"}),
    (400, "malformed_json", {"key": "trader", "body": b"{"}),
    (400, "invalid_value", {"key": "trader", "body": b'{"instrument":"X","side":"up"}'}),
    (404, "instrument_unknown", {"key": "trader", "body": OFF_TICK.replace(b"BTC", b"XYZ")}),
    (422, "price_off_tick", {"key": "trader", "body": OFF_TICK}),
    (503, "unavailable", {"key": "trader", "body": ORDER}),
]


@pytest.mark.parametrize(("status", "code", "asked"), PRECEDENCE)
def test_which_problem_comes_first(
    status: int, code: str, asked: dict[str, Any], tmp_path: Path
) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            request = {"method": "POST", "target": "/api/v1/orders", "body": ORDER, **asked}
            answer = await client.ask(**request)
            assert (answer.status, answer.code) == (status, code)

    story(told)


def test_a_problem_says_what_the_contract_says(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            body = b'{"instrument":"BTC-USD","side":1,"prize":"1","price":"1e5"}'
            answer = await client.ask("POST", "/api/v1/orders", body, key="trader")
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            request_id = answer.headers["X-Request-Id"]
            assert answer.headers["X-Bourse-Sequence"] == "0:0"
            assert answer.body == {
                "type": "urn:bourse:problem:unknown_field",
                "title": "Unknown field",
                "status": 400,
                "code": "unknown_field",
                "detail": answer.body["detail"],
                "request_id": request_id,
                "errors": [
                    {"pointer": "/prize", "detail": "There is no such field."},
                    {"pointer": "/side", "detail": "Expected `str`, got `int`."},
                ],
            }
            assert len(bytes.fromhex(request_id)) == 16

    story(told)


def test_the_rate_of_a_key_is_limited(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path, requests_per_second=2) as (_, client):
            asked = [
                await client.ask("PATCH", "/api/v1/orders/1", b"{", key="trader") for _ in "abc"
            ]
            assert [answer.code for answer in asked] == ["malformed_json"] * 2 + ["rate_limited"]
            assert asked[-1].status == 429
            assert int(asked[-1].headers["Retry-After"]) >= 1
            other = await client.ask("GET", "/api/v1/time", key="reader")
            assert other.status == 200, "another key has its own"

    story(told)


def test_without_keys_nobody_is_let_in_and_public_routes_are_served(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path, keys=False) as (_, client):
            refused = await client.ask("POST", "/api/v1/orders", ORDER, key="trader")
            assert (refused.status, refused.code) == (503, "unavailable")
            assert (await client.ask("GET", "/api/v1/instruments")).status == 200

    story(told)


def test_a_public_route_refuses_a_wrong_key(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            wrong = await client.ask("GET", "/api/v1/time", key="trader", secret="no")
            assert (wrong.status, wrong.code) == (401, "signature_invalid")
            right = await client.ask("GET", "/api/v1/time", key="trader")
            assert right.status == 200

    story(told)


def test_a_signature_covers_the_target_as_it_was_sent(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            for sent in ("time?a=", "time?a=%41", "t%69me", "time?a=b+c"):
                target = f"/api/v1/{sent}"
                answer = await client.ask("GET", target, key="trader")
                assert answer.status == 200 or answer.code == "unknown_field", target

    story(told)


INSTRUMENTS = {
    "instruments": [
        {
            "instrument": "BTC-USD",
            "base": "BTC",
            "quote": "USD",
            "phase": "continuous",
            "tick_size": "0.01",
            "lot_size": "0.0001",
            "min_quantity": "0.0001",
            "max_quantity": "1000000",
            "min_notional": "0.1",
            "max_notional": "100000000",
            "market_protection_ppm": 50000,
            "maker_fee_ppm": 1000,
            "taker_fee_ppm": 2000,
            "mark_price": None,
            "reference_price": None,
            "static_band_ppm": None,
            "dynamic_band_ppm": None,
            "volatility_auction_us": None,
            "phase_until_us": None,
            "fee_market": None,
            "fee_discount_ppm": None,
        }
    ],
    "assets": [{"asset": "USD", "decimals": 8}, {"asset": "BTC", "decimals": 8}],
    "client_order_id_memory_s": 120,
}


def test_instruments_are_in_decimals(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            assert (await client.ask("GET", "/api/v1/instruments")).body == INSTRUMENTS

    story(told)


def test_health_names_the_rooms_and_says_that_no_order_can_be_taken(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            for path in ("/health", "/api/v1/health"):
                answer = await client.ask("GET", path)
                assert (answer.status, answer.body["status"]) == (503, "unavailable")
                assert answer.body["rooms"]["matching"] == "degraded"

    story(told)


@pytest.mark.parametrize(
    ("target", "pointer"),
    [
        ("/api/v1/trades/BTC-USD?limit=0", "/limit"),
        ("/api/v1/trades/BTC-USD?limit=1001", "/limit"),
        ("/api/v1/trades/BTC-USD?limit=x", "/limit"),
        ("/api/v1/trades/BTC-USD?limit=1&limit=2", "/limit"),
        ("/api/v1/trades/BTC-USD?before=0", "/before"),
        ("/api/v1/orderbook/BTC-USD?depth=1001", "/depth"),
        ("/api/v1/candles/BTC-USD?interval=2m", "/interval"),
        ("/api/v1/candles/BTC-USD?from_us=-1", "/from_us"),
        ("/api/v1/orders?state=gone", "/state"),
        ("/api/v1/orders?cursor=-1", "/cursor"),
        ("/api/v1/orders/abc", "/order_id"),
        ("/api/v1/orders/by-client-id/a%20b", "/client_order_id"),
        ("/api/v1/fills?order_id=x", "/order_id"),
    ],
)
def test_parameters_are_checked(target: str, pointer: str, tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            answer = await client.ask("GET", target, key="reader")
            assert (answer.status, answer.code) == (400, "invalid_value")
            assert [error["pointer"] for error in answer.body["errors"]] == [pointer]

    story(told)


def gets(house: Gateway) -> list[str]:
    """A target for every GET there is; the handshake of a socket is one as well."""
    targets = [route.path for route in house.routes if route.method == "GET"]
    filled = {"instrument": "BTC-USD", "order_id": "1", "client_order_id": "a"}
    return [*(target.format(**filled) for target in targets), "/ws"]


@pytest.mark.parametrize(
    "after",
    [
        *("x", "0", ":1", "0:", "0:-1", "0:01", "00:1", "0:" + "9" * 20, "1:1", "99999:1"),
        *("0:1,", ",0:1", "0:1,0:1", "0:1,1:1", "0:1 ,"),
    ],
)
def test_what_is_no_sequence_of_ours_is_refused_by_every_get(after: str, tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (house, client):
            for target in gets(house):
                headers = {"X-Bourse-After": after}
                answer = await client.ask("GET", target, key="reader", headers=headers)
                assert (answer.status, answer.code) == (400, "invalid_value"), target
                assert [one["pointer"] for one in answer.body["errors"]] == ["/X-Bourse-After"]

    story(told)


def test_every_get_waits_for_what_has_been_seen(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (house, client):
            house.feed.watches[0].sequence = 4711
            for target in gets(house):
                headers = {"X-Bourse-After": "0:4712"}
                answer = await client.ask("GET", target, key="reader", headers=headers)
                assert (answer.status, "code" in answer.body) == (503, True), target
                assert answer.code in ("lagging", "unavailable"), target

    story(told)


def test_every_get_refuses_a_wrong_key_and_what_it_does_not_know(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (house, client):
            for target in gets(house):
                stranger = await client.ask("GET", target, key="nobody")
                assert (stranger.status, stranger.code) == (401, "key_unknown"), target
                forged = await client.ask("GET", target, key="reader", secret="no")
                assert (forged.status, forged.code) == (401, "signature_invalid"), target
                odd = await client.ask("GET", f"{target}?odd=1", key="reader")
                assert (odd.status, odd.code) == (400, "unknown_field"), target
                assert [one["pointer"] for one in odd.body["errors"]] == ["/odd"]
                body = await client.ask("GET", target, b"{}", key="reader")
                assert (body.status, body.code) == (400, "invalid_value"), target

    story(told)


def test_a_body_where_none_belongs_is_refused(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            answer = await client.ask("DELETE", "/api/v1/orders", b"{}", key="trader")
            assert (answer.status, answer.code) == (400, "invalid_value")

    story(told)
