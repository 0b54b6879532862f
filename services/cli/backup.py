"""`bourse backup` and `bourse restore`: the whole exchange at one moment, in a folder.

    manifest.json     what it is, the sequence of each shard, and the SHA-256 of every file
    postgres.dump     all tables at one moment: the logs, the books, accounts, history
    snapshots/        the cores' snapshots, so that a restored exchange starts fast
    secrets/          the master key of API secrets: keep a backup as you keep a key

The log is the truth: what a reader had not posted at that moment it posts after the restore. Market
data is drawn anew from the log.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import typer
from pydantic import SecretStr

from bourse.matching import v1 as matching
from services.cli.folder import Birth, claimed, read_birth, with_shards, write_birth
from services.cli.rooms import PATIENCE_S, Rooms, open_rooms
from services.cli.terminal import DEFAULT_DATA, AsJson, DataFolder, Refused, errors, perform, show
from services.runtime.config import Settings, load, postgres_dsn
from services.runtime.embedded import (
    EmbeddedError,
    postgres_binaries,
    start_postgres,
    stop_postgres,
)
from services.runtime.holds import Holds
from services.runtime.log import commands_topic, events_topic, open_log
from services.runtime.postgres import connect
from services.runtime.postgres_wake import GONE
from services.runtime.storage import FolderStorage, NotStored, Storage, StorageError, open_storage

FORMAT: Final = 2
"""The newest of a backup that is known. A number above it was written by a newer Bourse."""

ONE_SHARD_FORMAT: Final = 1
"""Of the backup of a house with one shard."""

Folder = Annotated[Path, typer.Argument(help="The folder of the backup.")]


def backup(folder: Folder, data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Write the whole exchange, at one moment, into a new folder, while it goes on trading."""
    manifest = perform(_backup(folder.resolve(), data))
    show(manifest, as_json, f"{_place(manifest)} is in {folder}. It holds secrets.")


