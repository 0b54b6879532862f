"""Postings into the books: event records that a core made, in the log, followed into Postgres.

Twice: from a market where everything trades, and from the steady market of the other benches, where
most of what the ledger reads says nothing to it. Both go through the reader as the room runs it:
double entry, the chain of hashes, the balance hash compared at each record, the position in the
same durable transaction. Beside it, in the same run, what Postgres alone takes: a durable COPY of
the same postings into a table with the same indexes.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import uvloop
from pydantic import SecretStr

from bourse.matching import v1 as matching
from services.ledger.config import LedgerConfig
from services.ledger.reader import Bookkeeper, LedgerReader
from services.ledger.state import funding, outside_leg
from services.matching.core import Core
from services.runtime.config import LogConfig, PostgresConfig, postgres_dsn
from services.runtime.log import Log, events_topic
from services.runtime.postgres import Pool, open_postgres
from services.runtime.postgres_log import open_postgres_log
from tools.benches.market import ACCOUNTS, BTC, START_US, USD, Trader, opening_records, record_of
from tools.benches.shape import Asked, Figures, grouped
from tools.benches.shard import folder_beside_the_data, postgres

RUNS: Final = 5
BATCHES: Final = 100
BATCH: Final = 128
"""Commands in a record: what a busy house appends at once."""
APPEND_RECORDS: Final = 8
COPIED_ROWS: Final = 200_000
COPY_ROWS: Final = 10_000
LONGEST_S: Final = 120.0

_TOPIC: Final = events_topic(0)


class Posted(NamedTuple):
    """What one run came to."""

    seconds: float
    commands: int
    postings: int


def measure(asked: Asked) -> Figures:
    """Postings and commands a second."""
    runs, batches = asked.runs_or(RUNS), asked.size(BATCHES, 1)
    with folder_beside_the_data() as data, postgres(data):
        found = uvloop.run(_bench(data, runs, batches))
    trading, steady = found["trading"], found["steady"]
    return {
        "runs": runs,
        "postings_per_s": _median_rate(trading, "postings"),
        "postings_per_s_of_runs": [round(one.postings / one.seconds) for one in trading],
        "trading_commands_per_s": _median_rate(trading, "commands"),
        "steady_postings_per_s": _median_rate(steady, "postings"),
        "steady_commands_per_s": _median_rate(steady, "commands"),
        "postings_a_run": trading[-1].postings,
        "copied_rows_per_s": _median_rate(found["copy"], "postings"),
    }


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    postings, copied = figures["postings_per_s"], figures["copied_rows_per_s"]
    return [
        f"{grouped(postings)} postings/s where everything trades (aim: 50,000):"
        f" {postings / copied:.0%} of a bare COPY of the same rows ({grouped(copied)}/s).",
        f"In the steady market, {grouped(figures['steady_commands_per_s'])} commands/s are followed"
        f" into {grouped(figures['steady_postings_per_s'])} postings/s.",
    ]


def _median_rate(runs: list[Posted], what: str) -> int:
    rates: list[float] = [getattr(run, what) / run.seconds for run in runs]
    return round(statistics.median(rates))


async def _bench(data: Path, runs: int, batches: int) -> dict[str, list[Posted]]:
    dsn = SecretStr(postgres_dsn(data))
    log = await open_postgres_log(LogConfig(address=dsn))
    pool = await open_postgres(PostgresConfig(address=dsn), "ledger")
    house = _House(log, pool)
    try:
        await house.open()
        return {
            "trading": [await house.run(batches, "trading") for _ in range(runs)],
            "steady": [await house.run(batches, "steady") for _ in range(runs)],
            "copy": [await _copy(pool) for _ in range(runs)],
        }
    finally:
        await pool.close()
        await log.close()


async def _copy(pool: Pool) -> Posted:
    """Postings of the books into a table like theirs, by nothing but COPY."""
    found = await pool.fetch("select * from posting order by seq, leg limit $1", COPIED_ROWS)
    rows = [tuple(row) for row in found]
    await pool.execute("create table copied (like posting including all)")
    start = time.perf_counter()
    for first in range(0, len(rows), COPY_ROWS):
        await pool.copy_records_to_table("copied", records=rows[first : first + COPY_ROWS])
    seconds = time.perf_counter() - start
    await pool.execute("drop table copied")
    return Posted(seconds, 0, len(rows))


class _House:
    """A core that makes events, a log, and a ledger that follows it only while it is timed."""

    def __init__(self, log: Log, pool: Pool) -> None:
        self._log = log
        self._pool = pool
        self._core = Core(0)
        self._trader = Trader()
        self._number = 0
        self._keeper = Bookkeeper(pool)
        self._sequence = 0

    async def open(self) -> None:
        """The opening of the market is posted too, and not timed."""
        await self._log.create(_TOPIC)
        await self._keeper.open()
        async with self._keeper.draft() as (draft, _tx):
            for asset in (USD, BTC):
                request, amount_minor = bytes([asset]) * 16, ACCOUNTS * 10**15
                draft.add(funding(request, START_US, asset, amount_minor))
                draft.add(outside_leg(request, START_US, asset, amount_minor))
        opening = opening_records(self._trader)
        self._number = len(opening) - 1
        await self._append(iter(opening))
        await self._follow()

    async def run(self, batches: int, kind: str) -> Posted:
        """So many large batches of a market, in records of `BATCH` commands."""
        make = self._trader.trading_batch if kind == "trading" else self._trader.batch
        before, rows = self._sequence, await self._rows()
        await self._append(self._records(batches, make))
        seconds = await self._follow()
        return Posted(seconds, self._sequence - before, await self._rows() - rows)

    def _records(self, batches: int, make: Callable[[], list[matching.Command]]) -> Iterator[bytes]:
        for _ in range(batches):
            commands = iter(make())
            while some := list(islice(commands, BATCH)):
                request = matching.SubmitRequest(session=1, number=self._number, commands=some)
                self._number += 1
                yield record_of(request)

    async def _append(self, records: Iterator[bytes]) -> None:
        bodies: list[bytes] = []
        for record in records:
            offset = self._core.facts().next_offset
            bodies += [bytes(part.events) for part in self._core.apply(offset, START_US, record)]
        for first in range(0, len(bodies), APPEND_RECORDS):
            some = bodies[first : first + APPEND_RECORDS]
            await self._log.append(_TOPIC, some, clock_us=time.time_ns() // 1000)
        self._sequence = self._core.facts().sequence

    async def _follow(self) -> float:
        """Seconds until all that is in the log is posted."""
        pause_s = LedgerConfig.model_fields["pause_s"].default
        reader = LedgerReader(self._log, 0, self._keeper, pause_s)
        start = time.perf_counter()
        following = asyncio.create_task(reader.run())
        try:
            async with asyncio.timeout(LONGEST_S):
                is_there = await self._keeper.passed(self._sequence)
        except TimeoutError:
            is_there = False
        if not is_there:
            sys.exit(self._keeper.stopped[0] or "The ledger does not come to the end of the log.")
        seconds = time.perf_counter() - start
        following.cancel()
        await asyncio.wait([following])
        return seconds

    async def _rows(self) -> int:
        return int(await self._pool.fetchval("select count(*) from posting"))
