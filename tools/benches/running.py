"""A whole house to measure: `bourse up` on a temporary folder, and what its processes use."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg

from services.cli.rooms import Rooms, open_rooms
from services.runtime.config import postgres_dsn
from services.runtime.embedded import children_of
from services.runtime.rpc import is_serving
from tools.benches.shard import ROOT, folder_beside_the_data

START_S: Final = 120.0
STOP_S: Final = 90.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def house(*options: str) -> Iterator[Path]:
    """`bourse up --no-demo` on a folder of its own. It is stopped in order at the end."""
    with folder_beside_the_data() as data:
        command = [sys.executable, "-m", "services.cli", "up", "--port", "0", "--no-demo"]
        path = f"{ROOT}{os.pathsep}{ROOT / 'gen'}"
        environment = {**os.environ, "PYTHONPATH": path, "BOURSE_TELEMETRY_LEVEL": "warning"}
        with (data / "said").open("wb") as said:
            started = subprocess.Popen(
                [*command, "--data", str(data), *options],
                cwd=ROOT,
                env=environment,
                stdout=said,
                stderr=said,
            )
        try:
            yield data
        except BaseException:
            print((data / "said").read_text()[-3000:], file=sys.stderr)
            raise
        finally:
            end(started)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Stop a house as Ctrl-C does; after a long while, as a crash would."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def state_of(data: Path) -> dict[str, Any]:
    """What the supervisor writes down of its processes; empty before it has."""
    try:
        found: dict[str, Any] = json.loads((data / "run" / "state.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found


def processes_of(data: Path) -> dict[str, int]:
    """Rooms and stores by name, with their process ids."""
    state = state_of(data)
    return {
        kept["name"]: kept["pid"] for kept in (*state["rooms"], *state["stores"]) if kept["pid"]
    }


@contextlib.asynccontextmanager
async def rooms_of(data: Path, wanted: Iterable[str]) -> AsyncIterator[Rooms]:
    """The rooms of a house, once those that are wanted serve and its beginnings are made."""
    deadline = time.monotonic() + START_S
    while not _has_begun(data):
        _not_later_than(deadline, "the house does not begin", data)
        await asyncio.sleep(0.1)
    async with open_rooms(data) as rooms:
        for room in wanted:
            while not await is_serving(rooms.channel(room)):
                _not_later_than(deadline, f"{room} does not serve", data)
                await asyncio.sleep(0.1)
        yield rooms


def _has_begun(data: Path) -> bool:
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        return bool(json.loads((data / "bourse.json").read_text()).get("complete"))
    return False


def _not_later_than(deadline: float, what: str, data: Path) -> None:
    if time.monotonic() > deadline:
        sys.exit(f"{what}:\n{(data / 'said').read_text()[-3000:]}")


# --- What processes use ---------------------------------------------------------------------


def cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """CPU that processes have used so far, in user and kernel; those that are gone are left out."""
    return {pid: used for pid in pids if (used := _cpu(pid)) is not None}


def _cpu(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def memory_bytes(pid: int) -> tuple[int, int]:
    """(RSS, PSS) of a process: what it has in memory, and that with shared pages divided."""
    sizes = dict.fromkeys(("Rss", "Pss"), 0)
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        if name in sizes:
            sizes[name] = int(rest.split()[0]) * 1024
    return sizes["Rss"], sizes["Pss"]


class Usage(NamedTuple):
    """What a house has used so far."""

    when_s: float
    owners: Mapping[int, str]
    """Whose each process is, by process id."""
    cpu_s: Mapping[int, float]
    own_cpu_s: float
    """Of this process, which makes the load."""
    wal_bytes: int
    ends: Mapping[str, int]
    """Next offset of each topic."""


async def usage(data: Path) -> Usage:
    """What a house has used until now."""
    named = {pid: name for name, pid in processes_of(data).items()}
    server = next(pid for pid, name in named.items() if name == "postgres")
    owners = dict.fromkeys([server, *children_of(server)], "Postgres itself")
    async with _desk(data) as desk:
        rows = await desk.fetch("select pid, application_name from pg_stat_activity")
        wal_bytes = await desk.fetchval("select pg_current_wal_lsn() - '0/0'::pg_lsn")
        ends = await desk.fetch("select name, next_offset from runtime.topic")
    owners |= {pid: f"Postgres ({name.removeprefix('bourse ')})" for pid, name in rows if name}
    owners = {**named, state_of(data)["pid"]: "bourse up", **owners}
    own_s, when_s = time.process_time(), time.perf_counter()
    topics = {name: end for name, end in ends}  # noqa: C416 - asyncpg's rows are no pairs to mypy
    return Usage(when_s, owners, cpu_seconds(owners), own_s, int(wal_bytes), topics)


def cores(before: Usage, after: Usage) -> dict[str, float]:
    """Cores used in between, on average, by whom."""
    span = after.when_s - before.when_s
    used = {"load generator": (after.own_cpu_s - before.own_cpu_s) / span}
    for pid, cpu_s in after.cpu_s.items():
        name = after.owners[pid]
        used[name] = used.get(name, 0.0) + (cpu_s - before.cpu_s.get(pid, 0.0)) / span
    return {name: round(share, 3) for name, share in used.items()}


_BYTES: Final = """
    select coalesce(sum(octet_length(body)), 0) from runtime.record r
    join runtime.topic t on r.topic_id = t.id
    where t.name = $1 and r.record_offset >= $2 and r.record_offset < $3
"""


async def log_bytes(data: Path, topic: str, first: int, after_last: int) -> int:
    """Bytes of the records of a topic in a span of offsets."""
    async with _desk(data) as desk:
        return int(await desk.fetchval(_BYTES, topic, first, after_last))


@contextlib.asynccontextmanager
async def _desk(data: Path) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(postgres_dsn(data))
    try:
        yield connection
    finally:
        await connection.close()
