"""Every field of every command on the wire, one by one: what each may not be is refused.

The fields come from the contract's own description, so a new field is tried as soon as it is there.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from bourse.matching import v1 as matching
from tests.native.codec_library import Refused, library

ID = bytes(16)
VARINT, LENGTH = 0, 2
TOO_LARGE = {
    FieldDescriptor.TYPE_UINT32: 2**32,
    FieldDescriptor.TYPE_SINT32: 2**32,
    FieldDescriptor.TYPE_BOOL: 2,
}
ALONE = ("tick", "open_session", "halt")
MOVES = ("credit", "debit")
KINDS = matching.Command.DESCRIPTOR.oneofs_by_name["kind"].fields


def varint(value: int) -> bytes:
    encoded = b""
    while value >= 0x80:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def tag(field: Any) -> bytes:
    wire = LENGTH if field.type in _TEXT or is_message(field) else VARINT
    return varint(field.number << 3 | wire)


def with_length(body: bytes) -> bytes:
    return varint(len(body)) + body


_TEXT = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def is_message(field: Any) -> bool:
    return bool(field.type == FieldDescriptor.TYPE_MESSAGE)


def right_values(field: Any) -> Iterator[bytes]:
    """One value that the field may have by itself, with its tag."""
    if is_message(field):
        yield tag(field) + with_length(b"")
    elif field.type in _TEXT:
        yield tag(field) + with_length(b"A")
    else:
        yield tag(field) + varint(1)


def wrong_values(field: Any) -> Iterator[bytes]:
    """What the field may not be, with its tag: cut short, too long, too large; of another type."""
    yield tag(field)
    yield tag(field)[:-1] + bytes([tag(field)[-1] | 0x80])
    if is_message(field) or field.type in _TEXT:
        yield tag(field) + b"\x05ab"
        yield tag(field) + b"\xff" * 9 + b"\x01"
        yield varint(field.number << 3 | VARINT) + b"\x01"
    else:
        yield tag(field) + b"\x80" * 10 + b"\x00"
        yield varint(field.number << 3 | LENGTH) + b"\x00"
    if field.type in _TEXT:
        yield tag(field) + with_length(b"A" * 1_000)
    if field.type == FieldDescriptor.TYPE_STRING:
        yield tag(field) + with_length(b"\x7f")
    if field.type == FieldDescriptor.TYPE_ENUM:
        yield tag(field) + varint(1 + max(v.number for v in field.enum_type.values))
    elif field.type in TOO_LARGE:
        yield tag(field) + varint(TOO_LARGE[field.type])
    if not is_message(field) or not field.is_repeated:
        (value,) = right_values(field)
        yield value * 2


def wrong_bodies(message: Any) -> Iterator[tuple[str, bytes]]:
    """Messages in which one field is wrong, and messages in which such a message stands."""
    yield "an unfinished tag", b"\x80"
    yield "an unknown field", varint(60 << 3) + b"\x01"
    for field in message.fields:
        for wrong in wrong_values(field):
            yield field.name, wrong
        if is_message(field):
            for name, body in wrong_bodies(field.message_type):
                yield f"{field.name}.{name}", tag(field) + with_length(body)


def batch_of(kind: str, fields: bytes) -> bytes:
    """A batch of the sort that the kind travels in, with a command of these fields."""
    head = matching.SubmitRequest(session=9, number=1)
    if kind in ALONE:
        head = matching.SubmitRequest()
    elif kind in MOVES:
        head = matching.SubmitRequest(source=9, number=1)
    envelope = matching.Command(request_id=ID, account=1000).SerializeToString()
    return head.SerializeToString() + b"\x22" + with_length(envelope + fields)


@pytest.mark.parametrize("kind", [field.name for field in KINDS])
def test_no_field_is_what_it_may_not_be(kind: str) -> None:
    (field,) = (field for field in KINDS if field.name == kind)
    message: Any = field.message_type
    tried = 0
    for name, body in wrong_bodies(message):
        found = library().batch(batch_of(kind, tag(field) + with_length(body)))
        assert isinstance(found, Refused), f"{name}: {body.hex(' ')}"
        tried += 1
    assert tried >= 2 + 5 * len(message.fields)


def test_nor_is_a_field_of_the_command_itself() -> None:
    close = matching.Command(close_session=matching.CloseSession()).SerializeToString()
    for field in matching.Command.DESCRIPTOR.fields:
        for wrong in wrong_values(field):
            head = matching.SubmitRequest(session=9, number=1).SerializeToString()
            command = wrong if field in KINDS else wrong + close
            found = library().batch(head + b"\x22" + with_length(command))
            assert isinstance(found, Refused), f"{field.name}: {wrong.hex(' ')}"


def test_an_instrument_has_at_most_as_many_fees_as_there_are_tiers() -> None:
    new = matching.AddInstrument()
    for tier in range(16):
        new.instrument.fees.add(tier=tier)
    command = matching.Command(request_id=ID, add_instrument=new)
    taken = matching.SubmitRequest(session=9, number=1, commands=[command])
    assert not isinstance(library().batch(taken.SerializeToString()), Refused)
    taken.commands[0].add_instrument.instrument.fees.add(tier=16)
    assert isinstance(library().batch(taken.SerializeToString()), Refused)
