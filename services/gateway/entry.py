"""Order entry: carries commands to one replica of a shard over one stream, and answers back.

What is asked in one turn of the loop goes as one batch. Which batch goes when, and what an answer
means, is `state.py`'s to say; here are only the stream, its loss, and the clock. A replica that
ends the stream, refuses for want of room or of a log, or falls silent is left for another one.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, TypeAlias

import grpc
import structlog

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.domain.clock import Clock
from services.gateway.state import After, Answer, Asked, Desk, Undecided
from services.runtime.choice import Choice

SWEEP_S: Final = 0.05
"""How often those whom time has overtaken are looked for."""

PATIENCE_S: Final = 10.0
"""A batch unanswered for this long means the stream hangs: twice what the log takes at worst.

A replica that hangs as a whole is noticed sooner, see `services.runtime.choice`."""

OUT_OF_REACH_S: Final = 2.0
"""Without a session for this long, new commands are refused at once rather than queued."""

RENEW_S: Final = 300.0
"""An idle session is renewed after this long; the core closes one after ten minutes."""

STOP_S: Final = 3.0
"""On an orderly stop, what is under way has this long to be answered."""

_BACKOFF_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)

_log = structlog.get_logger()


class StreamBroken(Exception):
    """The stream cannot go on; what is unanswered is sent again on the next one."""


_Call: TypeAlias = "grpc.aio.StreamStreamCall[bytes, matching.SubmitResponse]"
_Submit: TypeAlias = "grpc.aio.StreamStreamMultiCallable[bytes, matching.SubmitResponse]"


class OrderEntry:
    """The way into one shard. Runs for ever in `run`; `ask` may be called by any task."""

    def __init__(
        self,
        replicas: Choice,
        clock: Clock,
        capacity: int,
        renew_s: float = RENEW_S,
    ) -> None:
        self._replicas = replicas
        self._submits: dict[grpc.aio.Channel, _Submit] = {
            channel: channel.stream_stream(
                f"/{rpc.ORDER_ENTRY_SERVICE}/Submit",
                response_deserializer=matching.SubmitResponse.FromString,
            )
            for channel in replicas.replicas
        }
        self._clock = clock
        self._renew_s = renew_s
        self._desk = Desk(capacity)
        self._wake = asyncio.Event()
        self._stopping = False
        self._stopped = asyncio.Event()
        self._linked = False
        self._progress = 0
        self._loop = asyncio.get_running_loop()
        self._in_reach = self._heard = self._loop.time()
        self.answered_sequence = 0
        """The last sequence that an answer has named: reads come after it."""

    @property
    def open(self) -> bool:
        """Whether a command asked now would be sent at once."""
        return self._linked and self._desk.session != 0 and not self._stopping

    @property
    def waiting(self) -> int:
        """Commands queued or under way."""
        return self._desk.waiting

    async def ask(self, command: matching.Command) -> Answer:
        """Send a command and wait for what became of it. Answers NOT_TAKEN at once if full."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        asked = Asked(command, lambda answer: _settle(future, answer))
        if self._stopping or self._out_of_reach() or not self._desk.take(asked):
            return Undecided.NOT_TAKEN
        self._wake.set()
        return await future

    def _out_of_reach(self) -> bool:
        return self._loop.time() - self._in_reach > OUT_OF_REACH_S

    async def serve(self) -> None:
        """Run until cancelled, then stop in order. What `run` fails with ends the gateway."""
        running = asyncio.create_task(self.run())
        try:
            await asyncio.wait([running])
        finally:
            await self.stop()
            running.cancel()
            await asyncio.wait([running])
        running.result()

    async def run(self) -> None:
        """Keep a stream to a replica, and to another one when it is lost."""
        await _first_of(self._keep(), self._sweep())

    async def _keep(self) -> None:
        failures = 0
        while True:
            before = self._progress
            try:
                await self._replicas.converse(self._use)
            except (StreamBroken, grpc.aio.AioRpcError) as error:
                if failures == 0:
                    _log.warning("order_entry_is_interrupted", reason=_reason(error))
            failures = failures + 1 if self._progress == before else 0
            await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])

    async def _use(self, replica: grpc.aio.Channel) -> None:
        call = self._submits[replica]()
        try:
            await self._converse(call)
        finally:
            self._linked = False
            call.cancel()

    async def _converse(self, call: _Call) -> None:
        """One stream, until it breaks. Raises StreamBroken or what gRPC raises."""
        self._heard = self._loop.time()
        await _first_of(self._write(call), self._read(call))

    async def _write(self, call: _Call) -> None:
        await call.wait_for_connection()
        self._linked = True
        for again in self._desk.send_again():
            await _send(call, again)
        while True:
            self._wake.clear()
            while (encoded := self._next()) is not None:
                if self._desk.unanswered == 1:
                    self._heard = self._loop.time()
                await _send(call, encoded)
            # Not wait_for: before Python 3.12 it can lose a cancellation that meets the wake.
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._wake.wait()
            self._notice_a_hanging_stream()

    def _next(self) -> bytes | None:
        """The next batch: a session first, then orders; a session that was idle is renewed."""
        if self._desk.idle and self._desk.session:
            idle_s = self._loop.time() - self._heard
            if idle_s > self._renew_s or self._stopping:
                return self._desk.close_session(secrets.token_bytes(16))
        if self._desk.session == 0 and not self._stopping:
            return self._desk.open_session(secrets.token_bytes(16))
        return self._desk.next_batch()

    def _notice_a_hanging_stream(self) -> None:
        if self._desk.unanswered == 0:
            return
        if self._loop.time() - self._heard > PATIENCE_S:
            raise StreamBroken(f"no answer for {PATIENCE_S:g} s")

    async def _read(self, call: _Call) -> None:
        async for response in call:
            self._heard = self._loop.time()
            if response.status == matching.BATCH_STATUS_MALFORMED:
                _log.error("batch_is_malformed", detail=response.detail)
            self._remember(response)
            after = self._desk.answer(response)
            self._wake.set()
            if after is not After.GO_ON:
                raise StreamBroken(f"{after.value}: {response.detail}")
            if response.status == matching.BATCH_STATUS_UNAVAILABLE and self._replicas.is_several:
                raise StreamBroken(f"it takes nothing now: {response.detail}")
            self._progress += 1
        raise StreamBroken("the replica ended it")

    def _remember(self, response: matching.SubmitResponse) -> None:
        if response.outcomes:
            last = response.first_sequence + len(response.outcomes) - 1
            self.answered_sequence = max(self.answered_sequence, last)

    async def _sweep(self) -> None:
        """Settle those whom time has overtaken, and turn away while the core is out of reach."""
        while True:
            await asyncio.sleep(SWEEP_S)
            if self._linked and self._desk.session:
                self._in_reach = self._loop.time()
            self._desk.expire(self._clock.now_us())
            if self._out_of_reach() or (self._stopping and not self._linked):
                self._desk.turn_away()
            if self._stopping and self._desk.idle and self._desk.session == 0:
                self._stopped.set()

    async def stop(self) -> None:
        """Refuse what is new, wait a little for what is under way, close the session.

        `run` must be running still; end it afterwards.
        """
        self._stopping = True
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._stopped.wait()
        self._desk.abandon()


async def _send(call: _Call, encoded: bytes) -> None:
    try:
        await call.write(encoded)
    except asyncio.InvalidStateError:
        raise StreamBroken("the stream had ended") from None


async def _first_of(*parts: Coroutine[Any, Any, None]) -> None:
    """Run side by side until one ends, then end the others. Raises what that one raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _settle(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)


def _reason(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return str(error)
