from bourse.ledger.v1 import ledger_pb2 as _ledger_pb2
from bourse.types.v1 import nouns_pb2 as _nouns_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FundTreasuryRequest(_message.Message):
    __slots__ = ("request_id", "asset", "amount_minor")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    asset: int
    amount_minor: int
    def __init__(self, request_id: _Optional[bytes] = ..., asset: _Optional[int] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class FundTreasuryResponse(_message.Message):
    __slots__ = ("posted_minor",)
    POSTED_MINOR_FIELD_NUMBER: _ClassVar[int]
    posted_minor: int
    def __init__(self, posted_minor: _Optional[int] = ...) -> None: ...

class CreateTransferRequest(_message.Message):
    __slots__ = ("request_id", "account", "asset", "amount_minor", "shard")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    account: int
    asset: int
    amount_minor: int
    shard: int
    def __init__(self, request_id: _Optional[bytes] = ..., account: _Optional[int] = ..., asset: _Optional[int] = ..., amount_minor: _Optional[int] = ..., shard: _Optional[int] = ...) -> None: ...

class CreateTransferResponse(_message.Message):
    __slots__ = ("transfer",)
    TRANSFER_FIELD_NUMBER: _ClassVar[int]
    transfer: _ledger_pb2.Transfer
    def __init__(self, transfer: _Optional[_Union[_ledger_pb2.Transfer, _Mapping]] = ...) -> None: ...

class MoveMoneyRequest(_message.Message):
    __slots__ = ("request_id", "account", "asset", "amount_minor", "from_shard", "to_shard", "valid_until_us", "wait_ms")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    FROM_SHARD_FIELD_NUMBER: _ClassVar[int]
    TO_SHARD_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    account: int
    asset: int
    amount_minor: int
    from_shard: int
    to_shard: int
    valid_until_us: int
    wait_ms: int
    def __init__(self, request_id: _Optional[bytes] = ..., account: _Optional[int] = ..., asset: _Optional[int] = ..., amount_minor: _Optional[int] = ..., from_shard: _Optional[int] = ..., to_shard: _Optional[int] = ..., valid_until_us: _Optional[int] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class MoveMoneyResponse(_message.Message):
    __slots__ = ("move",)
    MOVE_FIELD_NUMBER: _ClassVar[int]
    move: _ledger_pb2.Move
    def __init__(self, move: _Optional[_Union[_ledger_pb2.Move, _Mapping]] = ...) -> None: ...

class GetTransitRequest(_message.Message):
    __slots__ = ("account", "at")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    account: int
    at: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ShardSequence]
    def __init__(self, account: _Optional[int] = ..., at: _Optional[_Iterable[_Union[_nouns_pb2.ShardSequence, _Mapping]]] = ...) -> None: ...

class GetTransitResponse(_message.Message):
    __slots__ = ("amounts", "read_again")
    AMOUNTS_FIELD_NUMBER: _ClassVar[int]
    READ_AGAIN_FIELD_NUMBER: _ClassVar[int]
    amounts: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.Transit]
    read_again: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ShardSequence]
    def __init__(self, amounts: _Optional[_Iterable[_Union[_ledger_pb2.Transit, _Mapping]]] = ..., read_again: _Optional[_Iterable[_Union[_nouns_pb2.ShardSequence, _Mapping]]] = ...) -> None: ...

class ListBalancesRequest(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: int
    def __init__(self, account: _Optional[int] = ...) -> None: ...

class ListBalancesResponse(_message.Message):
    __slots__ = ("balances", "at")
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    balances: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.LedgerBalance]
    at: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ShardSequence]
    def __init__(self, balances: _Optional[_Iterable[_Union[_ledger_pb2.LedgerBalance, _Mapping]]] = ..., at: _Optional[_Iterable[_Union[_nouns_pb2.ShardSequence, _Mapping]]] = ...) -> None: ...

class ListPostingsRequest(_message.Message):
    __slots__ = ("account", "asset", "limit", "cursor")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    account: int
    asset: int
    limit: int
    cursor: int
    def __init__(self, account: _Optional[int] = ..., asset: _Optional[int] = ..., limit: _Optional[int] = ..., cursor: _Optional[int] = ...) -> None: ...

class ListPostingsResponse(_message.Message):
    __slots__ = ("postings", "next_cursor")
    POSTINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    postings: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.Posting]
    next_cursor: int
    def __init__(self, postings: _Optional[_Iterable[_Union[_ledger_pb2.Posting, _Mapping]]] = ..., next_cursor: _Optional[int] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("transfers_under_way", "shards", "moves_under_way")
    TRANSFERS_UNDER_WAY_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    MOVES_UNDER_WAY_FIELD_NUMBER: _ClassVar[int]
    transfers_under_way: int
    shards: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.ShardBooks]
    moves_under_way: int
    def __init__(self, transfers_under_way: _Optional[int] = ..., shards: _Optional[_Iterable[_Union[_ledger_pb2.ShardBooks, _Mapping]]] = ..., moves_under_way: _Optional[int] = ...) -> None: ...

class CoreTotal(_message.Message):
    __slots__ = ("account", "asset", "total_minor")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MINOR_FIELD_NUMBER: _ClassVar[int]
    account: int
    asset: int
    total_minor: int
    def __init__(self, account: _Optional[int] = ..., asset: _Optional[int] = ..., total_minor: _Optional[int] = ...) -> None: ...

class StreamVerifyRequest(_message.Message):
    __slots__ = ("totals", "sequence", "command_offset", "shard")
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    totals: _containers.RepeatedCompositeFieldContainer[CoreTotal]
    sequence: int
    command_offset: int
    shard: int
    def __init__(self, totals: _Optional[_Iterable[_Union[CoreTotal, _Mapping]]] = ..., sequence: _Optional[int] = ..., command_offset: _Optional[int] = ..., shard: _Optional[int] = ...) -> None: ...

class Check(_message.Message):
    __slots__ = ("name", "ok", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    ok: bool
    detail: str
    def __init__(self, name: _Optional[str] = ..., ok: _Optional[bool] = ..., detail: _Optional[str] = ...) -> None: ...

class StreamVerifyResponse(_message.Message):
    __slots__ = ("checks", "sequence")
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    checks: _containers.RepeatedCompositeFieldContainer[Check]
    sequence: int
    def __init__(self, checks: _Optional[_Iterable[_Union[Check, _Mapping]]] = ..., sequence: _Optional[int] = ...) -> None: ...
