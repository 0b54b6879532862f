"""Reading a request into one of the public shapes, or saying all that is wrong with it.

The common way is one strict decode. Only if that fails is the request looked at field by field, so
that every mistake is named with its pointer, in one answer.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Generic, TypeVar

import msgspec

from services.gateway.problems import Problem, invalid
from services.gateway.shapes import FieldError

ShapeT = TypeVar("ShapeT", bound=msgspec.Struct)

PRECEDENCE: Final = ("unknown_field", "missing_field", "invalid_value")
"""Of several mistakes in a request, whose code is told."""

_COUNT: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_TWICE: Final = "It is given twice."
_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])

UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)
"""What text that is no JSON, or not to be taken apart, ends with."""


def repeated(data: bytes) -> list[str]:
    """Names that a JSON object has more than once, which decoders pass over. It must be an object.

    A member has one colon outside of strings, so where there are as many colons as names none is
    repeated. Only where there are more is the text read again member by member, ten times slower.
    """
    if data.count(b":") == len(_object.decode(data)):
        return []
    # Numbers are left as they are: what counts is names, and one of 60,000 digits takes its time.
    members = json.loads(data, object_pairs_hook=list, parse_int=str, parse_float=str)
    count = Counter(name for name, _ in members)
    return [name for name, times in count.items() if times > 1]


class Reader(Generic[ShapeT]):
    """Reads bodies and queries of one shape."""

    def __init__(self, shape: type[ShapeT]) -> None:
        self.shape = shape
        self._decoder = msgspec.json.Decoder(shape)
        self._fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
        # In a query a number is digits and nothing else: no sign, no exponent, no leading zero.
        self._counts = {name for name, field in self._fields.items() if _is_count(field.type)}
        # A struct of one field each: the only way to have one field judged by itself.
        self._alone = {
            name: msgspec.defstruct(name, [(name, field.type, msgspec.UNSET)])
            for name, field in self._fields.items()
        }

    def body(self, data: bytes) -> ShapeT:
        """The body as its shape. Raises Problem with every mistake in it."""
        try:
            shape = self._decoder.decode(data)
            if not repeated(data):
                return shape
            problem = self._explain(data)
        except msgspec.ValidationError:
            problem = self._explain(data)
        except UNREADABLE:
            problem = Problem("malformed_json")
        raise problem

    def query(self, pairs: Iterable[tuple[str, str]]) -> ShapeT:
        """The parameters as their shape. Raises Problem with every mistake in them."""
        values: dict[str, str | int] = {}
        for name, value in pairs:
            if name in values:
                raise invalid(f"/{_escaped(name)}", _TWICE)
            counts = name in self._counts and _COUNT.fullmatch(value)
            values[name] = int(value) if counts else value
        try:
            return msgspec.convert(values, self.shape)
        except msgspec.ValidationError:
            raise self._explain_query(values) from None

    def _explain(self, data: bytes) -> Problem:
        try:
            values = _object.decode(data)
            twice = repeated(data)
        except msgspec.ValidationError:
            return invalid("", "The body is not a JSON object.")
        except UNREADABLE:
            return Problem("malformed_json")
        mistakes = self._names(values)
        mistakes += (("invalid_value", FieldError(f"/{_escaped(name)}", _TWICE)) for name in twice)
        for name, raw in values.items():
            if name in self._alone:
                one = b'{"' + name.encode() + b'":' + bytes(raw) + b"}"
                try:
                    msgspec.json.decode(one, type=self._alone[name])
                except msgspec.ValidationError as error:
                    mistakes.append(("invalid_value", _mistake(name, error)))
        return _problem(mistakes)

    def _explain_query(self, values: Mapping[str, object]) -> Problem:
        mistakes = self._names(values)
        for name, value in values.items():
            if name in self._alone:
                try:
                    msgspec.convert({name: value}, self._alone[name])
                except msgspec.ValidationError as error:
                    mistakes.append(("invalid_value", _mistake(name, error)))
        return _problem(mistakes)

    def _names(self, values: Mapping[str, object]) -> list[tuple[str, FieldError]]:
        unknown = [
            ("unknown_field", FieldError(f"/{_escaped(name)}", "There is no such field."))
            for name in values
            if name not in self._fields
        ]
        missing = [
            ("missing_field", FieldError(f"/{name}", "This field is required."))
            for name, field in self._fields.items()
            if field.required and name not in values
        ]
        return unknown + missing


def _is_count(type_: object) -> bool:
    kind = msgspec.inspect.type_info(type_)
    if isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    return isinstance(kind, msgspec.inspect.IntType)


def _mistake(name: str, error: msgspec.ValidationError) -> FieldError:
    """What the decoder says of a field, without its own way of saying where."""
    return FieldError(f"/{name}", f"{str(error).rpartition(' - at ')[0][:200]}.")


def _escaped(name: str) -> str:
    """A name as a part of a JSON pointer, not longer than is worth repeating."""
    return name[:64].replace("~", "~0").replace("/", "~1")


def _problem(mistakes: list[tuple[str, FieldError]]) -> Problem:
    found = {code for code, _ in mistakes}
    code = next((code for code in PRECEDENCE if code in found), "invalid_value")
    errors = [error for _, error in mistakes]
    detail = "; ".join(f"{error.pointer}: {error.detail}" for error in errors[:5])
    return Problem(code, detail, errors=errors)
