"""Snapshots on disk: `DATA/snapshots/<shard>/<offset>.snapshot`, each whole or not there at all.

A file is written under another name, brought to the disk and renamed. It begins with a head that
says what it is; the rest is what the core wrote. Several replicas may share a folder: what they
write under one name is the same.

    SnapshotError         a snapshot cannot be used; a sentence
      SnapshotBroken      it is not whole, or not of this shard: an older one may do
      SnapshotNewer       it was written by a newer Bourse: nothing older may be put in its place
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from services.runtime.final import NeedsMending

FORMAT: Final = 1
"""Of the head. The core has a version of its own inside what it writes."""

_MAGIC: Final = b"BOURSESN"
_HEAD: Final = struct.Struct("<8sIIQQQQ32s")
_CHECK: Final = struct.Struct("<I")
_VERSION: Final = struct.Struct("<8sI")


class SnapshotError(Exception):
    """A snapshot cannot be used; says why in a sentence."""


class SnapshotBroken(SnapshotError):
    """It is not whole, or not of this shard."""


class SnapshotNewer(SnapshotError, NeedsMending):
    """It was written by a newer Bourse."""


class Snapshot(NamedTuple):
    """What a snapshot says of itself."""

    shard: int
    offset: int
    """Command record it stands after."""
    sequence: int
    """Last sequence in it."""
    state_hash: int


class SnapshotStore:
    """The snapshots of one shard. Its methods block."""

    def __init__(self, data: Path, shard: int, keep: int) -> None:
        self._folder = data / "snapshots" / str(shard)
        self._shard = shard
        self._keep = keep

    def prepare(self) -> None:
        """Make the folder, and sweep up what processes that died have left half written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for file in self._folder.glob("*.new"):
            pid = file.name.split(".")[1]
            if not Path("/proc", pid).exists():
                file.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """All of them, newest first."""
        return sorted(self._folder.glob("*.snapshot"), reverse=True)

    def write(self, snapshot: Snapshot, pieces: Sequence[bytes]) -> Path:
        """Bring a snapshot to the disk. Raises OSError, and then there is none."""
        name = f"{snapshot.offset:020}"
        file = self._folder / f"{name}.snapshot"
        half = self._folder / f"{name}.{os.getpid()}.new"
        try:
            with half.open("wb") as out:
                out.write(_head(snapshot, pieces))
                for piece in pieces:
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())
            half.rename(file)
        except OSError:
            half.unlink(missing_ok=True)
            raise
        _bring_to_disk(self._folder)
        return file

    def read(self, file: Path) -> tuple[Snapshot, bytes]:
        """A snapshot and what the core wrote. Raises SnapshotBroken, SnapshotNewer."""
        try:
            content = file.read_bytes()
        except OSError as error:
            raise SnapshotBroken(f"{file} cannot be read: {error.strerror}.") from error
        snapshot, length, digest = _parse_head(file, content)
        body = content[_HEAD.size + _CHECK.size :]
        if len(body) != length or hashlib.sha256(body).digest() != digest:
            raise SnapshotBroken(f"{file} is not what was written.")
        if snapshot.shard != self._shard:
            raise SnapshotBroken(f"{file} is of shard {snapshot.shard}, not {self._shard}.")
        return snapshot, body

    def prune(self, published_offset: int) -> None:
        """Remove all but the newest few, and the newest whose events are published.

        A start may need the latter: one whose events are not published cannot be believed.
        """
        files = self.files()
        kept = set(files[: self._keep])
        believable = (file for file in files if int(file.stem) <= published_offset)
        kept.update(file for file in [next(believable, None)] if file)
        for file in files:
            if file not in kept:
                file.unlink(missing_ok=True)


def _head(snapshot: Snapshot, pieces: Iterable[bytes]) -> bytes:
    length, digest = 0, hashlib.sha256()
    for piece in pieces:
        length += len(piece)
        digest.update(piece)
    head = _HEAD.pack(
        _MAGIC,
        FORMAT,
        snapshot.shard,
        snapshot.offset,
        snapshot.sequence,
        snapshot.state_hash,
        length,
        digest.digest(),
    )
    return head + _CHECK.pack(zlib.crc32(head))


def _parse_head(file: Path, content: bytes) -> tuple[Snapshot, int, bytes]:
    """What the head says: snapshot, length and digest of the rest."""
    if len(content) < _HEAD.size + _CHECK.size or not content.startswith(_MAGIC):
        raise SnapshotBroken(f"{file} is not a snapshot.")
    version = _VERSION.unpack_from(content)[1]
    if version > FORMAT:
        raise SnapshotNewer(
            f"{file} has format {version}, and this Bourse knows {FORMAT}: the data folder was"
            " written by a newer one. Use that one, or restore a backup."
        )
    head, check = content[: _HEAD.size], _CHECK.unpack_from(content, _HEAD.size)[0]
    if version != FORMAT or zlib.crc32(head) != check:
        raise SnapshotBroken(f"The head of {file} is not what was written.")
    _magic, _format, shard, offset, sequence, state_hash, length, digest = _HEAD.unpack(head)
    return Snapshot(shard, offset, sequence, state_hash), length, digest


def _bring_to_disk(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
