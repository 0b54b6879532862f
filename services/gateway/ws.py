"""The public WebSocket: one JSON object a message, public and private channels, bounded buffers.

A slow reader misses no trade and nothing private: over its buffer it is closed (4008). Books,
tickers and candles it gets anew once it has caught up, instead of what it missed.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import msgspec
import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from services.domain.clock import Clock
from services.gateway.auth import Caller, Gatekeeper, Rates, need
from services.gateway.channels import Channel, framed
from services.gateway.config import GatewayConfig
from services.gateway.feeds import MarketFeed
from services.gateway.messages import (
    Authenticate,
    Authenticated,
    Closing,
    ErrorMessage,
    Ping,
    Pong,
    RequestId,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from services.gateway.private import CHANNELS as PRIVATE
from services.gateway.private import CursorGone, PrivateFeed
from services.gateway.problems import Problem, invalid
from services.gateway.reading import UNREADABLE, repeated

SWEEP_S: Final = 0.05
"""How often slow readers are looked at."""

SLOW: Final = 4008
KEY_REVOKED: Final = 4003
STOP_S: Final = 2.0

LAST_WORD_S: Final = 30.0
"""A slow reader that is closed has this long to come to the close and its reason."""

_HEARTBEAT_S: Final = 20.0
_request: Final = msgspec.json.Decoder(Subscribe | Unsubscribe | Ping | Authenticate)

_log = structlog.get_logger()


class _Envelope(msgspec.Struct):
    """What can be said of a request that could not be read: perhaps its id."""

    id: RequestId = None


_envelope: Final = msgspec.json.Decoder(_Envelope)


class _Response(web.WebSocketResponse):
    """aiohttp's own, which is told to say something before it closes on a message too large."""

    def __init__(self, limit_bytes: int, before_too_big: Callable[[], None]) -> None:
        super().__init__(
            max_msg_size=limit_bytes, heartbeat=_HEARTBEAT_S, compress=False, timeout=STOP_S
        )
        self._before_too_big = before_too_big

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        if code == WSCloseCode.MESSAGE_TOO_BIG and not self.closed:
            self._before_too_big()
        return await super().close(code=code, message=message, drain=drain)


