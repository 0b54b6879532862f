"""The trading core: the book alone, the core around it, its limits, and a steady market.

No network and one thread. The first three are measured from C (tools/benches/native), the last
and part of the second through Python.
"""

from tools.benches import book, engine, limits, steady
from tools.benches.programs import BOOK, BOOK_DEPTH, CORE, CORE_DEPTH, CORE_OF_STRUCTS, compiled
from tools.benches.progress import shown
from tools.benches.shape import Asked, Figures

PROGRAMS = (BOOK, BOOK_DEPTH, CORE, CORE_OF_STRUCTS, CORE_DEPTH)


def measure(asked: Asked) -> Figures:
    """All of it, one after the other."""
    steps = sum(part.steps(asked) for part in (book, engine, limits)) + steady.STEPS + 1
    with shown(steps) as step:
        step("compiling")
        with compiled(PROGRAMS) as programs:
            return {
                **book.found(programs, asked, step),
                **engine.found(programs, asked, step),
                **limits.found(programs, asked, step),
                **steady.found(asked, step),
            }


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    return [line for part in (book, engine, limits, steady) for line in part.say(figures)]
