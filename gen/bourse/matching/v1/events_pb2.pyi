from bourse.matching.v1 import refusals_pb2 as _refusals_pb2
from bourse.types.v1 import nouns_pb2 as _nouns_pb2
from bourse.types.v1 import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CommandKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMMAND_KIND_UNSPECIFIED: _ClassVar[CommandKind]
    COMMAND_KIND_PLACE_ORDER: _ClassVar[CommandKind]
    COMMAND_KIND_AMEND_ORDER: _ClassVar[CommandKind]
    COMMAND_KIND_CANCEL_ORDER: _ClassVar[CommandKind]
    COMMAND_KIND_CANCEL_ALL: _ClassVar[CommandKind]
    COMMAND_KIND_CREDIT: _ClassVar[CommandKind]
    COMMAND_KIND_DEBIT: _ClassVar[CommandKind]
    COMMAND_KIND_OPEN_SESSION: _ClassVar[CommandKind]
    COMMAND_KIND_CLOSE_SESSION: _ClassVar[CommandKind]
    COMMAND_KIND_TIME: _ClassVar[CommandKind]
    COMMAND_KIND_ADD_ASSET: _ClassVar[CommandKind]
    COMMAND_KIND_ADD_INSTRUMENT: _ClassVar[CommandKind]
    COMMAND_KIND_SET_PHASE: _ClassVar[CommandKind]
    COMMAND_KIND_SET_LIMITS: _ClassVar[CommandKind]
    COMMAND_KIND_SET_FEES: _ClassVar[CommandKind]
    COMMAND_KIND_SET_ACCOUNT: _ClassVar[CommandKind]
    COMMAND_KIND_SET_SIZES: _ClassVar[CommandKind]
    COMMAND_KIND_USE_RULES: _ClassVar[CommandKind]
    COMMAND_KIND_SET_CLOCK: _ClassVar[CommandKind]
    COMMAND_KIND_REPLACE_ORDER: _ClassVar[CommandKind]
    COMMAND_KIND_PLACE_GROUP: _ClassVar[CommandKind]
    COMMAND_KIND_SET_GUARDS: _ClassVar[CommandKind]
    COMMAND_KIND_SET_MARK: _ClassVar[CommandKind]
    COMMAND_KIND_SET_DEAD_MAN: _ClassVar[CommandKind]
    COMMAND_KIND_KILL: _ClassVar[CommandKind]
    COMMAND_KIND_SET_FEE_MARKET: _ClassVar[CommandKind]
    COMMAND_KIND_HALT: _ClassVar[CommandKind]
    COMMAND_KIND_RESUME: _ClassVar[CommandKind]
COMMAND_KIND_UNSPECIFIED: CommandKind
COMMAND_KIND_PLACE_ORDER: CommandKind
COMMAND_KIND_AMEND_ORDER: CommandKind
COMMAND_KIND_CANCEL_ORDER: CommandKind
COMMAND_KIND_CANCEL_ALL: CommandKind
COMMAND_KIND_CREDIT: CommandKind
COMMAND_KIND_DEBIT: CommandKind
COMMAND_KIND_OPEN_SESSION: CommandKind
COMMAND_KIND_CLOSE_SESSION: CommandKind
COMMAND_KIND_TIME: CommandKind
COMMAND_KIND_ADD_ASSET: CommandKind
COMMAND_KIND_ADD_INSTRUMENT: CommandKind
COMMAND_KIND_SET_PHASE: CommandKind
COMMAND_KIND_SET_LIMITS: CommandKind
COMMAND_KIND_SET_FEES: CommandKind
COMMAND_KIND_SET_ACCOUNT: CommandKind
COMMAND_KIND_SET_SIZES: CommandKind
COMMAND_KIND_USE_RULES: CommandKind
COMMAND_KIND_SET_CLOCK: CommandKind
COMMAND_KIND_REPLACE_ORDER: CommandKind
COMMAND_KIND_PLACE_GROUP: CommandKind
COMMAND_KIND_SET_GUARDS: CommandKind
COMMAND_KIND_SET_MARK: CommandKind
COMMAND_KIND_SET_DEAD_MAN: CommandKind
COMMAND_KIND_KILL: CommandKind
COMMAND_KIND_SET_FEE_MARKET: CommandKind
COMMAND_KIND_HALT: CommandKind
COMMAND_KIND_RESUME: CommandKind

