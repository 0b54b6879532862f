"""An even load: each batch when it is due, whatever became of those before it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import NamedTuple

from tools.benches.shard import Submit


class Waits(NamedTuple):
    """What became of a load, a batch an item. Seconds."""

    answered: list[float]
    """From the moment it was due until its answer was read."""
    late: list[float]
    """From the moment it was due until it was sent: the load generator's own share of that."""


async def send_evenly(
    submit: Submit,
    load: Sequence[bytes],
    per_s: float,
    look: Callable[[bytes, int], None] = lambda _answer, _number: None,
) -> Waits:
    """Send them over one stream, so many a second; `look` sees each answer and its number."""
    call, due, waits = submit(), list[float](), Waits([], [])
    await call.wait_for_connection()

    async def write() -> None:
        batches = iter(load)
        async for moment in _moments(len(load), per_s):
            due.append(moment)
            waits.late.append(time.perf_counter() - moment)
            await call.write(next(batches))
        await call.done_writing()

    writing = asyncio.create_task(write())
    async for answer in call:
        waits.answered.append(time.perf_counter() - due[len(waits.answered)])
        look(answer, len(waits.answered))
    await writing
    return waits


async def _moments(count: int, per_s: float) -> AsyncIterator[float]:
    """Each moment something is due, once it has come.

    A thread waits for them: the loop's own timers are a millisecond apart.
    """
    loop, come = asyncio.get_running_loop(), asyncio.Queue[float]()

    def pace() -> None:
        for moment in moments(count, per_s):
            loop.call_soon_threadsafe(come.put_nowait, moment)

    pacing = asyncio.create_task(asyncio.to_thread(pace))
    for _ in range(count):
        yield await come.get()
    await pacing


def moments(count: int, per_s: float) -> Iterator[float]:
    """The same for whoever has a thread to wait with."""
    start = time.perf_counter()
    for number in range(count):
        moment = start + number / per_s
        if (early_s := moment - time.perf_counter()) > 0:
            time.sleep(early_s)
        yield moment
