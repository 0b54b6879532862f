"""The codec in C against the protobuf library: each reads an equal message in the other's bytes."""

import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.native.batches import BATCHES, message_type, plain_messages
from tests.native.codec_library import Batch, Refused, library

SubmitRequest = matching.SubmitRequest

LONGER = settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
FEWER = settings(LONGER, max_examples=100)


def through_c(encoded: bytes) -> matching.SubmitRequest:
    found = library().batch(encoded)
    assert isinstance(found, Batch), f"refused at {found}"
    return SubmitRequest.FromString(found.encoded)


# --- reading --------------------------------------------------------------------------------


@LONGER
@given(BATCHES)
def test_a_well_formed_batch_means_the_same_to_both(batch: matching.SubmitRequest) -> None:
    found = library().batch(batch.SerializeToString())
    assert isinstance(found, Batch), f"refused at {found}: {batch}"
    assert SubmitRequest.FromString(found.encoded) == batch
    head = (found.session, found.number, found.source, found.commands)
    assert head == (batch.session, batch.number, batch.source, len(batch.commands))
    kinds = {command.WhichOneof("kind") for command in batch.commands}
    assert found.only_cancels == (kinds <= {"cancel_order", "cancel_all", "kill"})


@LONGER
@given(BATCHES, st.randoms(use_true_random=False))
def test_fields_may_come_in_any_order(batch: matching.SubmitRequest, chance: random.Random) -> None:
    fields = [
        SubmitRequest(session=batch.session).SerializeToString(),
        SubmitRequest(number=batch.number).SerializeToString(),
        SubmitRequest(source=batch.source).SerializeToString(),
    ]
    chance.shuffle(fields)
    commands = [SubmitRequest(commands=[command]).SerializeToString() for command in batch.commands]
    place = chance.randrange(len(fields) + 1)
    shuffled = b"".join([*fields[:place], *commands, *fields[place:]])
    assert through_c(shuffled) == batch


@LONGER
@given(BATCHES, st.randoms(use_true_random=False))
def test_damaged_bytes_are_refused_or_mean_the_same_to_both(
    batch: matching.SubmitRequest, chance: random.Random
) -> None:
    encoded = batch.SerializeToString()
    for damage in [flip, flip, cut, cut_out, repeat, insert, join]:
        damaged = damage(encoded, chance)
        found = library().batch(damaged)
        if isinstance(found, Batch):
            assert SubmitRequest.FromString(found.encoded) == SubmitRequest.FromString(damaged)
        else:
            assert 0 <= found.where <= len(damaged)


@LONGER
@given(st.binary(max_size=200))
@example(b"")
@example(b"\x22" + b"\xff" * 9 + b"\x01")
def test_garbage_is_refused_or_means_the_same_to_both(garbage: bytes) -> None:
    found = library().batch(garbage)
    if isinstance(found, Batch):
        assert SubmitRequest.FromString(found.encoded) == SubmitRequest.FromString(garbage)


@FEWER
@given(BATCHES)
def test_a_batch_cut_short_anywhere_is_refused_or_means_the_same(
    batch: matching.SubmitRequest,
) -> None:
    encoded = batch.SerializeToString()[-300:]
    for length in range(len(encoded)):
        found = library().batch(encoded[:length])
        if isinstance(found, Batch):
            cut_short = SubmitRequest.FromString(encoded[:length])
            assert SubmitRequest.FromString(found.encoded) == cut_short


@FEWER
@given(st.integers(0, 2**32 - 1), st.lists(BATCHES, max_size=5))
def test_a_record_is_walked_batch_by_batch(
    shard: int, batches: list[matching.SubmitRequest]
) -> None:
    requests = [batch.SerializeToString() for batch in batches]
    encoded = matching.CommandRecord(shard=shard, requests=requests).SerializeToString()
    found = library().record(encoded)
    assert not isinstance(found, Refused)
    assert found[0] == shard
    assert [SubmitRequest.FromString(again) for again in found[1]] == batches


@FEWER
@given(st.lists(BATCHES, max_size=3), st.randoms(use_true_random=False))
def test_a_damaged_record_is_refused_or_means_the_same(
    batches: list[matching.SubmitRequest], chance: random.Random
) -> None:
    requests = [batch.SerializeToString() for batch in batches]
    encoded = matching.CommandRecord(shard=7, requests=requests).SerializeToString()
    for damage in [flip, cut, repeat, insert]:
        damaged = damage(encoded, chance)
        found = library().record(damaged)
        if not isinstance(found, Refused):
            record = matching.CommandRecord.FromString(damaged)
            assert found[0] == record.shard
            assert [SubmitRequest.FromString(again) for again in found[1]] == [
                SubmitRequest.FromString(request) for request in record.requests
            ]


def flip(encoded: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(encoded or b"\0")
    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def cut(encoded: bytes, chance: random.Random) -> bytes:
    return encoded[: chance.randrange(len(encoded) + 1)]


def cut_out(encoded: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(encoded) + 1)
    return encoded[:place] + encoded[place + chance.randrange(1, 4) :]


def repeat(encoded: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(encoded) + 1)
    return encoded[:place] + encoded[place : place + chance.randrange(1, 40)] + encoded[place:]


def insert(encoded: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(encoded) + 1)
    return encoded[:place] + chance.randbytes(chance.randrange(1, 12)) + encoded[place:]


def join(encoded: bytes, chance: random.Random) -> bytes:
    return encoded + encoded[chance.randrange(len(encoded) + 1) :]


# --- writing --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", library().plain_names())
def test_a_message_written_in_c_is_read_as_it_was(name: str) -> None:
    kind = message_type(name)

    @FEWER
    @given(plain_messages(kind))
    def holds(message: object) -> None:
        assert isinstance(message, kind)
        encoded = message.SerializeToString(deterministic=True)
        written = library().message(name, encoded)
        # It was written as field 1 of another message. The bytes are those of the library.
        assert written == matching.CommandRecord(requests=[encoded]).SerializeToString().replace(
            b"\x12", b"\x0a", 1
        )

    holds()


@pytest.mark.parametrize("name", library().outer_names())
def test_the_fields_of_an_outer_message_are_read_as_they_were(name: str) -> None:
    kind = message_type(name)

    @FEWER
    @given(plain_messages(kind))
    def holds(message: object) -> None:
        assert isinstance(message, kind)
        encoded = message.SerializeToString(deterministic=True)
        assert library().message(name, encoded) == encoded

    holds()


@LONGER
@given(plain_messages(types.Order), st.integers(0, 4095))
def test_an_order_stands_in_the_event_and_in_the_outcome(order: types.Order, command: int) -> None:
    event, answer = library().order_twice(order.SerializeToString(), command)
    assert matching.EventRecord.FromString(event) == matching.EventRecord(
        orders=[matching.OrderEvent(command=command, order=order)]
    )
    outcome = matching.Outcome(order=order, created_id=command, repeated=bool(command & 1))
    if not order.ByteSize():
        outcome.ClearField("order")
    assert matching.SubmitResponse.FromString(answer) == matching.SubmitResponse(outcomes=[outcome])


@LONGER
@given(plain_messages(matching.TradeEvent), st.integers(0, 4095))
def test_a_trade_stands_in_the_event_and_in_the_answer(
    trade: matching.TradeEvent, command: int
) -> None:
    event, answer = library().trade_twice(trade.SerializeToString(), command)
    assert matching.EventRecord.FromString(event) == matching.EventRecord(trades=[trade])
    trade.command = command
    assert matching.SubmitResponse.FromString(answer) == matching.SubmitResponse(trades=[trade])