class Socket:
    """One client."""

    def __init__(self, sockets: "Sockets", transport: asyncio.Transport) -> None:
        self._sockets = sockets
        self._config = sockets.config
        self._transport = transport
        self._rates = Rates(self._config.messages_per_second)
        self._public: dict[str, Channel] = {}
        self._private: dict[str, int] = {}
        self._stale: set[Channel] = set()
        self._cut = False
        self.caller: Caller | None = None
        self.response = _Response(self._config.message_bytes, self._too_big)

    # What the channels say.

    def offer(self, channel: Channel, frames: bytes) -> None:
        """Frames of a public channel; left out for now if the reader is slow and may miss them."""
        behind = channel in self._stale or self._unsent() > self._config.soft_buffer_bytes
        if channel.conflates and behind:
            self._stale.add(channel)
            self._sockets.slow.add(self)
        else:
            self._write(frames)

    def offer_private(self, frames: bytes) -> None:
        """Frames of the client's own account, which are never left out."""
        self._write(frames)

    def interrupt(self, reason: str) -> None:
        """A private stream cannot go on without leaving something out."""
        self.end(WSCloseCode.SERVICE_RESTART, reason)

    def catch_up(self) -> bool:
        """Bring a slow reader up to date once it has room; True if it is no longer behind."""
        if self._unsent() > self._config.soft_buffer_bytes // 2 and not self._cut:
            return False
        for channel in self._stale:
            self._write(channel.now())
        self._stale.clear()
        return True

    def _unsent(self) -> int:
        return self._transport.get_write_buffer_size()

    def _write(self, frames: bytes) -> None:
        if self._cut or not frames or self._transport.is_closing():
            return
        self._transport.write(frames)
        if self._unsent() > self._config.hard_buffer_bytes:
            self.end(SLOW, "This socket reads too slowly: its buffer is full.")

    def say(self, message: msgspec.Struct) -> None:
        """One message to this client alone."""
        self._write(framed(message))

    def end(self, code: int, reason: str, notice: msgspec.Struct | None = None) -> None:
        """Close the socket with a reason; at once, and without waiting for a slow reader."""
        if self._cut:
            return
        self._cut = True
        if not self._transport.is_closing():
            self._transport.write(framed(notice or Closing(reason)))
        self.leave()
        self._sockets.spawn(self._close(code, reason))

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(2 * STOP_S):
                await self.response.close(code=code, message=reason.encode()[:120], drain=False)
        except (TimeoutError, ConnectionError):
            _log.info("socket_did_not_take_its_close", code=code)
        await self._heard()
        self._transport.abort()

    async def _heard(self) -> None:
        """Wait until all that was said is on its way: an abort would leave the reason unsaid."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                # A transport tells only its own protocol that it has room again.
                while self._unsent():  # noqa: ASYNC110
                    await asyncio.sleep(SWEEP_S)

    def leave(self) -> None:
        """Listen to nothing any more."""
        for channel in self._public.values():
            channel.listeners.discard(self)
        for number in set(self._private.values()):
            self._sockets.private.drop(number)
        self._public.clear()
        self._private.clear()
        self._stale.clear()
        self._sockets.slow.discard(self)

    # What the client says.

    def _too_big(self) -> None:
        limit = self._config.message_bytes
        self.say(ErrorMessage(None, "message_too_large", f"A message has at most {limit} bytes."))

    async def listen(self) -> None:
        """Answer the client's messages, one after the other, until it leaves."""
        async for message in self.response:
            if self._cut:
                continue
            if self._rates.take("", self._sockets.clock.now_us()) > 0:
                most = f"At most {self._config.messages_per_second} messages a second."
                error = ErrorMessage(None, "rate_limited", most)
                self.end(WSCloseCode.POLICY_VIOLATION, "Too many messages.", error)
            elif message.type is WSMsgType.TEXT:
                await self._answer(message.data)
            else:
                self.say(ErrorMessage(None, "malformed_json", "Send text, not binary."))

    async def _answer(self, text: str) -> None:
        try:
            request = _request.decode(text)
            twice = repeated(text.encode())
        except UNREADABLE as error:
            self.say(_unreadable(text, error))
            return
        try:
            if twice:
                raise invalid(f"/{twice[0]}", "It is given twice.")
            await self._do(request)
        except Problem as problem:
            self.say(ErrorMessage(request.id, problem.code, problem.detail))
        except CursorGone:
            gone = "It is older than what is kept: read REST, then subscribe with null."
            self.say(ErrorMessage(request.id, "cursor_gone", gone))

    async def _do(self, request: Subscribe | Unsubscribe | Ping | Authenticate) -> None:
        match request:
            case Subscribe():
                await self._subscribe(request)
            case Unsubscribe():
                for name in request.channels:
                    self._unsubscribe(name)
                self.say(Unsubscribed(request.id, request.channels))
            case Ping():
                self.say(Pong(request.id))
            case Authenticate():
                self._authenticate(request)

    def _authenticate(self, request: Authenticate) -> None:
        caller = self._sockets.gatekeeper.socket(request.key, request.timestamp, request.signature)
        if self.caller is not None and self.caller.key.key != caller.key.key:
            raise Problem("invalid_value", "This socket belongs to another key. Open a new one.")
        self.caller = caller
        self.say(Authenticated(request.id))

    async def _subscribe(self, request: Subscribe) -> None:
        """All of the channels, or none of them."""
        names = list(dict.fromkeys(request.channels))
        private = [name for name in names if name in PRIVATE]
        self._check_count(names)
        if request.after is not None and (len(names) != 1 or not private):
            raise Problem("invalid_value", "after needs exactly one channel, and a private one.")
        if request.after == "":
            raise CursorGone
        public = [self._sockets.feed.channel(name) for name in names if name not in private]
        for channel in public:
            await self._sockets.feed.prepare(channel)
        number = await self._follow(private, request.after)
        self.say(Subscribed(request.id, names))
        for channel in public:
            self._listen_to(channel)
        for name in private:
            self._unsubscribe(name)
            self._private[name] = number
        self._sockets.private.release(number)

    def _check_count(self, names: list[str]) -> None:
        if not names:
            raise Problem("missing_field", "channels is empty.")
        most = self._config.subscriptions
        if len({*names, *self._public, *self._private}) > most:
            raise Problem("rate_limited", f"A socket has at most {most} channels.")

    async def _follow(self, private: list[str], after: str | None) -> int:
        """Begin a private subscription, not yet told; 0 if none is wanted."""
        if not private:
            return 0
        if self.caller is None:
            raise Problem("key_unknown", "Private channels need authenticate first.")
        need(self.caller.key, "read")
        account = self.caller.key.account
        return await self._sockets.private.subscribe(account, set(private), after or "", self)

    def _listen_to(self, channel: Channel) -> None:
        self._public[channel.name] = channel
        self._write(channel.now())
        channel.listeners.add(self)

    def _unsubscribe(self, name: str) -> None:
        channel = self._public.pop(name, None)
        if channel is not None:
            channel.listeners.discard(self)
            self._stale.discard(channel)
        number = self._private.pop(name, None)
        if number is not None:
            self._sockets.private.narrow(number, name)


