"""`bourse doctor`: what this machine lacks, and how to mend it."""

import asyncio
import importlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from services.cli.folder import FORMAT, KAFKA, is_claimed, read_birth
from services.cli.probes import port_is_free
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    out,
    print_json,
    print_table,
)
from services.runtime.config import ConfigError, Settings, as_written, run_folder
from services.runtime.embedded import EmbeddedError, postgres_binaries
from services.runtime.kafka_access import SCHEME, access_of
from services.runtime.kafka_jars import KafkaMissing, java_version, kafka_jars
from services.runtime.kafka_link import count_brokers
from services.runtime.log import LogError

DEBIAN: Final = "On Debian or Ubuntu: apt-get install python3-dev python3-venv gcc"
WHEELS: Final = (
    "aiohttp",
    "aiokafka",
    "asyncpg",
    "clickhouse_connect",
    "grpc",
    "google.protobuf",
    "orjson",
    "uvloop",
)
NEEDED_BYTES: Final = 5 * 1024**3
"""Postgres keeps up to 4 GB of its own log before a checkpoint."""

_SANE_US: Final = 1_767_225_600_000_000
"""2026-01-01: a clock before this was never set."""


class Finding(NamedTuple):
    """What a check found: all is well, or what to do."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def doctor(
    data: DataFolder = DEFAULT_DATA,
    port: Annotated[int, typer.Option(envvar="BOURSE_GATEWAY_PORT")] = 8080,
    as_json: AsJson = False,
) -> None:
    """Check this machine and the data folder; say what is missing and how to mend it."""
    found = examine(data.expanduser().resolve(), port)
    ok = all(each.ok for each in found)
    if as_json:
        print_json({"ok": ok, "checks": [each._asdict() for each in found]})
    else:
        marks = {True: "[green]ok[/]", False: "[red]no[/]"}
        print_table(("", "check", ""), [(marks[f.ok], f.name, f.detail) for f in found])
        for each in found:
            if each.fix:
                out.print(f"\n[bold]{each.name}[/]: {each.fix}")
    raise typer.Exit(0 if ok else 1)


def examine(data: Path, port: int) -> list[Finding]:
    """Every check, in the order in which a person would mend things."""
    checks: Sequence[Callable[[], Finding]] = (
        _python,
        _headers,
        _compiler,
        _wheels,
        _core,
        _postgres,
        _clickhouse,
        lambda: _kafka(data),
        lambda: _rights(data),
        lambda: _age(data),
        lambda: _space(data),
        lambda: _port(data, port),
        lambda: _clock(data),
    )
    return [check() for check in checks]


def _finding(name: str, ok: bool, detail: str, fix: str) -> Finding:
    return Finding(name, ok, detail, "" if ok else fix)


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return _finding("python", ok, sys.version.split()[0], f"Bourse needs 3.11 or later. {DEBIAN}")


def _headers() -> Finding:
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return _finding("python headers", header.exists(), str(header), DEBIAN)


def _compiler() -> Finding:
    wanted = (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang")
    paths = (shutil.which(shlex.split(name)[0]) for name in wanted if name)
    found = next((path for path in paths if path), "")
    return _finding("C compiler", bool(found), found or "none of $CC, cc, gcc, clang", DEBIAN)


def _wheels() -> Finding:
    missing = [name for name in WHEELS if not _imports(name)]
    detail = f"missing: {', '.join(missing)}" if missing else f"{len(WHEELS)} import"
    return _finding("packages", not missing, detail, "Run tools/setup; it installs what is locked.")


def _imports(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _core() -> Finding:
    """Only looked for, not loaded: what it is inside is matching's business."""
    folder = Path(__file__).resolve().parents[1] / "matching"
    built = list(folder.glob("_core.*.so"))
    detail = built[0].name if built else "not built"
    return _finding("trading core", bool(built), detail, "Run tools/setup; it compiles the core.")


def _postgres() -> Finding:
    if os.environ.get("BOURSE_POSTGRES_ADDRESS"):
        return Finding("postgres", True, "somewhere else, by BOURSE_POSTGRES_ADDRESS")
    try:
        program = postgres_binaries() / "postgres"
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    except (EmbeddedError, OSError, subprocess.CalledProcessError) as error:
        return Finding("postgres", False, str(error), "Run tools/setup; it installs the wheel.")
    return Finding("postgres", True, done.stdout.strip())


