"""The tape: every trade once, whatever is killed, lost, doubled or thrown away."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from bourse.marketdata import v1 as marketdata
from bourse.marketdata.v1 import rpc
from bourse.matching.v1 import EventRecord
from services.domain.sequences import known_up_to
from services.marketdata import store
from services.marketdata.state import Trade
from services.marketdata.tape import TapeLost, TapeTorn
from services.runtime.clickhouse import open_clickhouse
from services.runtime.clock import SystemClock
from services.runtime.config import LogConfig
from services.runtime.log import open_log
from services.runtime.memory_log import MemoryLog
from services.runtime.place import WriterReplaced
from services.runtime.rpc import open_channel
from tests.conftest import ClickHouse, clickhouse_owner
from tests.house.tree import ROOT
from tests.services.marketdata.world import (
    Room,
    Stores,
    core_at,
    core_of,
    end,
    on_tape,
    room,
    tell,
    trades_of,
)
from tests.services.shard import BTC_USD, TOPIC, Shard, in_parts


def test_every_trade_is_on_the_tape_once(stores: Stores, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        other = shard.add_instrument("BTC-USD-2")
        for seed in range(10):
            shard.bustle(30, seed, instruments=(BTC_USD, other))
            await running.hear(shard)
        assert await on_tape(running) == trades_of(shard)
        assert await running.broken(shard.sequence) == []
        half = shard.records[len(shard.records) // 2].first_sequence
        answer = await running.ask.Verify(marketdata.VerifyRequest(sequence=half - 1))
        before = [r.trades for r in shard.records if r.first_sequence < half]
        assert answer.trades == sum(map(len, before))
        assert answer.sequence == shard.sequence

    tell(stores, tmp_path, story)


def test_a_restart_goes_on_in_the_middle_of_a_record_and_counts_nothing_twice(
    stores: Stores, tmp_path: Path
) -> None:
    """Every part is in the log twice, as two publishers leave it, and the room starts often."""
    shard = Shard()
    shard.bustle(100)
    bodies = list(in_parts(shard.records))

    async def main() -> None:
        log, core = MemoryLog(), core_of(shard, tmp_path)
        await log.create(TOPIC)
        for start in range(0, len(bodies), 29):
            async with room(stores, tmp_path, log) as running:
                for body in bodies[max(0, start - 5) : start + 29]:
                    now = SystemClock().now_us()
                    await log.append(TOPIC, [body, bodies[max(0, start - 3)]], clock_us=now)
                seen = EventRecord.FromString(bodies[: start + 29][-1])
                await running.reader.stored(known_up_to(seen), 10)
        async with room(stores, tmp_path, log) as running:
            assert await running.reader.stored(shard.sequence, 10)
            assert await on_tape(running) == trades_of(shard)
            assert await running.broken(shard.sequence) == []
        await end(core)

    asyncio.run(asyncio.wait_for(main(), 120))


@pytest.mark.parametrize("place", ["before_block", "after_block"])
def test_a_kill_between_block_and_position_counts_once(
    stores: Stores, tmp_path: Path, place: str
) -> None:
    """The room as a process, with two shards: of one of them at least the second block was
    announced, and perhaps put on the tape."""
    shards = (Shard(), Shard(number=1))
    for shard in shards:
        shard.bustle(100, seed=shard.model.shard)

    async def main() -> None:
        cores = [core_of(shard, tmp_path) for shard in shards]
        log = await open_log(LogConfig(address=SecretStr(stores[0])))
        for shard in shards:
            await shard.publish(log, 60)
        await runs_clean(stores, tmp_path, 60, *shards)
        for shard in shards:
            await shard.publish(log)
        killed = start(stores, tmp_path, BOURSE_CRASH_AT=f"marketdata.{place}")
        try:
            assert await asyncio.to_thread(killed.wait, 60) == -signal.SIGKILL
        finally:
            killed.kill()
        assert await pending(stores)
        await runs_clean(stores, tmp_path, 1000, *shards)
        assert not await pending(stores)
        await log.close()
        await end(*cores)

    asyncio.run(asyncio.wait_for(main(), 120))


def start(stores: Stores, data: Path, **more: str) -> "subprocess.Popen[bytes]":
    dsn, (clickhouse, database) = stores
    port_file = Path(clickhouse.address.removeprefix("embedded:"))
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
        "BOURSE_POSTGRES_ADDRESS": dsn,
        "BOURSE_LOG_ADDRESS": dsn,
        "BOURSE_CLICKHOUSE_ADDRESS": f"embedded:{port_file}",
        "BOURSE_MATCHING_ADDRESS": ";".join(core_at(data, number) for number in range(2)),
        "BOURSE_MARKETDATA_ADDRESS": f"unix:{data}/marketdata.sock",
        "BOURSE_MARKETDATA_DATABASE": database,
        "BOURSE_MARKETDATA_BLOCK_S": "0.05",
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "services.marketdata", "--data", str(data)], env=environment
    )


async def runs_clean(stores: Stores, data: Path, count: int, *shards: Shard) -> None:
    """Let the room run until the first so many records of each shard are on its tape, and end it;
    the tapes must be right."""
    process = start(stores, data)
    try:
        for shard in shards:
            records = shard.records[:count]
            answer = await verify(data, known_up_to(records[-1]), shard.model.shard)
            assert [check.detail for check in answer.checks if not check.ok] == []
            assert answer.trades == sum(len(record.trades) for record in records)
    finally:
        process.terminate()
        assert await asyncio.to_thread(process.wait, 60) == 0


async def pending(stores: Stores) -> int:
    """How many shards have a block on its way."""
    connection = await asyncpg.connect(stores[0])
    try:
        count = await connection.fetchval("select count(pending_to) from marketdata.tape")
        return int(count)
    finally:
        await connection.close()


async def verify(data: Path, sequence: int, shard: int) -> marketdata.VerifyResponse:
    async with open_channel(f"unix:{data}/marketdata.sock") as channel:
        request = marketdata.VerifyRequest(sequence=sequence, shard=shard)
        stub = rpc.MarketdataServiceStub(channel)
        return await stub.Verify(request, wait_for_ready=True, timeout=60)


def test_what_was_half_inserted_is_completed(stores: Stores, tmp_path: Path) -> None:
    """ClickHouse died after the trades and before the candles: the block goes again, whole."""

    async def story(running: Room, shard: Shard) -> None:
        shard.trade(1, 10_000)
        await running.hear(shard)
        tape = running.reader.tape
        await tape.client.command("DETACH TABLE candle_of_trade")
        shard.trade(2, 10_001)
        await running.hear(shard)
        await tape.client.command("ATTACH TABLE candle_of_trade")
        found = await running.broken(shard.sequence)
        assert [line.partition(":")[0] for line in found] == [
            "candles are what their trades say",
            "memory has the candles of the tape",
        ]
        rows = await running.tape("SELECT * FROM trade WHERE trade_id = 2048")
        trades = [Trade(*row) for row in rows]
        last = tape.place.position.next_offset
        await store.insert(tape.client, trades, f"{TOPIC}:{last - 1}-{last}")
        assert await running.broken(shard.sequence) == []

    tell(stores, tmp_path, story)


def test_without_clickhouse_the_room_goes_on_and_catches_up(postgres: str, tmp_path: Path) -> None:
    async def main() -> None:
        shard = Shard()
        core = core_of(shard, tmp_path)
        with ExitStack() as owners:
            owner = await started(owners, tmp_path)
            stores = postgres, (owner.config(), "marketdata")
            async with room(stores, tmp_path, MemoryLog()) as running:
                shard.bustle(40)
                await running.hear(shard)
                owner.process.kill()
                owner.process.wait()
                shard.bustle(40, seed=2)
                await shard.publish(running.log)
                assert await running.reader.passed(shard.sequence, 10)
                newest = marketdata.ListTradesRequest(instrument=BTC_USD, limit=1)
                trades = (await running.ask.ListTrades(newest)).trades
                assert [trade.trade_id for trade in trades] == trades_of(shard)[-1:]
                await started(owners, tmp_path)
                older = marketdata.ListTradesRequest(
                    instrument=BTC_USD, limit=9, before=trades_of(shard)[3]
                )
                # They all find that their client is lost, and one of them looks for another.
                answers = await asyncio.gather(*[running.ask.ListTrades(older) for _ in range(8)])
                assert {len(answer.trades) for answer in answers} == {3}
                assert await running.reader.stored(shard.sequence, 30)
                assert await on_tape(running) == trades_of(shard)
                assert await running.broken(shard.sequence) == []
        await end(core)

    asyncio.run(asyncio.wait_for(main(), 120))


async def started(owners: ExitStack, data: Path) -> ClickHouse:
    """An owner of an embedded ClickHouse; waiting for it wants a loop of its own."""
    return await asyncio.to_thread(owners.enter_context, clickhouse_owner(data))


def test_postgres_connections_that_are_lost_lose_nothing(stores: Stores, tmp_path: Path) -> None:
    async def story(running: Room, shard: Shard) -> None:
        killer = await asyncpg.connect(stores[0])
        for seed in range(12):
            shard.bustle(10, seed)
            await shard.publish(running.log)
            await killer.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'bourse marketdata'"
            )
        await killer.close()
        assert await running.reader.stored(shard.sequence, 20)
        assert await on_tape(running) == trades_of(shard)
        assert await running.broken(shard.sequence) == []

    tell(stores, tmp_path, story)


def test_a_tape_that_is_gone_is_written_anew_from_the_log(stores: Stores, tmp_path: Path) -> None:
    shard = Shard()
    shard.bustle(60)

    async def main() -> None:
        log, core = MemoryLog(partition_records=8), core_of(shard, tmp_path)
        async with room(stores, tmp_path, log) as running:
            await running.hear(shard)
        client = await open_clickhouse(*stores[1])
        await client.command("TRUNCATE TABLE trade")
        async with room(stores, tmp_path, log) as running:
            assert await running.reader.stored(shard.sequence, 10)
            assert await on_tape(running) == trades_of(shard)
            assert await running.broken(shard.sequence) == []
        await client.command("TRUNCATE TABLE trade")
        await client.close()
        await log.cut(TOPIC, 8)
        with pytest.raises(TapeLost, match="has been cut"):
            async with room(stores, tmp_path, log):
                pass
        await end(core)

    asyncio.run(asyncio.wait_for(main(), 60))


MERGED = """
    SELECT path FROM system.parts
    WHERE database = currentDatabase() AND table = {table:String} AND active AND level > 0
