"""Whether something serves, and whether it could: one short question each, no exceptions."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import grpc

from services.runtime.rpc import is_serving

_ANSWER_S = 2.0


def room_serves(address: str, channel: grpc.aio.Channel) -> Callable[[], Awaitable[bool]]:
    """Asks a room's health service; not before its socket is there.

    Each connection that fails makes gRPC wait longer before the next, up to a second.
    """

    async def ask() -> bool:
        return _may_answer(address) and await is_serving(channel, timeout_s=_ANSWER_S)

    return ask


def _may_answer(address: str) -> bool:
    path = address.removeprefix("unix:")
    return path == address or Path("/" + path.lstrip("/")).exists()


def store_answers(port_file: Path) -> Callable[[], Awaitable[bool]]:
    """Asks the owner of the embedded ClickHouse, at the port it has written down."""

    async def ask() -> bool:
        return await _status("127.0.0.1", read_number(port_file), "/ping") // 100 == 2

    return ask


def read_number(file: Path) -> int:
    """The number that a process has written down; 0, which is nobody's, if there is none."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


async def _status(host: str, port: int, target: str) -> int:
    """The HTTP status of a page; 0 if nobody answers."""
    with suppress(OSError, TimeoutError, ValueError, IndexError):
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {target} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
                return int((await reader.readline()).split()[1])
            finally:
                writer.close()
    return 0


def port_is_free(host: str, port: int) -> bool:
    """Whether the gateway could listen there. Raises OSError if there is no such host."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as tried:
        # As servers do: what lingers of closed connections does not stand in the way.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(address)
            tried.listen(1)
        except OSError:
            return False
    return True


def any_free_port(host: str) -> int:
    """A port nobody listens on at the moment."""
    with socket.create_server((host, 0)) as tried:
        return int(tried.getsockname()[1])
