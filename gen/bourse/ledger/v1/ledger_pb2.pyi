from bourse.types.v1 import nouns_pb2 as _nouns_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TransferState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSFER_STATE_UNSPECIFIED: _ClassVar[TransferState]
    TRANSFER_STATE_SENT: _ClassVar[TransferState]
    TRANSFER_STATE_DONE: _ClassVar[TransferState]
    TRANSFER_STATE_REFUSED: _ClassVar[TransferState]

class MoveState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MOVE_STATE_UNSPECIFIED: _ClassVar[MoveState]
    MOVE_STATE_ASKED: _ClassVar[MoveState]
    MOVE_STATE_IN_TRANSIT: _ClassVar[MoveState]
    MOVE_STATE_DONE: _ClassVar[MoveState]
    MOVE_STATE_REFUSED: _ClassVar[MoveState]
    MOVE_STATE_RETURNING: _ClassVar[MoveState]
    MOVE_STATE_RETURNED: _ClassVar[MoveState]
TRANSFER_STATE_UNSPECIFIED: TransferState
TRANSFER_STATE_SENT: TransferState
TRANSFER_STATE_DONE: TransferState
TRANSFER_STATE_REFUSED: TransferState
MOVE_STATE_UNSPECIFIED: MoveState
MOVE_STATE_ASKED: MoveState
MOVE_STATE_IN_TRANSIT: MoveState
MOVE_STATE_DONE: MoveState
MOVE_STATE_REFUSED: MoveState
MOVE_STATE_RETURNING: MoveState
MOVE_STATE_RETURNED: MoveState

class LedgerBalance(_message.Message):
    __slots__ = ("account", "asset", "shard", "posted_minor")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    POSTED_MINOR_FIELD_NUMBER: _ClassVar[int]
    account: int
    asset: int
    shard: int
    posted_minor: int
    def __init__(self, account: _Optional[int] = ..., asset: _Optional[int] = ..., shard: _Optional[int] = ..., posted_minor: _Optional[int] = ...) -> None: ...

class Transfer(_message.Message):
    __slots__ = ("request_id", "account", "asset", "amount_minor", "state", "refusal", "sequence", "number", "shard")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    account: int
    asset: int
    amount_minor: int
    state: TransferState
    refusal: int
    sequence: int
    number: int
    shard: int
    def __init__(self, request_id: _Optional[bytes] = ..., account: _Optional[int] = ..., asset: _Optional[int] = ..., amount_minor: _Optional[int] = ..., state: _Optional[_Union[TransferState, str]] = ..., refusal: _Optional[int] = ..., sequence: _Optional[int] = ..., number: _Optional[int] = ..., shard: _Optional[int] = ...) -> None: ...

class Move(_message.Message):
    __slots__ = ("request_id", "account", "asset", "amount_minor", "from_shard", "to_shard", "state", "refusal", "debit_sequence", "credit_sequence")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    FROM_SHARD_FIELD_NUMBER: _ClassVar[int]
    TO_SHARD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    DEBIT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREDIT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    account: int
    asset: int
    amount_minor: int
    from_shard: int
    to_shard: int
    state: MoveState
    refusal: int
    debit_sequence: int
    credit_sequence: int
    def __init__(self, request_id: _Optional[bytes] = ..., account: _Optional[int] = ..., asset: _Optional[int] = ..., amount_minor: _Optional[int] = ..., from_shard: _Optional[int] = ..., to_shard: _Optional[int] = ..., state: _Optional[_Union[MoveState, str]] = ..., refusal: _Optional[int] = ..., debit_sequence: _Optional[int] = ..., credit_sequence: _Optional[int] = ...) -> None: ...

class Transit(_message.Message):
    __slots__ = ("account", "asset", "amount_minor")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    account: int
    asset: int
    amount_minor: int
    def __init__(self, account: _Optional[int] = ..., asset: _Optional[int] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class ShardBooks(_message.Message):
    __slots__ = ("place", "balance_hash")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    BALANCE_HASH_FIELD_NUMBER: _ClassVar[int]
    place: _nouns_pb2.ReaderPlace
    balance_hash: int
    def __init__(self, place: _Optional[_Union[_nouns_pb2.ReaderPlace, _Mapping]] = ..., balance_hash: _Optional[int] = ...) -> None: ...

class Posting(_message.Message):
    __slots__ = ("seq", "account", "asset", "shard", "amount_minor", "kind", "time_us")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    seq: int
    account: int
    asset: int
    shard: int
    amount_minor: int
    kind: str
    time_us: int
    def __init__(self, seq: _Optional[int] = ..., account: _Optional[int] = ..., asset: _Optional[int] = ..., shard: _Optional[int] = ..., amount_minor: _Optional[int] = ..., kind: _Optional[str] = ..., time_us: _Optional[int] = ...) -> None: ...
