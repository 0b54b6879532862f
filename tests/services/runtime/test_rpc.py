"""Servers and channels between rooms: health, bytes as they came, one process a place."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as REFLECTION_SERVICE

from bourse.matching.v1.rpc import ORDER_ENTRY_SERVICE
from bourse.notifications import v1 as notifications
from bourse.notifications.v1 import rpc
from services.runtime.rpc import (
    AddressError,
    Context,
    Health,
    Service,
    is_serving,
    open_channel,
    raw_service,
    serve,
    service,
)

ROOT = Path(__file__).resolve().parents[3]


class Notifications(rpc.NotificationsServiceServicer):
    def __init__(self, takes_s: float = 0.0) -> None:
        self._takes_s = takes_s

    async def GetStatus(  # noqa: N802 - the contract's name
        self, request: notifications.GetStatusRequest, context: Context
    ) -> notifications.GetStatusResponse:
        await asyncio.sleep(self._takes_s)
        return notifications.GetStatusResponse()

    def Follow(  # noqa: N802 - the contract's name
        self, request_iterator: object, context: Context
    ) -> AsyncIterator[notifications.FollowResponse]:
        raise NotImplementedError


async def echo(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


def room(takes_s: float = 0.0) -> Service:
    add = rpc.add_NotificationsServiceServicer_to_server
    return service(rpc.NOTIFICATIONS_SERVICE, add, Notifications(takes_s))


@asynccontextmanager
async def serving(
    address: str, *services: Service, health: Health | None = None
) -> AsyncGenerator[asyncio.Task[None], None]:
    task = asyncio.create_task(serve(address, *services, health=health))
    async with open_channel(address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 10)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def status(channel: grpc.aio.Channel) -> notifications.GetStatusResponse:
    stub = rpc.NotificationsServiceStub(channel)
    return await stub.GetStatus(notifications.GetStatusRequest())


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await asyncio.wait_for(story(), 30)

    asyncio.run(told())


def test_a_raw_stream_carries_bytes_as_they_came(tmp_path: Path) -> None:
    async def story() -> None:
        address = f"unix:{tmp_path}/a.sock"
        entry = raw_service(ORDER_ENTRY_SERVICE, {"Submit": echo})
        async with serving(address, entry), open_channel(address) as channel:
            submit: Any = channel.stream_stream(f"/{ORDER_ENTRY_SERVICE}/Submit")
            sent = [b"", b"\xff not a message", b"x" * 5_000_000]
            assert [answer async for answer in submit(iter(sent))] == sent

    run(story)


CALLS = 200
COUNT_HOPS = f"""
import asyncio, pathlib
from services.runtime import rpc

def switches(thread):
    return int(thread.read_text().partition("voluntary_ctxt_switches:")[2].split()[0])

async def main():
    async with rpc.open_channel("unix:/nowhere") as channel:
        for _ in range({CALLS}):
            await rpc.is_serving(channel)
    threads = pathlib.Path("/proc/self/task").glob("*/status")
    print(sum(switches(each) for each in threads if "event_engine" in each.read_text()))

asyncio.run(main())
"""


def test_no_pool_of_threads_stands_between_the_socket_and_python(tmp_path: Path) -> None:
    """A gRPC that no longer does as services/__init__.py tells it costs every room a quarter of its
    CPU. Then say so there, and measure again."""

    async def story() -> str:
        address = f"unix:{tmp_path}/a.sock"
        async with serving(address, room()):
            program = COUNT_HOPS.replace("unix:/nowhere", address)
            environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}
            environment.pop("GRPC_EXPERIMENTS", None)
            counting = await asyncio.create_subprocess_exec(
                sys.executable, "-c", program, env=environment, stdout=PIPE, stderr=PIPE
            )
            counted, said = await counting.communicate()
            assert not said, "gRPC knows the names it is told"
            return counted.decode()

    assert int(asyncio.run(story())) < CALLS, "each call would wake the pool at least twice"


def test_every_server_says_its_health_and_what_it_serves(tmp_path: Path) -> None:
    async def story() -> None:
        address = f"unix:{tmp_path}/a.sock"
        async with serving(address, room()), open_channel(address) as channel:
            assert await is_serving(channel)
            assert await is_serving(channel, rpc.NOTIFICATIONS_SERVICE)
            assert not await is_serving(channel, "bourse.unknown.v1.Service")
            assert await status(channel) == notifications.GetStatusResponse()
            ask = channel.stream_stream(
                f"/{REFLECTION_SERVICE}/ServerReflectionInfo",
                request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
                response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
            )
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            async for answer in ask(iter([request])):
                names = {each.name for each in answer.list_services_response.service}
                assert {rpc.NOTIFICATIONS_SERVICE, "grpc.health.v1.Health"} <= names

    run(story)


def test_a_room_that_is_not_ready_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        address, health = f"unix:{tmp_path}/a.sock", Health()
        async with (
            serving(address, room(), health=health),
            open_channel(address) as channel,
        ):
            assert not await is_serving(channel)
            await health.serving(True)
            assert await is_serving(channel, rpc.NOTIFICATIONS_SERVICE)
            await health.serving(False)
            assert not await is_serving(channel)

    run(story)


def test_a_call_under_way_ends_before_the_server_does(tmp_path: Path) -> None:
    async def story() -> None:
        address = f"unix:{tmp_path}/a.sock"
        async with serving(address, room(0.3)) as task, open_channel(address) as one:
            call = asyncio.create_task(status(one))
            await asyncio.sleep(0.1)
            task.cancel()
            assert await call == notifications.GetStatusResponse()

    run(story)


def test_a_place_is_one_processes(tmp_path: Path) -> None:
    async def story() -> None:
        address = f"unix:{tmp_path}/a.sock"
        async with serving(address, room()):
            with pytest.raises(AddressError, match=r"listens on .*/a\.sock already"):
                await serve(address, room())
            async with open_channel(address) as channel:
                assert await is_serving(channel), "the first one goes on"
        async with serving(address, room()), open_channel(address) as channel:
            assert await is_serving(channel), "the place is free again"

    run(story)


def test_a_port_in_use_is_a_sentence() -> None:
    async def story() -> None:
        taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = taken.sockets[0].getsockname()[1]
        with pytest.raises(AddressError, match=f"127.0.0.1:{port} cannot be listened on"):
            await serve(f"127.0.0.1:{port}", room())
        taken.close()
        await taken.wait_closed()
        async with serving(f"127.0.0.1:{port}"), open_channel(f"127.0.0.1:{port}") as channel:
            assert await is_serving(channel)

    run(story)


@pytest.mark.parametrize("address", ["0.0.0.0:5000", "192.168.1.5:5000", "[::]:5000", "db:5000"])
def test_rooms_listen_on_this_machine_only(address: str) -> None:
    with pytest.raises(AddressError, match="is not on this machine"):
        asyncio.run(serve(address))


def test_a_socket_left_by_a_killed_process_is_in_nobodys_way(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "a.sock"
        left = await asyncio.start_unix_server(lambda *_: None, path)
        left.close()
        await left.wait_closed()
        assert path.is_socket()
        async with serving(f"unix:{path}"), open_channel(f"unix:{path}") as channel:
            assert await is_serving(channel)
            assert path.stat().st_mode & 0o077 == 0

    run(story)
