"""The core at its limits: memory, commands that do much, and what a command takes against depth."""

import statistics
from typing import Any, Final

from tools.benches.book import OPERATIONS, depths, layouts
from tools.benches.programs import CORE, CORE_DEPTH, Programs
from tools.benches.progress import Step
from tools.benches.shape import Asked, Figures, aim, grouped, table

RUNS: Final = 5
INSTRUMENTS: Final = 1_000
ORDERS: Final = 100_000
ROUNDS: Final = 1_000
AIM_MB: Final = 256
# What is done, to how many orders, and how it is called.
LONG: Final = (
    ("sweep", 5_000, "one order takes {}, each at its own price"),
    ("level", 20_000, "one order takes a level of {}"),
    ("cancel-all", 100_000, "one account cancels {}"),
)


def steps(asked: Asked) -> int:
    """How many `found` takes."""
    return 1 + len(LONG) + len(depths(asked))


def found(programs: Programs, asked: Asked, step: Step) -> Figures:
    """With programs that are compiled."""
    step("core: memory")
    instruments, orders = asked.size(INSTRUMENTS, 20), asked.size(ORDERS, 2_000)
    memory = programs.run(CORE, "memory", instruments, orders)
    return {
        "memory": memory,
        "long": {name: _long(programs, name, size, asked, step) for name, size, _ in LONG},
        "core_by_depth": _by_depth(programs, asked, step),
    }


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    memory = figures["memory"]
    mb = memory["resident_kb"] / 1024
    empty = (memory["without_orders_kb"] - memory["process_kb"]) / 1024
    return [
        f"{grouped(memory['instruments'])} instruments, {grouped(memory['accounts'])} accounts and"
        f" {grouped(memory['orders'])} open orders: {mb:.0f} MB resident"
        f" {aim(mb <= AIM_MB, f'at most {AIM_MB} MB')}; {empty:.0f} MB of it without the orders.",
        "Commands that do much, and the longest single call of core_apply:",
        *_long_table(figures["long"]),
        "ns a command through protobuf against orders at rest, with a level for each | with at"
        " most 100 levels a side; up to 64 commands a record.",
        *_depth_table(figures["core_by_depth"]),
    ]


def _long(
    programs: Programs, name: str, usual: int, asked: Asked, step: Step
) -> dict[str, float | int]:
    step(f"core: {name}")
    run = programs.run(CORE, name, asked.size(usual, 500), asked.runs_or(RUNS))
    return {
        "orders": run["orders"],
        "parts": run["parts"],
        "whole_ms": round(statistics.median(run["whole_ms"]), 3),
        "longest_part_ms": round(statistics.median(run["longest_part_ms"]), 3),
    }


def _by_depth(programs: Programs, asked: Asked, step: Step) -> list[dict[str, Any]]:
    rows = []
    for depth in depths(asked):
        step(f"core: {grouped(depth)} orders at rest")
        for layout, levels in layouts(depth).items():
            row = programs.run(CORE_DEPTH, depth, levels, asked.size(ROUNDS, 5))
            rows.append({"layout": layout, **row})
    return rows


def _long_table(long: dict[str, dict[str, float | int]]) -> list[str]:
    rows = [
        [
            what.format(grouped(long[name]["orders"])),
            str(long[name]["parts"]),
            f"{long[name]['whole_ms']:.2f}",
            f"{long[name]['longest_part_ms']:.2f}",
        ]
        for name, _, what in LONG
    ]
    return table(["", "parts", "ms", "longest ms"], rows)


def _depth_table(rows: list[dict[str, Any]]) -> list[str]:
    by = {(row["orders"], row["layout"]): row for row in rows}
    lines = []
    for orders in dict.fromkeys(row["orders"] for row in rows):
        line = [grouped(orders)]
        for layout, mark in (("wide", []), ("narrow", ["|"])):
            row = by[orders, layout]
            line += [*mark, grouped(row["levels"])]
            line += [f"{row[f'{name}_ns']:.0f}" for name in OPERATIONS]
        lines.append(line)
    return table(["orders", "levels", *OPERATIONS, "|", "levels", *OPERATIONS], lines)
