"""The snapshots of a shard, in a folder or a bucket that all its replicas share.

    <offset>.snapshot   the state after a command record; whole or not there at all
    <offset>.proof      another process has restored it, and the event log says the same
    <offset>.refuted    another process has, and it does not

A snapshot begins with a head that says what it is; the rest is what the core wrote. Several
replicas may write one offset: what they write of the core is the same.

    SnapshotError         a snapshot cannot be used; a sentence
      SnapshotBroken      it is not whole, or not of this shard: an older one may do
        SnapshotGone      it is not there any more
      SnapshotNewer       it was written by a newer Bourse: nothing older may be put in its place
"""

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from services.runtime.final import NeedsMending
from services.runtime.storage import NotStored, Storage

FORMAT: Final = 2
"""Of the head. The core has a version of its own inside what it writes. 1 had no checksum."""

_MAGIC: Final = b"BOURSESN"
_VERSION: Final = struct.Struct("<8sI")
_HEADS: Final = {1: struct.Struct("<8sIIQQQQ32s"), 2: struct.Struct("<8sIIQQQQ32sq")}
_CHECK: Final = struct.Struct("<I")
_UNKNOWN: Final = -1
_OURS: Final = re.compile(r"(\d{20})\.(snapshot|proof|refuted)")
"""What else may lie there, such as the mark of a folder in a bucket, is not looked at."""


class SnapshotError(Exception):
    """A snapshot cannot be used; says why in a sentence."""


class SnapshotBroken(SnapshotError):
    """It is not whole, or not of this shard, or what it says is not so."""


class SnapshotGone(SnapshotBroken):
    """It is not there any more: newer ones have taken its place."""


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
    checksum: int | None = None
    """Of that command record, see Record.checksum; None where it is not known."""


class Proof(NamedTuple):
    """That a process which did not write a snapshot has restored it and found it true."""

    digest: str
    """SHA-256 of what the core wrote, in hexadecimal."""
    state_hash: str
    """Sixteen hexadecimal digits."""
    first_event: int
    """Offset, on the event log, of the first part of its command record."""
    by: str
    """The machine and the process."""


class Kept(NamedTuple):
    """A snapshot that is there."""

    offset: int
    is_proven: bool
    is_refuted: bool


class SnapshotStore:
    """The snapshots of one shard. What its storage cannot do it raises as StorageError."""

    def __init__(self, storage: Storage, shard: int, keep: int) -> None:
        self._storage = storage
        self._shard = shard
        self._keep = keep

    async def kept(self) -> list[Kept]:
        """All of them, newest first."""
        return _kept(await self._storage.names())

    async def write(self, snapshot: Snapshot, pieces: Sequence[bytes]) -> None:
        """Make a snapshot durable."""
        name = _name(snapshot.offset, "snapshot")
        await self._storage.write(name, [head_of(snapshot, pieces), *pieces])

    async def read(self, offset: int) -> tuple[Snapshot, bytes]:
        """A snapshot and what the core wrote. Raises SnapshotBroken, SnapshotNewer."""
        name = _name(offset, "snapshot")
        try:
            content = await self._storage.read(name)
        except NotStored as error:
            raise SnapshotGone(str(error)) from error
        snapshot, length, digest, begins = _parse_head(name, content)
        body = content[begins:]
        if len(body) != length or hashlib.sha256(body).digest() != digest:
            raise SnapshotBroken(f"{name} is not what was written.")
        if snapshot.shard != self._shard:
            raise SnapshotBroken(f"{name} is of shard {snapshot.shard}, not {self._shard}.")
        return snapshot, body

    async def prove(self, offset: int, proof: Proof) -> None:
        """Put down that a snapshot holds."""
        text = json.dumps(proof._asdict(), indent=1)
        await self._storage.write(_name(offset, "proof"), [text.encode()])

    async def proof(self, offset: int) -> Proof | None:
        """Why a snapshot counts; None if it does not."""
        try:
            said = json.loads(await self._storage.read(_name(offset, "proof")))
            return Proof(**said)
        except (NotStored, ValueError, TypeError):
            return None

    async def refute(self, offset: int, why: str, by: str) -> None:
        """Put down that a snapshot does not hold: nobody tries it again."""
        text = json.dumps({"why": why, "by": by}, indent=1)
        await self._storage.write(_name(offset, "refuted"), [text.encode()])

    async def prune(self, published_offset: int) -> None:
        """Remove what no start needs: all but the newest few that are proven, and what is newer.

        Of what is newer the next to be proven stays, and the newest. While none is proven, the
        newest whose events are published stays too: one whose events are not cannot be proven yet.
        Of the refuted ones the newest stays to be seen.
        """
        names = {name for name in await self._storage.names() if _OURS.fullmatch(name)}
        there = _kept(names)
        wanted = {one.offset for one in self._wanted(there, published_offset)}
        wanted |= {one.offset for one in [*filter(_is_refuted, there)][:1]}
        # The proofs first: none must ever stand for a snapshot that is not there.
        for name in sorted(names, key=lambda name: name.endswith(".snapshot")):
            if int(name.split(".")[0]) not in wanted:
                await self._storage.remove(name)

    def _wanted(self, there: Sequence[Kept], published_offset: int) -> list[Kept]:
        sound = [one for one in there if not one.is_refuted]
        proven = [one for one in sound if one.is_proven][: self._keep]
        newer = [one for one in sound if not proven or one.offset > proven[0].offset]
        published = [] if proven else [one for one in newer if one.offset <= published_offset]
        return [*newer[: self._keep], *newer[-1:], *published[:1], *proven]


