"""What a house keeps while it trades: sampled again and again, to see whether it grows for ever."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from services.runtime.config import Settings, load
from services.runtime.log import commands_topic, events_topic, open_log
from services.runtime.postgres import connect
from tests.integration.rooms import House

SMALL: Final = {
    "BOURSE_LOG_PARTITION_RECORDS": "20",
    "BOURSE_MATCHING_SNAPSHOT_RECORDS": "25",
    "BOURSE_MATCHING_KEEP_SNAPSHOTS": "2",
    "BOURSE_MATCHING_CUT_EVERY_S": "0.5",
    "BOURSE_NOTIFICATIONS_KEEP_S": "2",
    "BOURSE_NOTIFICATIONS_BLOCK_RECORDS": "10",
}
"""A house in which a day of retention passes in seconds."""

_SIZES: Final = """
    select coalesce(sum(size) filter (where schema = 'runtime'), 0)::bigint as log,
        coalesce(sum(size) filter (where schema = 'notifications'), 0)::bigint as index,
        coalesce(sum(size) filter (
            where schema in ('ledger', 'orders', 'marketdata')), 0)::bigint as history,
        (select sum(size)::bigint from pg_ls_waldir()) as wal
    from (
        select n.nspname as schema, pg_total_relation_size(c.oid) as size
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r'
    ) as tables
"""


class Sample(NamedTuple):
    """What there is at one moment. Sizes are bytes."""

    seconds: float
    commands: int
    """Records that were ever on the command log, and how many of them are kept; so for events."""
    commands_kept: int
    events: int
    events_kept: int
    log_bytes: int
    wal_bytes: int
    snapshots: int
    """How many there are; each is as large as the shard's state."""
    snapshot_bytes: int
    index_bytes: int
    """Of the notifications."""
    history_bytes: int
    """The books, history and places: what grows with trade, and is meant to."""
    tape_bytes: int


async def samples(house: House, every_s: float) -> AsyncGenerator[Sample, None]:
    """A sample now and again, for ever."""
    config = load(Settings, ["--data", str(house.data)])
    log = await open_log(config.log)
    database = await connect(config.postgres.address.get_secret_value(), "samples")
    clock = asyncio.get_running_loop().time
    begun = clock()
    try:
        while True:
            sizes = await database.fetchrow(_SIZES)
            assert sizes is not None, "sums are a row"
            commands, events = commands_topic(0), events_topic(0)
            yield Sample(
                seconds=clock() - begun,
                commands=await log.end(commands),
                commands_kept=await log.end(commands) - await log.start(commands),
                events=await log.end(events),
                events_kept=await log.end(events) - await log.start(events),
                log_bytes=sizes["log"],
                wal_bytes=sizes["wal"],
                snapshots=len(list((house.data / "snapshots").rglob("*.snapshot"))),
                snapshot_bytes=_bytes_in(house.data / "snapshots"),
                index_bytes=sizes["index"],
                history_bytes=sizes["history"],
                tape_bytes=_bytes_in(house.data / "clickhouse"),
            )
            await asyncio.sleep(every_s)
    finally:
        await database.close()
        await log.close()


def _bytes_in(folder: Path) -> int:
    """What the files below a folder take; those that go away meanwhile are nothing."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(where) / name).stat().st_size
    return total
