"""Order entry on Kafka, and on Postgres beside it: the same house, load and disk, in turn.

A run of each in turn, so that what the machine does meanwhile falls on both alike. Kafka is the
embedded one: one broker that brings each append to the disk before it answers, or three of which
two must have it. In two shapes: small batches, many of them under way, as many clients with a
stream each; and full ones, as a gateway makes them of what waits while its last ones are under way.
The even load is half of the fastest.
"""

import contextlib
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from services.gateway.state import BATCH_COMMANDS, IN_FLIGHT
from services.runtime.embedded_kafka import start_kafka, stop_kafka
from services.runtime.kafka_jars import fetch_kafka
from tools.benches.entry import EVEN_S, FAST_COMMANDS, Size, measured
from tools.benches.market import Trader, opening_records
from tools.benches.shape import Asked, Figures, aim, grouped
from tools.benches.shard import (
    BATCH,
    UNDER_WAY,
    batches,
    folder_beside_the_data,
    opening_batches,
    postgres,
)

RUNS: Final = 3
GATEWAYS: Final = 4
AIM_ORDERS_PER_S: Final = 150_000
AIM_TIMES_THE_DISK: Final = 3
LOGS: Final = ("kafka", "postgres")
_SHOWN: Final = ("half_p50_ms", "half_p99_ms", "fdatasync_p50_ms", "fdatasync_p99_ms")


class Shape(NamedTuple):
    """How commands come."""

    batch: int
    """Commands in a batch."""
    under_way: int
    """Batches unanswered at once, as fast as it goes."""


SHAPES: Final = {
    "full": Shape(BATCH_COMMANDS, GATEWAYS * IN_FLIGHT),
    "small": Shape(BATCH, UNDER_WAY),
}


def measure(asked: Asked) -> Figures:
    """Orders a second and what one waits at half of that, by log and shape."""
    fetch_kafka()
    runs = asked.runs_or(RUNS)
    found: Figures = {"runs": runs, "brokers": asked.brokers}
    taken: dict[str, list[float]] = {}
    for _ in range(runs):
        for shape in SHAPES:
            for log in LOGS:
                for name, values in _once(log, _size(asked, SHAPES[shape]), asked.brokers).items():
                    taken.setdefault(f"{log}_{shape}_{name}", []).extend(values)
    return found | {name: round(statistics.median(values), 2) for name, values in taken.items()}


def _size(asked: Asked, shape: Shape) -> Size:
    even_s = asked.seconds or (0.1 if asked.quick else EVEN_S)
    commands = asked.size(FAST_COMMANDS, 5 * shape.batch)
    return Size(1, commands, even_s, "half", 2, shape.batch, shape.under_way, not asked.quick)


def _once(log: str, size: Size, brokers: int) -> dict[str, list[float]]:
    """One run on a house of its own."""
    trader = Trader()
    opening = opening_batches(opening_records(trader))
    load = batches(iter(trader.batch, None), len(opening), size=size.batch)
    with folder_beside_the_data() as data, postgres(data), _log(log, data, brokers):
        return measured(size, opening, load, data)


@contextlib.contextmanager
def _log(log: str, data: Path, brokers: int) -> Iterator[None]:
    """The log of a folder: rooms find a Kafka in it by themselves."""
    if log == "kafka":
        start_kafka(data, brokers)
    try:
        yield
    finally:
        if log == "kafka":
            stop_kafka(data, "immediate")


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    brokers = f"{figures['brokers']} broker{'s' if figures['brokers'] > 1 else ''}"
    named = {"kafka": f"Kafka, {brokers}", "postgres": "Postgres"}
    return [
        line
        for log in LOGS
        for shape, (batch, _) in SHAPES.items()
        for line in _of(f"{log}_{shape}", f"{named[log]}, batches of {grouped(batch)}", figures)
    ]


def _of(which: str, name: str, figures: Figures) -> list[str]:
    orders = figures[f"{which}_orders_per_s"]
    p50, p99, disk50, disk99 = (figures[f"{which}_{shown}"] for shown in _SHOWN)
    times = p99 / disk99
    return [
        f"{name}: {grouped(orders)} orders/s"
        f" {aim(orders >= AIM_ORDERS_PER_S, grouped(AIM_ORDERS_PER_S))}, records of"
        f" {grouped(figures[f'{which}_fast_record_bytes'])} bytes, durable before they are"
        " answered.",
        f"{name}: at half of that a batch waits {p50} ms (p50), {p99} ms (p99); fdatasync of as"
        f" many bytes takes {disk50} ms, {disk99} ms: p99 is {times:.1f} times the disk's"
        f" {aim(times <= AIM_TIMES_THE_DISK, f'at most {AIM_TIMES_THE_DISK}')}.",
    ]