def restore(folder: Folder, data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Make a new data folder from a backup. Start it with `bourse up` afterwards."""
    manifest = perform(_restore(folder.resolve(), data.expanduser().resolve()))
    show(
        manifest,
        as_json,
        f"{data} stands at {_place(manifest).lower()}. Start it: `bourse up --data {data}`.",
    )


def _place(manifest: Mapping[str, Any]) -> str:
    """Where a backup stands, for a person."""
    if "sequences" not in manifest:
        return f"Sequence {manifest['sequence']}"
    at = (f"{each['sequence']} of shard {each['shard']}" for each in manifest["sequences"])
    return f"Sequence {', '.join(at)}"


def _told(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a script is told of a backup."""
    names = ("sequence", "sequences", "taken_us")
    return {name: manifest[name] for name in names if name in manifest}


async def _backup(folder: Path, data: Path) -> dict[str, Any]:
    birth = read_birth(data)
    async with open_rooms(data) as rooms:
        if rooms.config.log.address != rooms.config.postgres.address:
            raise Refused(
                "The log is not in the rooms' Postgres here: back up both with their own tools, the"
                " log last, and keep DATA/secrets with them."
            )
        _make_empty(folder)
        async with _uncut(rooms):
            with errors.status("the cores' snapshots"):
                await asyncio.gather(*(_take_snapshot(rooms, shard) for shard in rooms.shards))
                await _copy(open_storage(rooms.config.snapshots, ""), folder / "snapshots")
                if (rooms.config.data / "secrets").exists():
                    shutil.copytree(rooms.config.data / "secrets", folder / "secrets")
            with errors.status("the tables"):
                sequences = await _dump(rooms, folder / "postgres.dump")
    manifest = {
        "format": ONE_SHARD_FORMAT if len(sequences) == 1 else FORMAT,
        "sequence": sequences[0],
        **_by_shard(sequences),
        "taken_us": time.time_ns() // 1000,
        "demo": birth is not None and birth.demo,
        "files": _digests(folder),
    }
    _write(folder / "manifest.json", json.dumps(manifest, indent=1))
    return _told(manifest)


async def _take_snapshot(rooms: Rooms, shard: int) -> None:
    request = matching.TakeSnapshotRequest()
    await rooms.core(shard).TakeSnapshot(request, timeout=PATIENCE_S)


def _by_shard(sequences: Sequence[int]) -> dict[str, Any]:
    """The sequence of each shard, where there are several."""
    at = [{"shard": shard, "sequence": each} for shard, each in enumerate(sequences)]
    return {"sequences": at} if len(at) > 1 else {}


@asynccontextmanager
async def _uncut(rooms: Rooms) -> AsyncIterator[None]:
    """Inside the block nothing is cut off the logs: what is copied first needs what is copied last.

    However it ends, the hold is let go. Should we die in it, it is lost after some days like any
    other.
    """
    log, holds = await open_log(rooms.config.log), Holds(rooms.config.postgres)
    name = f"backup {os.getpid()}"
    topics = [topic(shard) for shard in rooms.shards for topic in (commands_topic, events_topic)]
    try:
        for topic in topics:
            await holds.pin(log, topic, name)
        yield
    finally:
        await _let_go(holds, topics, name)
        holds.close()
        await log.close()


async def _let_go(holds: Holds, topics: Sequence[str], name: str) -> None:
    """Remove the holds. Where Postgres is gone, they stay: what failed before is worth more."""
    try:
        for topic in topics:
            await holds.forget(topic, name)
    except (*GONE, TimeoutError):
        errors.print(
            f"The logs are still held for this backup: `bourse log hold release '{name}'`.",
            markup=False,
        )


async def _copy(storage: Storage, folder: Path) -> None:
    """What a storage has at this moment, as files below a folder. What goes meanwhile is left out:
    newer ones have taken its place."""
    copies = FolderStorage(folder)
    try:
        for name in sorted(await storage.names()):
            with contextlib.suppress(NotStored):
                await copies.write(name, [await storage.read(name)])
    except StorageError as error:
        raise Refused(f"The snapshots cannot be read: {error}") from None


def _make_empty(folder: Path) -> None:
    """Make the folder, which only we may enter. Raises Refused if something is in it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Refused(f"{folder} is not empty. Name a new folder.")
        folder.chmod(0o700)
    except OSError as error:
        raise Refused(f"{folder} cannot be written ({error.strerror}).") from None


async def _dump(rooms: Rooms, file: Path) -> list[int]:
    """All tables at one moment, and the sequence the log of each shard stood at in it."""
    address = rooms.config.postgres.address.get_secret_value()
    connection = await connect(address, "backup")
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            moment = await connection.fetchval("select pg_export_snapshot()")
            sequences = [await _sequence(connection, shard) for shard in rooms.shards]
            wanted = ("--format=custom", "--compress=1", f"--snapshot={moment}", f"--file={file}")
            await asyncio.to_thread(_run_on, "pg_dump", rooms.config.postgres.address, *wanted)
    finally:
        await connection.close()
    return sequences


_LAST_EVENT: Final = """
    select body from {schema}.record r join {schema}.topic t on t.id = r.topic_id
    where t.name = $1 order by record_offset desc limit 1
"""


async def _sequence(connection: "asyncpg.Connection[asyncpg.Record]", shard: int) -> int:
    """The last sequence of a shard whose events are in the log at this moment."""
    schema = await connection.fetchval(
        "select table_schema from information_schema.tables where table_name = 'record'"
    )
    if not schema:
        return 0
    query = _LAST_EVENT.format(schema=schema)
    body = await connection.fetchval(query, events_topic(shard))
    if body is None:
        return 0
    record = matching.EventRecord.FromString(body)
    return record.first_sequence + len(record.commands) - 1


def _run_on(program: str, address: SecretStr, *arguments: str) -> None:
    """Run a program of Postgres on a database; a password goes by the environment, not by argv."""
    whole = urlsplit(address.get_secret_value())
    place = whole._replace(netloc=whole.netloc.replace(f":{whole.password}@", "@"))
    secret: Mapping[str, str] = {"PGPASSWORD": whole.password} if whole.password else {}
    done = subprocess.run(
        [str(postgres_binaries() / program), *arguments, f"--dbname={urlunsplit(place)}"],
        env={**os.environ, **secret},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refused(f"{program} ended with: {done.stderr.strip().splitlines()[-1]}")


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): _digest(file) for file in files}


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _write(file: Path, text: str) -> None:
    with file.open("w") as written:
        written.write(text)
        written.flush()
        os.fsync(written.fileno())


# --- Restoring ------------------------------------------------------------------------------


async def _restore(folder: Path, data: Path) -> dict[str, Any]:
    manifest = _read_manifest(folder)
    _refuse_used(data)
    with claimed(data), errors.status("restoring"):
        try:
            await _fill(folder, data)
        except EmbeddedError as error:
            raise Refused(str(error)) from None
        # Last: a folder without it was never finished, and is not started.
        birth = Birth(demo=manifest["demo"], complete=True)
        # Only shard 0 counts as settled: the next start looks at the others again.
        write_birth(data, with_shards(birth, len(manifest.get("sequences", [0]))))
    return _told(manifest)


def _refuse_used(data: Path) -> None:
    if data.exists() and any(data.iterdir()):
        raise Refused(f"{data} is not empty. A backup is restored into a new folder: name one.")


def _read_manifest(folder: Path) -> dict[str, Any]:
    """What the backup says of itself, once every file is what it says. Raises Refused."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise Refused(f"{folder} holds no whole backup ({error}).") from None
    if manifest["format"] > FORMAT:
        raise Refused(f"{folder} was written by a newer Bourse. Restore it with that one.")
    if _digests(folder) | {"manifest.json": ""} != manifest["files"] | {"manifest.json": ""}:
        raise Refused(f"The files in {folder} are not those that were written. Use another backup.")
    return manifest


async def _fill(folder: Path, data: Path) -> None:
    server = await asyncio.to_thread(start_postgres, data)
    try:
        address = SecretStr(server.dsn)
        arguments = ("--exit-on-error", "--single-transaction", str(folder / "postgres.dump"))
        await asyncio.to_thread(_run_on, "pg_restore", address, *arguments)
        await _forget(postgres_dsn(data))
    finally:
        await asyncio.to_thread(stop_postgres, data)
    if (folder / "secrets").exists():
        shutil.copytree(folder / "secrets", data / "secrets")
    config = load(Settings, ["--data", str(data)]).snapshots
    try:
        await _put_back(folder / "snapshots", open_storage(config, ""), config.address)
    except StorageError as error:
        raise Refused(f"The snapshots cannot be kept: {error}") from None


async def _put_back(folder: Path, storage: Storage, address: str) -> None:
    """The snapshots of a backup where this house keeps its own. Raises Refused if it has some."""
    if await storage.names():
        raise Refused(
            f"{address} holds snapshots of another house already, perhaps newer ones than this"
            " backup's. Name another place in BOURSE_SNAPSHOTS_ADDRESS."
        )
    kept = FolderStorage(folder)
    for name in sorted(await kept.names()):
        await storage.write(name, [await kept.read(name)])


async def _forget(dsn: str) -> None:
    """ClickHouse is empty in the new folder: market data reads the log anew. Nor does anybody hold
    the log who did so where it came from."""
    connection = await connect(dsn, "restore")
    try:
        for table in ("marketdata.consumer_offset", "marketdata.tape", "runtime.hold"):
            if await connection.fetchval("select to_regclass($1)", table):
                await connection.execute(f"delete from {table}")  # noqa: S608 - one of three
    finally:
        await connection.close()
