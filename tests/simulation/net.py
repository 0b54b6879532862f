"""The wires between the processes of a simulated house, in the words of gRPC's asyncio calls.

    Network    who listens where, and what is wrong with the way between two machines
    Channel    `grpc.aio.Channel`, as far as the house's clients of order entry use it
    Door       what a replica listens with: its real servicers
    Line       one call: two directions, each in order, until one side ends it or it breaks

A line that is reset tells both sides soon. One that is half open swallows what one side says, or
both, until the keepalive of gRPC notices.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final

import grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE

from services.matching.server import Matching, OrderEntry
from services.runtime.rpc import Health
from tests.simulation.world import Process, World

KEEPALIVE_US: Final = 15_000_000
"""After so long gRPC notices that nobody is there."""

CONNECT_US: Final = 1_000_000
STOP_S: Final = 5.0
_CHECK: Final = f"/{HEALTH_SERVICE}/Check"


class Aborted(Exception):
    """A servicer has ended its call."""


class Network:
    """All wires of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.doors: dict[str, Door] = {}
        self.lines: list[Line] = []
        self.stalled_until_us: defaultdict[tuple[str, str], int] = defaultdict(int)
        """By sender and receiver: what is sent before then arrives after."""
        self.deaf: set[tuple[str, str]] = set()
        """By sender and receiver: what is said gets lost."""
        self.saw_request: Callable[[Process, bytes], None] = lambda client, body: None
        self.saw_answer: Callable[[Process, bytes], None] = lambda client, body: None

    def delay_us(self, sender: str, receiver: str) -> int:
        """How long something is under way that is sent now."""
        chance = self.world.random.random()
        pause_us = 80 + int(chance * 420)
        if chance > 0.985:
            pause_us *= 30
        now_us = self.world.time.now_us
        return max(self.stalled_until_us[sender, receiver] - now_us, 0) + pause_us

    def clear(self) -> None:
        """Mend everything that is not a line."""
        self.stalled_until_us.clear()

    async def ask(
        self, client: Process, server: str, method: str, request: Any, timeout_s: float
    ) -> Any:
        """Question and answer; None if a replica says it cannot, is not there, or says nothing."""
        answer: asyncio.Future[Any] = client.loop.create_future()
        name = client.machine.name

        def give(found: Any) -> None:
            if (server, name) not in self.deaf:
                client.loop.reach(self.delay_us(server, name), _give, answer, found)

        def arrive() -> None:
            door = self.doors.get(server)
            if door is None:
                give(None)
            elif (name, server) not in self.deaf:
                door.process.loop.reach(0, door.asked, method, request, give)

        self.world.time.after(self.delay_us(name, server), arrive)
        client.loop.reach(round(timeout_s * 1_000_000), _give, answer, None)
        return await answer