"""


def tear(part: str) -> None:
    """Empty the marks of a part."""
    for marks in Path(part).glob("*mrk*"):
        os.truncate(marks, 0)


def test_of_a_torn_merge_what_was_merged_is_taken_back(stores: Stores, tmp_path: Path) -> None:
    """The marks of a merged part are emptied, as a disk does that fills up in the middle of it."""
    shard = Shard()

    async def main() -> None:
        log, core = MemoryLog(partition_records=8), core_of(shard, tmp_path)
        async with room(stores, tmp_path, log) as running:
            for seed in range(6):
                shard.bustle(30, seed)
                await running.hear(shard)
        await log.cut(TOPIC, 8)
        client = await open_clickhouse(*stores[1])
        for table in ("trade", "candle"):
            await client.command(f"OPTIMIZE TABLE {table} FINAL")
            tear((await client.query(MERGED, {"table": table})).result_rows[0][0])
        await client.command("SYSTEM DROP MARK CACHE")
        await client.close()
        async with room(stores, tmp_path, log) as running:
            assert await on_tape(running) == trades_of(shard)
            assert await running.broken(shard.sequence) == []
        await end(core)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_part_that_cannot_be_read_is_loaded_anew_by_whoever_reads_it(
    stores: Stores, tmp_path: Path
) -> None:
    async def story(running: Room, shard: Shard) -> None:
        for seed in range(6):
            shard.bustle(30, seed)
            await running.hear(shard)
        client = await open_clickhouse(*stores[1])
        for table in ("trade", "candle"):
            await client.command(f"OPTIMIZE TABLE {table} FINAL")
            tear((await client.query(MERGED, {"table": table})).result_rows[0][0])
        await client.command("SYSTEM DROP MARK CACHE")
        await client.close()
        assert await running.broken(shard.sequence) == []
        assert await on_tape(running) == trades_of(shard)
        shard.bustle(30, 7)
        await running.hear(shard)
        assert await on_tape(running) == trades_of(shard)

    tell(stores, tmp_path, story)


FRESH = """
    SELECT path FROM system.parts
    WHERE database = currentDatabase() AND table = 'trade' AND active AND level = 0
