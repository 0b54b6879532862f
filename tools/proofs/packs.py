"""Inputs of the fuzz targets that are kept: one file a target, in tests/native/fuzz/corpus/.

A pack is inputs behind each other, each behind its length in four bytes, lowest first.
"""

import hashlib
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tools.proofs.building import FUZZ

TARGETS: Final = ("codec", "core", "snapshot", "book")
CORPUS: Final = FUZZ / "corpus"
_LENGTH: Final = struct.Struct("<I")


def pack_of(target: str) -> Path:
    """Where the inputs of a target are kept."""
    return CORPUS / f"{target}.pack"


def read_pack(pack: Path) -> list[bytes]:
    """The inputs, in their order; none if there is no pack."""
    content, at, inputs = pack.read_bytes() if pack.exists() else b"", 0, []
    while at < len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size + length
        inputs.append(content[at - length : at])
    return inputs


def write_pack(pack: Path, inputs: Iterable[bytes]) -> int:
    """Write them in an order of their own, so that the same inputs are the same file. Its bytes."""
    ordered = sorted(set(inputs), key=lambda one: (len(one), one))
    content = b"".join(_LENGTH.pack(len(one)) + one for one in ordered)
    pack.parent.mkdir(exist_ok=True)
    pack.write_bytes(content)
    return len(content)


def unpack(inputs: Iterable[bytes], folder: Path) -> None:
    """A file for each input, named by what is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in inputs:
        (folder / hashlib.sha256(one).hexdigest()[:32]).write_bytes(one)
