"""gRPC between the rooms: servers with health and reflection, channels, and streams of plain bytes.

AddressError          an address cannot be listened on; a sentence
  AddressForbidden    it is not on this machine, and never will be
"""

import asyncio
import fcntl
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_health.v1.health import aio as aio_health
from grpc_reflection.v1alpha import reflection

from services.runtime.final import NeedsMending

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
"""What a method learns of its call, and how it ends it."""

RawStream: TypeAlias = Callable[[AsyncIterator[bytes], Any], AsyncIterator[bytes]]
"""A method on a stream of encoded messages: nobody parses them on the way."""

ServicerT = TypeVar("ServicerT")

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
STOP_S: Final = 5.0
"""How long calls under way may take once a server is stopped."""

# One machine, or a network we trust: a dead peer is noticed in 15 s.
_BOTH: Final = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
_SERVER: Final = (
    *_BOTH,
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # Two servers on one port would each get half of the calls.
    ("grpc.so_reuseport", 0),
)
_CHANNEL: Final = (
    *_BOTH,
    ("grpc.enable_http_proxy", 0),
    # Whether to ask again is decided by who asks: only they know whether it is safe.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


class AddressError(Exception):
    """An address cannot be listened on; says why in a sentence."""


class AddressForbidden(AddressError, NeedsMending):
    """It is not on this machine, and rooms trust whoever reaches them."""


class Service(NamedTuple):
    """A service of a server: its full name, and how it is put there."""

    name: str
    add: Callable[[grpc.aio.Server], None]


class Health:
    """Whether a room serves, as its health service says. Not before `serving(True)`."""

    def __init__(self) -> None:
        self.servicer = aio_health.HealthServicer()
        self._names: tuple[str, ...] = ("",)
        self._serves = False

    async def serving(self, serves: bool) -> None:
        """Say whether the room serves. All its services say the same."""
        self._serves = serves
        answer = health_pb2.HealthCheckResponse
        for name in self._names:
            await self.servicer.set(name, answer.SERVING if serves else answer.NOT_SERVING)

    async def covers(self, names: Sequence[str]) -> None:
        """Name the services this speaks for."""
        self._names = ("", *names)
        await self.serving(self._serves)


def service(
    name: str, add_to_server: Callable[[ServicerT, grpc.aio.Server], None], servicer: ServicerT
) -> Service:
    """A generated service: `service(rpc.LEDGER_SERVICE, rpc.add_…_to_server, servicer)`."""
    return Service(name, lambda server: add_to_server(servicer, server))


def raw_service(name: str, methods: Mapping[str, RawStream]) -> Service:
    """A service whose methods take and give encoded messages. Its generated servicer is unused."""

    def add(server: grpc.aio.Server) -> None:
        handlers: dict[str, Any] = {
            method: grpc.stream_stream_rpc_method_handler(stream)
            for method, stream in methods.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
        # What is registered goes before what is generic, so without this the bytes would be parsed.
        server.add_registered_method_handlers(name, handlers)

    return Service(name, add)


async def serve(
    address: str,
    *services: Service,
    health: Health | None = None,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
) -> None:
    """Serve on `unix:/…` or a loopback `host:port` until cancelled; then let calls end for 5 s.

    Without `health` the room serves from the start. Raises AddressError.
    """
    server = grpc.aio.server(options=_SERVER, interceptors=list(interceptors))
    names = [each.name for each in services]
    for each in services:
        each.add(server)
    ready, health = health is None, health or Health()
    await health.covers(names)
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    shown = (*names, HEALTH_SERVICE, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(shown, server)
    with _place(address):
        _bind(server, address)
        await server.start()
        try:
            if ready:
                await health.serving(True)
            await asyncio.Event().wait()
        finally:
            await health.servicer.enter_graceful_shutdown()
            await server.stop(STOP_S)


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel to one server. It connects at the first call, and again whenever that is needed."""
    return grpc.aio.insecure_channel(address, options=_CHANNEL)


async def is_serving(channel: grpc.aio.Channel, name: str = "", timeout_s: float = 1.0) -> bool:
    """What the health service at the other end says of a service, or of the room as a whole."""
    check = channel.unary_unary(
        f"/{HEALTH_SERVICE}/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        answer = await check(health_pb2.HealthCheckRequest(service=name), timeout=timeout_s)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _bind(server: grpc.aio.Server, address: str) -> None:
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    # A socket in the file system has no port; gRPC answers 1 for it.
    if not port:
        raise AddressError(
            f"{address} cannot be listened on. Is another process there, or the port in use?"
        )
    if (path := _socket_path(address)) is not None:
        path.chmod(0o600)


def _socket_path(address: str) -> Path | None:
    """The file of `unix:/path` or `unix:///path`; None for a port."""
    path = address.removeprefix("unix:")
    return None if path == address else Path("/" + path.lstrip("/"))


@contextmanager
def _place(address: str) -> Iterator[None]:
    """Hold the place of a socket for ourselves: gRPC would take it from a process that listens."""
    path = _socket_path(address)
    if path is None:
        _refuse_strangers(address)
        yield
        return
    with Path(f"{path}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AddressError(
                f"Another process listens on {path} already. Is this house running twice?"
            ) from None
        yield


def _refuse_strangers(address: str) -> None:
    """Rooms trust whoever reaches them, so nobody but this machine may."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        near = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        near = False
    if not near:
        raise AddressForbidden(
            f"{address} is not on this machine. Rooms listen on unix:/… or 127.0.0.1:port only."
        )
