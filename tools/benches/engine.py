"""The core with risk, fees and balances over the same markets as the book, from C and from Python.

10,000 accounts with money, records of one batch of 1,024 commands, written just before they are
applied; only `core_apply` is timed. It is measured with protobuf as it comes and goes, and with
structs in the place of the wire format: the same core, the same state hash, without a codec.
"""

import statistics
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bourse.matching import v1 as matching
from services.matching.core import Core
from tools.benches import instructions
from tools.benches.book import SEED, scenarios
from tools.benches.instructions import Place
from tools.benches.programs import CORE, CORE_OF_STRUCTS, Program, Programs
from tools.benches.progress import Step
from tools.benches.shape import Asked, Figures, aim, grouped, table

RUNS: Final = 5
MESSAGES: Final = 1_000_000
COUNTED_MESSAGES: Final = 100_000
FORMS: Final = {"protobuf": CORE, "structs": CORE_OF_STRUCTS}
SHOWN: Final = "normal"
"""The market that instructions are counted in, and that Python calls the core with."""
AIM_STRUCTS: Final = 5_000_000
AIM_PYTHON: Final = 2_000_000
START_US: Final = 1_700_000_000_000_000
EVERY_US: Final = 1_000
LOOKED_AT: Final = 20
"""Records whose refusals are looked at: only orders that are gone may be refused."""
# The first that fits; a file that is nowhere here is the C library's.
LAYERS: Final = (
    ("writing events and answers", ("codec_write", "core_say.c")),
    ("reading commands", ("codec_",)),
    ("hashes", ("hash.h",)),
    ("book", ("book",)),
    ("accounts, balances, ids", ("risk", "names", "sessions", "table.h")),
    ("looking ahead", ("core_ahead.c",)),
    ("laws of orders and fills", ("core",)),
)


def steps(asked: Asked) -> int:
    """How many `found` takes."""
    return len(scenarios(asked)) + 2


def found(programs: Programs, asked: Asked, step: Step) -> Figures:
    """With programs that are compiled."""
    markets = {}
    for name in scenarios(asked):
        step(f"core: {name}")
        markets[name] = _market(programs, name, asked)
    step("core: instructions")
    counted = {form: _counted(programs, program, asked) for form, program in FORMS.items()}
    step("core: from Python")
    return {
        "core": markets,
        "core_instructions": counted,
        "python": _from_python(programs, asked),
    }


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    least = min(market["structs"]["messages_per_s"] for market in figures["core"].values())
    python = figures["python"]
    return [
        "The core with risk, fees and balances, ns a message: with protobuf, and with structs in"
        " its place.",
        *_markets_table(figures["core"]),
        f"Without the codec at least {grouped(least)} messages/s"
        f" {aim(least >= AIM_STRUCTS, f'at least {grouped(AIM_STRUCTS)}')}.",
        *_say_layers(figures["core_instructions"]),
        f"From Python, a call a batch: {grouped(python['messages_per_s'])} messages/s, of which"
        f" {grouped(python['orders_per_s'])} orders/s"
        f" {aim(python['orders_per_s'] >= AIM_PYTHON, f'at least {grouped(AIM_PYTHON)}')};"
        f" undisturbed {grouped(python['undisturbed_orders_per_s'])}.",
        f"Of {python['ns']} ns a message {python['c_ns']} are C and {python['python_ns']} Python:"
        " the call, and copies of what came out.",
    ]


def _market(programs: Programs, name: str, asked: Asked) -> dict[str, Any]:
    messages, runs = asked.size(MESSAGES, 10_000), asked.runs_or(RUNS)
    market = {
        form: _form(programs.run(program, "flow", name, SEED, messages, runs))
        for form, program in FORMS.items()
    }
    if len({one["state_hash"] for one in market.values()}) != 1:
        sys.exit(f"With structs {name} ends in another state, so it is not the same market.")
    return market


def _form(run: dict[str, Any]) -> dict[str, Any]:
    ns = statistics.median(run["ns"])
    return {
        **run,
        "ns": round(ns, 1),
        "ns_of_runs": run["ns"],
        "messages_per_s": round(1e9 / ns),
        "undisturbed_per_s": round(1e9 / run["undisturbed_ns"]),
        "orders_per_s": round(1e9 / ns * run["placed"] / run["messages"]),
        "longest_part_ms": statistics.median(run["longest_part_ms"]),
    }


# --- where the instructions are ---------------------------------------------------------------


