"""What a backup does with snapshots, wherever they are kept."""

import asyncio
from pathlib import Path

import pytest

from services.cli.backup import _copy, _put_back
from services.cli.terminal import Refused
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
