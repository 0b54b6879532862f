"""One seed, from its choices to its verdict.

A house is set up, people trade, things go wrong; then everything is healed and it must come to
rest, with every promise kept.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.gateway.state import Answered
from services.matching.state import SnapshotPace
from services.runtime.intake import Limits
from tests.services.matching.rig import BTC, USD
from tests.simulation import faults
from tests.simulation.actors import Gateway, Ledger, Replica, Settings
from tests.simulation.checks import COMMANDS, Oracle, Request
from tests.simulation.faults import MS, S
from tests.simulation.genesis import ACCOUNTS, INSTRUMENT, genesis
from tests.simulation.loop import Stuck
from tests.simulation.net import Network
from tests.simulation.world import World

QUIET_WITHIN_US: Final = 60 * S
"""After everything is healed, so long at most until all is quiet and trading goes on."""

LOOK_US: Final = 40 * MS


@dataclass
class Verdict:
    """How a seed ended."""

    seed: int
    why: str
    """The promise that was broken; empty: none."""
    faults: list[str]
    trace: str
    counts: Counter[str] = field(default_factory=Counter)
    virtual_us: int = 0
    steps: int = 0
    digest: str = ""
    """Of the whole trace: equal if the same happened."""
    cause: BaseException | None = None

    def __str__(self) -> str:
        injected = "\n".join(self.faults)
        return f"seed {self.seed}: {self.why}\n\nfaults\n{injected}\n\ntrace\n{self.trace}"


class Traders:
    """A few accounts that place and cancel, and ask again where nobody knows."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._random = house.world.random
        self._names: list[tuple[int, str, matching.PlaceOrder]] = []
        self._given = 0

    def command(self, account: int, within_us: int, **kind: object) -> matching.Command:
        self._given += 1
        return matching.Command(
            request_id=self._given.to_bytes(16, "big"),
            account=account,
            valid_until_us=self._house.world.now_us() + within_us,
            **kind,  # type: ignore[arg-type]
        )

    def trade(self) -> None:
        """Somebody does something."""
        gateway = self._random.choice(self._house.gateways)
        account, within_us = self._random.choice(ACCOUNTS), self._random.choice(_WINDOWS)
        gateway.ask(self._any(account, within_us))

    def _any(self, account: int, within_us: int) -> matching.Command:
        turn = self._random.randrange(20)
        if turn < 3 and self._names:
            account, name, _ = self._random.choice(self._names)
            cancel = matching.CancelOrder(client_order_id=name)
            return self.command(account, within_us, cancel_order=cancel)
        if turn == 3:
            return self.command(account, within_us, cancel_all=matching.CancelAll())
        if turn < 6 and self._names:
            # The same order once more, from somebody who does not know what became of it.
            account, _, order = self._random.choice(self._names)
            return self.command(account, within_us, place_order=order)
        order = self._order()
        self._names.append((account, order.client_order_id, order))
        return self.command(account, within_us, place_order=order)

    def _order(self) -> matching.PlaceOrder:
        buys = bool(self._random.randrange(2))
        away = self._random.randint(-4, 12)
        return matching.PlaceOrder(
            instrument=INSTRUMENT,
            side=types.SIDE_BUY if buys else types.SIDE_SELL,
            type=types.ORDER_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            price_ticks=1_000 - away if buys else 1_000 + away,
            quantity_lots=self._random.randint(1, 9),
            client_order_id=f"o{self._given}",
        )

    def credit(self) -> None:
        """Money comes from outside."""
        account, asset = self._random.choice(ACCOUNTS), self._random.choice((USD, BTC))
        credit = matching.Credit(asset=asset, amount_minor=self._random.randint(1, 10**9))
        command = self.command(account, 0, credit=credit)
        command.valid_until_us = 0
        self._house.ledger.credit(command)


_WINDOWS: Final = (60 * MS, 400 * MS, 1 * S, 1 * S, 4 * S)


