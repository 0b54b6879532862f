"""Of several replicas one is asked, and another one when it fails."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.runtime.choice import Choice, ReplicaSilent
from services.runtime.rpc import Context, Health, open_channel, raw_service, serve, service


class Replica(rpc.MatchingServiceServicer):
    """Says which one it is. Refuses, or breaks off, as often as it is told to."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.refuses = 0
        self.code = grpc.StatusCode.UNAVAILABLE
        self.breaks_after = 0
        self.asked = 0
        self.health = Health()

    async def GetStatus(  # noqa: N802 - the contract's name
        self, _: matching.GetStatusRequest, context: Context
    ) -> matching.GetStatusResponse:
        await self._may_refuse(context)
        return matching.GetStatusResponse(shard=self.number)

    async def WatchMarkets(  # noqa: N802 - the contract's name
        self, _: matching.WatchMarketsRequest, context: Context
    ) -> AsyncIterator[matching.WatchMarketsResponse]:
        await self._may_refuse(context)
        for count in range(3):
            yield matching.WatchMarketsResponse(sequence=self.number)
            if count + 1 == self.breaks_after:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "It breaks off.")

    async def submit(self, requests: AsyncIterator[bytes], _: Context) -> AsyncIterator[bytes]:
        async for _request in requests:
            yield b"%d" % self.number

    async def _may_refuse(self, context: Context) -> None:
        self.asked += 1
        if self.refuses:
            self.refuses -= 1
            await context.abort(self.code, "Not now.")


class Room:
    """Some replicas at addresses of their own, and the way to them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.replicas = [
            Replica(number)  # type: ignore[abstract]  # it is asked for nothing else
            for number in range(count)
        ]
        self.addresses = [f"unix:{folder}/{number}.sock" for number in range(count)]
        self.choice = Choice(",".join(self.addresses))
        self.stub = rpc.MatchingServiceStub(self.choice)
        self.running: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def served(self, *numbers: int) -> AsyncGenerator["Room", None]:
        """With these replicas serving; others are not there."""
        for number in numbers:
            each = self.replicas[number]
            faces = (
                service(rpc.MATCHING_SERVICE, rpc.add_MatchingServiceServicer_to_server, each),
                raw_service(rpc.ORDER_ENTRY_SERVICE, {"Submit": each.submit}),
            )
            address = self.addresses[number]
            self.running.append(asyncio.create_task(serve(address, *faces, health=each.health)))
            await each.health.serving(True)
            async with open_channel(address) as channel:
                await channel.channel_ready()
        try:
            yield self
        finally:
            await self.stop()
            await self.choice.close()

    async def stop(self, number: int | None = None) -> None:
        ending = self.running if number is None else [self.running[number]]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def status(self) -> int:
        answer = await self.stub.GetStatus(matching.GetStatusRequest(), timeout=10)
        return answer.shard

    async def markets(self) -> list[int]:
        said = self.stub.WatchMarkets(matching.WatchMarketsRequest(), timeout=10)
        return [each.sequence async for each in said]


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await asyncio.wait_for(story(), 30)

    asyncio.run(told())


@asynccontextmanager
async def silent(address: str) -> AsyncGenerator[None, None]:
    """A process that takes connections and says nothing."""
    ended = asyncio.Event()

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_unix_server(take, address.removeprefix("unix:"))
    try:
        yield
    finally:
        ended.set()
        server.close()
        await server.wait_closed()


def test_one_is_kept_to_until_it_ends(tmp_path: Path) -> None:
    async def story() -> None:
        async with Room(tmp_path, 3).served(0, 1, 2) as room:
            first = await room.status()
            assert [await room.status() for _ in range(3)] == [first] * 3
            await room.stop(first)
            assert await room.status() == await room.status() != first

    run(story)


def test_a_refusal_before_an_answer_is_put_to_another(tmp_path: Path) -> None:
    async def story() -> None:
        async with Room(tmp_path, 2).served(0, 1) as room:
            room.replicas[0].refuses = 1
            assert await room.status() == 1
            room.replicas[1].refuses = 1
            assert await room.markets() == [0, 0, 0]
            said = room.stub.WatchMarkets(matching.WatchMarketsRequest(), timeout=10)
            told: list[Any] = [await said.read() for _ in range(4)]
            assert [each.sequence for each in told[:3]] == [0, 0, 0]
            assert told[3] is grpc.aio.EOF

    run(story)


def test_what_all_refuse_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with Room(tmp_path, 2).served(0, 1) as room:
            for each in room.replicas:
                each.refuses = 2
            for ask in (room.status, room.markets):
                with pytest.raises(grpc.aio.AioRpcError, match=r"Not now\."):
                    await ask()
            assert [each.asked for each in room.replicas] == [2, 2]

    run(story)


def test_another_answer_is_an_answer(tmp_path: Path) -> None:
    async def story() -> None:
        async with Room(tmp_path, 2).served(0, 1) as room:
            room.replicas[0].refuses, room.replicas[0].code = 1, grpc.StatusCode.NOT_FOUND
            with pytest.raises(grpc.aio.AioRpcError):
                await room.status()
            assert await room.status() == 0

    run(story)


def test_a_stream_that_had_begun_is_not_begun_again_unasked(tmp_path: Path) -> None:
    async def story() -> None:
        async with Room(tmp_path, 2).served(0, 1) as room:
            room.replicas[0].breaks_after = 2
            with pytest.raises(grpc.aio.AioRpcError, match="It breaks off"):
                await room.markets()
            assert [each.asked for each in room.replicas] == [1, 0]
            assert await room.markets() == [1, 1, 1]

    run(story)


def test_one_that_does_not_serve_yet_is_not_asked(tmp_path: Path) -> None:
    async def story() -> None:
        async with Room(tmp_path, 3).served(0, 2) as room:
            await room.replicas[0].health.serving(False)
            assert await room.status() == 2

    run(story)


def test_one_that_is_silent_is_left(tmp_path: Path) -> None:
    async def story() -> None:
        room = Room(tmp_path, 2)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(silent(room.addresses[0]))
            await stack.enter_async_context(room.served(1))
            assert await room.status() == 1
            room.choice.leave(await room.choice.pick())
            assert await room.status() == 1

    run(story)


def test_a_conversation_ends_when_its_replica_falls_silent(tmp_path: Path) -> None:
    async def story() -> None:
        room = Room(tmp_path, 2)
        async with room.served(0, 1):
            spoken: list[bytes] = []
            again = asyncio.Event()

            async def talk(replica: grpc.aio.Channel) -> None:
                call: Any = replica.stream_stream(f"/{rpc.ORDER_ENTRY_SERVICE}/Submit")()
                await call.write(b"")
                spoken.append(await call.read())
                if len(spoken) == 1:
                    await room.replicas[0].health.serving(False)
                else:
                    again.set()
                await call.read()

            with pytest.raises(ReplicaSilent):
                await room.choice.converse(talk)
            talking = asyncio.create_task(room.choice.converse(talk))
            await again.wait()
            assert spoken == [b"0", b"1"]
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)

    run(story)


def test_one_alone_is_asked_as_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        async with Room(tmp_path, 1).served(0) as room:
            await room.replicas[0].health.serving(False)
            assert not room.choice.is_several
            assert await room.status() == 0
            submit: Any = room.choice.stream_stream(f"/{rpc.ORDER_ENTRY_SERVICE}/Submit")
            assert [answer async for answer in submit(iter([b"", b""]))] == [b"0", b"0"]

    run(story)
