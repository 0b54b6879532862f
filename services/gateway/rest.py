"""The public HTTP edge: what happens to every request, in the order the contract states.

    404 route, 405, 413, 415, 401, 403, 429, 400, 404 instrument, 422, 503

A route is a line of a table (`rest_orders`, `rest_account`, `rest_public`); the documents are made
of the same lines. Here is what all of them share.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from aiohttp import web

from services.domain import ids, signing
from services.gateway import problems
from services.gateway.auth import Caller, Gatekeeper
from services.gateway.problems import REQUEST_ID_HEADER, Problem, invalid
from services.gateway.reading import Reader
from services.gateway.shapes import NoQuery
from services.gateway.shards import NONE_NAMED, Sequences
from services.gateway.tokens import AFTER_HEADER, SEQUENCE_HEADER, Tokens

PREFIX: Final = "/api/v1"

BODY_S: Final = 10.0
"""A body has this long to arrive, seconds."""

_BODY_METHODS: Final = ("POST", "PATCH", "PUT")
_NO_QUERY: Final = Reader(NoQuery)

_REQUEST_ID: Final = web.RequestKey("request_id", bytes)
_PRIVATE: Final = web.RequestKey("private", bool)

_log = structlog.get_logger()


@dataclass(slots=True)
class Ask:
    """A request that has passed the door, in the shapes of its route."""

    request_id: bytes
    caller: Caller | None
    path: dict[str, str]
    query: Any
    body: Any
    after: Sequences
    """From X-Bourse-After: what must be visible, for each shard that it names."""

    @property
    def account(self) -> int:
        """Whose request it is; only on private routes."""
        assert self.caller is not None, "a private route always has a caller"
        return self.caller.key.account


class Reply(NamedTuple):
    """An answer: a public shape, and what it was true at in the shards that it is about."""

    body: msgspec.Struct | msgspec.Raw
    at: Sequences = NONE_NAMED
    status: int = 200


Handler = Callable[[Ask], Awaitable[Reply]]


@dataclass(frozen=True)
class Route:
    """One line of the public API."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: type[msgspec.Struct]
    scope: str | None = None
    """The scope its key needs; None: a public route."""
    query: Reader[Any] = _NO_QUERY
    body: Reader[Any] | None = None
    codes: Sequence[str] = ()
    """What it can be refused with, beyond what every route can."""
    statuses: Sequence[int] = (200,)


class Edge:
    """What every request goes through."""

    def __init__(self, gatekeeper: Gatekeeper, tokens: Tokens) -> None:
        self._gatekeeper = gatekeeper
        self._tokens = tokens
        self.closing = False

    def serve(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The aiohttp handler of a route."""

        async def handle(request: web.Request) -> web.StreamResponse:
            ask = await self.admit(request, route.scope, route.query, route.body)
            reply = await route.handler(ask)
            response = web.Response(
                status=reply.status,
                body=msgspec.json.encode(reply.body),
                content_type="application/json",
            )
            if route.scope is not None:
                response.headers[SEQUENCE_HEADER] = self._tokens.write(reply.at)
            return response

        return handle

    async def admit(
        self,
        request: web.Request,
        scope: str | None = None,
        query: Reader[Any] = _NO_QUERY,
        body: Reader[Any] | None = None,
    ) -> Ask:
        """Check everything about a request that does not need a market. Raises Problem."""
        request[_PRIVATE] = scope is not None
        sent = await _read(request)
        _check_content(request, sent)
        caller = self._authenticate(request, scope, sent)
        asked = query.query(request.query.items())
        if sent and body is None:
            raise invalid("", "This request takes no body.")
        shape = body.body(sent) if body is not None else None
        header = request.headers.get(AFTER_HEADER) if request.method == "GET" else None
        after = self._tokens.read(header)
        if self.closing:
            raise Problem("unavailable", "The gateway is about to stop. Try again in a moment.")
        return Ask(request[_REQUEST_ID], caller, dict(request.match_info), asked, shape, after)

    def _authenticate(self, request: web.Request, scope: str | None, body: bytes) -> Caller | None:
        """Who asks. A public route needs no key, but a wrong one is refused there too."""
        if scope is None and signing.KEY_HEADER not in request.headers:
            return None
        caller = self._gatekeeper.request(request.headers, request.method, request.raw_path, body)
        self._gatekeeper.admit(caller, scope)
        return caller

    async def guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Give every request an id, and every failure its public shape."""
        request_id = request[_REQUEST_ID] = os.urandom(ids.REQUEST_ID_BYTES)
        try:
            response = await handler(request)
        except Problem as problem:
            response = problems.response(problem, request_id.hex())
        except web.HTTPException as error:
            response = problems.response(_of_http(error), request_id.hex())
        except Exception:
            _log.exception("request_failed", request_id=request_id.hex(), path=request.path)
            response = problems.response(_of_crash(request), request_id.hex())
        if not response.prepared:
            response.headers[REQUEST_ID_HEADER] = request_id.hex()
            if request.get(_PRIVATE):
                response.headers.setdefault(SEQUENCE_HEADER, self._tokens.write(NONE_NAMED))
        return response


async def _read(request: web.Request) -> bytes:
    """The whole body. Raises Problem if it is too large, or does not come whole and in time."""
    length = request.content_length
    if length is not None and length > request.client_max_size:
        raise Problem("body_too_large")
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Problem("body_too_large") from None
    except (TimeoutError, ConnectionError, web.RequestPayloadError):
        raise invalid("", "The body did not come whole.") from None


def _check_content(request: web.Request, body: bytes) -> None:
    """A body is JSON and comes as it is. Raises Problem."""
    if not body and (request.method not in _BODY_METHODS or "Content-Type" not in request.headers):
        return
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise Problem("content_type_unsupported")


def number(text: object, pointer: str) -> int:
    """The id that a parameter says; 0 if it is absent. Raises Problem."""
    if not isinstance(text, str):
        return 0
    read = ids.read_id(text)
    if read is None:
        raise invalid(pointer, "It is not a number in digits.")
    return read


def _of_http(error: web.HTTPException) -> Problem:
    """The problem for what aiohttp itself refuses."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allow = ", ".join(sorted(error.allowed_methods))
        return Problem("method_not_allowed", headers={"Allow": allow})
    if isinstance(error, web.HTTPNotFound):
        return Problem("route_unknown")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Problem("body_too_large")
    if isinstance(error, web.HTTPExpectationFailed):
        return invalid("/Expect", "Nothing can be expected here but 100-continue.")
    return invalid("", error.text or error.reason)


def _of_crash(request: web.Request) -> Problem:
    """A mistake of ours: of a read it is known that nothing happened, of a command it is not."""
    return Problem("unavailable" if request.method == "GET" else "outcome_unknown")
