"""The order book alone, in C: five markets, and what an operation takes against depth.

Each message is a call of the book, and every report is written to a buffer. The messages are made
before the clock runs, from a seed and by integer arithmetic, so they are the same everywhere: the
digest of all reports says whether they were. What a single message takes is read from the
processor's counter between fences; what a reading itself takes comes off. Since a message does the
same in every run, its own time is what it took in the middle one: that leaves interrupts out.
"""

import statistics
from typing import Any, Final

from tools.benches import instructions
from tools.benches.programs import BOOK, BOOK_DEPTH, Programs, compiled, compiler_name
from tools.benches.progress import Step, shown
from tools.benches.shape import Asked, Figures, aim, grouped, table

SCENARIOS: Final = ("static", "normal", "swing-25", "swing-40", "flash-crash")
SEED: Final = 1
RUNS: Final = 5
MESSAGES: Final = 2_000_000
POOL: Final = 65_536
"""Orders there is room for: what one large market needs."""
LARGE_POOL: Final = 1_048_576
"""What a core begins with for all its markets together."""
DEPTHS: Final = (10, 100, 1_000, 10_000, 20_000, 100_000, 1_000_000)
NARROW_LEVELS: Final = 100
ROUNDS: Final = 20_000
COUNTED_ROUNDS: Final = 2_000
AIM_NS, AIM_P99_NS, AIM_INSTRUCTIONS = 40, 150, 350
RUN_MEDIANS: Final = ("ns", "nothing_ns", "p50_ns", "p99_ns", "max_ns")
OPERATIONS: Final = ("place", "cancel", "amend", "fill")


def measure(asked: Asked) -> Figures:
    """All scenarios, then all depths."""
    with compiled([BOOK, BOOK_DEPTH]) as programs, shown(steps(asked)) as step:
        return found(programs, asked, step)


def steps(asked: Asked) -> int:
    """How many `found` takes."""
    return len(scenarios(asked)) + len(depths(asked))


def found(programs: Programs, asked: Asked, step: Step) -> Figures:
    """The same with programs that are compiled already."""
    markets = {}
    for name in scenarios(asked):
        step(f"book: {name}")
        markets[name] = _market(programs, name, asked)
    return {
        "compiler": compiler_name(),
        "book": markets,
        "book_worst_ns": max(market["ns"] for market in markets.values()),
        "book_by_depth": _by_depth(programs, asked, step),
    }


def scenarios(asked: Asked) -> tuple[str, ...]:
    """Which markets are looked at."""
    return ("static", "flash-crash") if asked.quick else SCENARIOS


def depths(asked: Asked) -> tuple[int, ...]:
    """How many orders rest where depth is looked at."""
    return DEPTHS[1:2] if asked.quick else DEPTHS


