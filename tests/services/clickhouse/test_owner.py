"""The embedded ClickHouse answers ClickHouse's own client, and keeps what it said it has."""

import asyncio
import datetime
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import DatabaseError

from services.runtime.clickhouse import ClickHouseUnavailable, open_clickhouse
from services.runtime.config import ClickHouseConfig
from tests.conftest import ClickHouse, clickhouse_owner

Place = tuple[ClickHouseConfig, str]
Story = Callable[[AsyncClient], Awaitable[Any]]


def tell(place: Place, *stories: Story) -> None:
    async def told() -> None:
        client = await open_clickhouse(*place)
        try:
            await asyncio.wait_for(asyncio.gather(*[story(client) for story in stories]), 60)
        finally:
            await client.close()

    asyncio.run(told())


def url_and_key(config: ClickHouseConfig) -> tuple[str, str]:
    port_file = Path(config.address.removeprefix("embedded:"))
    return f"http://127.0.0.1:{port_file.read_text()}", port_file.with_suffix(".key").read_text()


def test_typed_rows_come_back_as_they_went_in(clickhouse: Place) -> None:
    rows: list[list[Any]] = [
        [1, "a", -(2**127), 2**63 - 1, b"\0;'\n\xff", [1, 2], None],
        [2, "b", 2**127 - 1, -(2**63), b"", [], datetime.datetime(2026, 11, 1, 12, 30)],
    ]

    async def story(client: AsyncClient) -> None:
        await client.command(
            "CREATE TABLE t (a UInt64, s LowCardinality(String), w Int128, i Int64, b String,"
            " l Array(UInt8), d Nullable(DateTime64(6))) ENGINE = MergeTree ORDER BY a"
        )
        await client.insert("t", rows, column_names=["a", "s", "w", "i", "b", "l", "d"])
        found = await client.query(
            "SELECT * FROM t WHERE a IN {wanted:Array(UInt64)} ORDER BY a",
            {"wanted": [1, 2]},
            column_formats={"b": "bytes"},
        )
        assert [list(row) for row in found.result_rows] == rows
        assert (await client.query("SELECT a FROM t WHERE a > 5")).result_rows == []
        assert await client.command("SELECT timezone()") == "UTC"

    tell(clickhouse, story)


def test_the_ordinary_client_without_a_loop_works_too(clickhouse: Place) -> None:
    config, name = clickhouse
    url, key = url_and_key(config)
    client = clickhouse_connect.get_client(dsn=url, username="bourse", password=key, compress=False)
    client.command(f"CREATE DATABASE {name}")
    client.command(f"CREATE TABLE {name}.t (a UInt64) ENGINE = MergeTree ORDER BY a")
    summary = client.insert("t", [[n] for n in range(10_000)], ["a"], database=name)
    assert summary.written_rows == 10_000
    client.database = name
    assert client.query("SELECT sum(a) FROM t").first_row == (49_995_000,)
    assert client.command(f"EXISTS {name}.nothing") == 0
    client.close()


def test_twenty_at_once_are_all_answered(clickhouse: Place) -> None:
    async def prepare(client: AsyncClient) -> None:
        await client.command("CREATE TABLE t (a UInt64, n UInt64) ENGINE = MergeTree ORDER BY a")

    def writer(a: int) -> Story:
        async def write(client: AsyncClient) -> None:
            for n in range(5):
                await client.insert("t", [[a, n]], ["a", "n"])
                query = "SELECT count() FROM t WHERE a = {a:UInt64}"
                assert (await client.query(query, {"a": a})).first_row == (n + 1,)

        return write

    tell(clickhouse, prepare)
    tell(clickhouse, *[writer(a) for a in range(20)])


def test_settings_of_one_are_not_those_of_another(clickhouse: Place) -> None:
    async def story(client: AsyncClient) -> None:
        query = "SELECT getSetting('max_threads'), currentDatabase()"
        usual = (await client.query(query)).first_row
        odd = (await client.query(query, settings={"max_threads": 1})).first_row
        assert odd == (1, clickhouse[1])
        await client.command("SET max_threads = 1")
        assert (await client.query(query)).first_row == usual

    tell(clickhouse, story)


