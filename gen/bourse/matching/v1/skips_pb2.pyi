from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class SkippedRecord(_message.Message):
    __slots__ = ("shard", "offset", "sha256", "proposed_by", "confirmed_by", "reason", "time_us")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_BY_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    shard: int
    offset: int
    sha256: bytes
    proposed_by: str
    confirmed_by: str
    reason: str
    time_us: int
    def __init__(self, shard: _Optional[int] = ..., offset: _Optional[int] = ..., sha256: _Optional[bytes] = ..., proposed_by: _Optional[str] = ..., confirmed_by: _Optional[str] = ..., reason: _Optional[str] = ..., time_us: _Optional[int] = ...) -> None: ...