def layouts(depth: int) -> dict[str, int]:
    """Levels a side: one for each order, or few that are long."""
    return {"wide": depth // 2, "narrow": min(NARROW_LEVELS, depth // 2)}


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    markets = figures["book"]
    first = next(iter(markets.values()))
    return [
        f"The book alone: {grouped(first['messages'])} messages a scenario, room for"
        f" {grouped(POOL)} orders, and for {grouped(LARGE_POOL)} in the last two columns;"
        f" {figures['compiler']}.",
        *_markets_table(markets),
        f"Worst: {figures['book_worst_ns']} ns a message"
        f" {aim(figures['book_worst_ns'] <= AIM_NS, f'at most {AIM_NS}')}; p99"
        f" {aim(_worst(markets, 'p99_ns') <= AIM_P99_NS, f'at most {AIM_P99_NS} ns')};"
        f" {_say_instructions(markets)}",
        f"Single messages: {first['clock']}, whose own {first['clock_own_ns']} ns are taken off and"
        f" which moves in steps of {first['clock_step_ns']} ns.",
        "Own p99 in ns by what came of a message, and how many messages that were:",
        *_fates_table(markets),
        "ns an operation against orders at rest, with a level for each order | with at most"
        f" {NARROW_LEVELS} levels a side; instructions of one of each kind, and one place more.",
        *_depth_table(figures["book_by_depth"]),
    ]


def _market(programs: Programs, name: str, asked: Asked) -> dict[str, Any]:
    messages, runs = asked.size(MESSAGES, 20_000), asked.runs_or(RUNS)
    market = programs.run(BOOK, "time", name, SEED, messages, runs, POOL)
    large = programs.run(BOOK, "time", name, SEED, messages, runs, LARGE_POOL)
    for key in RUN_MEDIANS:
        market[f"{key}_of_runs"] = market[key]
        market[key] = round(statistics.median(market[key]), 1)
    for key in ("ns", "p99_ns"):
        market[f"{key}_in_a_large_pool"] = round(statistics.median(large[key]), 1)
    return market | _counted(programs, name, messages)


def _counted(programs: Programs, name: str, messages: int) -> dict[str, float | None]:
    """Instructions a message: a pass over the same messages, less what is done without one."""
    if not instructions.can_count():
        return {"instructions": None, "nothing_instructions": None}
    kept = str(programs.folder / "messages")
    programs.run(BOOK, "make", name, SEED, messages, kept)
    by = {
        engine: instructions.count(programs.path(BOOK), "count", kept, engine, POOL).total()
        for engine in ("book", "nothing", "neither")
    }
    return {
        "instructions": round((by["book"] - by["neither"]) / messages, 1),
        "nothing_instructions": round((by["nothing"] - by["neither"]) / messages, 1),
    }


def _by_depth(programs: Programs, asked: Asked, step: Step) -> list[dict[str, Any]]:
    rows = []
    for depth in depths(asked):
        step(f"book: {grouped(depth)} orders at rest")
        for layout, levels in layouts(depth).items():
            rounds = asked.size(ROUNDS, 200)
            row = programs.run(BOOK_DEPTH, "time", depth, levels, rounds)
            rows.append(
                {"layout": layout, **row, "instructions": _a_round(programs, depth, levels)}
            )
    return rows


def _a_round(programs: Programs, depth: int, levels: int) -> int | None:
    """Instructions of one operation of each kind."""
    if not instructions.can_count():
        return None
    none, some = (
        instructions.count(programs.path(BOOK_DEPTH), "count", depth, levels, rounds).total()
        for rounds in (0, COUNTED_ROUNDS)
    )
    return round((some - none) / COUNTED_ROUNDS)


def _worst(markets: dict[str, dict[str, Any]], key: str) -> float:
    return max(float(market[key]) for market in markets.values())


def _say_instructions(markets: dict[str, dict[str, Any]]) -> str:
    if not instructions.can_count():
        return instructions.ABSENT
    worst = _worst(markets, "instructions")
    own = max(
        market["instructions"] - market["nothing_instructions"] for market in markets.values()
    )
    return (
        f"{worst:.0f} instructions {aim(worst <= AIM_INSTRUCTIONS, f'at most {AIM_INSTRUCTIONS}')},"
        f" {own:.0f} more than an engine that only acknowledges."
    )


def _markets_table(markets: dict[str, dict[str, Any]]) -> list[str]:
    head = ["", "resting", "levels", "ns", "nothing", "p50", "p99", "max", "own p99", "own max"]
    head += ["instr.", "nothing", "|", "ns", "p99"]
    return table(head, [_market_row(name, market) for name, market in markets.items()])


def _market_row(name: str, market: dict[str, Any]) -> list[str]:
    times = ("p50_ns", "p99_ns", "max_ns", "own_p99_ns", "own_max_ns")
    return [
        name,
        grouped(market["resting"]),
        grouped(market["levels"]),
        f"{market['ns']:.1f}",
        f"{market['nothing_ns']:.1f}",
        *(grouped(market[key]) for key in times),
        *(_or_none(market[key]) for key in ("instructions", "nothing_instructions")),
        "|",
        f"{market['ns_in_a_large_pool']:.1f}",
        grouped(market["p99_ns_in_a_large_pool"]),
    ]


def _fates_table(markets: dict[str, dict[str, Any]]) -> list[str]:
    names = list(next(iter(markets.values()))["fates"])
    rows = []
    for name, market in markets.items():
        fates = [market["fates"][fate] for fate in names]
        rows.append([name, *(f"{fate['p99_ns']:.0f} ({fate['share']:.1%})" for fate in fates)])
    return table(["", *names], rows)


def _or_none(count: float | None) -> str:
    return "-" if count is None else grouped(count)


def _depth_table(rows: list[dict[str, Any]]) -> list[str]:
    wide = {row["orders"]: row for row in rows if row["layout"] == "wide"}
    narrow = {row["orders"]: row for row in rows if row["layout"] == "narrow"}
    lines = []
    for orders, row in wide.items():
        line = [grouped(orders)]
        for one, mark in ((row, []), (narrow[orders], ["|"])):
            line += [*mark, grouped(one["levels"])]
            line += [f"{one[f'{name}_ns']:.0f}" for name in OPERATIONS]
            line.append(_or_none(one["instructions"]))
        lines.append(line)
    head = ["orders", "levels", *OPERATIONS, "instr.", "|", "levels", *OPERATIONS, "instr."]
    return table(head, lines)