class CommandRecord(_message.Message):
    __slots__ = ("shard", "requests")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    shard: int
    requests: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, shard: _Optional[int] = ..., requests: _Optional[_Iterable[bytes]] = ...) -> None: ...

class EventRecord(_message.Message):
    __slots__ = ("shard", "command_offset", "part", "time_us", "first_sequence", "rules", "batches", "commands", "trades", "orders", "levels", "balances", "moves", "assets", "instruments", "accounts", "last", "state_hash", "balance_hash", "auctions")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    COMMAND_OFFSET_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    TRADES_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    ASSETS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    BALANCE_HASH_FIELD_NUMBER: _ClassVar[int]
    AUCTIONS_FIELD_NUMBER: _ClassVar[int]
    shard: int
    command_offset: int
    part: int
    time_us: int
    first_sequence: int
    rules: int
    batches: _containers.RepeatedCompositeFieldContainer[BatchMark]
    commands: _containers.RepeatedCompositeFieldContainer[CommandMark]
    trades: _containers.RepeatedCompositeFieldContainer[TradeEvent]
    orders: _containers.RepeatedCompositeFieldContainer[OrderEvent]
    levels: _containers.RepeatedCompositeFieldContainer[LevelEvent]
    balances: _containers.RepeatedCompositeFieldContainer[BalanceEvent]
    moves: _containers.RepeatedCompositeFieldContainer[MoveEvent]
    assets: _containers.RepeatedCompositeFieldContainer[AssetEvent]
    instruments: _containers.RepeatedCompositeFieldContainer[InstrumentEvent]
    accounts: _containers.RepeatedCompositeFieldContainer[AccountEvent]
    last: bool
    state_hash: int
    balance_hash: int
    auctions: _containers.RepeatedCompositeFieldContainer[AuctionEvent]
    def __init__(self, shard: _Optional[int] = ..., command_offset: _Optional[int] = ..., part: _Optional[int] = ..., time_us: _Optional[int] = ..., first_sequence: _Optional[int] = ..., rules: _Optional[int] = ..., batches: _Optional[_Iterable[_Union[BatchMark, _Mapping]]] = ..., commands: _Optional[_Iterable[_Union[CommandMark, _Mapping]]] = ..., trades: _Optional[_Iterable[_Union[TradeEvent, _Mapping]]] = ..., orders: _Optional[_Iterable[_Union[OrderEvent, _Mapping]]] = ..., levels: _Optional[_Iterable[_Union[LevelEvent, _Mapping]]] = ..., balances: _Optional[_Iterable[_Union[BalanceEvent, _Mapping]]] = ..., moves: _Optional[_Iterable[_Union[MoveEvent, _Mapping]]] = ..., assets: _Optional[_Iterable[_Union[AssetEvent, _Mapping]]] = ..., instruments: _Optional[_Iterable[_Union[InstrumentEvent, _Mapping]]] = ..., accounts: _Optional[_Iterable[_Union[AccountEvent, _Mapping]]] = ..., last: _Optional[bool] = ..., state_hash: _Optional[int] = ..., balance_hash: _Optional[int] = ..., auctions: _Optional[_Iterable[_Union[AuctionEvent, _Mapping]]] = ...) -> None: ...

class BatchMark(_message.Message):
    __slots__ = ("session", "number", "source", "first_command", "commands")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    FIRST_COMMAND_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    session: int
    number: int
    source: int
    first_command: int
    commands: int
    def __init__(self, session: _Optional[int] = ..., number: _Optional[int] = ..., source: _Optional[int] = ..., first_command: _Optional[int] = ..., commands: _Optional[int] = ...) -> None: ...

