"""The core in C beside the model: random commands, for as long as one likes."""

import argparse
import secrets
import sys
import time
from collections.abc import Sequence
from random import Random
from typing import Final

from tests.model.comparison import Different, Stride, run, shorten
from tests.model.tally import Tally
from tests.model.worlds import EDGES, LARGE, SMALL, World

WORLDS: Final = {"small": (SMALL,), "large": (LARGE,), "edges": (EDGES,)}
ANY_WORLD: Final = (SMALL, SMALL, LARGE, EDGES)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What it can be told."""
    parser.add_argument("commands", type=int, help="how many commands to try")
    parser.add_argument("--seed", type=int, help="where to begin; else anywhere")
    parser.add_argument("--world", choices=[*WORLDS], help="how large numbers are; else any")
    parser.add_argument("--table", action="store_true", help="print what happened how often")


def soak(given: argparse.Namespace) -> bool:
    """Whether core and model agreed. Ends the process with the difference if not."""
    seed = secrets.randbits(48) if given.seed is None else given.seed
    tally = _until(given.commands, seed, WORLDS.get(given.world, ANY_WORLD))
    if given.table:
        _print_table(tally)
    return True


def _history_of(seed: int, worlds: Sequence[World]) -> Tally:
    """One random history from a seed; what it came to. Raises Different."""
    random = Random(seed)
    world = random.choice(worlds)
    records, most_commands = random.choice(((15, 4_096), (100, 60), (400, 12), (1_500, 4)))
    return run(random, world, Stride(records, most_commands)).tally


def _until(commands: int, seed: int, worlds: Sequence[World]) -> Tally:
    """Histories from this seed on, each with the next, until there were so many commands."""
    tally, began = Tally(), time.monotonic()
    while tally.commands < commands:
        print(f"seed {seed}: ", end="", flush=True)
        try:
            tally.add(_history_of(seed, worlds))
        except Different as why:
            print("different. Making it short.", flush=True)
            sys.exit(str(shorten(why)))
        pace = tally.commands / (time.monotonic() - began)
        print(f"same; {tally.commands:,} of {commands:,} commands, {pace:,.0f}/s", flush=True)
        seed += 1
    return tally


def _print_table(tally: Tally) -> None:
    """All that was counted; at the end what never happened."""
    print("\n".join(tally.table()))
    missing = [f"{about} {what}" for about, what in tally.missing()]
    print(f"never: {', '.join(missing)}" if missing else "Everything happened.")
