"""Who lives in a simulated house: the real replicas and gateways, a ledger, and those who trade.

Settings    how the house is set up; chosen by the seed
Replica     `python -m services.matching`, wired as there, on one machine
Gateway     the real order entry of a gateway
Ledger      numbers credits, sends them as the outbox does, and believes the event log alone
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import grpc

from bourse.matching import v1 as matching
from services.gateway import entry as gateway_entry
from services.gateway.state import Answered, Undecided
from services.matching.__main__ import Shard
from services.matching.reader import Replica as Core
from services.matching.recovery import recover
from services.matching.server import Matching, OrderEntry
from services.matching.state import SnapshotPace
from services.matching.store import SnapshotStore
from services.runtime.choice import Choice
from services.runtime.events import EventKey, Position, follow
from services.runtime.intake import Limits
from services.runtime.lease import Lease
from services.runtime.main import run
from services.runtime.publisher import Publisher, key_of
from services.runtime.sequencer import Sequencer
from tests.simulation.checks import COMMANDS, EVENTS, TAKEN, Oracle, Request
from tests.simulation.genesis import SOURCE, genesis
from tests.simulation.net import Call, Channel, Door, Network
from tests.simulation.world import DiskPort, LeasePort, Process, World

AGAIN_S = 1.0
"""How long the ledger waits before it sends again, as the outbox does."""


@dataclass(frozen=True)
class Settings:
    """How a house is set up."""

    replicas: int
    gateways: int
    limits: Limits
    retained_bytes: int
    pace: SnapshotPace
    lease_s: float
    capacity: int
    shared_disk: bool
    """The replicas keep their snapshots in one place."""


class Actor:
    """Somebody on a machine of his own, who is started again when he ends."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.machine = world.machine(name)
        self.lives = 0

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def process(self) -> Process | None:
        return self.machine.process

    def start(self) -> None:
        if self.machine.process is not None:
            return
        process = Process(self.world, self.machine)
        self.machine.process = process
        self.lives += 1
        process.start(self.main, self._ended)

    async def main(self, process: Process) -> None:
        raise NotImplementedError

    def down(self, why: str, back_us: int) -> None:
        """Kill it, and start it again later."""
        if self.process is not None:
            self.world.note(self.name, why)
            self.process.kill()
            self.world.time.after(back_us, self.start)

    def _ended(self, why: str) -> None:
        self.machine.failures += 1
        backoff_us = 200_000 << min(self.machine.failures - 1, 2)
        self.world.time.after(backoff_us if why else 50_000, self.start)


class Replica(Actor):
    """A replica of the shard."""

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        settings: Settings,
        files: dict[str, bytes],
    ) -> None:
        super().__init__(world, name)
        self._network = network
        self._settings = settings
        self.files = files
        """Its snapshots; perhaps others write them too."""
        self.shard: Shard | None = None

    async def main(self, process: Process) -> None:
        """As in services/matching/__main__.py."""
        settings, log, stopwatch = self._settings, process.log, process.loop.stopwatch_us
        self.shard = None
        await log.create(COMMANDS)
        await log.create(EVENTS)
        store = SnapshotStore(DiskPort(process, self.files), 0, 3)
        found = await recover(log, 0, store)
        process.note("starts", f"at {found.core.facts().next_offset}")
        publisher = Publisher(log, EVENTS, process, retained_bytes=settings.retained_bytes)
        publisher.start_after(found.last_key, found.event_offset)
        replica = Core(found.core, log, publisher, store, settings.pace, stopwatch)
        sequencer = Sequencer(log, COMMANDS, 0, replica, process, settings.limits, stopwatch)
        holder = f"{self.name}.{self.lives}"
        rows = LeasePort(process)
        lease = Lease(rows, "matching.0", holder, duration_s=settings.lease_s, stopwatch=stopwatch)
        entry, asked = OrderEntry(sequencer), Matching(replica, sequencer, publisher, lease)
        self.shard = shard = Shard(replica, publisher, sequencer, process)
        door = Door(self._network, process, entry, asked, shard.health)
        process.ends.append(door.shut)

        def lead(epoch: int) -> None:
            process.note("leads" if epoch else "leads no more", epoch or "")
            publisher.lead(epoch != 0)

        await run(
            _at_the_end(shard.close),
            door.stand_open(),
            shard.announce(),
            shard.keep_time(),
            sequencer.run(),
            replica.follow(),
            replica.snapshots(),
            _at_the_end(shard.leave_snapshot),
            _at_the_end(shard.leave_nothing_unpublished),
            publisher.run(),
            lease.keep(lead),
        )


