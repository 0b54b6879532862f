"""The trading core, which is C: the only file that knows it.

One thread at a time may use a core. While C works, other threads of Python run.

    CoreError
      ForeignRecord       bytes that no check would have let through, or a record out of turn
      UnknownRules        a record that asks for rules this core does not know
      NoRoom              memory that the log demands cannot be had
      BrokenSnapshot      a snapshot that does not hold together
      CoreFailed          an assertion of the core's own did not hold: this core is spoilt
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from services.matching._core import ffi, lib
from services.runtime.final import NeedsMending

PART_BYTES: Final = 524_288
"""An event record is never larger."""
_ANSWER_BYTES: Final = 1_048_576
_MOST_BATCHES: Final = 4096
_PIECE_BYTES: Final = 65_536
_SNAPSHOT_PIECE_BYTES: Final = 1_048_576

_room: Final = ffi.new_allocator(should_clear_after_alloc=False)
"""For buffers that C fills: a page of them that is never written is never had."""


class CoreError(NeedsMending):
    """The core could not do what it was asked, and has not changed (but see CoreFailed)."""


class ForeignRecord(CoreError):
    """A command record that no check would have let through, or that is not the next one."""


class UnknownRules(CoreError):
    """The record asks for a version of the rules that this core does not know."""


class NoRoom(CoreError):
    """Memory that the log demands cannot be had."""


class BrokenSnapshot(CoreError):
    """A snapshot that does not hold together."""


class CoreFailed(CoreError):
    """An assertion failed, and the core stands between two states: nothing may be asked of it.

    `rule`, `file` and `line` say which assertion it was.
    """

    def __init__(self, what: str, rule: str, file: str, line: int) -> None:
        super().__init__(f"{what} broke a rule of the core: {rule} ({file}:{line}).")
        self.rule, self.file, self.line = rule, file, line


class Batch(NamedTuple):
    """What a well-formed batch says about itself."""

    session: int
    """Its session; 0 for none."""
    number: int
    """Its number in session or source."""
    source: int
    """Its source; 0 for none."""
    commands: int
    """How many there are, at least 1."""
    only_cancels: bool
    """Cancels and nothing else."""


class Malformed(NamedTuple):
    """Not a well-formed batch."""

    where: int
    """Offset of the first byte that is wrong; 0 also if it is the batch as a whole."""


class Answer(NamedTuple):
    """What one part of a record answers to one of its batches."""

    batch: int
    """Index of the batch in the record."""
    piece: bytes
    """A SubmitResponse is all pieces of a batch, one behind the other."""
    done: bool
    """No more pieces follow."""
    status: int
    """BatchStatus."""


class Part(NamedTuple):
    """One part of what a command record caused."""

    events: bytes
    """An encoded EventRecord."""
    answers: list[Answer]
    """In the order of the batches."""
    last: bool
    """The record is done."""


class Facts(NamedTuple):
    """Numbers of a core."""

    shard: int
    rules: int
    """Version in force."""
    sequence: int
    """Last one taken."""
    next_offset: int
    """Of the command record after the last applied one."""
    clock_us: int
    """The greatest time the log has given, microseconds since 1970."""
    state_hash: int
    balance_hash: int
    open_orders: int
    client_order_id_memory_us: int
    markets_changed: int
    """Sequence of the last change of an asset or an instrument."""
    next_due_us: int
    """When the first thing that waits for time is due, microseconds since 1970; 0: nothing does."""
    halt_sequence: int
    """Of the Halt that stopped the shard; 0: it trades."""


class Core:
    """A shard's state, which changes by command records alone."""

    def __init__(self, shard: int) -> None:
        """An empty core of shard 0..1023. Raises NoRoom."""
        made = ffi.new("core **")
        _must(lib.core_new(shard, made), f"a core of shard {shard}")
        self._take(made)

    @classmethod
    def restore(cls, data: bytes) -> "Core":
        """The core that this snapshot was taken of. Raises BrokenSnapshot, UnknownRules, NoRoom."""
        made = ffi.new("core **")
        _must(lib.core_restore(data, len(data), made), f"a snapshot of {len(data)} bytes")
        core = cls.__new__(cls)
        core._take(made)
        return core

    def _take(self, made: Any) -> None:
        self._core = ffi.gc(made[0], lib.core_free)
        self._failed: CoreFailed | None = None
        self._events = _room("uint8_t[]", PART_BYTES)
        self._answers = _room("uint8_t[]", _ANSWER_BYTES)
        self._index: Any = _room("struct core_answer[]", _MOST_BATCHES)
        self._piece = _room("uint8_t[]", _PIECE_BYTES)
        self._cursor = ffi.new("uint64_t *")
        self._facts: Any = ffi.new("struct core_facts *")
        self._part: Any = ffi.new(
            "struct core_part *",
            {"events": self._events, "answers": self._answers, "index": self._index},
        )

    @staticmethod
    def check(batch: bytes) -> Batch | Malformed:
        """Whether this is a well-formed SubmitRequest. Needs no core."""
        found: Any = ffi.new("struct core_batch *")
        where = ffi.new("uint32_t *")
        if lib.core_check(batch, len(batch), found, where) != lib.CORE_OK:
            return Malformed(where[0])
        only_cancels = bool(found.only_cancels)
        return Batch(found.session, found.number, found.source, found.commands, only_cancels)

    def apply(self, offset: int, time_us: int, record: bytes) -> Iterator[Part]:
        """Apply the command record at this offset, one call of C for each part.

        Take the parts to the last one and ask nothing in between: until then the core is between
        two states. Raises ForeignRecord, UnknownRules or NoRoom at the first part, CoreFailed at
        any: what came before it of the record counts for nothing.
        """
        return self._work(lib.core_apply, offset, time_us, record)

    def skip(self, offset: int, time_us: int, record: bytes) -> Iterator[Part]:
        """The same, but each command of the record ends as `engine_refused` and does nothing."""
        return self._work(lib.core_skip, offset, time_us, record)

    def _work(
        self, work: Callable[..., int], offset: int, time_us: int, record: bytes
    ) -> Iterator[Part]:
        part, number = self._part, 0
        what = f"the command record at offset {offset}"
        while True:
            code = work(self._whole(), offset, time_us, record, len(record), number, part)
            if code == lib.CORE_FAILED:
                self._failed = self._failure(what)
                raise self._failed
            _must(code, what)
            yield self._made()
            if part.last:
                return
            number += 1

    def _whole(self) -> Any:
        """The core in C. Raises what it failed with."""
        if self._failed is not None:
            raise self._failed
        return self._core

    def _failure(self, what: str) -> CoreFailed:
        found: Any = ffi.new("struct core_failure *")
        lib.core_failed(self._core, found)
        return CoreFailed(
            f"{what[0].upper()}{what[1:]}", _text(found.rule), _text(found.file), found.line
        )

    def _made(self) -> Part:
        part, answers = self._part, ffi.buffer(self._answers)
        index = [
            Answer(
                entry.batch,
                answers[entry.start : entry.start + entry.length],
                bool(entry.done),
                entry.status,
            )
            for entry in self._index[0 : part.index_length]
        ]
        return Part(ffi.buffer(self._events)[: part.events_length], index, bool(part.last))

    def facts(self) -> Facts:
        """Where the core stands."""
        facts = self._facts
        lib.core_facts(self._whole(), facts)
        return Facts(
            facts.shard,
            facts.rules,
            facts.sequence,
            facts.next_offset,
            facts.clock_us,
            facts.state_hash,
            facts.balance_hash,
            facts.open_orders,
            facts.client_order_id_memory_us,
            facts.markets_changed,
            facts.next_due_us,
            facts.halt_sequence,
        )

    # --- questions: each answers with an encoded message of matching_service.proto -----------

    def get_order(self, account: int, order_id: int, client_order_id: str) -> bytes:
        """GetOrderResponse. The name counts if order_id is 0."""
        name = client_order_id.encode()
        length = lib.core_get_order(
            self._whole(), account, order_id, name, len(name), self._piece, _PIECE_BYTES
        )
        return self._said(length)

    def list_open_orders(self, account: int, instrument: int) -> bytes:
        """ListOpenOrdersResponse. Instrument 0 means all."""
        return self._pieces(lib.core_list_open_orders, account, instrument)

    def get_balances(self, account: int) -> bytes:
        """GetBalancesResponse."""
        return self._pieces(lib.core_get_balances, account)

    def get_account(self, account: int) -> bytes:
        """GetAccountResponse."""
        return self._said(lib.core_get_account(self._whole(), account, self._piece, _PIECE_BYTES))

    def get_depth(self, instrument: int) -> bytes:
        """GetDepthResponse."""
        return self._pieces(lib.core_get_depth, instrument)

    def list_markets(self) -> bytes:
        """WatchMarketsResponse."""
        return self._pieces(lib.core_list_markets)

    def verify(self) -> Iterator[bytes]:
        """VerifyResponse in pieces of at most 64 KB, each a message by itself. Slow.

        Take them all before anything else is asked of the core: it walks everything as it goes.
        """
        return self._asked(lib.core_verify)

    def validate(self) -> int:
        """0, or the line in native/ of the rule that the state breaks. Slow."""
        line: int = lib.core_validate(self._whole())
        return line

    def snapshot(self) -> Iterator[bytes]:
        """The whole state in pieces of at most 1 MB, the same bytes for the same state.

        Take them all before anything else is asked of the core.
        """
        room = _room("uint8_t[]", _SNAPSHOT_PIECE_BYTES)
        cursor = ffi.new("uint64_t *")
        while True:
            length = lib.core_snapshot(self._whole(), cursor, room, _SNAPSHOT_PIECE_BYTES)
            _must(min(length, 0), "a snapshot")
            yield bytes(ffi.buffer(room, length))
            if cursor[0] == 0:
                return

    def _pieces(self, ask: Callable[..., int], *about: int) -> bytes:
        return b"".join(self._asked(ask, *about))

    def _asked(self, ask: Callable[..., int], *about: int) -> Iterator[bytes]:
        """Ask until the cursor is 0 again."""
        cursor = self._cursor
        cursor[0] = 0
        while True:
            length = ask(self._whole(), *about, cursor, self._piece, _PIECE_BYTES)
            yield self._said(length)
            if cursor[0] == 0:
                return

    def _said(self, length: int) -> bytes:
        _must(min(length, 0), "an answer")
        return bytes(ffi.buffer(self._piece, length))


_ERRORS: Final[dict[int, tuple[type[CoreError], str]]] = {
    lib.CORE_FOREIGN: (ForeignRecord, "is not well formed, or not the next one"),
    lib.CORE_UNKNOWN_RULES: (UnknownRules, "asks for rules that this version does not know"),
    lib.CORE_NO_ROOM: (NoRoom, "needs more memory than there is"),
    lib.CORE_BROKEN: (BrokenSnapshot, "does not hold together"),
}


def _text(pointer: Any) -> str:
    found: Any = ffi.string(pointer)
    return str(found, "utf-8")


def _must(code: int, what: str) -> None:
    """Raise what a negative result of C means."""
    if code != lib.CORE_OK:
        kind, why = _ERRORS.get(code, (CoreError, f"failed with {code}"))
        raise kind(f"{what[0].upper()}{what[1:]} {why}.")