def _clickhouse() -> Finding:
    if os.environ.get("BOURSE_CLICKHOUSE_ADDRESS"):
        return Finding("clickhouse", True, "somewhere else, by BOURSE_CLICKHOUSE_ADDRESS")
    # In a process of its own: it is half a gigabyte, and not every machine can load it.
    done = subprocess.run([sys.executable, "-c", "import chdb"], capture_output=True, check=False)
    detail = "chdb loads" if done.returncode == 0 else "chdb does not load"
    fix = "Run tools/setup; it needs x86-64 with SSE 4.2 or ARM 64, and 1 GB of memory."
    return _finding("clickhouse", done.returncode == 0, detail, fix)


def _kafka(data: Path) -> Finding:
    """Only a house whose log is in Kafka needs it; others are told whether they could have one."""
    if address := os.environ.get("BOURSE_LOG_ADDRESS"):
        if address.startswith(f"{SCHEME}:"):
            return _kafka_elsewhere()
        return Finding("kafka", True, "the log is where BOURSE_LOG_ADDRESS says")
    try:
        birth = read_birth(data)
    except Refused:
        birth = None
    needed = birth is not None and birth.log == KAFKA
    try:
        detail = f"Java {java_version()}"
        return Finding("kafka", True, f"{detail}, Kafka in {kafka_jars()}")
    except KafkaMissing as missing:
        said = "the log of this folder needs it" if needed else "not here, and not needed"
        return Finding("kafka", not needed, said, str(missing) if needed else "")


def _kafka_elsewhere() -> Finding:
    """Whether it answers, lets us in as we are, and has the brokers that are wanted."""
    try:
        config = as_written(Settings).log
        brokers = asyncio.run(count_brokers(access_of(config)))
    except (ConfigError, LogError) as error:
        return Finding("kafka", False, "where BOURSE_LOG_ADDRESS says, and no use", str(error))
    return _finding(
        "kafka",
        brokers >= config.replication,
        f"{brokers} brokers where BOURSE_LOG_ADDRESS says, and {config.replication} keep a record",
        "Start more brokers, or set BOURSE_LOG_REPLICATION and BOURSE_LOG_MIN_ISR.",
    )


def _rights(data: Path) -> Finding:
    fix = f"Make {data} yours (chown, chmod u+rwx), or name another folder with --data."
    try:
        data.mkdir(parents=True, exist_ok=True)
        tried = data / f".doctor.{os.getpid()}"
        tried.touch()
        tried.unlink()
        run_folder(data)
    except (OSError, ConfigError) as error:
        return Finding("data folder", False, str(error), fix)
    return Finding("data folder", True, str(data))


def _age(data: Path) -> Finding:
    try:
        birth = read_birth(data)
    except Refused as refused:
        return Finding("data version", False, str(refused), "Use the Bourse that wrote it.")
    detail = "new" if birth is None else f"{birth.format} of {FORMAT}"
    if birth is not None and birth.shards > 1:
        detail += f", {birth.shards} shards"
    return Finding("data version", True, detail)


def _space(data: Path) -> Finding:
    place = next(folder for folder in (data, *data.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    fix = f"Make room: {NEEDED_BYTES / 1e9:.0f} GB should be free, or name another disk by --data."
    return _finding("disk space", free >= NEEDED_BYTES, f"{free / 1e9:.1f} GB free", fix)


def _port(data: Path, port: int) -> Finding:
    if is_claimed(data):
        return Finding("port", True, "this exchange is up")
    free = port_is_free("127.0.0.1", port)
    detail = f"{port} is {'free' if free else 'in use'}"
    return _finding(
        "port", free, detail, f"End what listens on it, or `bourse up --port {port + 1}`."
    )


def _clock(data: Path) -> Finding:
    """Set at all, and not before what was written in the data folder."""
    now_us = time.time_ns() // 1000
    file = data / "bourse.json"
    written_us = file.stat().st_mtime_ns // 1000 if file.exists() else _SANE_US
    ok = now_us >= max(_SANE_US, written_us)
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_us / 1e6))
    fix = "Set the clock (timedatectl set-ntp true); orders are signed with the time."
    return _finding("clock", ok, shown, fix)
