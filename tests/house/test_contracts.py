"""The contracts are well formed, say what they mean, and only grow."""

import itertools
from collections.abc import Iterable, Iterator

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
)

from tests.house.tree import must_succeed


def test_contracts_pass_buf() -> None:
    must_succeed("buf", "lint")


def test_contracts_are_formatted() -> None:
    must_succeed("buf", "format", "--diff", "--exit-code")


def test_contracts_only_grow() -> None:
    must_succeed("buf", "breaking", "--against", "tests/house/contract.binpb")


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, DescriptorProto]]:
    """Every message by its full name, its fields in the order they are declared."""
    image = tmp_path_factory.mktemp("contracts") / "image.binpb"
    must_succeed("buf", "build", "-o", str(image))
    files = FileDescriptorSet.FromString(image.read_bytes()).file
    ours = [file for file in files if file.package.startswith("bourse.")]
    return [named for file in ours for named in _messages(file.package, file.message_type)]


def _messages(
    prefix: str, messages: Iterable[DescriptorProto]
) -> Iterator[tuple[str, DescriptorProto]]:
    for message in messages:
        name = f"{prefix}.{message.name}"
        yield name, message
        yield from _messages(name, message.nested_type)


def test_fields_ascend(messages: list[tuple[str, DescriptorProto]]) -> None:
    """Both codecs then write the same bytes: one goes by number, the other by declaration."""
    for name, message in messages:
        numbers = [field.number for field in message.field]
        assert numbers == sorted(numbers), f"{name}: declare fields in ascending number"


def test_oneofs_come_last(messages: list[tuple[str, DescriptorProto]]) -> None:
    """As above; and what may still be added to a choice stands where it can be added."""
    for name, message in messages:
        after = itertools.dropwhile(lambda field: not _is_choice(field), message.field)
        plain = [field.name for field in after if not _is_choice(field)]
        assert not plain, f"{name}: {plain} stands after a oneof"


def _is_choice(field: FieldDescriptorProto) -> bool:
    return field.HasField("oneof_index") and not field.proto3_optional
