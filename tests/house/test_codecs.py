"""The codec of the client library and Google's write the same bytes for every message there is."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import betterproto2
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.house.tree import ROOT

# A message inside a message inside a message; deeper ones stay empty.
DEEPEST = 3
NUMBERS = {
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SFIXED64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=20),
}


def _descriptors() -> Iterator[Descriptor]:
    """Every message of every contract, those inside others too."""
    for init in sorted((ROOT / "gen" / "bourse").glob("*/v1/__init__.py")):
        package = importlib.import_module(_dotted(init.parent))
        for name in package.__all__:
            said = getattr(package, name)
            if isinstance(said, type) and issubclass(said, Message):
                yield from _with_inner(cast(Descriptor, said.DESCRIPTOR))


def _dotted(folder: Path) -> str:
    return ".".join(folder.relative_to(ROOT / "gen").parts)


def _with_inner(descriptor: Descriptor) -> Iterator[Descriptor]:
    yield descriptor
    for inner in descriptor.nested_types:
        yield from _with_inner(inner)


def _client_class(descriptor: Descriptor) -> type[betterproto2.Message]:
    package = descriptor.file.package
    inner = descriptor.full_name.removeprefix(f"{package}.").replace(".", "")
    found: type[betterproto2.Message] = getattr(
        importlib.import_module(f"bourse_client.{package}"), inner
    )
    return found


def _fill(message: Message, draw: Any, depth: int) -> None:
    """Set some of the fields, each to anything it can hold; of a choice, one."""
    chosen = {
        oneof.name: draw(st.sampled_from(list(oneof.fields))).name
        for oneof in message.DESCRIPTOR.oneofs
    }
    for field in cast(Descriptor, message.DESCRIPTOR).fields:
        choice = field.containing_oneof
        if draw(st.booleans()) and (choice is None or chosen[choice.name] == field.name):
            _set(message, field, draw, depth)


def _set(message: Message, field: FieldDescriptor, draw: Any, depth: int) -> None:
    values = [field.name] * (draw(st.integers(1, 3)) if field.is_repeated else 1)
    for name in values:
        held = getattr(message, name)
        if field.message_type is not None:
            inner = held.add() if field.is_repeated else held
            inner.SetInParent()
            if depth < DEEPEST:
                _fill(inner, draw, depth + 1)
        elif field.is_repeated:
            held.append(draw(_value(field)))
        else:
            setattr(message, name, draw(_value(field)))


def _value(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return NUMBERS[field.type]


@pytest.mark.parametrize("descriptor", list(_descriptors()), ids=lambda each: str(each.full_name))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_both_codecs_write_the_same_bytes(descriptor: Descriptor, data: st.DataObject) -> None:
    message = GetMessageClass(descriptor)()
    _fill(message, data.draw, 1)
    written = message.SerializeToString(deterministic=True)
    assert bytes(_client_class(descriptor).parse(written)) == written
