"""The HTTP server beneath the routes: what is no HTTP is answered with a public problem as well.

Of aiohttp only what is meant to be overridden is: how a connection answers an error of its parser,
and which connections a server makes.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias, cast

from aiohttp import http_exceptions, web

from services.domain import ids
from services.gateway import problems
from services.gateway.problems import REQUEST_ID_HEADER, Problem, invalid
from services.runtime.rpc import AddressError

STOP_S: Final = 5.0
"""Requests under way have this long to be answered once the listener is told to stop."""

LINGER_S: Final = 2.0
"""Who is still sending what cannot be read has this long to come to the answer."""

LINE_BYTES: Final = 8190
"""The longest request line and the longest header, bytes."""
HEADERS: Final = 128
"""The most headers of a request."""

_quiet = logging.getLogger("gateway.http")
_quiet.setLevel(logging.CRITICAL)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Guard: TypeAlias = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]
"""Calls the handler of a request and answers whatever it raises."""


class _Connection(web.RequestHandler):
    """A connection that says what it cannot read in the words of the API."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._refused: web.StreamResponse | None = None
        self._gone = asyncio.Event()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the parser refused; the connection is closed after it."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        request_id = os.urandom(ids.REQUEST_ID_BYTES).hex()
        response = self._refused = problems.response(_problem(exc), request_id)
        response.headers[REQUEST_ID_HEADER] = request_id
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; after one to what could not be read, wait until it has been heard.

        Closed with bytes unread, the connection would be reset, and the answer lost with it.
        """
        sent = await super().finish_response(request, resp, start_time)
        if resp is self._refused and self.transport is not None:
            self.transport.write_eof()
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._gone.wait()
        return sent

    def data_received(self, data: bytes) -> None:
        """Take in bytes; what follows on something unreadable means nothing."""
        if self._refused is None:
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nobody listens any more."""
        self._gone.set()
        super().connection_lost(exc)


class _Server(web.Server):
    """A server of such connections."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,
            logger=_quiet,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=HEADERS,
            # What is signed is the body as sent, and a packed one could be any size.
            auto_decompress=False,
        )


def _problem(error: BaseException | None) -> Problem:
    """The problem for bytes that are no HTTP request; anything else is a mistake of ours."""
    if not isinstance(error, http_exceptions.HttpProcessingError):
        return Problem("outcome_unknown")
    told = (sentence for kind, sentence in _SENTENCES.items() if isinstance(error, kind))
    return invalid("", next(told, "This is no HTTP request that can be read."))


_SENTENCES: Final[Mapping[type[Exception], str]] = {
    http_exceptions.LineTooLong: f"The request line or a header is above {LINE_BYTES} bytes.",
    http_exceptions.InvalidHeader: "A header cannot be read.",
    http_exceptions.BadHttpMethod: "It does not begin with a method of HTTP.",
    http_exceptions.InvalidURLError: "The target is no path.",
    http_exceptions.PayloadEncodingError: "The length of the body cannot be told.",
}


@asynccontextmanager
async def listening(
    application: web.Application, guard: Guard, host: str, port: int
) -> AsyncIterator[tuple[str, int]]:
    """Serve while the block lasts, at the host and port it gives; then answer what is under way.

    Raises AddressError.
    """
    inner = web.AppRunner(application)
    await inner.setup()
    assert inner.server is not None, "it was just set up"
    handler = cast("Handler", inner.server.request_handler)

    async def guarded(request: web.BaseRequest) -> web.StreamResponse:
        return await guard(cast("web.Request", request), handler)

    server = _Server(guarded, request_factory=inner.server.request_factory)
    runner = web.ServerRunner(server, shutdown_timeout=STOP_S)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield runner.addresses[0][:2]
    finally:
        await runner.cleanup()
        await inner.cleanup()


async def _listen(runner: web.ServerRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise AddressError(
            f"{host}:{port} cannot be listened on: {reason}."
            " Stop what is there, or choose another port with --port."
        ) from None
