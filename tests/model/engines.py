"""One face for whatever applies command records: the model, and the core in C.

A core's parts are joined here into the one event record that the model makes.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.matching.core import PART_BYTES, Core, Part
from tests.model.invariants import broken
from tests.model.model import Model


class Engine(Protocol):
    """What the tables and the comparison need of an engine."""

    def apply(
        self, offset: int, time_us: int, record: matching.CommandRecord
    ) -> tuple[matching.EventRecord, list[matching.SubmitResponse]]:
        """The events of a record as one part, and the answers of its batches."""

    def skip(
        self, offset: int, time_us: int, record: matching.CommandRecord
    ) -> tuple[matching.EventRecord, list[matching.SubmitResponse]]:
        """The same of a record that operators had to skip."""

    def balance(self, account: int, asset: int) -> tuple[int, int]:
        """Available and held, minor units."""

    def orders(self) -> list[types.Order]:
        """All open orders by id."""

    def depth(self, instrument: int, side: types.Side) -> list[tuple[int, int]]:
        """Price and lots of each level, best first."""

    def check(self) -> str:
        """What is broken inside; empty if nothing is."""


class ModelEngine:
    """The model."""

    def __init__(self, shard: int = 0) -> None:
        self.model = Model(shard)

    def apply(
        self, offset: int, time_us: int, record: matching.CommandRecord
    ) -> tuple[matching.EventRecord, list[matching.SubmitResponse]]:
        return self.model.apply(offset, time_us, record)

    def skip(
        self, offset: int, time_us: int, record: matching.CommandRecord
    ) -> tuple[matching.EventRecord, list[matching.SubmitResponse]]:
        return self.model.skip(offset, time_us, record)

    def balance(self, account: int, asset: int) -> tuple[int, int]:
        balance = self.model.balance(account, asset)
        return balance.available_minor, balance.held_minor

    def orders(self) -> list[types.Order]:
        return [order for _, order in sorted(self.model.orders.items())]

    def depth(self, instrument: int, side: types.Side) -> list[tuple[int, int]]:
        levels: dict[int, int] = {}
        for order in self.model.books[instrument, side]:
            shown = self.model.shown[order.order_id]
            levels[order.price_ticks] = levels.get(order.price_ticks, 0) + shown
        return list(levels.items())

    def check(self) -> str:
        return broken(self.model)


class CoreEngine:
    """The core in C."""

    def __init__(self, shard: int = 0, core: Core | None = None) -> None:
        self.core = core or Core(shard)
        self.parts: list[bytes] = []
        """The event records of the last command record, as they are published."""

    def apply(
        self, offset: int, time_us: int, record: matching.CommandRecord
    ) -> tuple[matching.EventRecord, list[matching.SubmitResponse]]:
        return self._made(self.core.apply(offset, time_us, record.SerializeToString()), record)

    def skip(
        self, offset: int, time_us: int, record: matching.CommandRecord
    ) -> tuple[matching.EventRecord, list[matching.SubmitResponse]]:
        return self._made(self.core.skip(offset, time_us, record.SerializeToString()), record)

    def _made(
        self, made: Iterable[Part], record: matching.CommandRecord
    ) -> tuple[matching.EventRecord, list[matching.SubmitResponse]]:
        parts = list(made)
        self.parts = [part.events for part in parts]
        assert all(len(part) <= PART_BYTES for part in self.parts)
        whole = join([matching.EventRecord.FromString(part) for part in self.parts])
        assert whole.state_hash == self.core.facts().state_hash
        whole.ClearField("state_hash")
        pieces = [(answer.batch, answer.piece) for part in parts for answer in part.answers]
        return whole, join_answers(pieces, len(record.requests))

    def balance(self, account: int, asset: int) -> tuple[int, int]:
        answer = matching.GetBalancesResponse.FromString(self.core.get_balances(account))
        found = [b for b in answer.balances if b.asset == asset]
        return (found[0].available_minor, found[0].held_minor) if found else (0, 0)

    def orders(self) -> list[types.Order]:
        return list(matching.VerifyResponse.FromString(b"".join(self.core.verify())).orders)

    def depth(self, instrument: int, side: types.Side) -> list[tuple[int, int]]:
        answer = matching.GetDepthResponse.FromString(self.core.get_depth(instrument))
        levels = answer.bids if side == types.SIDE_BUY else answer.asks
        return [(level.price_ticks, level.lots) for level in levels]

    def check(self) -> str:
        line = self.core.validate()
        return f"line {line} of native/ says so" if line else ""


def join(parts: Sequence[matching.EventRecord]) -> matching.EventRecord:
    """One record of all parts: lists one after the other, the marks of what went on merged."""
    whole = matching.EventRecord()
    assert [part.part for part in parts] == list(range(len(parts)))
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
    whole.CopyFrom(parts[0])
    for part in parts[1:]:
        first = part.first_sequence - whole.first_sequence
        _join_marks(whole, part, first)
        for name in _LISTS:
            for event in getattr(part, name):
                event.command += first
                getattr(whole, name).append(event)
        whole.auctions.extend(part.auctions)
    whole.last = parts[-1].last
    whole.rules = parts[-1].rules
    whole.state_hash = parts[-1].state_hash
    whole.balance_hash = parts[-1].balance_hash
    return whole


_LISTS = (
    "trades",
    "orders",
    "levels",
    "balances",
    "moves",
    "assets",
    "instruments",
    "accounts",
)


def _join_marks(whole: matching.EventRecord, part: matching.EventRecord, first: int) -> None:
    for index, mark in enumerate(part.commands, first):
        if index < len(whole.commands):
            assert whole.commands[index] == mark, "the mark of a command is the same in each part"
        else:
            whole.commands.append(mark)
    for batch in part.batches:
        batch.first_command += first
        _join_batch(whole, batch)


def _join_batch(whole: matching.EventRecord, batch: matching.BatchMark) -> None:
    last = whole.batches[-1] if whole.batches else None
    if last and _same_batch(last, batch):
        last.commands = batch.first_command + batch.commands - last.first_command
    else:
        whole.batches.append(batch)


def with_batches_joined(record: matching.EventRecord) -> matching.EventRecord:
    """Batches of one source under one number, one behind the other, as one.

    Where the first ends with its part, nothing in the parts says that the second is another.
    """
    joined = matching.EventRecord()
    joined.CopyFrom(record)
    del joined.batches[:]
    for batch in record.batches:
        _join_batch(joined, batch)
    return joined


def _same_batch(last: matching.BatchMark, next_one: matching.BatchMark) -> bool:
    key = (last.session, last.number, last.source)
    return key != (0, 0, 0) and key == (next_one.session, next_one.number, next_one.source)


def join_answers(
    pieces: Iterable[tuple[int, bytes]], batches: int
) -> list[matching.SubmitResponse]:
    """The answers of a record's batches, each from its pieces (index of the batch, bytes)."""
    whole = [b""] * batches
    for batch, piece in pieces:
        whole[batch] += piece
    return [matching.SubmitResponse.FromString(answer) for answer in whole]
