"""The way of money into a core: sent, and sent again, until an event says what became of it.

Each shard has an outbox of its own, and in it two sources, each with numbers of its own. The answer
of the core's stream is only a hint to go on: what became of a credit or debit is read from the
event log.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import grpc
import structlog

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.ledger.state import SOURCES
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


class Line:
    """One source on its way into one core, over one stream: what is sent next, and what is not."""

    def __init__(self, pool: Pool, source: int, shard: int) -> None:
        self._pool = pool
        self._source = source
        self._shard = shard
        self._sent = 0
        self._gap = 0

    async def next(self) -> Sequence[Sending]:
        """The next ones to be sent as a batch, numbered side by side; empty: nothing waits."""
        asked, first = (numbered_from, self._gap) if self._gap else (under_way, self._sent + 1)
        async with self._pool.acquire() as connection:
            waiting = await asked(connection, self._source, self._shard, first, _BATCH)
        return _run_of(waiting)

    def heard(self, run: Sequence[Sending], answer: matching.SubmitResponse) -> None:
        """Take in what the core answered to them. Raises CoreSilent where it took nothing."""
        self._gap = 0
        if answer.status == matching.BATCH_STATUS_SOURCE_GAP:
            self._gap = answer.expected
        elif answer.status in _TAKEN:
            self._sent = run[-1].number
        else:
            raise CoreSilent(f"status {answer.status}: {answer.detail}")

    def begin_again(self) -> None:
        """Whatever has not been decided is to be sent again."""
        self._sent = self._gap = 0


class Outbox:
    """Sends what the tables hold for one shard. One at a time: numbers must arrive in order."""

    def __init__(
        self,
        pool: Pool,
        replicas: Choice,
        shard: int,
        news: asyncio.Event,
        is_posted: Callable[[], bool],
    ) -> None:
        """`news` is set when there is something new to send; `is_posted` says whether what becomes
        of it will be known."""
        self._pool = pool
        self._replicas = replicas
        self._shard = shard
        self._news = news
        self._is_posted = is_posted
        self._submits: dict[grpc.aio.Channel, _Submit] = {
            channel: channel.stream_stream(f"/{rpc.ORDER_ENTRY_SERVICE}/Submit")
            for channel in replicas.replicas
        }

    async def run(self) -> None:
        """Send for ever. The core or Postgres out of reach is waited for."""
        while True:
            try:
                await self._replicas.converse(self._stream)
            except (CoreSilent, grpc.aio.AioRpcError, *AWAY) as error:
                _log.warning(
                    "outbox waits", shard=self._shard, reason=str(error).partition("\n")[0]
                )
            await asyncio.sleep(_AGAIN_S)

    async def _stream(self, replica: grpc.aio.Channel) -> None:
        """Send to one replica. On another stream all starts again from what is not decided yet."""
        call = self._submits[replica]()
        lines = [Line(self._pool, source, self._shard) for source in SOURCES]
        try:
            while True:
                self._news.clear()
                for line in lines:
                    await self._send(call, line)
                if not await self._is_news():
                    # Silence: whatever has not been answered is asked for again.
                    for line in lines:
                        line.begin_again()
        finally:
            call.cancel()

    async def _is_news(self) -> bool:
        """Wait for something new to send; False if there was none for a while."""
        try:
            async with asyncio.timeout(_AGAIN_S):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _send(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]", line: Line) -> None:
        """Send what waits of a source; nothing where the shard is not posted any more.

        A core whose log was rolled back would ask for money again that it once had: what becomes of
        that is for a person to say.
        """
        while run := await line.next():
            # Looked at after the rows are read: the posting may stop meanwhile.
            if not self._is_posted():
                return
            line.heard(run, await self._ask(call, run))

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
    first = waiting[0].number if waiting else 0
    return [one for place, one in enumerate(waiting) if one.number == first + place]


def batch(run: Sequence[Sending]) -> matching.SubmitRequest:
    """Credits and debits of one source, numbered side by side, as the core takes them."""
    request = matching.SubmitRequest(source=run[0].source, number=run[0].number)
    for one in run:
        command = request.commands.add(
            request_id=one.request_id, account=one.account, valid_until_us=one.valid_until_us
        )
        if one.amount_minor > 0:
            command.credit.asset, command.credit.amount_minor = one.asset, one.amount_minor
        else:
            command.debit.asset, command.debit.amount_minor = one.asset, -one.amount_minor
    return request