async def _at_the_end(action: Callable[[], Awaitable[None]]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await action()


class Gateway(Actor):
    """A gateway, as far as orders go."""

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        oracle: Oracle,
        servers: Sequence[str],
        capacity: int,
    ) -> None:
        super().__init__(world, name)
        self._network = network
        self._oracle = oracle
        self._servers = servers
        self._capacity = capacity
        self._entry: gateway_entry.OrderEntry | None = None
        self._open: dict[bytes, Request] = {}
        self._places = 0

    async def main(self, process: Process) -> None:
        process.ends.append(self._forget_all)
        # The first replica is not everybody's.
        turn = self.world.random.randrange(len(self._servers))
        servers = [*self._servers[turn:], *self._servers[:turn]]
        replicas = Choice(",".join(servers), self._way_to(process))
        self._entry = gateway_entry.OrderEntry(replicas, process, self._capacity)
        await run(self._entry.serve())

    def _way_to(self, process: Process) -> Callable[[str], grpc.aio.Channel]:
        def opened(server: str) -> grpc.aio.Channel:
            return Channel(self._network, process, server)  # type: ignore[return-value]

        return opened

    def ask(self, command: matching.Command) -> Request | None:
        """Send a command in; None if nobody is there."""
        if self.process is None:
            return None
        self._places += 1
        request = Request(command, f"{self.name}.{self.lives}", self._places)
        self._oracle.asked(request)
        self._open[request.id] = request
        self.process.loop.reach(0, self._ask, self.process, request)
        return request

    def _ask(self, process: Process, request: Request) -> None:
        process.loop.create_task(self._answer(process, request))

    async def _answer(self, process: Process, request: Request) -> None:
        if self._entry is None:
            answer: Answered | Undecided = Undecided.NOT_TAKEN
        else:
            answer = await self._entry.ask(request.command)
        self._open.pop(request.id, None)
        said = f"at {answer.sequence}" if isinstance(answer, Answered) else answer.name
        process.note("answers", request.id.hex()[-6:], said)
        self._oracle.told(request, answer)
        if answer is Undecided.UNKNOWN:
            self._look_late(process, request)

    def _forget_all(self) -> None:
        self._entry = None
        for request in self._open.values():
            request.is_lost = True
        self._open.clear()

    @property
    def is_quiet(self) -> bool:
        return not self._open

    # --- what an unknown outcome comes to -----------------------------------------------------

    def _look_late(self, process: Process, request: Request) -> None:
        if request.command.WhichOneof("kind") == "place_order":
            delay_us = request.command.valid_until_us - process.now_us() + 1_000_000
            look = self._find_late
            process.loop.reach(
                max(delay_us, 0), lambda: process.loop.create_task(look(process, request))
            )

    async def _find_late(self, process: Process, request: Request) -> None:
        """A 404 is final once the core's clock is at most a second behind the gateway's."""
        command = request.command
        for _ in range(20):
            after = self._entry.answered_sequence if self._entry else 0
            question = matching.GetOrderRequest(
                account=command.account,
                client_order_id=command.place_order.client_order_id,
                after_sequence=after,
            )
            server = self.world.random.choice(self._servers)
            found = await self._network.ask(process, server, "GetOrder", question, 3.0)
            if found is not None and found.found:
                return
            # All by the gateway's clock, which may have been set back since it answered.
            is_past = process.now_us() >= command.valid_until_us + 1_000_000
            if found is not None and is_past and found.clock_us >= process.now_us() - 1_000_000:
                process.note("final 404", request.id.hex()[-6:])
                self._oracle.read_late(request)
                return
            await asyncio.sleep(0.1)


