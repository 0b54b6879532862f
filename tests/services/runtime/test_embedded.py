"""The embedded Postgres starts from whatever a crash left behind."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from services.runtime.config import run_folder
from services.runtime.embedded import (
    EmbeddedError,
    children_of,
    postgres_is_stuck,
    start_postgres,
    stop_postgres,
)
from tests.chaos.disk import drop_disk, fill, small_disk
from tests.journey.house import alive

SMALL = {"shared_buffers": "16MB", "max_wal_size": "128MB", "min_wal_size": "32MB", "fsync": "off"}


def ask(dsn: str, *statements: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(run())


def test_what_was_committed_survives_a_kill_of_every_process(data_folder: Path) -> None:
    first = start_postgres(data_folder, SMALL)
    ask(first.dsn, "create table t (n int)", "insert into t values (7)", "select 1")
    for process in [first.pid, *children_of(first.pid)]:
        os.kill(process, signal.SIGKILL)
    second = start_postgres(data_folder, SMALL)
    try:
        assert second.pid != first.pid
        assert second.dsn == first.dsn, "an address found once is good after a crash"
        assert ask(second.dsn, "select n from t") == 7
    finally:
        stop_postgres(data_folder)


def test_a_kill_of_the_postmaster_alone_waits_for_its_children(data_folder: Path) -> None:
    first = start_postgres(data_folder, SMALL)
    os.kill(first.pid, signal.SIGKILL)
    second = start_postgres(data_folder, SMALL)
    try:
        assert ask(second.dsn, "select 1") == 1
    finally:
        stop_postgres(data_folder)


def test_a_server_that_ends_while_it_is_waited_for_is_not_waited_for_any_longer(
    data_folder: Path,
) -> None:
    first = start_postgres(data_folder, SMALL)

    async def story() -> None:
        client = await asyncpg.connect(first.dsn)
        # It refuses whoever comes, as one that starts does, and ends with its last client.
        os.kill(first.pid, signal.SIGTERM)
        await _refused(data_folder, first.dsn, 1)
        starting = asyncio.create_task(asyncio.to_thread(start_postgres, data_folder, SMALL))
        await _refused(data_folder, "", _refusals(data_folder) + 2)
        await client.close()
        with pytest.raises(EmbeddedError, match="Postgres has ended"):
            await starting

    asyncio.run(story())
    try:
        assert ask(start_postgres(data_folder, SMALL).dsn, "select 1") == 1
    finally:
        stop_postgres(data_folder)


async def _refused(data: Path, dsn: str, times: int) -> None:
    """Wait until a server that ends has turned so many away; with a DSN, by asking ourselves."""
    while _refusals(data) < times:
        with suppress(asyncpg.CannotConnectNowError):
            if dsn:
                await (await asyncpg.connect(dsn)).close()
        await asyncio.sleep(0.05)


def _refusals(data: Path) -> int:
    return (data / "postgres" / "server.log").read_text().count("is shutting down")


def test_a_stale_pid_file_that_names_another_program_is_not_believed(data_folder: Path) -> None:
    first = start_postgres(data_folder, SMALL)
    pid_file = data_folder / "postgres" / "postmaster.pid"
    left = pid_file.read_text()
    stop_postgres(data_folder)
    with subprocess.Popen(["sleep", "600"]) as another:
        pid_file.write_text(left.replace(str(first.pid), str(another.pid), 1))
        try:
            assert ask(start_postgres(data_folder, SMALL).dsn, "select 1") == 1
        finally:
            stop_postgres(data_folder)
            another.kill()


def test_starting_twice_is_starting_once(data_folder: Path) -> None:
    script = (
        "import sys, pathlib; from services.runtime.embedded import start_postgres;"
        " print(start_postgres(pathlib.Path(sys.argv[1]), eval(sys.argv[2])).pid)"
    )
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(data_folder), repr(SMALL)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    pids = {process.communicate(timeout=60)[0].strip() for process in starting}
    try:
        assert len(pids) == 1
        assert pids == {str(start_postgres(data_folder, SMALL).pid)}
    finally:
        stop_postgres(data_folder)


def test_a_long_path_still_has_a_socket(data_folder: Path) -> None:
    data = data_folder / ("long-" * 12) / ("path-" * 12)
    server = start_postgres(data)
    try:
        assert ask(server.dsn, "show fsync") == "on"
    finally:
        stop_postgres(data)
        shutil.rmtree(run_folder(data))


def test_the_folder_of_another_version_is_refused_with_a_sentence(data_folder: Path) -> None:
    (data_folder / "postgres").mkdir()
    (data_folder / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedError, match="was made by Postgres 16, and this is 18"):
        start_postgres(data_folder)


def test_a_server_that_a_full_disk_has_left_useless_is_known(data_folder: Path) -> None:
    """Whatever it comes to (it ends, or lives and waits for ever), a new start mends it."""
    own_disk = small_disk(data_folder, 128)
    try:
        server = start_postgres(data_folder, SMALL)
        ask(server.dsn, "create table kept (n int)", "insert into kept values (7) returning n")
        assert not postgres_is_stuck(server)
        if own_disk:
            fill(data_folder / "ballast")
        os.kill(next(pid for pid in children_of(server.pid) if "walwriter" in title(pid)), 9)
        for _ in range(100):
            if postgres_is_stuck(server) or not alive(server.pid):
                break
            time.sleep(0.05)
        (data_folder / "ballast").unlink(missing_ok=True)
        stop_postgres(data_folder, "immediate")
        again = start_postgres(data_folder, SMALL)
        assert not postgres_is_stuck(again)
        assert ask(again.dsn, "select n from kept") == 7
        stop_postgres(data_folder, "immediate")
    finally:
        if own_disk:
            drop_disk(data_folder)


def title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_stopping_what_does_not_run_is_no_error(data_folder: Path) -> None:
    stop_postgres(data_folder)
