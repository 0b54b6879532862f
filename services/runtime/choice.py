"""A way to a room that may have several replicas: one of them is kept to until it fails.

Replicas say the same, so it does not matter which is asked; but whoever keeps to one reads what
that one has told before. One is chosen because its health service says that it serves. It has
failed when a call to it ends UNAVAILABLE (it is gone, refuses, or lags behind its log), or when
somebody waits for it and for a second it does not even say that it lives: a process that was
stopped, a machine that vanished.

    room = Choice("unix:/a.sock,unix:/b.sock")
    stub = MatchingServiceStub(room)    each question goes to a replica that serves, and to another
                                        one if that fails before it has begun to answer
    await room.converse(talk)           a stream of one's own: what it means to lose it, and what is
                                        said again then, is known to `talk` alone

Where there is one address there is nothing to choose: calls go straight to it, and only gRPC's own
keepalive (15 s) notices that it hangs.

    ReplicaSilent    a replica does not answer; an AioRpcError, as of a connection that was lost
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc

from services.runtime.rpc import is_serving, open_channel

PULSE_S: Final = 0.25
"""How often a replica that is waited for is asked whether it lives."""

SILENCE_S: Final = 0.7
"""It may take so long to say yes: more than anything it does without looking up."""

PROBE_S: Final = 0.5
"""While another one is looked for, so long an answer is waited for."""

AnswerT = TypeVar("AnswerT")
_Ask = Callable[[grpc.aio.Channel, float | None], Any]


class ReplicaSilent(grpc.aio.AioRpcError):
    """A replica does not answer. What it was asked may have happened or not."""

    def __init__(self) -> None:
        nothing = grpc.aio.Metadata()
        said = f"The replica has not answered for {SILENCE_S:g} s."
        super().__init__(grpc.StatusCode.UNAVAILABLE, nothing, nothing, said)


class Choice(grpc.aio.Channel):
    """A channel to whichever replica serves. Questions put to it must bear to be asked twice."""

    def __init__(
        self, addresses: str, opened: Callable[[str], grpc.aio.Channel] = open_channel
    ) -> None:
        """The addresses of all replicas, separated by commas."""
        self.replicas = [opened(address.strip()) for address in addresses.split(",")]
        """A channel to each, in the order of their addresses."""
        self._current = 0
        self._is_trusted = not self.is_several
        self._choosing = asyncio.Lock()

    @property
    def is_several(self) -> bool:
        """There is another replica to go to."""
        return len(self.replicas) > 1

    async def pick(self) -> grpc.aio.Channel:
        """The one in use if it has not failed, else one that says it serves, else the next one."""
        async with self._choosing:
            if not self._is_trusted:
                self._current = await self._serving()
                self._is_trusted = True
        return self.replicas[self._current]

    def leave(self, channel: grpc.aio.Channel) -> None:
        """It has failed: go to another one from now on."""
        if self.is_several and self._is_trusted and self.replicas[self._current] is channel:
            self._is_trusted = False
            self._current = (self._current + 1) % len(self.replicas)

    async def converse(
        self, talk: Callable[[grpc.aio.Channel], Coroutine[Any, Any, AnswerT]]
    ) -> AnswerT:
        """Let `talk` have a replica, to its end or until that replica falls silent.

        Raises ReplicaSilent and what `talk` raises. After a failure the next one gets another
        replica, unless the failure was an answer.
        """
        channel = await self.pick()
        talking = asyncio.ensure_future(talk(channel))
        if not self.is_several:
            return await talking
        feeling = asyncio.create_task(_until_silent(channel))
        try:
            await asyncio.wait({talking, feeling}, return_when=asyncio.FIRST_COMPLETED)
            if not talking.done():
                raise ReplicaSilent
            return talking.result()
        except Exception as error:
            if not isinstance(error, grpc.aio.AioRpcError) or _is_lost(error):
                self.leave(channel)
            raise
        finally:
            await _end(talking, feeling)

    async def _serving(self) -> int:
        """The index of a replica that serves, the one that has failed only if no other does."""
        count = len(self.replicas)
        *others, failed = [(self._current + step) % count for step in range(count)]
        asking = {asyncio.create_task(self._serves(index)): index for index in others}
        waiting = set(asking)
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if serving := [asking[task] for task in done if task.result()]:
                    return min(serving, key=others.index)
        finally:
            await _end(*waiting)
        return failed if await self._serves(failed) else self._current

    async def _serves(self, index: int) -> bool:
        return await is_serving(self.replicas[index], timeout_s=PROBE_S)

    async def _ask(self, ask: _Ask, deadline: "_Deadline") -> Any:
        """One answer, of one replica after the other."""

        async def once(channel: grpc.aio.Channel) -> Any:
            return await ask(channel, deadline.left_s)

        for _ in self.replicas[1:]:
            try:
                return await self.converse(once)
            except grpc.aio.AioRpcError as error:
                if not _is_lost(error) or deadline.is_over:
                    raise
        return await self.converse(once)

    # --- a channel, as stubs know it ------------------------------------------------------------

    def unary_unary(self, method: str, *serializers: Any, **more: Any) -> Any:
        """A question with one answer."""
        asks = {each: each.unary_unary(method, *serializers, **more) for each in self.replicas}
        if not self.is_several:
            return asks[self.replicas[0]]

        def put(request: object, *, timeout: float | None = None) -> Coroutine[Any, Any, Any]:
            def ask(channel: grpc.aio.Channel, left_s: float | None) -> Any:
                return asks[channel](request, timeout=left_s)

            return self._ask(ask, _Deadline(timeout))

        return put

    def unary_stream(self, method: str, *serializers: Any, **more: Any) -> Any:
        """A question with many answers, all of one replica."""
        asks = {each: each.unary_stream(method, *serializers, **more) for each in self.replicas}
        if not self.is_several:
            return asks[self.replicas[0]]

        def put(request: object, *, timeout: float | None = None) -> Answers:
            def ask(channel: grpc.aio.Channel, left_s: float | None) -> Any:
                return asks[channel](request, timeout=left_s)

            return Answers(self, ask, _Deadline(timeout))

        return put

    def stream_unary(self, method: str, *serializers: Any, **more: Any) -> Any:
        """Only of a room with one replica; of several see `converse`."""
        return self._only().stream_unary(method, *serializers, **more)

    def stream_stream(self, method: str, *serializers: Any, **more: Any) -> Any:
        """Only of a room with one replica; of several see `converse`."""
        return self._only().stream_stream(method, *serializers, **more)

    def _only(self) -> grpc.aio.Channel:
        if self.is_several:
            raise ValueError("what was lost of a stream is known to its sender: use converse")
        return self.replicas[0]

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Of the way to the replica in use."""
        return self.replicas[self._current].get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Of the way to the replica in use."""
        await self.replicas[self._current].wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the replica in use can be reached."""
        await (await self.pick()).channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Close the ways to all of them."""
        for channel in self.replicas:
            await channel.close(grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()


class Answers:
    """What one replica answers to a question; another one only if it fails before it has begun."""

    def __init__(self, choice: Choice, ask: _Ask, deadline: "_Deadline") -> None:
        self._listening = _Listening()
        # Made so that it knows nothing of us: when nobody has us any more, it ends.
        self._answers = _answers(choice, ask, deadline, self._listening)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._answers

    async def read(self) -> Any:
        """The next answer; `grpc.aio.EOF` after the last."""
        return await anext(self._answers, grpc.aio.EOF)

    def cancel(self) -> None:
        """Nobody listens any more."""
        self._listening.cancel()


class _Listening:
    """A call whose answers are read, and the eye that is kept on its replica meanwhile."""

    def __init__(self) -> None:
        self._under_way: list[Any] = []

    async def to(self, call: Any, channel: grpc.aio.Channel) -> AsyncGenerator[Any, None]:
        """What a call answers. Raises ReplicaSilent and what gRPC raises."""
        feeling = asyncio.create_task(_until_silent(channel))
        try:
            while True:
                reading: asyncio.Task[Any] = asyncio.create_task(call.read())
                self._under_way = [reading, feeling, call]
                await asyncio.wait({reading, feeling}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    raise ReplicaSilent
                if (answer := reading.result()) is grpc.aio.EOF:
                    return
                yield answer
        finally:
            self.cancel()

    def cancel(self) -> None:
        """End all of it."""
        for each in self._under_way:
            each.cancel()


async def _answers(
    choice: Choice, ask: _Ask, deadline: "_Deadline", listening: _Listening
) -> AsyncGenerator[Any, None]:
    for tries_left in reversed(range(len(choice.replicas))):
        channel = await choice.pick()
        call = ask(channel, deadline.left_s)
        has_begun = False
        try:
            async with aclosing(listening.to(call, channel)) as answers:
                async for answer in answers:
                    has_begun = True
                    yield answer
            return
        except grpc.aio.AioRpcError as error:
            if _is_lost(error):
                choice.leave(channel)
            if has_begun or not tries_left or not _is_lost(error) or deadline.is_over:
                raise


class _Deadline:
    """Until when somebody waits."""

    def __init__(self, timeout_s: float | None) -> None:
        self._until_s = None if timeout_s is None else time.monotonic() + timeout_s

    @property
    def left_s(self) -> float | None:
        """Seconds, a few at least; None: for ever."""
        return None if self._until_s is None else max(self._until_s - time.monotonic(), 0.01)

    @property
    def is_over(self) -> bool:
        """Nobody waits any more."""
        return self._until_s is not None and time.monotonic() >= self._until_s


async def _until_silent(channel: grpc.aio.Channel) -> None:
    """Return once a replica no longer says that it serves, or the way to it was closed."""
    await asyncio.sleep(PULSE_S)
    with suppress(grpc.aio.UsageError):
        # Whoever is silent does not say so.
        while await is_serving(channel, timeout_s=SILENCE_S):  # noqa: ASYNC110
            await asyncio.sleep(PULSE_S)


async def _end(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _is_lost(error: grpc.aio.AioRpcError) -> bool:
    # gRPC says INTERNAL of some streams whose other end was killed.
    return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)