class CoreSilent(Exception):
    """The core took nothing, or its stream ended."""


class Ledger(Actor):
    """A source of money. Its tables survive it."""

    def __init__(
        self, world: World, network: Network, oracle: Oracle, servers: Sequence[str]
    ) -> None:
        super().__init__(world, "ledger")
        self._network = network
        self._servers = servers
        self._oracle = oracle
        self._wake = asyncio.Event()
        past = genesis()
        self.rows: dict[int, matching.Command] = {}
        """Credits by number."""
        self.settled: set[int] = set()
        """Numbers of which an event has told."""
        self._next = past.next_credit
        self._position = Position(len(past.events), key_of(past.events[-1].body), True)

    @property
    def is_done(self) -> bool:
        return len(self.settled) == len(self.rows)

    def credit(self, command: matching.Command) -> None:
        """A new row, which is durable at once."""
        self.rows[self._next] = command
        self._next += 1
        if self.process is not None:
            self.process.loop.reach(0, self._wake.set)

    async def main(self, process: Process) -> None:
        self._wake = asyncio.Event()
        await run(self._send(process), self._read(process))

    async def _read(self, process: Process) -> None:
        """Numbers are settled by events, and each part is consumed once."""
        async with aclosing(follow(process.log, EVENTS, self._position, pause_s=0.02)) as batches:
            async for parts in batches:
                for part in parts:
                    for move in part.record.moves:
                        if move.source == SOURCE:
                            self._settle(move.number, part.key)
                self._position = parts[-1].position

    def _settle(self, number: int, key: EventKey) -> None:
        if number in self.settled:
            self.world.fail(f"credit {number} is in the events again, at {key}")
        self.settled.add(number)

    async def _send(self, process: Process) -> None:
        turn = 0
        while True:
            server = self._servers[turn % len(self._servers)]
            try:
                await self._stream(Channel(self._network, process, server))
            except (CoreSilent, grpc.aio.AioRpcError):
                turn += 1
            await asyncio.sleep(AGAIN_S)

    async def _stream(self, channel: Channel) -> None:
        call, sent = channel.stream_stream("")(), 0
        try:
            while True:
                self._wake.clear()
                while run := self._waiting(sent):
                    answer = await _ask(call, run)
                    if answer.status == matching.BATCH_STATUS_SOURCE_GAP:
                        sent = answer.expected - 1
                    elif answer.status in TAKEN:
                        sent = run[-1][0]
                    else:
                        raise CoreSilent
                if not await self._news():
                    sent = 0
        finally:
            call.cancel()

    def _waiting(self, sent: int) -> list[tuple[int, matching.Command]]:
        rows = sorted(self.rows.items())
        waiting = [row for row in rows if row[0] > sent and row[0] not in self.settled]
        return [row for place, row in enumerate(waiting[:20]) if row[0] == waiting[0][0] + place]

    async def _news(self) -> bool:
        try:
            async with asyncio.timeout(AGAIN_S):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True


async def _ask(call: Call, run: Iterable[tuple[int, matching.Command]]) -> matching.SubmitResponse:
    rows = list(run)
    batch = matching.SubmitRequest(source=SOURCE, number=rows[0][0])
    batch.commands.extend(command for _, command in rows)
    try:
        await call.write(batch.SerializeToString())
        answer = await call.read()
    except asyncio.InvalidStateError as error:
        raise CoreSilent from error
    if answer is grpc.aio.EOF:
        raise CoreSilent
    return matching.SubmitResponse.FromString(answer)
