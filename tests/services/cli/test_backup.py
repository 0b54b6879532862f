"""What a backup does with snapshots, wherever they are kept."""

import asyncio
from pathlib import Path

import pytest

from services.cli.backup import _copy, _put_back, _run_on, _uncut
from services.cli.rooms import Rooms
from services.cli.terminal import Refused
from services.runtime.config import Settings, load
from services.runtime.holds import Holds
from services.runtime.log import commands_topic, events_topic, open_log
from services.runtime.storage import FolderStorage, StorageError

FILES = {"0/7.snapshot": b"state", "0/7.proof": b"{}", "3/9.snapshot": b"other"}


async def _contents(storage: FolderStorage) -> dict[str, bytes]:
    return {name: await storage.read(name) for name in await storage.names()}


def test_snapshots_of_all_shards_go_into_a_backup_and_back(tmp_path: Path) -> None:
    async def story() -> None:
        kept, restored = FolderStorage(tmp_path / "kept"), FolderStorage(tmp_path / "restored")
        for name, content in FILES.items():
            await kept.write(name, [content])
        await _copy(kept, tmp_path / "backup")
        await _put_back(tmp_path / "backup", restored, "there")
        assert await _contents(restored) == FILES

    asyncio.run(story())


def test_a_place_that_has_snapshots_takes_none_of_another_house(tmp_path: Path) -> None:
    async def story() -> None:
        backup, there = FolderStorage(tmp_path / "backup"), FolderStorage(tmp_path / "there")
        await backup.write("0/7.snapshot", [b"of the backup"])
        await there.write("0/9.snapshot", [b"newer"])
        with pytest.raises(Refused, match=r"s3://there holds snapshots .* BOURSE_SNAPSHOTS"):
            await _put_back(tmp_path / "backup", there, "s3://there")
        assert await there.names() == ["0/9.snapshot"]

    asyncio.run(story())


def test_snapshots_that_cannot_be_read_are_a_sentence(tmp_path: Path) -> None:
    class Away(FolderStorage):
        async def names(self) -> list[str]:
            raise StorageError("s3://there/: out of reach.")

    with pytest.raises(Refused, match="The snapshots cannot be read: s3://there/: out of reach"):
        asyncio.run(_copy(Away(tmp_path), tmp_path / "backup"))


@pytest.fixture
def rooms(postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    """Of a house whose log is in its Postgres."""
    monkeypatch.setenv("BOURSE_POSTGRES_ADDRESS", postgres)
    monkeypatch.setenv("BOURSE_LOG_ADDRESS", postgres)
    return Rooms(load(Settings, ["--data", str(tmp_path)]))


TOPICS = {commands_topic(0), events_topic(0)}


async def _create_topics(rooms: Rooms) -> None:
    log = await open_log(rooms.config.log)
    for topic in TOPICS:
        await log.create(topic)
    await log.close()


def test_a_backup_that_fails_holds_nothing_any_more(rooms: Rooms) -> None:
    async def dump(holds: Holds) -> None:
        async with _uncut(rooms):
            assert {hold.topic for hold in await holds.all()} == TOPICS
            _run_on("pg_dump", rooms.config.postgres.address, "--file=/nowhere/postgres.dump")

    async def story() -> None:
        await _create_topics(rooms)
        holds = Holds(rooms.config.postgres)
        try:
            with pytest.raises(Refused, match="pg_dump ended with: "):
                await dump(holds)
            assert await holds.all() == []
        finally:
            holds.close()

    asyncio.run(story())


def test_a_hold_that_cannot_be_let_go_does_not_hide_why_a_backup_failed(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone(Holds):
        async def forget(self, topic: str, reader: str) -> None:
            raise ConnectionResetError

    monkeypatch.setattr("services.cli.backup.Holds", Gone)

    async def story() -> None:
        await _create_topics(rooms)
        with pytest.raises(Refused, match="the disk is full"):
            async with _uncut(rooms):
                raise Refused("the disk is full")

    asyncio.run(story())
    assert "`bourse log hold release 'backup " in " ".join(capsys.readouterr().err.split())