class Sockets:
    """All sockets of this gateway."""

    def __init__(
        self,
        config: GatewayConfig,
        clock: Clock,
        gatekeeper: Gatekeeper,
        feed: MarketFeed,
        private: PrivateFeed,
    ) -> None:
        self.config = config
        self.clock = clock
        self.gatekeeper = gatekeeper
        self.feed = feed
        self.private = private
        self.slow: set[Socket] = set()
        self._open: set[Socket] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def count(self) -> int:
        """Sockets that are open."""
        return len(self._open)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket from its handshake to its end. Raises Problem instead of beginning."""
        # Those that are being closed still hold what they were told.
        if self._stopping or len(self._open) + len(self._closing) >= self.config.sockets:
            raise Problem("unavailable", "No more sockets are taken here at the moment.")
        transport = request.transport
        if transport is None:
            raise Problem("unavailable")
        socket = Socket(self, transport)
        try:
            await socket.response.prepare(request)
        except web.HTTPBadRequest:
            raise invalid("", "This is no handshake of a WebSocket, version 13.") from None
        self._open.add(socket)
        try:
            await socket.listen()
        finally:
            self._open.discard(socket)
            socket.leave()
        return socket.response

    async def sweep(self) -> None:
        """Bring slow readers up to date, for ever."""
        while True:
            await asyncio.sleep(SWEEP_S)
            for socket in list(self.slow):
                if socket.catch_up():
                    self.slow.discard(socket)

    def revoked(self, key: str) -> None:
        """A key has ended, and with it every socket that it opened."""
        for socket in list(self._open):
            if socket.caller is not None and socket.caller.key.key == key:
                socket.end(KEY_REVOKED, "The key was revoked.")

    def spawn(self, closing: Coroutine[Any, Any, None]) -> None:
        """Let a socket close by itself."""
        task = asyncio.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def stop(self) -> None:
        """Tell every socket that it is about to be closed, and close it."""
        self._stopping = True
        for socket in list(self._open):
            socket.end(WSCloseCode.SERVICE_RESTART, "The gateway is about to stop.")
        if self._closing:
            await asyncio.wait(self._closing, timeout=2 * STOP_S)


def _unreadable(text: str, error: Exception) -> ErrorMessage:
    """What is said of a message that is no request, with its id if it has one."""
    try:
        request_id = _envelope.decode(text).id
    except UNREADABLE:
        request_id = None
    if not isinstance(error, msgspec.ValidationError):
        return ErrorMessage(request_id, "malformed_json", "The message is not a JSON object.")
    sentence = str(error)[:200]
    code = "unknown_field" if "unknown field" in sentence else "invalid_value"
    if "missing required field" in sentence:
        code = "missing_field"
    return ErrorMessage(request_id, code, f"{sentence}.")
