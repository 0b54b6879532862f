"""The way of a transfer into the core: sent, and sent again, until an event says what became of it.

The answer of the core's stream is only a hint to go on: what became of a transfer is read from the
event log.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, TypeAlias

import grpc
import structlog

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.ledger.state import SOURCE
from services.ledger.store import Sending, numbered_from, under_way
from services.runtime.choice import Choice
from services.runtime.postgres import AWAY, Pool

_BATCH: Final = 256
_AGAIN_S: Final = 1.0
"""How long the outbox waits before it sends again what has not been answered."""

_TAKEN: Final = (matching.BATCH_STATUS_APPLIED, matching.BATCH_STATUS_REPEATED)
"""The core has all of the batch, now or from before: its events are on their way."""

_Submit: TypeAlias = "grpc.aio.StreamStreamMultiCallable[bytes, bytes]"

_log = structlog.get_logger()


class CoreSilent(Exception):
    """The core took nothing, or its stream ended: the outbox sends again later."""


class Outbox:
    """Sends what the tables hold. One at a time; a source's numbers must arrive in order."""

    def __init__(self, pool: Pool, replicas: Choice) -> None:
        self._pool = pool
        self._replicas = replicas
        self._submits: dict[grpc.aio.Channel, _Submit] = {
            channel: channel.stream_stream(f"/{rpc.ORDER_ENTRY_SERVICE}/Submit")
            for channel in replicas.replicas
        }
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something new to send."""
        self._wake.set()

    async def run(self) -> None:
        """Send for ever. The core or Postgres out of reach is waited for."""
        while True:
            try:
                await self._replicas.converse(self._stream)
            except (CoreSilent, grpc.aio.AioRpcError, *AWAY) as error:
                _log.warning("outbox waits", reason=str(error).partition("\n")[0])
            await asyncio.sleep(_AGAIN_S)

    async def _stream(self, replica: grpc.aio.Channel) -> None:
        """Send to one replica. On another stream all starts again from what is not decided yet."""
        call = self._submits[replica]()
        sent = 0
        try:
            while True:
                self._wake.clear()
                sent = await self._send(call, sent)
                if not await self._news():
                    # Silence: whatever has not been answered is asked for again.
                    sent = 0
        finally:
            call.cancel()

    async def _news(self) -> bool:
        """Wait for something new to send; False if there was none for a while."""
        try:
            async with asyncio.timeout(_AGAIN_S):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def _send(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]", sent: int) -> int:
        """Send what waits above a number. Returns the highest that the core has taken."""
        waiting = await self._waiting(sent)
        while waiting:
            run = _run_of(waiting)
            answer = await self._ask(call, run)
            if answer.status == matching.BATCH_STATUS_SOURCE_GAP:
                async with self._pool.acquire() as connection:
                    waiting = await numbered_from(connection, answer.expected, _BATCH)
                continue
            if answer.status not in _TAKEN:
                raise CoreSilent(f"status {answer.status}: {answer.detail}")
            sent = run[-1].number
            waiting = await self._waiting(sent)
        return sent

    async def _waiting(self, sent: int) -> list[Sending]:
        async with self._pool.acquire() as connection:
            return await under_way(connection, sent + 1, _BATCH)

    async def _ask(
        self, call: "grpc.aio.StreamStreamCall[bytes, bytes]", run: Sequence[Sending]
    ) -> matching.SubmitResponse:
        try:
            await call.write(batch(run).SerializeToString())
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


def batch(run: Sequence[Sending]) -> matching.SubmitRequest:
    """Credits and debits, numbered side by side, as the core takes them."""
    request = matching.SubmitRequest(source=SOURCE, number=run[0].number)
    for one in run:
        command = request.commands.add(request_id=one.request_id, account=one.account)
        if one.amount_minor > 0:
            command.credit.asset, command.credit.amount_minor = one.asset, one.amount_minor
        else:
            command.debit.asset, command.debit.amount_minor = one.asset, -one.amount_minor
    return request
