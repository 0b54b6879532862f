"""What a room answers while its Postgres is away: UNAVAILABLE, whatever it was asked.

Who asks knows from that that the room may have done it or not, and that it helps to ask again.
Left to itself gRPC would say UNKNOWN, and what of, and put a traceback into the log.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg
import grpc
import structlog

from services.runtime.postgres import AWAY
from services.runtime.rpc import Context

UNABLE: Final = (*AWAY, asyncpg.InsufficientResourcesError)
"""It is away, or has no room: a full disk, no memory, no connection left."""

_Method = Callable[[Any, Context], Awaitable[Any]]

_log = structlog.get_logger("rpc")


class PostgresAway(grpc.aio.ServerInterceptor):
    """Ends calls that Postgres has failed. Only those with one answer: streams are begun anew by
    whoever reads them, however they ended."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """The handler of a call, with its method guarded."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.response_streaming:
            return handler
        kind, make = (
            ("stream_unary", grpc.stream_unary_rpc_method_handler)
            if handler.request_streaming
            else ("unary_unary", grpc.unary_unary_rpc_method_handler)
        )
        guarded = _guarded(getattr(handler, kind), handler_call_details.method)
        return make(guarded, handler.request_deserializer, handler.response_serializer)


def _guarded(method: _Method, name: str) -> _Method:
    async def answer(asked: Any, context: Context) -> Any:
        try:
            return await method(asked, context)
        except UNABLE as error:
            why = str(error).partition("\n")[0]
            _log.warning("not_answered", method=name, why=why)
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"its database does not serve: {why}")

    return answer
