"""What can go wrong in a simulated house. Each is chosen, timed and undone by the seed alone."""

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.actors import Actor, Replica
from tests.simulation.checks import COMMANDS, EVENTS
from tests.simulation.log import Fate, Strange
from tests.simulation.world import Row

if TYPE_CHECKING:
    from tests.simulation.net import Line
    from tests.simulation.story import House

MS: Final = 1_000
S: Final = 1_000_000


def _strange(house: "House", fate: Fate) -> str:
    """The next few appends to one topic have a fate."""
    random = house.world.random
    topic = random.choice((COMMANDS, COMMANDS, EVENTS))
    machine = random.choice(("", random.choice(house.replicas).name))
    times = random.choice((1, 1, 2, 5))
    late_us = random.choice((5 * MS, 50 * MS, 400 * MS, random.randint(1, 4 * S)))
    house.world.weather.strange += [Strange(fate, topic, machine, late_us)] * times
    where = f"{times} x {topic} {machine or 'anybody'}"
    return f"{fate.value} by {late_us / S:g} s: {where}"


def _while_us(house: "House") -> int:
    """How long something lasts."""
    return house.world.random.choice((50 * MS, 300 * MS, 1 * S, 2 * S))


def storm(house: "House") -> str:
    """For a while nobody learns what becomes of an append, and then the log is away."""
    random, now_us = house.world.random, house.world.time.now_us
    topic, strange = random.choice((COMMANDS, COMMANDS, EVENTS)), house.world.weather.strange
    fates = [random.choice(tuple(Fate)) for _ in range(random.randint(3, 20))]
    strange += [Strange(fate, topic, "", random.choice((20 * MS, 400 * MS))) for fate in fates]
    begin_us, end_us = random.choice((20 * MS, 200 * MS)), _while_us(house)

    def away() -> None:
        house.world.weather.away_until_us[topic] = now_us + begin_us + end_us

    house.world.time.after(begin_us, away)
    return f"{len(fates)} appends to {topic} have odd fates, then {end_us / S:g} s without"


def append_late(house: "House") -> str:
    return _strange(house, Fate.LATE)


def append_done(house: "House") -> str:
    return _strange(house, Fate.DONE)


def append_later(house: "House") -> str:
    return _strange(house, Fate.LATER)


def append_lost(house: "House") -> str:
    return _strange(house, Fate.LOST)


def log_away(house: "House") -> str:
    """The log is out of reach for one machine, for one topic, or for all."""
    random, until_us = house.world.random, house.world.time.now_us + _while_us(house)
    names = [replica.name for replica in house.replicas]
    away = random.choice(([random.choice(names)], [*names, "ledger"], [COMMANDS], [EVENTS]))
    for name in away:
        house.world.weather.away_until_us[name] = until_us
    return f"log out of reach for {away} until {until_us / S:g}"


def log_slow(house: "House") -> str:
    name = house.world.random.choice(house.replicas).name
    until_us = house.world.time.now_us + _while_us(house)
    house.world.weather.slow_until_us[name] = until_us
    return f"log slow for {name} until {until_us / S:g}"


def _anybody(house: "House") -> Actor:
    random = house.world.random
    if random.randrange(4):
        return random.choice(house.replicas)
    return random.choice([*house.gateways, house.ledger])


def _back_us(house: "House") -> int:
    return house.world.random.choice((1 * MS, 50 * MS, 200 * MS, 1 * S))


def kill(house: "House") -> str:
    """At some moment, or in the middle of what happens at one."""
    victim, random = _anybody(house), house.world.random
    if victim.process is None:
        return f"{victim.name} is down already"
    steps = random.choice((0, 0, random.randint(1, 60)))
    back_us, spoil = _back_us(house), random.randrange(6)

    def down() -> None:
        victim.down("is killed", back_us)
        if isinstance(victim, Replica):
            _spoil(victim, spoil)

    if steps:
        victim.process.loop.light(steps, down)
    else:
        down()
    return f"kill {victim.name} in {steps} steps, back in {back_us / S:g} s, disk {spoil}"


