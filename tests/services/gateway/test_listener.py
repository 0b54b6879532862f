"""What is no HTTP, on sockets of our own: every answer is a problem, and comes to an end."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from services.gateway import rest
from services.gateway.listener import HEADERS, LINE_BYTES, listening
from services.runtime.rpc import AddressError
from tests.services.gateway.world import gateway, story

GET = b"GET /api/v1/time HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

UNREADABLE: dict[str, bytes] = {
    "no request line": b"GARBAGE\r\n\r\n",
    "an unknown method": b"FLY /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "a version to come": b"GET / HTTP/9.9\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a target that is none": b"GET health HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target of other bytes": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long line": b"GET /" + b"a" * LINE_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long header": GET + b"X: " + b"a" * (LINE_BYTES + 1) + b"\r\n\r\n",
    "a header without end": GET + b"X: " + b"a" * 8_000_000,
    "many headers": GET + b"X: y\r\n" * HEADERS + b"\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": GET + b"Host: y\r\n\r\n",
    "a header without a colon": GET + b"X\r\n\r\n",
    "a name with a space": GET + b"X : y\r\n\r\n",
    "a zero in a header": GET + b"X: \x00\r\n\r\n",
    "lines without returns": b"GET /health HTTP/1.1\nHost: x\n\n",
    "a length below zero": POST + b"Content-Length: -1\r\n\r\n",
    "a length in words": POST + b"Content-Length: x\r\n\r\n",
    "a length beyond counting": POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "another encoding": POST + b"Transfer-Encoding: foo\r\n\r\n",
    "a chunk of no size": CHUNKED + b"zz\r\n",
    "a chunk beyond counting": CHUNKED + b"f" * 20 + b"\r\n",
    "a chunk that goes on": CHUNKED + b"2\r\n{}zz\r\n",
    "garbage after a request": GET + b"\r\nGARBAGE\r\n\r\n",
}


async def said(url: URL, sent: bytes) -> bytes:
    """All that is answered to these bytes, up to the end that the gateway makes."""
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(sent)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def problem(answer: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of the only answer there is."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.") == 1, answer
    lines = head.decode().split("\r\n")[1:]
    told: dict[str, Any] = json.loads(body)
    return dict(line.split(": ", 1) for line in lines), told


@pytest.mark.parametrize("sent", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_answered_with_a_problem(sent: bytes, tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            headers, body = problem(await said(client.url, sent))
            assert (body["status"], body["code"]) == (400, "invalid_value")
            assert body["errors"] == [{"pointer": "", "detail": body["detail"]}]
            assert headers["Content-Type"] == "application/problem+json"
            assert headers["X-Request-Id"] == body["request_id"]
            assert (await client.ask("GET", "/api/v1/time")).status == 200

    story(told)


def test_a_body_that_breaks_off_midway_is_no_other_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "BODY_S", 0.2)

    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            reader, writer = await asyncio.open_connection(client.url.host, client.url.port)
            writer.write(CHUNKED)
            await asyncio.sleep(0.05)
            writer.write(b"zz\r\n")
            headers = await reader.readuntil(b"\r\n\r\n")
            length = int(headers.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            _, body = problem(headers + await reader.readexactly(length))
            assert (body["status"], body["code"]) == (400, "invalid_value")
            writer.close()

    story(told)


@pytest.mark.parametrize(
    ("sent", "status", "code", "pointer"),
    [
        (POST + b"Expect: miracles\r\n", 400, "invalid_value", "/Expect"),
        (b"GET /ws HTTP/1.1\r\nHost: x\r\n", 400, "invalid_value", ""),
        (b"POST /ws HTTP/1.1\r\nHost: x\r\n", 405, "method_not_allowed", None),
        (b"GET //health HTTP/1.1\r\nHost: x\r\n", 404, "route_unknown", None),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n", 404, "route_unknown", None),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n", 404, "route_unknown", None),
        (POST + b"Content-Length: 99999999999\r\n", 413, "body_too_large", None),
    ],
)
def test_what_aiohttp_itself_refuses_is_a_problem(
    sent: bytes, status: int, code: str, pointer: str | None, tmp_path: Path
) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            reader, writer = await asyncio.open_connection(client.url.host, client.url.port)
            writer.write(sent + b"Connection: close\r\n\r\n")
            headers = await reader.readuntil(b"\r\n\r\n")
            length = int(headers.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
            _, body = problem(headers + await reader.readexactly(length))
            assert (body["status"], body["code"]) == (status, code)
            pointers = [error["pointer"] for error in body.get("errors", [])]
            assert pointers == ([] if pointer is None else [pointer])
            writer.close()

    story(told)


def test_an_address_in_use_is_said_in_a_sentence(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (house, client):
            assert client.url.host is not None
            assert client.url.port is not None
            again = listening(web.Application(), house.edge.guard, client.url.host, client.url.port)
            with pytest.raises(AddressError, match="address already in use"):
                await again.__aenter__()

    story(told)
