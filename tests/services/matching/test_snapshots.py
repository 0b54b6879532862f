"""Snapshots that others have proven: in a folder, and in a bucket of something that speaks S3."""

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.matching.prove import prove
from services.matching.reader import Lagging
from services.matching.snapshots import OTHERS_US, Snapshots, prove_in_a_process
from services.matching.state import SnapshotPace
from services.matching.store import Proof, Snapshot, SnapshotStore, digest_of, to_prove
from services.runtime.config import LogConfig, SnapshotsConfig
from services.runtime.events import EventKey
from services.runtime.log import RolledBack
from services.runtime.memory_log import MemoryLog
from services.runtime.postgres_log import open_postgres_log
from services.runtime.storage import (
    FolderStorage,
    NotStored,
    Storage,
    StorageError,
    StorageRefused,
    open_storage,
)
from tests.services.matching.rig import (
    ALICE,
    COMMANDS,
    EVENTS,
    Running,
    batch,
    open_market,
    running,
    sell,
    snapshots_in,
    tell,
)

PROOF = Proof(digest_of(b""), "0" * 16, 0, "a test")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnapshotsConfig]:
    """A bucket in a server of its own; nothing in it is ours."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = (tmp_path_factory.mktemp("s3") / "said").open("wb")
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=said, stderr=said)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _make_bucket(f"{endpoint}/bourse-snapshots")
        yield SnapshotsConfig(
            address="s3://bourse-snapshots/house/snapshots",
            endpoint=endpoint,
            region="us-east-1",
            access_key=SecretStr("a-name"),
            secret_key=SecretStr("a-secret"),
        )
    finally:
        process.kill()
        process.wait()
        said.close()


def _make_bucket(url: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} cannot be made")


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return open_storage(SnapshotsConfig(address=str(tmp_path / "kept")), "0")
    config: SnapshotsConfig = request.getfixturevalue("s3")
    return open_storage(config, tmp_path.name)


def test_what_is_stored_is_read_back_until_it_is_removed(storage: Storage) -> None:
    async def story() -> None:
        assert await storage.names() == []
        large = [bytes([number]) * 1_000_000 for number in range(20)]
        await storage.write("one", [b"first", b"", b"second"])
        await storage.write("two", large)
        assert sorted(await storage.names()) == ["one", "two"]
        assert await storage.read("one") == b"firstsecond"
        assert await storage.read("two") == b"".join(large)
        await storage.write("one", [b"other"])
        assert await storage.read("one") == b"other"
        await storage.remove("two")
        await storage.remove("two")
        assert await storage.names() == ["one"]
        with pytest.raises(NotStored):
            await storage.read("two")

    tell(story())


def test_a_bucket_that_is_not_there_or_not_reached_is_said_in_a_sentence(
    s3: SnapshotsConfig,
) -> None:
    async def story() -> None:
        wrong = open_storage(s3.model_copy(update={"address": "s3://no-such-bucket/x"}), "0")
        with pytest.raises(StorageError, match=r"s3://no-such-bucket/x/0/one"):
            await wrong.write("one", [b"1"])
        away = open_storage(s3.model_copy(update={"endpoint": "http://127.0.0.1:9"}), "0")
        with pytest.raises(StorageError) as said:
            await away.names()
        assert "a-secret" not in str(said.value)
        assert not isinstance(said.value, StorageRefused)

    tell(story())


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    storage = FolderStorage(tmp_path / "taken")
    with pytest.raises(StorageError, match="taken"):
        asyncio.run(storage.write("one", [b"1"]))


def test_a_replica_starts_from_a_snapshot_in_a_bucket(s3: SnapshotsConfig, tmp_path: Path) -> None:
    async def story() -> None:
        log, store = MemoryLog(), SnapshotStore(open_storage(s3, "7"), 0, 3)
        async with running(log, tmp_path, store=store) as shard:
            taken = await _taken(shard, 2)
        async with running(log, tmp_path, store=store) as shard:
            assert shard.recovered_offset == taken.offset
        [kept] = await store.kept()
        assert kept.is_proven, "a start is a process that did not write it"

    tell(story())


async def _taken(shard: Running, number: int) -> Snapshot:
    """A snapshot whose events are published."""
    if number == 2:
        await open_market(shard)
    session = 1
    await shard.one(batch(session, number, sell(ALICE, 1, 100)))
    await shard.publisher.flushed()
    return await shard.replica.take_snapshot()


async def _store_of(tmp_path: Path, *offsets: int) -> SnapshotStore:
    store = snapshots_in(tmp_path)
    for offset in offsets:
        await store.write(Snapshot(0, offset, offset, 0), [b"state"])
    return store


def test_proven_snapshots_make_older_ones_superfluous(tmp_path: Path) -> None:
    async def story() -> None:
        store = await _store_of(tmp_path, 10, 20, 30, 40, 50, 60, 70, 80, 90)
        for offset in (10, 20, 30, 40):
            await store.prove(offset, PROOF)
        await store.refute(15, "an orphan", "a test")
        await store.refute(60, "a test wants it", "a test")
        await store.prune(1000)
        kept = await store.kept()
        assert [one.offset for one in kept if one.is_proven] == [40, 30, 20]
        # The next to be proven, and the newest three; and what was wrong, to be seen.
        assert [one.offset for one in kept if not one.is_proven] == [90, 80, 70, 60, 50]
        assert to_prove(kept) == [50, 70, 80, 90]
        names = {file.name for file in (tmp_path / "snapshots" / "0").iterdir()}
        assert f"{15:020}.refuted" not in names
        assert f"{10:020}.proof" not in names

    tell(story())


def test_only_a_true_snapshot_is_proven(tmp_path: Path) -> None:
    async def story() -> None:
        log, store = MemoryLog(), snapshots_in(tmp_path)
        async with running(log, tmp_path) as shard:
            true = await _taken(shard, 2)
            await prove(log, store, true.offset)
            [kept] = await store.kept()
            assert kept.is_proven
            proof = await store.proof(true.offset)
            assert proof is not None
            assert proof.state_hash == f"{true.state_hash:016x}"
            first = await log.one(EVENTS, proof.first_event)
            assert first is not None
            await shard.one(batch(1, 3, sell(ALICE, 1, 100)))
            await shard.publisher.flushed()
            forged = true._replace(offset=true.offset + 1, checksum=None)
            await store.write(forged, list(shard.replica.core.snapshot()))
            await prove(log, store, forged.offset)
            kept = (await store.kept())[0]
            assert (kept.is_refuted, kept.is_proven) == (True, False)
        async with running(log, tmp_path) as shard:
            assert shard.recovered_offset == true.offset, "what was refuted is not tried again"

    tell(story())


def test_a_snapshot_of_a_log_that_has_forgotten_it_stops_the_start(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path) as shard:
            taken = await _taken(shard, 2)
        for topic in (COMMANDS, EVENTS):
            records = log._topics[topic].records
            del records[taken.offset :]
        with pytest.raises(RolledBack, match=f"Offset {taken.offset} of bourse.commands.0"):
            async with running(log, tmp_path):
                pass

    tell(story())


def test_a_replica_under_which_the_log_forgets_stops(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path) as shard:
            await _taken(shard, 2)
            records = log._topics[COMMANDS].records
            records[-1] = records[-1]._replace(body=records[-1].body + b"?")
            shard.replica._has_lost_log = True
            assert isinstance(await shard.failure(), RolledBack)

    tell(story())


def test_a_standby_takes_snapshots_and_the_leader_leaves_it_to_it(tmp_path: Path) -> None:
    async def story() -> None:
        log, pace = MemoryLog(), SnapshotPace(records=10, commands=1_000_000)
        async with (
            running(log, tmp_path, pace=pace) as leader,
            running(log, tmp_path, pace=pace, leading=False) as standby,
        ):
            session = await open_market(leader)
            for number in range(2, 62):
                await leader.one(batch(session, number, sell(ALICE, 1, 100)))
                await standby.applied_up_to(leader.replica.facts.next_offset)
            for _ in range(500):
                if standby.replica.taken_at_us:
                    break
                await asyncio.sleep(0.01)
            assert standby.replica.taken_at_us
            assert not leader.replica.taken_at_us

    tell(story())


def test_whoever_took_a_snapshot_leaves_its_proof_to_others_that_live(tmp_path: Path) -> None:
    async def story() -> None:
        others = [True]

        async def others_live() -> bool:
            return others[0]

        async with running(MemoryLog(), tmp_path) as shard:
            with pytest.raises(Lagging):
                await shard.replica.take_snapshot()
            taken = await _taken(shard, 2)
            store = snapshots_in(tmp_path)
            ours = Snapshots(shard.replica, store, shard.publisher, tmp_path, others_live)
            assert not await ours._is_ours(taken.offset)
            others[0] = False
            assert await ours._is_ours(taken.offset)
            others[0] = True
            shard.replica.taken_at_us[taken.offset] -= OTHERS_US
            assert await ours._is_ours(taken.offset)
            shard.replica.taken_at_us.clear()
            assert await ours._is_ours(taken.offset), "another took it"

    tell(story())


def test_a_process_of_its_own_proves_what_is_in_a_bucket(
    s3: SnapshotsConfig, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        log = await open_postgres_log(LogConfig(address=SecretStr(postgres)))
        store = SnapshotStore(open_storage(s3, "0"), 0, 3)
        try:
            async with running(log, tmp_path, store=store) as shard:
                taken = await _taken(shard, 2)
                await prove_in_a_process(tmp_path, taken.offset)
                proof = await store.proof(taken.offset)
                assert proof is not None
                assert str(os.getpid()) not in proof.by.split()
                assert shard.publisher.last_key >= EventKey(taken.offset, 0)
        finally:
            await log.close()

    settings = {
        "BOURSE_LOG_ADDRESS": postgres,
        "BOURSE_SNAPSHOTS_ADDRESS": s3.address,
        "BOURSE_SNAPSHOTS_ENDPOINT": s3.endpoint,
        # What is not in our settings is found where everybody looks for it.
        "AWS_REGION": s3.region,
        "AWS_ACCESS_KEY_ID": s3.access_key.get_secret_value(),
        "AWS_SECRET_ACCESS_KEY": s3.secret_key.get_secret_value(),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    tell(story())
