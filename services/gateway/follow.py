"""Following another room's stream for ever: begun again when it ends, said once when it is lost."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Final, TypeVar

import grpc
import structlog

ToldT = TypeVar("ToldT")

_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0)

_log = structlog.get_logger()


class Interrupted(Exception):
    """What was told cannot be taken in; the stream is begun again from its start."""


async def follow(
    what: str,
    begin: Callable[[], AsyncIterable[ToldT]],
    take: Callable[[ToldT], Awaitable[None]],
    lost: Callable[[], None] = lambda: None,
) -> None:
    """Take in what a stream tells, for ever. `lost` is called each time it has ended.

    The room that tells may be out of reach: it is waited for, and asked each second.
    """
    failures = 0
    while True:
        reason = "it ended"
        try:
            async for told in begin():
                if failures:
                    _log.info("stream_is_back", stream=what)
                failures = 0
                await take(told)
        except Interrupted as error:
            reason = str(error)
        except grpc.aio.AioRpcError as error:
            reason = error.code().name
        lost()
        if failures == 0:
            _log.warning("stream_is_lost", stream=what, reason=reason)
        await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
        failures += 1