def to_prove(there: Sequence[Kept]) -> list[int]:
    """The snapshots that are newer than all that are proven, oldest first.

    Not the newest first: while that is being proven there would be a newer one, again and again.
    """
    proven = max((one.offset for one in there if one.is_proven), default=-1)
    return sorted(one.offset for one in there if one.offset > proven and not one.is_refuted)


def _kept(names: Iterable[str]) -> list[Kept]:
    """What there is by these names, newest first."""
    known = set(names)
    ours = [found for name in known if (found := _OURS.fullmatch(name))]
    offsets = sorted((int(each[1]) for each in ours if each[2] == "snapshot"), reverse=True)
    refuted = {offset for offset in offsets if _name(offset, "refuted") in known}
    return [
        # Where two who looked do not agree, nothing may rest on it.
        Kept(each, _name(each, "proof") in known and each not in refuted, each in refuted)
        for each in offsets
    ]


def _is_refuted(one: Kept) -> bool:
    return one.is_refuted


def _name(offset: int, kind: str) -> str:
    return f"{offset:020}.{kind}"


def digest_of(body: bytes) -> str:
    """What a proof calls the digest of a snapshot's body."""
    return hashlib.sha256(body).hexdigest()


def head_of(snapshot: Snapshot, pieces: Iterable[bytes]) -> bytes:
    """What stands before the pieces of a snapshot."""
    length, digest = 0, hashlib.sha256()
    for piece in pieces:
        length += len(piece)
        digest.update(piece)
    head = _HEADS[FORMAT].pack(
        _MAGIC,
        FORMAT,
        *snapshot[:4],
        length,
        digest.digest(),
        _UNKNOWN if snapshot.checksum is None else snapshot.checksum,
    )
    return head + _CHECK.pack(zlib.crc32(head))


def _parse_head(name: str, content: bytes) -> tuple[Snapshot, int, bytes, int]:
    """What the head says: snapshot, length and digest of the rest, and where that begins."""
    if len(content) < _VERSION.size or not content.startswith(_MAGIC):
        raise SnapshotBroken(f"{name} is not a snapshot.")
    version = _VERSION.unpack_from(content)[1]
    if version > FORMAT:
        raise SnapshotNewer(
            f"{name} has format {version}, and this Bourse knows {FORMAT}: the data was written by"
            " a newer one. Use that one, or restore a backup."
        )
    form = _HEADS.get(version)
    if form is None or len(content) < form.size + _CHECK.size:
        raise SnapshotBroken(f"{name} is not a snapshot.")
    head, check = content[: form.size], _CHECK.unpack_from(content, form.size)[0]
    if zlib.crc32(head) != check:
        raise SnapshotBroken(f"The head of {name} is not what was written.")
    _magic, _format, shard, offset, sequence, state_hash, length, digest, *more = form.unpack(head)
    checksum = more[0] if more and more[0] != _UNKNOWN else None
    snapshot = Snapshot(shard, offset, sequence, state_hash, checksum)
    return snapshot, length, digest, form.size + _CHECK.size