def test_a_block_sent_again_counts_once_in_the_table_and_in_its_views(clickhouse: Place) -> None:
    window = "SETTINGS non_replicated_deduplication_window = 1000"
    settings = {"deduplicate_blocks_in_dependent_materialized_views": 1}

    async def story(client: AsyncClient) -> None:
        await client.command(f"CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a {window}")
        await client.command(
            "CREATE TABLE total (k UInt8, n UInt64) ENGINE = SummingMergeTree ORDER BY k " + window
        )
        await client.command(
            "CREATE MATERIALIZED VIEW v TO total AS SELECT 1 AS k, count() AS n FROM t"
        )
        for token in ("one", "one", "two", "one"):
            await client.insert(
                "t", [[7], [8]], ["a"], settings={**settings, "insert_deduplication_token": token}
            )
        assert (await client.query("SELECT count() FROM t")).first_row == (4,)
        assert (await client.query("SELECT sum(n) FROM total")).first_row == (4,)
        await client.insert("t", [[7], [8]], ["a"], settings=settings)
        assert (await client.query("SELECT count() FROM t")).first_row == (6,), "no token is left"

    tell(clickhouse, story)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT nonsense", 47),
        ("SELEC 1", 62),
        ("SELECT * FROM nowhere.t", 81),
        ("SELECT throwIf(1)", 395),
        ("SELECT 1 SETTINGS no_such_setting = 1", 115),
    ],
)
def test_errors_carry_the_codes_of_clickhouse(clickhouse: Place, statement: str, code: int) -> None:
    async def story(client: AsyncClient) -> None:
        with pytest.raises(DatabaseError) as caught:
            await client.query(statement)
        assert caught.value.code == code
        assert (await client.query("SELECT 1")).first_row == (1,), "the next one is fine"

    tell(clickhouse, story)


def test_a_result_without_bounds_is_refused(clickhouse: Place) -> None:
    async def story(client: AsyncClient) -> None:
        with pytest.raises(DatabaseError) as caught:
            await client.query("SELECT randomPrintableASCII(1000) FROM numbers(1000000)")
        assert caught.value.code == 396

    tell(clickhouse, story)


@pytest.mark.parametrize("key", ["", "wrong"])
def test_who_cannot_read_the_key_learns_that_it_is_up_and_nothing_else(
    clickhouse_server: ClickHouse, key: str
) -> None:
    url, _ = url_and_key(clickhouse_server.config())
    assert urllib.request.urlopen(f"{url}/ping", timeout=5).read() == b"Ok.\n"
    assert b"serving" in urllib.request.urlopen(f"{url}/health", timeout=5).read()
    request = urllib.request.Request(f"{url}/?query=SELECT+1", headers={"X-ClickHouse-Key": key})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    assert caught.value.headers["X-ClickHouse-Exception-Code"] == "516"
    caught.value.close()
    port_file = Path(clickhouse_server.config().address.removeprefix("embedded:"))
    assert port_file.with_suffix(".key").stat().st_mode & 0o077 == 0


def test_after_a_kill_the_data_is_there_and_clients_go_on(tmp_path: Path) -> None:
    async def before(client: AsyncClient) -> None:
        await client.command(
            "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a"
            " SETTINGS non_replicated_deduplication_window = 100"
        )
        await client.insert("t", [[1]], ["a"], settings={"insert_deduplication_token": "x"})

    async def after(client: AsyncClient) -> None:
        assert (await client.query("SELECT count() FROM t")).first_row == (1,)
        await client.insert("t", [[1]], ["a"], settings={"insert_deduplication_token": "x"})
        assert (await client.query("SELECT count() FROM t")).first_row == (1,)

    with clickhouse_owner(tmp_path) as owner:
        place = (owner.config(), "kept")
        known_as = url_and_key(owner.config())
        tell(place, before)
        os.kill(owner.process.pid, signal.SIGKILL)
        owner.process.wait()
        with clickhouse_owner(tmp_path):
            assert url_and_key(owner.config()) == known_as
            tell(place, after)


def test_a_second_owner_of_a_folder_ends_with_a_sentence(clickhouse_server: ClickHouse) -> None:
    command = [sys.executable, "-m", "services.clickhouse", "--data", str(clickhouse_server.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Does another process have it open?" in done.stderr


def test_a_server_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    config = ClickHouseConfig(address=f"embedded:{tmp_path}/clickhouse.port")
    with pytest.raises(ClickHouseUnavailable, match="does not answer"):
        asyncio.run(open_clickhouse(config, patience_s=0.2))
