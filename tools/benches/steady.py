"""A steady market through Python: codec, risk, fees and matching, a record of a batch a call."""

import statistics
import sys
import time
from typing import Final

from bourse.matching import v1 as matching
from services.matching.core import Core
from tools.benches.market import BATCH, START_US, Trader, numbered, opening_records
from tools.benches.progress import Step
from tools.benches.shape import Asked, Figures, grouped

RUNS: Final = 5
BATCHES: Final = 400


def apply_all(core: Core, records: list[bytes]) -> int:
    """Bytes of events that came of it."""
    size, offset = 0, core.facts().next_offset
    for record in records:
        for part in core.apply(offset, START_US + offset, record):
            size += len(part.events)
        offset += 1
    return size


def refused(core: Core, record: bytes) -> int:
    """How many of a record's commands were refused: none, or this measures something else."""
    count = 0
    for part in core.apply(core.facts().next_offset, START_US, record):
        events = matching.EventRecord.FromString(part.events)
        count += sum(mark.refusal != 0 for mark in events.commands)
    return count


STEPS: Final = 2


def found(asked: Asked, step: Step) -> Figures:
    """In one instrument, orders without and with a client order id."""
    runs, batches = asked.runs_or(RUNS), asked.size(BATCHES, 4)
    step("steady market")
    figures = _steady_market(runs, batches, named=False)
    step("steady market, orders named")
    named = _steady_market(runs, batches, named=True)
    return figures | {"commands_per_s_with_client_order_ids": named["commands_per_s"]}


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    commands, orders = grouped(figures["commands_per_s"]), grouped(figures["orders_per_s"])
    named = grouped(figures["commands_per_s_with_client_order_ids"])
    events = figures["bytes_of_events"]
    return [
        f"A steady market from Python: {commands} commands/s through one call a batch of"
        f" {figures['batch']}; five of eight are orders: {orders} orders/s (aim: 2,000,000).",
        f"{figures['ns_per_command']} ns a command; {named} commands/s when each order is named.",
        f"A command has {figures['bytes_of_commands']} bytes and causes {events} bytes of events.",
    ]


def _steady_market(runs: int, batches: int, named: bool) -> Figures:
    trader = Trader(named)
    opening = opening_records(trader)
    steady = numbered((trader.batch() for _ in range(batches)), len(opening) - 1)
    last = numbered(iter([trader.batch()]), len(opening) - 1 + batches)[0]
    seconds, cpu_seconds, size = [], [], 0
    for _ in range(runs):
        core = Core(0)
        apply_all(core, opening)
        start, cpu_start = time.perf_counter(), time.process_time()
        size = apply_all(core, steady)
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
        if refused(core, last):
            sys.exit("Some commands were refused, so this is not what it says it measures.")
    commands, median = BATCH * batches, statistics.median(seconds)
    return {
        "commands_per_s": round(commands / median),
        "orders_per_s": round(commands * 5 / 8 / median),
        "ns_per_command": round(median / commands * 1e9, 1),
        "cpu_ns_per_command": round(statistics.median(cpu_seconds) / commands * 1e9, 1),
        "commands_per_s_of_runs": [round(commands / one) for one in seconds],
        "bytes_of_commands": round(sum(map(len, steady)) / commands, 1),
        "bytes_of_events": round(size / commands, 1),
        "batch": BATCH,
    }