class CommandMark(_message.Message):
    __slots__ = ("request_id", "causation", "trace", "account", "valid_until_us", "kind", "refusal", "order_id", "created_id", "repeated", "needed_minor", "available_minor", "member")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSATION_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_ID_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    NEEDED_MINOR_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_MINOR_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    causation: int
    trace: bytes
    account: int
    valid_until_us: int
    kind: CommandKind
    refusal: _refusals_pb2.Refusal
    order_id: int
    created_id: int
    repeated: bool
    needed_minor: int
    available_minor: int
    member: int
    def __init__(self, request_id: _Optional[bytes] = ..., causation: _Optional[int] = ..., trace: _Optional[bytes] = ..., account: _Optional[int] = ..., valid_until_us: _Optional[int] = ..., kind: _Optional[_Union[CommandKind, str]] = ..., refusal: _Optional[_Union[_refusals_pb2.Refusal, str]] = ..., order_id: _Optional[int] = ..., created_id: _Optional[int] = ..., repeated: _Optional[bool] = ..., needed_minor: _Optional[int] = ..., available_minor: _Optional[int] = ..., member: _Optional[int] = ...) -> None: ...

class TradeEvent(_message.Message):
    __slots__ = ("command", "trade_id", "instrument", "price_ticks", "lots", "taker_side", "taker_order_id", "maker_order_id", "taker_account", "maker_account", "base_minor", "quote_minor", "taker_fee_minor", "maker_fee_minor", "base_asset", "quote_asset", "taker_client_order_id", "maker_client_order_id", "taker_fee_asset", "maker_fee_asset", "auction")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    TAKER_SIDE_FIELD_NUMBER: _ClassVar[int]
    TAKER_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    MAKER_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TAKER_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    MAKER_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    BASE_MINOR_FIELD_NUMBER: _ClassVar[int]
    QUOTE_MINOR_FIELD_NUMBER: _ClassVar[int]
    TAKER_FEE_MINOR_FIELD_NUMBER: _ClassVar[int]
    MAKER_FEE_MINOR_FIELD_NUMBER: _ClassVar[int]
    BASE_ASSET_FIELD_NUMBER: _ClassVar[int]
    QUOTE_ASSET_FIELD_NUMBER: _ClassVar[int]
    TAKER_CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    MAKER_CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TAKER_FEE_ASSET_FIELD_NUMBER: _ClassVar[int]
    MAKER_FEE_ASSET_FIELD_NUMBER: _ClassVar[int]
    AUCTION_FIELD_NUMBER: _ClassVar[int]
    command: int
    trade_id: int
    instrument: int
    price_ticks: int
    lots: int
    taker_side: _words_pb2.Side
    taker_order_id: int
    maker_order_id: int
    taker_account: int
    maker_account: int
    base_minor: int
    quote_minor: int
    taker_fee_minor: int
    maker_fee_minor: int
    base_asset: int
    quote_asset: int
    taker_client_order_id: str
    maker_client_order_id: str
    taker_fee_asset: int
    maker_fee_asset: int
    auction: bool
    def __init__(self, command: _Optional[int] = ..., trade_id: _Optional[int] = ..., instrument: _Optional[int] = ..., price_ticks: _Optional[int] = ..., lots: _Optional[int] = ..., taker_side: _Optional[_Union[_words_pb2.Side, str]] = ..., taker_order_id: _Optional[int] = ..., maker_order_id: _Optional[int] = ..., taker_account: _Optional[int] = ..., maker_account: _Optional[int] = ..., base_minor: _Optional[int] = ..., quote_minor: _Optional[int] = ..., taker_fee_minor: _Optional[int] = ..., maker_fee_minor: _Optional[int] = ..., base_asset: _Optional[int] = ..., quote_asset: _Optional[int] = ..., taker_client_order_id: _Optional[str] = ..., maker_client_order_id: _Optional[str] = ..., taker_fee_asset: _Optional[int] = ..., maker_fee_asset: _Optional[int] = ..., auction: _Optional[bool] = ...) -> None: ...

