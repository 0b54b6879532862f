"""The way of a transfer into the core: sent, and sent again, until an event says what became of it.

The answer of the core's stream is only a hint to go on: what became of a transfer is read from the
event log.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import grpc
import structlog

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.ledger.state import SOURCE
from services.ledger.store import Sending, numbered_from, under_way
from services.runtime.postgres import UNREACHABLE, Pool, PostgresError

_BATCH: Final = 256
_AGAIN_S: Final = 1.0
"""How long the outbox waits before it sends again what has not been answered."""

_TAKEN: Final = (matching.BATCH_STATUS_APPLIED, matching.BATCH_STATUS_REPEATED)
"""The core has all of the batch, now or from before: its events are on their way."""

_log = structlog.get_logger()


class CoreSilent(Exception):
    """The core took nothing, or its stream ended: the outbox sends again later."""


class Outbox:
    """Sends what the tables hold. One at a time; a source's numbers must arrive in order."""

    def __init__(self, pool: Pool, channel: grpc.aio.Channel) -> None:
        self._pool = pool
        self._submit: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
            f"/{rpc.ORDER_ENTRY_SERVICE}/Submit"
        )
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something new to send."""
        self._wake.set()

    async def run(self) -> None:
        """Send for ever. The core or Postgres out of reach is waited for."""
        while True:
            try:
                await self._stream()
            except (CoreSilent, grpc.aio.AioRpcError, *UNREACHABLE, PostgresError) as error:
                _log.warning("outbox waits", reason=str(error).partition("\n")[0])
            await asyncio.sleep(_AGAIN_S)

    async def _stream(self) -> None:
        call = self._submit()
        sent = 0
        try:
            while True:
                self._wake.clear()
                sent = await self._send(call, sent)
                await self._rest()
        finally:
            call.cancel()

    async def _rest(self) -> None:
        """Until there is something new, or it is time to ask after the old."""
        try:
            await asyncio.wait_for(self._wake.wait(), _AGAIN_S)
        except TimeoutError:
            return

    async def _send(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]", sent: int) -> int:
        """Send what waits above `sent`, or, after a pause with nothing new, all of it again."""
        async with self._pool.acquire() as connection:
            waiting = await under_way(connection, sent + 1, _BATCH)
            if not waiting and sent and not self._wake.is_set():
                waiting = await under_way(connection, 0, _BATCH)
        while waiting:
            answer = await self._ask(call, waiting)
            if answer.status == matching.BATCH_STATUS_SOURCE_GAP:
                async with self._pool.acquire() as connection:
                    waiting = await numbered_from(connection, answer.expected, _BATCH)
                continue
            if answer.status not in _TAKEN:
                raise CoreSilent(f"status {answer.status}: {answer.detail}")
            sent = waiting[-1].number
            async with self._pool.acquire() as connection:
                waiting = await under_way(connection, sent + 1, _BATCH)
        return sent

    async def _ask(
        self, call: "grpc.aio.StreamStreamCall[bytes, bytes]", waiting: Sequence[Sending]
    ) -> matching.SubmitResponse:
        try:
            await call.write(batch(_run_of(waiting)).SerializeToString())
            answer = await call.read()
        except asyncio.InvalidStateError as error:
            # What grpc says of a stream that ended between two questions.
            raise CoreSilent(str(error)) from error
        if answer is grpc.aio.EOF or not isinstance(answer, bytes):
            raise CoreSilent("the core closed the stream")
        return matching.SubmitResponse.FromString(answer)


def _run_of(waiting: Sequence[Sending]) -> Sequence[Sending]:
    """The first ones that are numbered without a gap: a batch states only its first number."""
    first = waiting[0].number
    return [one for place, one in enumerate(waiting) if one.number == first + place]


def batch(waiting: Sequence[Sending]) -> matching.SubmitRequest:
    """Credits and debits, numbered side by side, as the core takes them."""
    request = matching.SubmitRequest(source=SOURCE, number=waiting[0].number)
    for one in waiting:
        command = request.commands.add(request_id=one.request_id, account=one.account)
        if one.amount_minor > 0:
            command.credit.asset, command.credit.amount_minor = one.asset, one.amount_minor
        else:
            command.debit.asset, command.debit.amount_minor = one.asset, -one.amount_minor
    return request