def _counted(programs: Programs, program: Program, asked: Asked) -> dict[str, int] | None:
    """Instructions a message by layer; all of them under the empty name."""
    if not instructions.can_count():
        return None
    messages = asked.size(COUNTED_MESSAGES, 5_000)
    whole, written = (
        instructions.count(programs.path(program), "count", SHOWN, SEED, messages, what)
        for what in ("all", "write")
    )
    whole.subtract(written)
    layers: Counter[str] = Counter()
    for place, count in whole.items():
        layers[_layer(place)] += count
    shares = {name: round(count / messages) for name, count in layers.most_common()}
    return {"": round(whole.total() / messages), **shares}


def _layer(place: Place) -> str:
    if place.file == "codec_wire.h":
        is_writing = "put" in place.function
        return "writing events and answers" if is_writing else "reading commands"
    if place.file == "codec_fixed.c":
        return "structs in and out"
    for name, files in LAYERS:
        if place.file.startswith(files):
            return name
    return "copying and the rest"


# --- from Python ------------------------------------------------------------------------------


def _from_python(programs: Programs, asked: Asked) -> dict[str, Any]:
    messages, kept = asked.size(MESSAGES, 10_000), programs.folder / "records"
    said = programs.run(CORE, "file", SHOWN, SEED, messages, str(kept))
    records = list(_records(kept))
    opening, timed = records[: said["opening"]], records[said["opening"] :]
    _look(records, said["opening"])
    c_ns, runs = [], []
    for _ in range(asked.runs_or(RUNS)):
        # In turns, so that a machine that slows down slows both.
        c_ns += programs.run(CORE, "flow", SHOWN, SEED, messages, 1)["ns"]
        runs.append(_apply(opening, timed))
    ns = [sum(run) / messages for run in runs]
    undisturbed = sum(map(min, zip(*runs, strict=True))) / messages
    median, c_median = statistics.median(ns), statistics.median(c_ns)
    placed = said["placed"] / messages
    return {
        "messages": messages,
        "ns": round(median, 1),
        "ns_of_runs": [round(one, 1) for one in ns],
        "messages_per_s": round(1e9 / median),
        "orders_per_s": round(1e9 / median * placed),
        "undisturbed_orders_per_s": round(1e9 / undisturbed * placed),
        "c_ns": round(c_median, 1),
        "python_ns": round(median - c_median, 1),
    }


def _records(kept: Path) -> Iterator[bytes]:
    with kept.open("rb") as file:
        while head := file.read(4):
            yield file.read(struct.unpack("<I", head)[0])


def _apply(opening: list[bytes], timed: list[bytes]) -> list[int]:
    """ns of each of the timed records on a new core."""
    core = Core(0)
    ns = []
    for offset, record in enumerate([*opening, *timed]):
        begun = time.perf_counter_ns()
        for part in core.apply(offset, START_US + offset * EVERY_US, record):
            assert part.events
        ns.append(time.perf_counter_ns() - begun)
    return ns[len(opening) :]


def _look(records: list[bytes], opening: int) -> None:
    """End the process if anything is refused but what is gone: that would measure refusals."""
    core, refusals = Core(0), set()
    for offset, record in enumerate(records[: opening + LOOKED_AT]):
        for part in core.apply(offset, START_US + offset * EVERY_US, record):
            marks = matching.EventRecord.FromString(part.events).commands
            refusals |= {mark.refusal for mark in marks}
    allowed = {
        matching.REFUSAL_UNSPECIFIED,
        matching.REFUSAL_ORDER_UNKNOWN,
        matching.REFUSAL_ORDER_ENDED,
    }
    if refusals - allowed:
        names = sorted(map(matching.Refusal.Name, refusals - allowed))
        sys.exit(f"Commands were refused ({', '.join(names)}), so this is not that market.")


# --- sentences --------------------------------------------------------------------------------


def _markets_table(markets: dict[str, dict[str, Any]]) -> list[str]:
    head = ["", "protobuf", "messages/s", "undisturbed", "orders/s", "longest ms"]
    head += ["|", "structs", "messages/s", "undisturbed", "orders/s", "longest ms"]
    rows = [
        [name, *_cells(market["protobuf"]), "|", *_cells(market["structs"])]
        for name, market in markets.items()
    ]
    return table(head, rows)


def _cells(one: dict[str, Any]) -> list[str]:
    return [
        f"{one['ns']:.0f}",
        grouped(one["messages_per_s"]),
        grouped(one["undisturbed_per_s"]),
        grouped(one["orders_per_s"]),
        f"{one['longest_part_ms']:.2f}",
    ]


def _say_layers(counted: dict[str, dict[str, int] | None]) -> list[str]:
    lines = []
    for form, layers in counted.items():
        if layers is None:
            return [instructions.ABSENT]
        parts = ", ".join(f"{name} {count}" for name, count in layers.items() if name and count)
        lines.append(f"Instructions a message with {form}: {layers['']}: {parts}.")
    return lines