class OrderEvent(_message.Message):
    __slots__ = ("command", "order")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    command: int
    order: _nouns_pb2.Order
    def __init__(self, command: _Optional[int] = ..., order: _Optional[_Union[_nouns_pb2.Order, _Mapping]] = ...) -> None: ...

class LevelEvent(_message.Message):
    __slots__ = ("command", "instrument", "side", "price_ticks", "lots")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    command: int
    instrument: int
    side: _words_pb2.Side
    price_ticks: int
    lots: int
    def __init__(self, command: _Optional[int] = ..., instrument: _Optional[int] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., price_ticks: _Optional[int] = ..., lots: _Optional[int] = ...) -> None: ...

class BalanceEvent(_message.Message):
    __slots__ = ("command", "account", "asset", "available_minor", "held_minor")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_MINOR_FIELD_NUMBER: _ClassVar[int]
    HELD_MINOR_FIELD_NUMBER: _ClassVar[int]
    command: int
    account: int
    asset: int
    available_minor: int
    held_minor: int
    def __init__(self, command: _Optional[int] = ..., account: _Optional[int] = ..., asset: _Optional[int] = ..., available_minor: _Optional[int] = ..., held_minor: _Optional[int] = ...) -> None: ...

class MoveEvent(_message.Message):
    __slots__ = ("command", "source", "number", "account", "asset", "amount_minor")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    command: int
    source: int
    number: int
    account: int
    asset: int
    amount_minor: int
    def __init__(self, command: _Optional[int] = ..., source: _Optional[int] = ..., number: _Optional[int] = ..., account: _Optional[int] = ..., asset: _Optional[int] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class AssetEvent(_message.Message):
    __slots__ = ("command", "asset")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    command: int
    asset: _nouns_pb2.Asset
    def __init__(self, command: _Optional[int] = ..., asset: _Optional[_Union[_nouns_pb2.Asset, _Mapping]] = ...) -> None: ...

class InstrumentEvent(_message.Message):
    __slots__ = ("command", "instrument")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    command: int
    instrument: _nouns_pb2.Instrument
    def __init__(self, command: _Optional[int] = ..., instrument: _Optional[_Union[_nouns_pb2.Instrument, _Mapping]] = ...) -> None: ...

class AccountEvent(_message.Message):
    __slots__ = ("command", "account", "fee_tier", "self_trade_prevention", "suspended", "max_open_orders", "max_commands_per_second", "pays_fee_asset", "dead_man_us")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    FEE_TIER_FIELD_NUMBER: _ClassVar[int]
    SELF_TRADE_PREVENTION_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    MAX_OPEN_ORDERS_FIELD_NUMBER: _ClassVar[int]
    MAX_COMMANDS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    PAYS_FEE_ASSET_FIELD_NUMBER: _ClassVar[int]
    DEAD_MAN_US_FIELD_NUMBER: _ClassVar[int]
    command: int
    account: int
    fee_tier: int
    self_trade_prevention: _words_pb2.SelfTradePrevention
    suspended: bool
    max_open_orders: int
    max_commands_per_second: int
    pays_fee_asset: bool
    dead_man_us: int
    def __init__(self, command: _Optional[int] = ..., account: _Optional[int] = ..., fee_tier: _Optional[int] = ..., self_trade_prevention: _Optional[_Union[_words_pb2.SelfTradePrevention, str]] = ..., suspended: _Optional[bool] = ..., max_open_orders: _Optional[int] = ..., max_commands_per_second: _Optional[int] = ..., pays_fee_asset: _Optional[bool] = ..., dead_man_us: _Optional[int] = ...) -> None: ...

class AuctionEvent(_message.Message):
    __slots__ = ("instrument", "price_ticks", "volume_lots", "surplus_lots")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    VOLUME_LOTS_FIELD_NUMBER: _ClassVar[int]
    SURPLUS_LOTS_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    price_ticks: int
    volume_lots: int
    surplus_lots: int
    def __init__(self, instrument: _Optional[int] = ..., price_ticks: _Optional[int] = ..., volume_lots: _Optional[int] = ..., surplus_lots: _Optional[int] = ...) -> None: ...