class Line:
    """One call between a client and a replica."""

    def __init__(self, network: Network, client: Process, server: str) -> None:
        self.network = network
        self.client = client
        self.server = server
        self.call = Call(self)
        self.server_process: Process | None = None
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.handler: asyncio.Task[None] | None = None
        self.is_broken = False
        self.swallows: set[str] = set()
        """Whose words get lost: machine names."""
        self._free_us = {client.machine.name: 0, server: 0}
        network.lines.append(self)
        client.ends.append(self._client_died)
        network.world.time.after(network.delay_us(client.machine.name, server), self._connect)

    def send(self, sender: str, receiver: Process, function: Callable[..., object], *what: Any):  # type: ignore[no-untyped-def]
        """Something for the other side, after all that was sent before it."""
        if self.is_broken or sender in self.swallows:
            return
        now_us = self.network.world.time.now_us
        moment_us = max(
            now_us + self.network.delay_us(sender, receiver.machine.name), self._free_us[sender]
        )
        self._free_us[sender] = moment_us
        receiver.loop.reach(moment_us - now_us, self._arrive, sender, function, what)

    def _arrive(self, sender: str, function: Callable[..., object], what: tuple[Any, ...]) -> None:
        if not self.is_broken and sender not in self.swallows:
            function(*what)

    def _connect(self) -> None:
        door = self.network.doors.get(self.server)
        if door is None or not door.process.is_alive:
            self.client.loop.reach(CONNECT_US // 20, self.call.fail, "nobody listens there")
            self.is_broken = True
            self._forget()
            return
        self.server_process = door.process
        door.process.ends.append(self._server_died)
        door.process.loop.reach(0, door.open, self)
        self.client.loop.reach(200, self.call.connected)

    def reset(self, why: str = "the connection was reset") -> None:
        """Both sides learn soon that it is over."""
        if self.is_broken:
            return
        self.is_broken = True
        self._forget()
        self.client.loop.reach(300, self.call.fail, why)
        if self.server_process is not None:
            self.server_process.loop.reach(300, self._end_handler)

    def half_open(self, *senders: str) -> None:
        """What these say gets lost, also what they are asked beside it, until somebody notices."""
        self.swallows.update(senders)
        name = self.client.machine.name
        ways = {name: (name, self.server), self.server: (self.server, name)}
        self.network.deaf.update(ways[sender] for sender in senders)
        self.network.world.time.after(KEEPALIVE_US, self.reset, "keepalive")

    def ended_by_server(self) -> None:
        server = self.server_process
        if not self.is_broken and server is not None and server.is_alive:
            self.send(self.server, self.client, self.call.end)

    def cancelled_by_client(self) -> None:
        if self.server_process is not None:
            self.send(self.client.machine.name, self.server_process, self._end_handler)
        self._forget()

    def _client_died(self) -> None:
        self._died(self.client.machine.name)

    def _server_died(self) -> None:
        self._died(self.server)

    def _died(self, who: str) -> None:
        """Mostly the machine says so for its process; now and then it is gone as well."""
        if self.is_broken:
            return
        if self.network.world.random.randrange(8):
            self.reset(f"{who} is gone")
        else:
            self.half_open(who)

    def _end_handler(self) -> None:
        if self.handler is not None:
            self.handler.cancel()

    def _forget(self) -> None:
        if self in self.network.lines:
            self.network.lines.remove(self)
        if self.swallows:
            name = self.client.machine.name
            self.network.deaf -= {(name, self.server), (self.server, name)}


class Call:
    """`grpc.aio.StreamStreamCall`: bytes out, what a deserializer makes of bytes in."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._answers: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._is_connected = False
        self._over = False
        self._error: grpc.aio.AioRpcError | None = None
        self.parse: Callable[[bytes], Any] = bytes

    async def wait_for_connection(self) -> None:
        while not self._is_connected and not self._over:
            await self._change()
        if self._error:
            raise self._error

    async def write(self, body: bytes) -> None:
        await self.wait_for_connection()
        if self._over:
            raise asyncio.InvalidStateError("RPC already finished.")
        line = self._line
        line.network.saw_request(line.client, body)
        assert line.server_process is not None, "connected"
        line.send(line.client.machine.name, line.server_process, line.heard.put_nowait, body)

    async def read(self) -> Any:
        """The next answer; `grpc.aio.EOF` after the last."""
        while not self._answers and not self._over:
            await self._change()
        if self._answers:
            return self.parse(self._answers.popleft())
        if self._error:
            raise self._error
        return grpc.aio.EOF

    def __aiter__(self) -> AsyncGenerator[Any, None]:
        return self._all()

    async def _all(self) -> AsyncGenerator[Any, None]:
        while (answer := await self.read()) is not grpc.aio.EOF:
            yield answer

    def cancel(self) -> bool:
        if not self._over and self._line.client.is_alive:
            self._over = True
            self._line.cancelled_by_client()
        return True

    def connected(self) -> None:
        self._is_connected = True
        self._changed.set()

    def take(self, body: bytes) -> None:
        if not self._over:
            self._line.network.saw_answer(self._line.client, body)
            self._answers.append(body)
            self._changed.set()

    def end(self) -> None:
        self._over = True
        self._changed.set()

    def fail(self, why: str) -> None:
        if not self._over:
            self._error = _unavailable(why)
        self.end()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Channel:
    """`grpc.aio.Channel` to one replica."""

    def __init__(self, network: Network, client: Process, server: str) -> None:
        self._network = network
        self._client = client
        self._server = server

    def unary_unary(
        self,
        path: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
    ) -> Callable[..., Any]:
        """Enough for `services.runtime.rpc.is_serving`."""

        async def ask(request: Any, timeout: float) -> Any:
            found = await self._network.ask(self._client, self._server, path, request, timeout)
            if found is None:
                raise _unavailable("no answer")
            return found

        return ask

    def stream_stream(
        self, _path: str, response_deserializer: Callable[[bytes], Any] = bytes
    ) -> Callable[[], Call]:
        def begin() -> Call:
            call = Line(self._network, self._client, self._server).call
            call.parse = response_deserializer
            return call

        return begin


class Door:
    """What a replica listens with."""

    def __init__(
        self,
        network: Network,
        process: Process,
        entry: OrderEntry,
        service: Matching,
        health: Health,
    ) -> None:
        self.process = process
        self._network = network
        self._entry = entry
        self._methods = {"GetOrder": service.GetOrder, _CHECK: health.servicer.Check}
        self._health = health
        self._handlers: dict[asyncio.Task[None], None] = {}

    async def stand_open(self) -> None:
        """Listen until told to stop; then let calls end for a while, as a server does."""
        await self._health.covers([])
        self._network.doors[self.process.machine.name] = self
        try:
            await asyncio.Event().wait()
        finally:
            await self._health.servicer.enter_graceful_shutdown()
            self.shut()
            if self._handlers:
                await asyncio.wait(self._handlers, timeout=STOP_S)
            for handler in list(self._handlers):
                handler.cancel()

    def shut(self) -> None:
        name = self.process.machine.name
        if self._network.doors.get(name) is self:
            del self._network.doors[name]

    def open(self, line: Line) -> None:
        line.handler = self.process.loop.create_task(self._talk(line, line.heard))
        self._handlers[line.handler] = None
        line.handler.add_done_callback(self._handlers.pop)

    async def _talk(self, line: Line, heard: asyncio.Queue[bytes]) -> None:
        name = self.process.machine.name
        try:
            requests = _requests(heard)
            async with aclosing(self._entry.Submit(requests, Context())) as answers:  # type: ignore[type-var, arg-type]
                async for answer in answers:
                    line.send(name, line.client, line.call.take, answer)
        finally:
            line.ended_by_server()

    def asked(self, method: str, request: Any, give: Callable[[Any], None]) -> None:
        """One question; None where the servicer aborts."""

        async def answer() -> None:
            try:
                give(await self._methods[method](request, Context()))  # type: ignore[operator]
            except Aborted:
                give(None)

        self.process.loop.create_task(answer())


class Context:
    """What a servicer learns of its call: nothing; and how it ends it."""

    async def abort(self, code: grpc.StatusCode, why: str) -> None:
        raise Aborted(why)


async def _requests(heard: asyncio.Queue[bytes]) -> AsyncGenerator[bytes, None]:
    while True:
        yield await heard.get()


def _unavailable(why: str) -> grpc.aio.AioRpcError:
    none = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, none, none, details=why)


def _give(future: asyncio.Future[Any], answer: Any) -> None:
    if not future.done():
        future.set_result(answer)
