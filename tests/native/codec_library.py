"""The codec in C as a library of its own, which reads a message and writes it again."""

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cffi import FFI

from tests.native.sanitized import SANITIZERS, is_watched

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "native"
FLAGS = ["-std=c11", "-O2", "-g", "-fno-wrapv", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
SOURCES = (HERE / "codec_echo.c", NATIVE / "codec_shape.c", NATIVE / "codec_write.c")
"""What is compiled; codec_echo.c includes the reader."""
MOST_BYTES = 2 << 20
# Names one that was built already, for tools/coverage.
LIBRARY = "BOURSE_TEST_CODEC"
DECLARATIONS = """
struct core_batch {
    uint64_t session, number;
    uint32_t source, commands;
    int32_t only_cancels;
};
int64_t echo_message(const char *name, const uint8_t *bytes, uint32_t length, uint8_t *out);
const char *echo_plain_names(void);
const char *echo_outer_names(void);
int64_t echo_order_twice(const uint8_t *bytes, uint32_t length, uint32_t command,
                         uint8_t *events, uint8_t *answers, int64_t *answers_length);
int64_t echo_trade_twice(const uint8_t *bytes, uint32_t length, uint32_t command,
                         uint8_t *events, uint8_t *answers, int64_t *answers_length);
int64_t echo_batch(const uint8_t *bytes, uint32_t length, struct core_batch *found, uint8_t *out);
int64_t echo_record(const uint8_t *bytes, uint32_t length, uint32_t *shard, uint8_t *out);
"""


class Refused(NamedTuple):
    """The codec let it not through. `where` is the offset of the first byte that is wrong."""

    where: int


class Batch(NamedTuple):
    """What the check said, and the batch as the walk saw it, encoded again."""

    session: int
    number: int
    source: int
    commands: int
    only_cancels: bool
    encoded: bytes


class Library:
    """The functions of codec_echo.c."""

    def __init__(self, path: Path) -> None:
        self._ffi = FFI()
        self._ffi.cdef(DECLARATIONS)
        self._lib: Any = self._ffi.dlopen(str(path))
        self._out = self._ffi.new("uint8_t[]", MOST_BYTES)
        self._more = self._ffi.new("uint8_t[]", 4096)

    def plain_names(self) -> list[str]:
        """Messages without messages inside."""
        return self._text(self._lib.echo_plain_names()).split()

    def outer_names(self) -> list[str]:
        """Messages of which only the fields that are no messages are echoed."""
        return self._text(self._lib.echo_outer_names()).split()

    def message(self, name: str, encoded: bytes) -> bytes:
        """A message, written again; behind a tag and a length if it is plain."""
        length = self._lib.echo_message(name.encode(), encoded, len(encoded), self._out)
        assert length >= 0, f"{name} was not read"
        return self._bytes(length)

    def order_twice(self, order: bytes, command: int) -> tuple[bytes, bytes]:
        """An Order as an entry of an EventRecord and of a SubmitResponse."""
        return self._twice(self._lib.echo_order_twice, order, command)

    def trade_twice(self, trade: bytes, command: int) -> tuple[bytes, bytes]:
        """A TradeEvent as it is in an EventRecord, and of another command in a SubmitResponse."""
        return self._twice(self._lib.echo_trade_twice, trade, command)

    def batch(self, encoded: bytes) -> Batch | Refused:
        found: Any = self._ffi.new("struct core_batch *")
        length = self._lib.echo_batch(encoded, len(encoded), found, self._out)
        if length < 0:
            return Refused(-1 - length)
        head = (found.session, found.number, found.source, found.commands)
        return Batch(*head, bool(found.only_cancels), self._bytes(length))

    def record(self, encoded: bytes) -> tuple[int, list[bytes]] | Refused:
        """Its shard and its batches."""
        shard = self._ffi.new("uint32_t *")
        length = self._lib.echo_record(encoded, len(encoded), shard, self._out)
        if length < 0:
            return Refused(-1 - length)
        written, batches = self._bytes(length), []
        while written:
            size = int.from_bytes(written[:4], "little")
            batches.append(written[4 : 4 + size])
            written = written[4 + size :]
        return shard[0], batches

    def _twice(self, echo: Any, encoded: bytes, command: int) -> tuple[bytes, bytes]:
        second = self._ffi.new("int64_t *")
        first = echo(encoded, len(encoded), command, self._out, self._more, second)
        assert first >= 0
        return self._bytes(first), bytes(self._ffi.buffer(self._more, second[0]))

    def _bytes(self, length: int) -> bytes:
        return bytes(self._ffi.buffer(self._out, length))

    def _text(self, at: Any) -> str:
        text = self._ffi.string(at)
        assert isinstance(text, bytes)
        return text.decode()


@cache
def library() -> Library:
    """Built once a process, unless one is named. CalledProcessError if it does not compile."""
    if LIBRARY in os.environ:
        return Library(Path(os.environ[LIBRARY]))
    sanitizer = SANITIZERS if is_watched() else []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "codec.so"
        command = ["gcc", *FLAGS, *sanitizer, f"-I{NATIVE}", *map(str, SOURCES), "-o", str(target)]
        subprocess.run(command, check=True)
        return Library(target)