"""


def test_an_acknowledged_block_that_is_torn_ends_the_room_which_writes_the_tape_anew(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = Shard()
    shard.bustle(60)

    async def main() -> None:
        log, core = MemoryLog(), core_of(shard, tmp_path)
        async with room(stores, tmp_path, log) as running:
            await running.hear(shard)
            client = await open_clickhouse(*stores[1])
            for row in (await client.query(FRESH)).result_rows:
                tear(row[0])
            await client.command("SYSTEM DROP MARK CACHE")
            await client.close()
            assert await running.broken(shard.sequence) != []
            monkeypatch.setattr("services.marketdata.tape._LOOK_S", 0.001)
            with pytest.raises(TapeTorn, match="The tape has 0 trades where"):
                await running.reader.tape.look_after()
        async with room(stores, tmp_path, log) as running:
            assert await running.reader.stored(shard.sequence, 10)
            assert await on_tape(running) == trades_of(shard)
            assert await running.broken(shard.sequence) == []
        await end(core)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_tape_that_begins_where_the_log_was_cut_has_what_came_then(
    stores: Stores, tmp_path: Path
) -> None:
    shard = Shard()
    shard.bustle(60)

    async def main() -> None:
        log, core = MemoryLog(partition_records=8), core_of(shard, tmp_path)
        await shard.publish(log)
        start = await log.cut(TOPIC, 40)
        async with room(stores, tmp_path, log) as running:
            assert await running.reader.stored(shard.sequence, 20)
            whole = trades_of(shard)
            of_the_rest = sum(len(record.trades) for record in shard.records[start:])
            assert 0 < of_the_rest < len(whole)
            assert await on_tape(running) == whole[-of_the_rest:]
            assert await running.broken(shard.sequence) == []
            request = marketdata.VerifyRequest(sequence=shard.sequence)
            assert (await running.ask.Verify(request)).trades == len(whole)
        async with room(stores, tmp_path, log) as running:
            await running.hear(shard)
            assert await running.broken(shard.sequence) == []
        await end(core)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_writer_that_was_replaced_stops(stores: Stores, tmp_path: Path) -> None:
    shard = Shard()

    async def main() -> None:
        log, core = MemoryLog(), core_of(shard, tmp_path)
        async with room(stores, tmp_path, log) as first:
            await first.hear(shard)
            (tmp_path / "second").mkdir()
            async with room(stores, tmp_path / "second", log) as second:
                shard.bustle(30)
                await shard.publish(log)
                another = core_of(shard, tmp_path / "second")
                assert await second.reader.stored(shard.sequence, 20)
                assert await on_tape(second) == trades_of(shard)
                await end(another)
        await end(core)

    with pytest.raises(WriterReplaced):
        asyncio.run(asyncio.wait_for(main(), 60))


FAULTS = {
    "a trade that is there twice": (
        "INSERT INTO trade SELECT * FROM trade WHERE trade_id = 3072",
        ["a trade is on the tape once", "as many trades are there as were written"],
    ),
    "a trade that is missing": (
        "ALTER TABLE trade DELETE WHERE trade_id = 3072",
        ["no trade is missing", "as many trades are there as were written"],
    ),
    "a first trade that is missing": (
        "ALTER TABLE trade DELETE WHERE trade_id = 1024",
        ["no trade is missing", "as many trades are there as were written"],
    ),
    "a candle that is missing": (
        "ALTER TABLE candle DELETE WHERE interval_us = 3600000000",
        ["candles are what their trades say"],
    ),
    "a trade at another price": (
        "ALTER TABLE trade UPDATE price_ticks = 77777 WHERE trade_id = 3072",
        ["candles are what their trades say"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_check_names_what_is_wrong(stores: Stores, tmp_path: Path, fault: str) -> None:
    statement, names = FAULTS[fault]

    async def story(running: Room, shard: Shard) -> None:
        shard.bustle(60)
        await running.hear(shard)
        assert await running.broken() == []
        settings = {"mutations_sync": 2, "deduplicate_insert_select": "disable"}
        await running.reader.tape.client.command(statement, settings=settings)
        found = await running.broken()
        # A trade that is not as it was makes candles differ that are not named in every case.
        named = [line.partition(":")[0] for line in found]
        assert named[: len(names)] == names
        assert all(line.partition(": ")[2] for line in found)

    tell(stores, tmp_path, story)