def _spoil(victim: Replica, how: int) -> None:
    """What a disk may look like after a crash: as it was, broken, or empty."""
    if how == 0:
        victim.files.clear()
        victim.world.note(victim.name, "snapshots are gone")
    elif how == 1 and victim.files:
        newest = max(name for name in victim.files if name.endswith(".snapshot"))
        victim.files[newest] = victim.files[newest][: len(victim.files[newest]) // 2]
        victim.world.note(victim.name, "newest snapshot is half")


def pause(house: "House") -> str:
    """A process stands still, as by SIGSTOP; or its machine does, and its stopwatch too."""
    victim, random = _anybody(house), house.world.random
    process = victim.process
    if process is None:
        return f"{victim.name} is down already"
    freezes, while_us = bool(random.randrange(2)), _while_us(house)
    process.loop.stop_it(freezes=freezes)
    house.world.time.after(while_us, process.loop.go_on)
    how = "frozen" if freezes else "stopped"
    return f"{victim.name} {how} for {while_us / S:g} s"


def terminate(house: "House") -> str:
    """An orderly stop; whoever is told twice ends at once."""
    victim = _anybody(house)
    if victim.process is None:
        return f"{victim.name} is down already"
    if not victim.process.loop.signal(signal.SIGTERM):
        victim.down("is told to end again", _back_us(house))
    return f"SIGTERM to {victim.name}"


def _some_line(house: "House") -> "Line | None":
    lines = house.network.lines
    return house.world.random.choice(lines) if lines else None


def reset(house: "House") -> str:
    line = _some_line(house)
    if line is None:
        return "no line to reset"
    line.reset()
    return f"reset {line.client.machine.name}-{line.server}"


def half_open(house: "House") -> str:
    """Requests, answers, or both get lost; then it is reset, or the keepalive finds out."""
    line, random = _some_line(house), house.world.random
    if line is None:
        return "no line to open"
    sides = [line.client.machine.name, line.server]
    lost = random.choice((sides[:1], sides[1:], sides[1:], sides))
    line.half_open(*lost)
    if reset_later := random.randrange(4):
        house.world.time.after(reset_later * 40 * MS, line.reset)
    return f"{lost} of {sides} are not heard, reset {bool(reset_later)}"


def stall(house: "House") -> str:
    line, random = _some_line(house), house.world.random
    if line is None:
        return "no line to stall"
    pair = (line.client.machine.name, line.server)
    until_us = house.world.time.now_us + _while_us(house)
    ways = random.choice(([pair], [pair[::-1]], [pair, pair[::-1]]))
    for way in ways:
        house.network.stalled_until_us[way] = until_us
    return f"{ways} stall until {until_us / S:g}"


def lease_away(house: "House") -> str:
    random, until_us = house.world.random, house.world.time.now_us + _while_us(house)
    names = [replica.name for replica in house.replicas]
    away = random.choice((names, [random.choice(names)]))
    for name in away:
        house.world.lease_away_until_us[name] = until_us
    return f"lease out of reach for {away} until {until_us / S:g}"


def lease_lapses(house: "House") -> str:
    """Whoever holds it does not know yet: two lead at once."""
    row = house.world.lease
    house.world.lease = Row(row.holder, row.epoch, 0)
    return f"the lease of {row.holder} lapses"


def clock(house: "House") -> str:
    machine = house.world.random.choice([*house.replicas, *house.gateways]).machine
    machine.clock_off_us = house.world.random.randint(-3 * S, 3 * S)
    return f"clock of {machine.name} off by {machine.clock_off_us / S:+.3f} s"


def burst(house: "House") -> str:
    """More than a queue holds."""
    commands = house.world.random.choice((20, 60))
    for _ in range(commands):
        house.traders.trade()
    return f"{commands} commands at once"


FAULTS: Final[tuple[Callable[["House"], str], ...]] = (
    append_late,
    append_done,
    append_later,
    append_lost,
    storm,
    log_away,
    log_slow,
    kill,
    kill,
    pause,
    terminate,
    reset,
    half_open,
    stall,
    lease_away,
    lease_lapses,
    clock,
    burst,
)


def heal(house: "House") -> None:
    """Undo everything that does not end by itself."""
    world = house.world
    world.weather.clear()
    world.lease_away_until_us.clear()
    house.network.clear()
    for machine in world.machines.values():
        machine.clock_off_us = 0
        if machine.process is not None:
            machine.process.loop.go_on()
