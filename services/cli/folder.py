"""The data folder as the command line sees it: whose it is, how old it is, what runs in it.

DATA/bourse.json        its format, whether a demo lives in it, what keeps its log, how many shards
DATA/up.lock            held by the `bourse up` of this folder, with its process id
DATA/run/state.json     what that `bourse up` says of its processes
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from services.cli.terminal import Refused

FORMAT: Final = 2
"""The newest of a data folder that is known. A number above it was written by a newer Bourse."""

ONE_SHARD_FORMAT: Final = 1
"""Of a folder with one shard: a Bourse that knows nothing of more may run it still."""

DEMO_READY: Final = Path("run") / "demo.ready"

POSTGRES: Final = "postgres"
KAFKA: Final = "kafka"

_LOOK_S: Final = 0.5
"""Whoever asks whether a folder is claimed holds its lock for a moment; a claim outlasts that."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What is settled when a folder is made, and how far its beginning has come."""

    format: int = ONE_SHARD_FORMAT
    demo: bool = True
    """Made with the demo. One made without never starts it."""
    complete: bool = False
    """Its assets, first instrument and treasury are there."""
    log: str = POSTGRES
    """Where its log is kept, if no address says otherwise: `postgres` or `kafka`."""
    shards: int = 1
    """How many it has. May grow, and never shrinks: a shard has its markets for good."""
    settled: int = 1
    """So many of them, from shard 0 on, have the house's assets, rules and account settings."""


def read_birth(data: Path) -> Birth | None:
    """What the folder says of itself; None if it is new. Raises Refused if it is not for us."""
    file = data / "bourse.json"
    try:
        said = json.loads(file.read_text())
        written = int(said["format"])
        if written > FORMAT:
            raise Refused(
                f"{data} has format {written}, and this Bourse knows {FORMAT}: it was written by a"
                " newer one. Use that one, or name another folder with --data."
            )
        return Birth(
            written,
            bool(said["demo"]),
            bool(said["complete"]),
            str(said.get("log", POSTGRES)),
            int(said.get("shards", 1)),
            int(said.get("settled", 1)),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"{file} cannot be read ({error}). Restore it from a backup, or name another folder"
            " with --data."
        ) from None


def write_birth(data: Path, birth: Birth) -> None:
    """Put it on the disk, whole or not at all."""
    _write_whole(data / "bourse.json", asdict(birth), durable=True)


def birth_of(data: Path, with_demo: bool, log: str = "", shards: int | None = None) -> Birth:
    """What a folder is, or would be once it is opened. Raises Refused if it cannot be that.

    `log` is where its log shall be kept; empty: where it is, and Postgres in a new folder. `shards`
    is how many it shall have; None: as many as it has, and one in a new folder.
    """
    birth = read_birth(data) or Birth(demo=with_demo, log=log or POSTGRES)
    if log and log != birth.log:
        raise Refused(
            f"{data} was made with its log in {birth.log}, and a log does not move: leave out"
            " --log, or name another folder with --data."
        )
    if shards is not None and shards < birth.shards:
        raise Refused(
            f"{data} has {birth.shards} shards, and {shards} are asked for: there may be more of"
            " them one day, never fewer, for the markets in them do not move."
        )
    return with_shards(birth, shards or birth.shards)


def open_folder(data: Path, with_demo: bool, log: str = "", shards: int | None = None) -> Birth:
    """The birth of a folder, written now if it is new or gets more shards. Raises Refused.

    Whatever else may be refused is to be asked before, of `birth_of`: shards are never taken back.
    """
    birth = birth_of(data, with_demo, log, shards)
    if birth != read_birth(data):
        write_birth(data, birth)
    return birth


def with_shards(birth: Birth, shards: int) -> Birth:
    """A birth with so many shards, in a format by which a Bourse that knows of one lets it be."""
    written = ONE_SHARD_FORMAT if shards == 1 else FORMAT
    return replace(birth, shards=shards, format=max(birth.format, written))


def complete(data: Path, birth: Birth) -> Birth:
    """Note that the folder has begun, with all its shards, so that no start looks at it again."""
    done = replace(birth, complete=True, settled=birth.shards)
    write_birth(data, done)
    return done


@contextmanager
def claimed(data: Path) -> Iterator[None]:
    """Hold the folder for one `bourse up`. Raises Refused if another has it, or it is not ours."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "up.lock").open("a+")
    except OSError as error:
        raise Refused(
            f"{data} cannot be written ({error.strerror}). Name another folder with --data."
        ) from None
    with lock:
        if not _lock(lock.fileno()):
            raise Refused(
                f"`bourse up` runs on {data} already ({_holder(data)}). Stop it with Ctrl-C, or"
                " name another folder with --data and another --port."
            )
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _lock(file: int) -> bool:
    deadline = time.monotonic() + _LOOK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
        time.sleep(0.02)


def is_claimed(data: Path) -> bool:
    """Whether a `bourse up` runs on this folder."""
    try:
        with (data / "up.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _holder(data: Path) -> str:
    pid = (data / "up.lock").read_text().strip()
    return f"process {pid}" if pid else "another process"


def write_state(data: Path, state: Mapping[str, Any]) -> None:
    """Say what runs. Readers see the old state or the new one."""
    (data / "run").mkdir(mode=0o700, exist_ok=True)
    _write_whole(data / "run" / "state.json", state)


def read_state(data: Path) -> dict[str, Any]:
    """What the `bourse up` of this folder said last; empty if none runs on it."""
    if not is_claimed(data):
        return {}
    try:
        said = json.loads((data / "run" / "state.json").read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _write_whole(file: Path, value: Mapping[str, Any], *, durable: bool = False) -> None:
    fresh = file.with_suffix(".new")
    with fresh.open("w") as written:
        json.dump(value, written)
        written.flush()
        if durable:
            os.fsync(written.fileno())
    fresh.rename(file)
