"""What a newcomer waits for: `tools/run` until the first fill; and the memory of an idle house.

Each run takes a data folder of its own and starts twice on it: the first start makes everything,
the second finds it. What `tools/setup` does on a bare machine was done before, and is not in this.
The idle house is one without the demo, a few seconds after the last room served.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import uvloop

from services.runtime.config import ROOMS
from tools.benches.running import end, house, memory_bytes, rooms_of, usage
from tools.benches.shape import Asked, Figures
from tools.benches.shard import ROOT, folder_beside_the_data

RUNS: Final = 3
FILLED: Final = "first order filled"
SERVES: Final = "up after"
LONGEST_S: Final = 120.0
IDLE_S: Final = 5.0
LOOK_S: Final = 0.02


def measure(asked: Asked) -> Figures:
    """Seconds until served and filled, on a new folder and again, and megabytes."""
    runs = asked.runs_or(RUNS)
    new, again = [], []
    for _ in range(runs):
        with folder_beside_the_data() as data:
            new.append(_start(data))
            again.append(_start(data))
    rss, pss = _idle_memory(0.5 if asked.quick else asked.seconds or IDLE_S)
    return {
        "runs": runs,
        "first_start_filled_s": _median(new, FILLED),
        "first_start_whole_s": _median(new, SERVES),
        "again_filled_s": _median(again, FILLED),
        "again_whole_s": _median(again, SERVES),
        "again_filled_s_of_runs": [round(one[FILLED], 2) for one in again],
        "idle_rss_mb": _megabytes(rss),
        "idle_pss_mb": _megabytes(pss),
        "idle_pss_sum_mb": round(sum(pss.values()) / 1e6),
        "idle_rss_sum_mb": round(sum(rss.values()) / 1e6),
    }


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    by_size = sorted(figures["idle_pss_mb"].items(), key=lambda item: -item[1])
    rooms = ", ".join(f"{name} {size}" for name, size in by_size)
    return [
        f"tools/run on a new folder: first order filled after {figures['first_start_filled_s']} s,"
        f" every room up after {figures['first_start_whole_s']} s.",
        f"Again on the same folder: {figures['again_filled_s']} s (aim: 10) and"
        f" {figures['again_whole_s']} s.",
        f"The idle house has {figures['idle_pss_sum_mb']} MB in memory (PSS, shared pages counted"
        f" once; {figures['idle_rss_sum_mb']} MB RSS): {rooms}.",
    ]


def _median(starts: list[dict[str, float]], what: str) -> float:
    return round(statistics.median(start[what] for start in starts), 2)


def _megabytes(sizes: dict[str, int]) -> dict[str, int]:
    return {name: round(size / 1e6) for name, size in sizes.items()}


def _start(data: Path) -> dict[str, float]:
    """Seconds from the start of `tools/run` to each of what it says; then it is stopped."""
    said, found = data.parent / f"{data.name}.said", dict[str, float]()
    began = time.perf_counter()
    with said.open("wb") as out:
        started = subprocess.Popen(
            [sys.executable, ROOT / "tools" / "run", "--port", "0", "--data", str(data)],
            stdout=out,
            stderr=out,
            env={**os.environ, "COLUMNS": "200"},
        )
    try:
        while len(found) < 2:
            text, now = said.read_text(), time.perf_counter() - began
            found |= {what: now for what in (FILLED, SERVES) if what in text and what not in found}
            if started.poll() is not None or now > LONGEST_S:
                sys.exit(f"tools/run did not come up:\n{text[-3000:]}")
            time.sleep(LOOK_S)
    finally:
        end(started)
        said.unlink()
    return found


def _idle_memory(wait_s: float) -> tuple[dict[str, int], dict[str, int]]:
    """RSS and PSS in bytes of a house without a demo, by room or store."""
    with house() as data:
        return uvloop.run(_memory(data, wait_s))


async def _memory(data: Path, wait_s: float) -> tuple[dict[str, int], dict[str, int]]:
    async with rooms_of(data, ROOMS):
        pass
    time.sleep(wait_s)  # noqa: ASYNC251 - nothing else runs here, and the house is to be left alone
    rss: dict[str, int] = {}
    pss: dict[str, int] = {}
    for pid, owner in (await usage(data)).owners.items():
        name = "postgres" if owner.startswith("Postgres") else owner
        one_rss, one_pss = memory_bytes(pid)
        rss[name] = rss.get(name, 0) + one_rss
        pss[name] = pss.get(name, 0) + one_pss
    return rss, pss
