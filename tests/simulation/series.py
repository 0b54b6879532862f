"""Many seeds, one after the other."""

import gc
from collections.abc import Iterable, Iterator
from typing import Final

from tests.simulation.story import Verdict, quietly, tell

COLLECT_EVERY: Final = 20


def series(seeds: Iterable[int]) -> Iterator[Verdict]:
    """The verdict of each. Python looks for cycles between them only: what it closes when it finds
    them would else be done at moments that no seed has chosen."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        with quietly():
            for place, seed in enumerate(seeds, 1):
                yield tell(seed)
                if place % COLLECT_EVERY == 0:
                    gc.collect()
    finally:
        if was_on:
            gc.enable()
