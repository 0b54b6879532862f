"""The processes of one data folder: started side by side, stopped one after the other.

    postgres · clickhouse · kafka    the stores, unless they are somewhere else; kafka if wanted
    matching · ledger · orders · marketdata · notifications · accounts · gateway
             matching is a process for each replica of each shard
    demo                             where the folder was made with one

On the way down: the demo, so that it takes its orders back; the gateway, so that nothing new comes
in; whoever follows the log; matching, which leaves a snapshot; the stores.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from services.cli.child import Backoff, Child, ChildState, Plan, Severity, Tell
from services.cli.folder import DEMO_READY, write_state
from services.cli.logs import Listener, LogFile
from services.cli.probes import read_number, room_serves, store_answers
from services.cli.replicas import replicas_at, room_of
from services.cli.rooms import Rooms
from services.cli.stores import PostgresKeeper, connections_for, kafka_plan, needs_postgres
from services.cli.terminal import Refused
from services.runtime.config import ROOMS, run_folder

Kept: TypeAlias = Child | PostgresKeeper
"""What the house keeps running."""

STOP_ORDER: Final[Sequence[Sequence[str]]] = (
    ("demo",),
    ("gateway",),
    ("accounts", "ledger", "marketdata", "notifications", "orders"),
    ("matching",),
    ("clickhouse", "kafka"),
)
"""Postgres comes after all of them."""

STORES: Final = ("postgres", "clickhouse", "kafka")

_STOP_S: Final = {"matching": 60.0, "clickhouse": 30.0, "kafka": 30.0}
_STOP_OTHERS_S: Final = 20.0


class Wanted(NamedTuple):
    """What `bourse up` was asked for."""

    data: Path
    host: str
    port: int
    demo: bool
    """The bots are to trade."""
    made_with_demo: bool
    kafka: str = ""
    """The address of a Kafka in the data folder that is to keep the log; empty: there is none."""


class House:
    """Starts, watches and stops. Says what happens through `tell`."""

    def __init__(self, wanted: Wanted, rooms: Rooms, tell: Tell) -> None:
        self.wanted = wanted
        self.url = f"http://{_shown_host(wanted.host)}:{wanted.port}"
        self._rooms = rooms
        self._tell = tell
        self._began_us = time.time_ns() // 1000
        self.postgres = self._postgres() if needs_postgres() else None
        self.children = {plan.name: self._child(plan) for plan in self._plans()}
        self.changed = asyncio.Event()
        """Set whenever a state has changed; whoever waits for it clears it."""
        for kept in self.all():
            kept.on_change = self._on_change

    def all(self) -> list[Kept]:
        """Everything it keeps running."""
        return [*([self.postgres] if self.postgres else []), *self.children.values()]

    async def start(self) -> None:
        """Start the stores and every room. Raises EmbeddedError."""
        for store in ("kafka", "clickhouse"):
            if store in self.children:
                self.children[store].start()
        if self.postgres:
            await self.postgres.start()
        for room in ROOMS:
            for child in self._of(room):
                child.start()

    def start_demo(self) -> None:
        """Let the bots trade, if they are wanted."""
        if "demo" in self.children:
            self.children["demo"].start()

    def _of(self, room: str) -> list[Child]:
        """The processes of a room: one, or the replicas of all shards."""
        return [child for name, child in self.children.items() if room_of(name) == room]

    async def served(self, rooms: Iterable[str]) -> None:
        """Wait until all of these serve. Raises Refused if any has ended for good."""
        wanted = [child for room in rooms for child in self._of(room)]
        while not all(child.state is ChildState.SERVING or child.given_up for child in wanted):
            self.refuse_if_given_up()
            self.changed.clear()
            await self.changed.wait()

    def refuse_if_given_up(self) -> None:
        """Raise Refused if a room ended of what a new start would not mend: a person has to.

        As long as one process of matching has not, the others' end is said, and trading goes on: of
        a shard by its other replicas, else in the markets of the other shards.
        """
        for name, child in self.children.items():
            if all(each.given_up for each in self._of(room_of(name))):
                raise Refused(f"{child.name} cannot go on. {child.given_up}")

    async def stop(self) -> None:
        """Stop everything in order; each step is waited for, and none for ever."""
        for step in STOP_ORDER:
            wanted = [child for room in step for child in self._of(room)]
            await asyncio.gather(*(child.stop() for child in wanted))
        if self.postgres:
            await self.postgres.stop()

    def kill(self) -> None:
        """End all processes at once, as a crash would; the stores recover at the next start."""
        for child in self.children.values():
            child.kill()

    def state(self) -> dict[str, Any]:
        """What `state.json` says."""
        stores = [kept for kept in self.all() if kept.name in STORES]
        demo = self.children.get("demo")
        return {
            "pid": os.getpid(),
            "url": self.url,
            "began_us": self._began_us,
            "addresses": {"matching": ";".join(self._addresses())},
            "rooms": [_described(child) for room in ROOMS for child in self._of(room)],
            "stores": [_described(store) for store in stores],
            "demo": {
                "made_with_demo": self.wanted.made_with_demo,
                **(_described(demo) if demo else {"state": "off", "pid": None}),
            },
        }

    def _on_change(self) -> None:
        self.changed.set()
        # A full disk loses what is said of the house, not whoever keeps its processes running.
        with contextlib.suppress(OSError):
            write_state(self.wanted.data, self.state())

    def _postgres(self) -> PostgresKeeper:
        replicas = [len(way.replicas) for way in self._rooms.cores]
        connections = connections_for(replicas)
        return PostgresKeeper(self.wanted.data, self._tell, Backoff(), connections)

    def _child(self, plan: Plan) -> Child:
        def tell(text: str) -> None:
            self._tell(plan.name, text, Severity.BAD)

        log = LogFile(self.wanted.data / "logs" / f"{plan.name}.log")
        return Child(plan, Listener(log, tell), self._tell, Backoff())

    def _plans(self) -> list[Plan]:
        data = self.wanted.data
        environment = {
            "BOURSE_DATA": str(data),
            "BOURSE_GATEWAY_HOST": self.wanted.host,
            "BOURSE_GATEWAY_PORT": str(self.wanted.port),
        }
        plans = [plan for room in ROOMS for plan in self._room_plans(room, environment)]
        if _needs_clickhouse():
            answers = store_answers(run_folder(data) / "clickhouse.port")
            plans.append(
                Plan("clickhouse", "services.clickhouse", answers, environment=environment)
            )
        if self.wanted.kafka:
            plans.append(kafka_plan(data, self.wanted.kafka))
        if self.wanted.demo:
            bots = ("demo", "--data", str(data))
            plans.append(Plan("demo", "services.cli", self._demo_trades, bots, environment))
        return [
            plan._replace(stop_s=_STOP_S.get(room_of(plan.name), _STOP_OTHERS_S)) for plan in plans
        ]

    def _room_plans(self, room: str, environment: Mapping[str, str]) -> list[Plan]:
        """One process, or one for each replica that listens in a place of its own."""
        module, way = f"services.{room}", self._rooms.channel(room)
        if room != "matching":
            answers = room_serves(self._rooms.config.address_of(room), way)
            return [Plan(room, module, answers, (), environment)]
        found = []
        for shard, addresses in enumerate(self._addresses()):
            ways = self._rooms.channel(room, shard).replicas
            for replica, channel in zip(replicas_at(addresses, shard), ways, strict=True):
                own = {
                    "BOURSE_MATCHING_SHARD": str(shard),
                    "BOURSE_MATCHING_LISTEN": replica.address,
                }
                answers = room_serves(replica.address, channel)
                found.append(Plan(replica.name, module, answers, (), {**environment, **own}))
        return found

    def _addresses(self) -> list[str]:
        """Of matching, shard by shard."""
        config = self._rooms.config
        return [config.address_of("matching", shard) for shard in self._rooms.shards]

    async def _demo_trades(self) -> bool:
        return read_number(self.wanted.data / DEMO_READY) == self.children["demo"].pid


def _needs_clickhouse() -> bool:
    return not os.environ.get("BOURSE_CLICKHOUSE_ADDRESS")


def _shown_host(host: str) -> str:
    """How a host is written in an address; one that means everywhere is shown as this machine."""
    if host in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _described(kept: Kept) -> dict[str, Any]:
    return {
        "name": kept.name,
        "state": kept.state.value,
        "pid": kept.pid or None,
        "restarts": kept.restarts,
        "since_us": kept.since_us,
        **({"stopped": kept.given_up} if isinstance(kept, Child) and kept.given_up else {}),
    }
