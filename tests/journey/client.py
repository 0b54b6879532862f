"""A trader's own small client: signed REST and one WebSocket, as the documentation tells it."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import aiohttp

from services.domain import signing

ANSWER_S: Final = 30.0


class Answer(NamedTuple):
    """Status, body and headers."""

    status: int
    body: Any
    headers: dict[str, str]


class Client:
    """One account's way in."""

    def __init__(self, session: aiohttp.ClientSession, url: str, account: dict[str, Any]) -> None:
        self._session = session
        self._url = url
        self.key: str = account["key"]
        self.secret: str = account["secret"]

    async def ask(
        self, method: str, target: str, body: dict[str, Any] | None = None, after: str = ""
    ) -> Answer:
        """One signed request. `after` is what an earlier answer said in X-Bourse-Sequence."""
        target = f"/api/v1{target}"
        sent = b"" if body is None else json.dumps(body).encode()
        now_ms = time.time_ns() // 1_000_000
        signed = signing.headers(self.key, self.secret, method, target, sent, now_ms)
        more = {} if body is None else {"Content-Type": "application/json"}
        if after:
            more["X-Bourse-After"] = after
        async with self._session.request(
            method, self._url + target, data=sent or None, headers={**signed, **more}
        ) as answer:
            return Answer(answer.status, await answer.json(content_type=None), dict(answer.headers))

    async def place(self, **order: Any) -> dict[str, Any]:
        """An order that is to be taken in."""
        answer = await self.ask("POST", "/orders", order)
        assert answer.status == 201, answer
        placed: dict[str, Any] = answer.body
        return placed

    async def balances(self) -> dict[str, tuple[str, str]]:
        """Available and held by asset."""
        answer = await self.ask("GET", "/balances")
        assert answer.status == 200, answer
        return {
            each["asset"]: (each["available"], each["held"]) for each in answer.body["balances"]
        }

    async def authenticate(self, socket: "Socket") -> None:
        """Prove on a WebSocket who we are."""
        timestamp = str(time.time_ns() // 1_000_000)
        text = signing.text(timestamp, signing.DEFAULT_WINDOW, "GET", "/ws", b"")
        signature = signing.sign(self.secret, text)
        await socket.say("authenticate", key=self.key, timestamp=timestamp, signature=signature)


class Socket:
    """A WebSocket with what it has received."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._id = 0
        self.heard: list[dict[str, Any]] = []

    async def say(self, op: str, **fields: Any) -> dict[str, Any]:
        """Ask for something and wait for its answer, which is not to be an error."""
        self._id += 1
        await self._socket.send_json({"op": op, "id": self._id, **fields})
        answer = await self.until(lambda message: message.get("id") == self._id)
        assert answer["type"] != "error", answer
        return answer

    async def send(self, text: str) -> None:
        """This text as one message, whatever it is."""
        await self._socket.send_str(text)

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message of this kind, received already or still to come."""
        for heard in self.heard:
            if wanted(heard):
                return heard
        while True:
            message: dict[str, Any] = await self._socket.receive_json(timeout=ANSWER_S)
            self.heard.append(message)
            if wanted(message):
                return message

    async def on(self, channel: str, kind: str) -> dict[str, Any]:
        """The first message of a channel with this type."""
        return await self.until(lambda m: m.get("channel") == channel and m["type"] == kind)

    async def until_closed(self) -> int | None:
        """Read on until the exchange closes it; the code it is closed with."""
        async for message in self._socket:
            self.heard.append(json.loads(message.data))
        return self._socket.close_code


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections for as long as the block lasts."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as session:
        yield session


@asynccontextmanager
async def open_socket(session: aiohttp.ClientSession, url: str) -> AsyncIterator[Socket]:
    """A WebSocket for as long as the block lasts."""
    async with session.ws_connect(f"{url.replace('http', 'ws', 1)}/ws") as socket:
        yield Socket(socket)