class House:
    """Everything of one seed."""

    def __init__(self, seed: int) -> None:
        self.world = world = World(seed, refuses_clocks=bool(seed % 3))
        random = world.random
        self.settings = settings = _settings(random.choice)
        self.oracle = Oracle(world)
        self.network = Network(world)
        self.network.saw_request = lambda client, body: self.oracle.saw_request(body)
        self.network.saw_answer = lambda client, body: self.oracle.saw_answer(body)
        servers = [f"replica{number}" for number in range(settings.replicas)]
        shared = dict(genesis().files)
        self.replicas = [
            Replica(
                world,
                self.network,
                name,
                settings,
                shared if settings.shared_disk else dict(shared),
            )
            for name in servers
        ]
        self.gateways = [
            Gateway(world, self.network, f"gateway{n}", self.oracle, servers, settings.capacity)
            for n in range(settings.gateways)
        ]
        self.ledger = Ledger(world, self.network, self.oracle, servers)
        self.traders = Traders(self)
        self.faults: list[str] = []
        self._probes: dict[str, Request | None] = {}
        self._is_healed = False
        self._is_quiet = False

    def live(self) -> None:
        """From the first start to the verdict."""
        world, random = self.world, self.world.random
        for actor in (*self.replicas, *self.gateways, self.ledger):
            world.time.after(random.randint(0, 40 * MS), actor.start)
        until_us = random.randint(400 * MS, 2 * S)
        self._plan(until_us)
        world.time.after(LOOK_US, self._look)
        self._run(until_us)
        faults.heal(self)
        self._is_healed = True
        world.note("all is healed")
        self._run(until_us + QUIET_WITHIN_US)
        if world.failed is None and not self._is_quiet:
            world.fail(f"no rest {QUIET_WITHIN_US / S:g} s after all was healed: {self._unrest()}")
        if world.failed is None:
            self.oracle.judge()
        if world.failed is None and world.seed % 16 == 0:
            self.oracle.judge_from_nothing()

    def _run(self, until_us: int) -> None:
        try:
            self.world.time.run(until_us, lambda: self.world.failed is not None or self._is_quiet)
        except Stuck as error:
            self.world.fail(str(error), error)

    def _plan(self, until_us: int) -> None:
        """When people act, and when things go wrong."""
        time, random = self.world.time, self.world.random
        for _ in range(random.choice((10, 25, 40))):
            moment_us = random.randint(20 * MS, until_us)
            for _ in range(random.choice((1, 1, 1, 2, 5))):
                time.at(moment_us, self.traders.trade)
        for _ in range(random.randint(0, 6)):
            time.at(random.randint(20 * MS, until_us), self.traders.credit)
        kinds = random.sample(faults.FAULTS, random.randint(1, len(faults.FAULTS)))
        for _ in range(random.choice((0, 1, 2, 3, 5, 8, 12))):
            time.at(random.randint(30 * MS, until_us), self._inject, random.choice(kinds))

    def _inject(self, fault: Callable[["House"], str]) -> None:
        said = fault(self)
        self.world.note("FAULT", said)
        self.faults.append(f"{self.world.time.now_us / 1e6:10.6f}  {said}")

    def _look(self) -> None:
        """Compare the replicas now and then; and once all is healed, see whether all is quiet."""
        for replica in self.replicas:
            if replica.process is not None and replica.shard is not None:
                facts = replica.shard.replica.facts
                self.oracle.compare(replica.name, facts.next_offset, facts.state_hash)
        if self._is_healed:
            self._probe()
            self._is_quiet = not self._unrest()
        self.world.time.after(LOOK_US, self._look)

    def _probe(self) -> None:
        """Through every gateway a command must get its answer again."""
        for gateway in self.gateways:
            probe = self._probes.get(gateway.name)
            if probe is None or probe.is_lost or not isinstance(probe.answer, Answered | None):
                cancel = matching.CancelOrder(client_order_id="nobody")
                command = self.traders.command(ACCOUNTS[0], 5 * S, cancel_order=cancel)
                self._probes[gateway.name] = gateway.ask(command)

    def _unrest(self) -> str:
        """What is not as it must be in the end; empty: everything is."""
        end = len(self.world.topics.records[COMMANDS])
        leaders = 0
        for replica in self.replicas:
            if replica.process is None or replica.shard is None:
                return f"{replica.name} is down"
            leaders += replica.shard.publisher.leading
            if replica.shard.replica.facts.next_offset < end:
                return f"{replica.name} is behind"
            if replica.shard.publisher.retained_bytes:
                return f"{replica.name} has not seen all events"
        if leaders != 1:
            return f"{leaders} lead"
        for gateway in self.gateways:
            probe = self._probes.get(gateway.name)
            if probe is None or not isinstance(probe.answer, Answered):
                return f"{gateway.name} does not get through"
            if not gateway.is_quiet:
                return f"{gateway.name} has somebody waiting"
        if not self.ledger.is_done:
            return "the ledger's credits are not all told of"
        return "" if self.oracle.all_is_published else "not all is published"


def _settings(choice: Callable[..., object]) -> Settings:
    def one(*of: int) -> int:
        picked = choice(of)
        assert isinstance(picked, int)
        return picked

    return Settings(
        replicas=one(1, 2, 2, 2, 3),
        gateways=one(1, 1, 2),
        limits=Limits(one(10, 30, 4096), one(3_000, 1 << 24), one(300, 1_000, 5_000) / 1_000),
        retained_bytes=one(2_000, 20_000, 1 << 26),
        pace=SnapshotPace(one(3, 15, 60), one(10, 1_000)),
        lease_s=one(600, 1_500, 5_000) / 1_000,
        capacity=one(20, 400),
        shared_disk=bool(one(0, 1)),
    )


@contextmanager
def quietly() -> Iterator[None]:
    """What the processes of a simulation say in their logs is said to nobody."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def tell(seed: int, trace_lines: int = 400) -> Verdict:
    """Run a seed. Call it `quietly`."""
    house = House(seed)
    world = house.world
    try:
        house.live()
    finally:
        # What is in the middle of something is ended while everything it holds is still there.
        for machine in world.machines.values():
            if machine.process is not None:
                machine.process.kill()
    why = str(world.failed) if world.failed else ""
    trace = world.told(trace_lines)
    cause = world.failed.__cause__ if world.failed else None
    verdict = Verdict(seed, why, house.faults, trace, cause=cause)
    verdict.virtual_us, verdict.steps = world.time.now_us, world.time.steps
    verdict.digest = world.digest()
    verdict.counts["commands"] = len(house.oracle.decided)
    verdict.counts["records"] = len(world.topics.records[COMMANDS])
    verdict.counts["faults"] = len(house.faults)
    return verdict
