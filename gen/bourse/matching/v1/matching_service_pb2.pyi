from bourse.matching.v1 import commands_pb2 as _commands_pb2
from bourse.types.v1 import nouns_pb2 as _nouns_pb2
from bourse.types.v1 import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetOrderRequest(_message.Message):
    __slots__ = ("account", "order_id", "client_order_id", "after_sequence")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    account: int
    order_id: int
    client_order_id: str
    after_sequence: int
    def __init__(self, account: _Optional[int] = ..., order_id: _Optional[int] = ..., client_order_id: _Optional[str] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class GetOrderResponse(_message.Message):
    __slots__ = ("order", "sequence", "clock_us", "found")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CLOCK_US_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    order: _nouns_pb2.Order
    sequence: int
    clock_us: int
    found: bool
    def __init__(self, order: _Optional[_Union[_nouns_pb2.Order, _Mapping]] = ..., sequence: _Optional[int] = ..., clock_us: _Optional[int] = ..., found: _Optional[bool] = ...) -> None: ...

class ListOpenOrdersRequest(_message.Message):
    __slots__ = ("account", "instrument", "after_sequence")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    account: int
    instrument: int
    after_sequence: int
    def __init__(self, account: _Optional[int] = ..., instrument: _Optional[int] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class ListOpenOrdersResponse(_message.Message):
    __slots__ = ("orders", "sequence", "clock_us")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CLOCK_US_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.Order]
    sequence: int
    clock_us: int
    def __init__(self, orders: _Optional[_Iterable[_Union[_nouns_pb2.Order, _Mapping]]] = ..., sequence: _Optional[int] = ..., clock_us: _Optional[int] = ...) -> None: ...

class GetBalancesRequest(_message.Message):
    __slots__ = ("account", "after_sequence")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    account: int
    after_sequence: int
    def __init__(self, account: _Optional[int] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class Balance(_message.Message):
    __slots__ = ("account", "asset", "available_minor", "held_minor")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_MINOR_FIELD_NUMBER: _ClassVar[int]
    HELD_MINOR_FIELD_NUMBER: _ClassVar[int]
    account: int
    asset: int
    available_minor: int
    held_minor: int
    def __init__(self, account: _Optional[int] = ..., asset: _Optional[int] = ..., available_minor: _Optional[int] = ..., held_minor: _Optional[int] = ...) -> None: ...

class GetBalancesResponse(_message.Message):
    __slots__ = ("balances", "sequence")
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    balances: _containers.RepeatedCompositeFieldContainer[Balance]
    sequence: int
    def __init__(self, balances: _Optional[_Iterable[_Union[Balance, _Mapping]]] = ..., sequence: _Optional[int] = ...) -> None: ...

class GetAccountRequest(_message.Message):
    __slots__ = ("account", "after_sequence")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    account: int
    after_sequence: int
    def __init__(self, account: _Optional[int] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class GetAccountResponse(_message.Message):
    __slots__ = ("fee_tier", "self_trade_prevention", "suspended", "sequence", "max_open_orders", "max_commands_per_second", "pays_fee_asset", "dead_man_us")
    FEE_TIER_FIELD_NUMBER: _ClassVar[int]
    SELF_TRADE_PREVENTION_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    MAX_OPEN_ORDERS_FIELD_NUMBER: _ClassVar[int]
    MAX_COMMANDS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    PAYS_FEE_ASSET_FIELD_NUMBER: _ClassVar[int]
    DEAD_MAN_US_FIELD_NUMBER: _ClassVar[int]
    fee_tier: int
    self_trade_prevention: _words_pb2.SelfTradePrevention
    suspended: bool
    sequence: int
    max_open_orders: int
    max_commands_per_second: int
    pays_fee_asset: bool
    dead_man_us: int
    def __init__(self, fee_tier: _Optional[int] = ..., self_trade_prevention: _Optional[_Union[_words_pb2.SelfTradePrevention, str]] = ..., suspended: _Optional[bool] = ..., sequence: _Optional[int] = ..., max_open_orders: _Optional[int] = ..., max_commands_per_second: _Optional[int] = ..., pays_fee_asset: _Optional[bool] = ..., dead_man_us: _Optional[int] = ...) -> None: ...

class GetDepthRequest(_message.Message):
    __slots__ = ("instrument",)
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    def __init__(self, instrument: _Optional[int] = ...) -> None: ...

class Level(_message.Message):
    __slots__ = ("price_ticks", "lots")
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    price_ticks: int
    lots: int
    def __init__(self, price_ticks: _Optional[int] = ..., lots: _Optional[int] = ...) -> None: ...

class GetDepthResponse(_message.Message):
    __slots__ = ("bids", "asks", "sequence", "command_offset", "found")
    BIDS_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_OFFSET_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    bids: _containers.RepeatedCompositeFieldContainer[Level]
    asks: _containers.RepeatedCompositeFieldContainer[Level]
    sequence: int
    command_offset: int
    found: bool
    def __init__(self, bids: _Optional[_Iterable[_Union[Level, _Mapping]]] = ..., asks: _Optional[_Iterable[_Union[Level, _Mapping]]] = ..., sequence: _Optional[int] = ..., command_offset: _Optional[int] = ..., found: _Optional[bool] = ...) -> None: ...

class WatchMarketsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchMarketsResponse(_message.Message):
    __slots__ = ("assets", "instruments", "sequence", "client_order_id_memory_us")
    ASSETS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_MEMORY_US_FIELD_NUMBER: _ClassVar[int]
    assets: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.Asset]
    instruments: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.Instrument]
    sequence: int
    client_order_id_memory_us: int
    def __init__(self, assets: _Optional[_Iterable[_Union[_nouns_pb2.Asset, _Mapping]]] = ..., instruments: _Optional[_Iterable[_Union[_nouns_pb2.Instrument, _Mapping]]] = ..., sequence: _Optional[int] = ..., client_order_id_memory_us: _Optional[int] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("shard", "sequence", "next_offset", "clock_us", "state_hash", "balance_hash", "leader", "epoch", "queued_batches", "queued_bytes", "retained_bytes", "malformed_batches", "open_orders", "rules", "snapshot_offset", "halt_sequence")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NEXT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    CLOCK_US_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    BALANCE_HASH_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    QUEUED_BATCHES_FIELD_NUMBER: _ClassVar[int]
    QUEUED_BYTES_FIELD_NUMBER: _ClassVar[int]
    RETAINED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MALFORMED_BATCHES_FIELD_NUMBER: _ClassVar[int]
    OPEN_ORDERS_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    HALT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    shard: int
    sequence: int
    next_offset: int
    clock_us: int
    state_hash: int
    balance_hash: int
    leader: bool
    epoch: int
    queued_batches: int
    queued_bytes: int
    retained_bytes: int
    malformed_batches: int
    open_orders: int
    rules: int
    snapshot_offset: int
    halt_sequence: int
    def __init__(self, shard: _Optional[int] = ..., sequence: _Optional[int] = ..., next_offset: _Optional[int] = ..., clock_us: _Optional[int] = ..., state_hash: _Optional[int] = ..., balance_hash: _Optional[int] = ..., leader: _Optional[bool] = ..., epoch: _Optional[int] = ..., queued_batches: _Optional[int] = ..., queued_bytes: _Optional[int] = ..., retained_bytes: _Optional[int] = ..., malformed_batches: _Optional[int] = ..., open_orders: _Optional[int] = ..., rules: _Optional[int] = ..., snapshot_offset: _Optional[int] = ..., halt_sequence: _Optional[int] = ...) -> None: ...

class StreamVerifyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StreamVerifyResponse(_message.Message):
    __slots__ = ("piece",)
    PIECE_FIELD_NUMBER: _ClassVar[int]
    piece: VerifyResponse
    def __init__(self, piece: _Optional[_Union[VerifyResponse, _Mapping]] = ...) -> None: ...

class VerifyResponse(_message.Message):
    __slots__ = ("broken", "balances", "orders", "sequence", "command_offset", "balance_hash")
    BROKEN_FIELD_NUMBER: _ClassVar[int]
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_OFFSET_FIELD_NUMBER: _ClassVar[int]
    BALANCE_HASH_FIELD_NUMBER: _ClassVar[int]
    broken: str
    balances: _containers.RepeatedCompositeFieldContainer[Balance]
    orders: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.Order]
    sequence: int
    command_offset: int
    balance_hash: int
    def __init__(self, broken: _Optional[str] = ..., balances: _Optional[_Iterable[_Union[Balance, _Mapping]]] = ..., orders: _Optional[_Iterable[_Union[_nouns_pb2.Order, _Mapping]]] = ..., sequence: _Optional[int] = ..., command_offset: _Optional[int] = ..., balance_hash: _Optional[int] = ...) -> None: ...

class TakeSnapshotRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TakeSnapshotResponse(_message.Message):
    __slots__ = ("command_offset", "state_hash", "sequence")
    COMMAND_OFFSET_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    command_offset: int
    state_hash: int
    sequence: int
    def __init__(self, command_offset: _Optional[int] = ..., state_hash: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...
