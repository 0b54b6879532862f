"""What is done to a house. Each fault begins, lasts a moment and ends with everything mended.

What it does is chosen by a generator of its own, so that a seed names the same faults again; when
exactly they meet the house is the house's own affair.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final, NamedTuple

from services.runtime.log import commands_topic
from tests.chaos.disk import fill
from tests.chaos.house import House

Action = Callable[[House, Random], Awaitable[str]]
"""Does it and says what it was done to."""

PLACES: Final = (
    ("matching", "matching.after_append"),
    ("matching", "matching.before_publish"),
    ("matching", "matching.after_publish"),
    ("ledger", "ledger.in_transaction"),
    ("ledger", "ledger.after_commit"),
    ("orders", "orders.in_transaction"),
    ("marketdata", "marketdata.after_block"),
)
SMALL_STEP_US: Final = 1_500_000
"""A log and its appenders may be so far apart."""
LARGE_STEP_US: Final = 5_000_000
"""And not so far."""


class Fault(NamedTuple):
    """A kind of fault, and how often it is chosen beside the others."""

    name: str
    weight: int
    act: Action


async def _last(chance: Random, longest_s: float) -> None:
    await asyncio.sleep(chance.uniform(0.1, longest_s))


async def _freeze(send: Callable[[signal.Signals], None], chance: Random) -> None:
    """Let whoever takes these signals stand still for a while."""
    send(signal.SIGSTOP)
    try:
        await _last(chance, 4.0)
    finally:
        send(signal.SIGCONT)


# --- processes ----------------------------------------------------------------------------------


async def kill_process(house: House, chance: Random) -> str:
    """`kill -9` of a room or a replica."""
    name = chance.choice(house.processes)
    house.kill(name)
    return name


async def kill_replica(house: House, chance: Random) -> str:
    """`kill -9` of a replica, which may lead, or take orders, or stand by."""
    name = chance.choice(house.replicas)
    house.kill(name)
    return name


async def freeze_process(house: House, chance: Random) -> str:
    """A process stands still for a while, and does not know it afterwards."""
    name = chance.choice((*house.processes, *house.replicas * 2))
    house.freeze(name)
    try:
        await _last(chance, 4.0)
    finally:
        house.thaw(name)
    return name


async def kill_at_place(house: House, chance: Random) -> str:
    """A process kills itself where it hurts most."""
    room, place = chance.choice(PLACES)
    name = chance.choice(house.replicas) if room == "matching" else room
    house.held.add(name)
    try:
        house.kill(name)
        house.launch(name, crash_at=f"{place}:{chance.randint(1, 20)}")
        # One that never comes to its place, a standby before publishing say, is ended all the same.
        for _ in range(60):
            await asyncio.sleep(0.1)
            if house.running[name].poll() is not None:
                break
        house.kill(name)
    finally:
        house.held.discard(name)
    return f"{name} {place}"


async def kill_everything(house: House, chance: Random) -> str:
    """All processes and all stores at once."""
    for name in house.processes:
        house.kill(name)
    house.signal_postgres(signal.SIGKILL)
    house.signal_kafka(signal.SIGKILL)
    await _last(chance, 0.5)
    return "everything"


async def end_shard(house: House, chance: Random) -> str:
    """All replicas of a shard are away for a while, and the others have to do without it."""
    shard = chance.randrange(house.shards)
    names = house.replicas_of(shard)
    house.held.update(names)
    try:
        for name in names:
            house.kill(name)
        await _last(chance, 5.0)
    finally:
        house.held.difference_update(names)
    return f"shard {shard}"


# --- stores -------------------------------------------------------------------------------------


async def kill_postgres(house: House, _chance: Random) -> str:
    """`kill -9` of Postgres and all its backends."""
    house.signal_postgres(signal.SIGKILL)
    return "postgres"


async def freeze_postgres(house: House, chance: Random) -> str:
    """Postgres stands still for a while."""
    await _freeze(house.signal_postgres, chance)
    return "postgres"


async def kill_kafka(house: House, _chance: Random) -> str:
    """`kill -9` of the broker."""
    house.signal_kafka(signal.SIGKILL)
    return "kafka"


async def freeze_kafka(house: House, chance: Random) -> str:
    """The broker stands still for a while."""
    await _freeze(house.signal_kafka, chance)
    return "kafka"


async def tear_kafka(house: House, chance: Random) -> str:
    """The broker dies while it writes: what it wrote last is half there."""
    house.held.add("kafka")
    try:
        house.signal_kafka(signal.SIGKILL)
        await asyncio.sleep(0.2)
        topic = commands_topic(chance.randrange(house.shards))
        folder = house.data / "kafka" / "1" / "log" / f"{topic}-0"
        with max(folder.glob("*.log")).open("ab") as segment:
            segment.write(chance.randbytes(chance.randint(1, 200)))
    finally:
        house.held.discard("kafka")
    return topic


async def tear_snapshot(house: House, chance: Random) -> str:
    """The newest snapshot is half there, and whoever would start from it is killed."""
    shard = chance.randrange(house.shards)
    folder = house.data / "snapshots" / str(shard)
    found = sorted(folder.rglob("*.snapshot"), key=lambda file: file.stat().st_mtime)
    name = chance.choice(house.replicas_of(shard))
    house.held.add(name)
    try:
        house.kill(name)
        if found:
            os.truncate(found[-1], chance.randint(0, found[-1].stat().st_size))
    finally:
        house.held.discard(name)
    return f"{name} {found[-1].name if found else 'none there'}"


async def fill_disk(house: House, chance: Random) -> str:
    """Not a byte is left for anybody, for a while."""
    # A file of its own: it may be filled twice at once.
    ballast = house.data / f"ballast-{chance.getrandbits(32)}"
    await asyncio.to_thread(fill, ballast)
    try:
        await _last(chance, 3.0)
    finally:
        ballast.unlink()
    return "disk"


# --- wires and clocks ---------------------------------------------------------------------------


async def cut_wire(house: House, chance: Random) -> str:
    """A wire carries nothing, and says so."""
    wire = house.wires[chance.choice([*house.wires])]
    wire.cut()
    await _last(chance, 3.0)
    wire.mend(breaking=True)
    return wire.name


async def hang_wire(house: House, chance: Random) -> str:
    """A wire carries nothing, and nobody is told: connections are half open."""
    wire = house.wires[chance.choice([*house.wires])]
    wire.hang()
    await _last(chance, 4.0)
    wire.mend(breaking=chance.random() < 0.5)
    return wire.name


async def slow_wire(house: House, chance: Random) -> str:
    """A wire takes its time."""
    wire = house.wires[chance.choice([*house.wires])]
    wire.slow(chance.uniform(0.005, 0.3))
    await _last(chance, 3.0)
    wire.mend(breaking=False)
    return wire.name


async def step_clock(house: House, chance: Random) -> str:
    """The clock of a process is wrong for a while, a little or by more than a log allows."""
    name = chance.choice((*house.replicas, "ledger", "gateway"))
    size_us = chance.choice((SMALL_STEP_US, LARGE_STEP_US)) * chance.choice((-1, 1))
    house.step_clock(name, size_us)
    await _last(chance, 3.0)
    house.step_clock(name, 0)
    return f"{name} {size_us / 1e6:+g} s"


EVERYWHERE: Final = (
    Fault("kill -9 of a process", 8, kill_process),
    Fault("kill -9 of a replica", 10, kill_replica),
    Fault("a process stands still", 10, freeze_process),
    Fault("kill -9 at a place", 8, kill_at_place),
    Fault("kill -9 of everything", 2, kill_everything),
    Fault("kill -9 of Postgres", 4, kill_postgres),
    Fault("Postgres stands still", 4, freeze_postgres),
    Fault("a torn snapshot", 3, tear_snapshot),
    Fault("a wire is cut", 8, cut_wire),
    Fault("a wire hangs", 8, hang_wire),
    Fault("a wire is slow", 6, slow_wire),
    Fault("a clock is stepped", 6, step_clock),
)
ON_A_DISK_OF_ITS_OWN: Final = (Fault("the disk is full", 3, fill_disk),)
ON_SEVERAL_SHARDS: Final = (Fault("a shard is away", 6, end_shard),)
ON_KAFKA: Final = (
    Fault("kill -9 of Kafka", 5, kill_kafka),
    Fault("Kafka stands still", 5, freeze_kafka),
    Fault("a torn last record", 3, tear_kafka),
)
