"""The public API as a client uses it: one signed request at a time, without a session.

For commands that ask a few things and end. The demo's bots keep connections: see `bots.py`.
"""

import asyncio
import http.client
import json
import time
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from services.cli.terminal import Refused
from services.domain import signing

ANSWER_S: Final = 5.0
KNOWS_KEY_S: Final = 15.0
_LOOK_S: Final = 0.05


class Credentials(NamedTuple):
    """An API key as its owner has it."""

    key: str
    secret: str


class Answer(NamedTuple):
    """What the edge said. The status is 0 if it said nothing at all."""

    status: int
    body: Any


async def ask(
    url: str,
    method: str,
    target: str,
    body: dict[str, Any] | None = None,
    credentials: Credentials | None = None,
) -> Answer:
    """One request to the API at `url`; signed, if there are credentials."""
    return await asyncio.to_thread(_ask, url, method, target, body, credentials)


def _ask(
    url: str,
    method: str,
    target: str,
    body: dict[str, Any] | None,
    credentials: Credentials | None,
) -> Answer:
    place = urlsplit(url)
    sent, headers = signed(method, target, body, credentials)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=ANSWER_S)
    try:
        connection.request(method, target, sent or None, headers)
        answer = connection.getresponse()
        return Answer(answer.status, json.loads(answer.read() or b"null"))
    except (OSError, http.client.HTTPException, ValueError):
        return Answer(0, None)
    finally:
        connection.close()


def signed(
    method: str, target: str, body: dict[str, Any] | None, credentials: Credentials | None
) -> tuple[bytes, dict[str, str]]:
    """The bytes of a body and the headers to send with it, signed now if there are credentials."""
    sent = b"" if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    if credentials:
        now_ms = time.time_ns() // 1_000_000
        headers |= signing.headers(*credentials, method, target, sent, now_ms)
    return sent, headers


async def until_known(url: str, credentials: Credentials) -> None:
    """Wait until the gateway knows a key. Raises Refused if it does not in time."""
    deadline = time.monotonic() + KNOWS_KEY_S
    while time.monotonic() < deadline:
        answer = await ask(url, "GET", "/api/v1/account", credentials=credentials)
        # 403: it is known, and may not read.
        if answer.status in (200, 403):
            return
        await asyncio.sleep(_LOOK_S)
    raise Refused(
        f"The key {credentials.key} is made, but the gateway at {url} does not take it yet, so its"
        " secret is not shown. See `bourse status`, then make another with `bourse key create`."
    )
