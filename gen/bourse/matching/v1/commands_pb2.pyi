from bourse.matching.v1 import events_pb2 as _events_pb2
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

class BatchStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BATCH_STATUS_UNSPECIFIED: _ClassVar[BatchStatus]
    BATCH_STATUS_APPLIED: _ClassVar[BatchStatus]
    BATCH_STATUS_REPEATED: _ClassVar[BatchStatus]
    BATCH_STATUS_NEVER_APPLIED: _ClassVar[BatchStatus]
    BATCH_STATUS_UNKNOWN: _ClassVar[BatchStatus]
    BATCH_STATUS_SOURCE_GAP: _ClassVar[BatchStatus]
    BATCH_STATUS_MALFORMED: _ClassVar[BatchStatus]
    BATCH_STATUS_UNAVAILABLE: _ClassVar[BatchStatus]
    BATCH_STATUS_HALTED: _ClassVar[BatchStatus]
BATCH_STATUS_UNSPECIFIED: BatchStatus
BATCH_STATUS_APPLIED: BatchStatus
BATCH_STATUS_REPEATED: BatchStatus
BATCH_STATUS_NEVER_APPLIED: BatchStatus
BATCH_STATUS_UNKNOWN: BatchStatus
BATCH_STATUS_SOURCE_GAP: BatchStatus
BATCH_STATUS_MALFORMED: BatchStatus
BATCH_STATUS_UNAVAILABLE: BatchStatus
BATCH_STATUS_HALTED: BatchStatus

class SubmitRequest(_message.Message):
    __slots__ = ("session", "number", "source", "commands")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    session: int
    number: int
    source: int
    commands: _containers.RepeatedCompositeFieldContainer[Command]
    def __init__(self, session: _Optional[int] = ..., number: _Optional[int] = ..., source: _Optional[int] = ..., commands: _Optional[_Iterable[_Union[Command, _Mapping]]] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("request_id", "causation", "trace", "account", "valid_until_us", "place_order", "amend_order", "cancel_order", "cancel_all", "credit", "debit", "open_session", "close_session", "tick", "add_asset", "add_instrument", "set_phase", "set_limits", "set_fees", "set_account", "set_sizes", "use_rules", "set_clock", "replace_order", "place_group", "set_guards", "set_mark", "set_dead_man", "kill", "set_fee_market", "halt", "resume")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSATION_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    PLACE_ORDER_FIELD_NUMBER: _ClassVar[int]
    AMEND_ORDER_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ORDER_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ALL_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    DEBIT_FIELD_NUMBER: _ClassVar[int]
    OPEN_SESSION_FIELD_NUMBER: _ClassVar[int]
    CLOSE_SESSION_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    ADD_ASSET_FIELD_NUMBER: _ClassVar[int]
    ADD_INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    SET_PHASE_FIELD_NUMBER: _ClassVar[int]
    SET_LIMITS_FIELD_NUMBER: _ClassVar[int]
    SET_FEES_FIELD_NUMBER: _ClassVar[int]
    SET_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    SET_SIZES_FIELD_NUMBER: _ClassVar[int]
    USE_RULES_FIELD_NUMBER: _ClassVar[int]
    SET_CLOCK_FIELD_NUMBER: _ClassVar[int]
    REPLACE_ORDER_FIELD_NUMBER: _ClassVar[int]
    PLACE_GROUP_FIELD_NUMBER: _ClassVar[int]
    SET_GUARDS_FIELD_NUMBER: _ClassVar[int]
    SET_MARK_FIELD_NUMBER: _ClassVar[int]
    SET_DEAD_MAN_FIELD_NUMBER: _ClassVar[int]
    KILL_FIELD_NUMBER: _ClassVar[int]
    SET_FEE_MARKET_FIELD_NUMBER: _ClassVar[int]
    HALT_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    causation: int
    trace: bytes
    account: int
    valid_until_us: int
    place_order: PlaceOrder
    amend_order: AmendOrder
    cancel_order: CancelOrder
    cancel_all: CancelAll
    credit: Credit
    debit: Debit
    open_session: OpenSession
    close_session: CloseSession
    tick: Tick
    add_asset: AddAsset
    add_instrument: AddInstrument
    set_phase: SetPhase
    set_limits: SetLimits
    set_fees: SetFees
    set_account: SetAccount
    set_sizes: SetSizes
    use_rules: UseRules
    set_clock: SetClock
    replace_order: ReplaceOrder
    place_group: PlaceGroup
    set_guards: SetGuards
    set_mark: SetMark
    set_dead_man: SetDeadMan
    kill: Kill
    set_fee_market: SetFeeMarket
    halt: Halt
    resume: Resume
    def __init__(self, request_id: _Optional[bytes] = ..., causation: _Optional[int] = ..., trace: _Optional[bytes] = ..., account: _Optional[int] = ..., valid_until_us: _Optional[int] = ..., place_order: _Optional[_Union[PlaceOrder, _Mapping]] = ..., amend_order: _Optional[_Union[AmendOrder, _Mapping]] = ..., cancel_order: _Optional[_Union[CancelOrder, _Mapping]] = ..., cancel_all: _Optional[_Union[CancelAll, _Mapping]] = ..., credit: _Optional[_Union[Credit, _Mapping]] = ..., debit: _Optional[_Union[Debit, _Mapping]] = ..., open_session: _Optional[_Union[OpenSession, _Mapping]] = ..., close_session: _Optional[_Union[CloseSession, _Mapping]] = ..., tick: _Optional[_Union[Tick, _Mapping]] = ..., add_asset: _Optional[_Union[AddAsset, _Mapping]] = ..., add_instrument: _Optional[_Union[AddInstrument, _Mapping]] = ..., set_phase: _Optional[_Union[SetPhase, _Mapping]] = ..., set_limits: _Optional[_Union[SetLimits, _Mapping]] = ..., set_fees: _Optional[_Union[SetFees, _Mapping]] = ..., set_account: _Optional[_Union[SetAccount, _Mapping]] = ..., set_sizes: _Optional[_Union[SetSizes, _Mapping]] = ..., use_rules: _Optional[_Union[UseRules, _Mapping]] = ..., set_clock: _Optional[_Union[SetClock, _Mapping]] = ..., replace_order: _Optional[_Union[ReplaceOrder, _Mapping]] = ..., place_group: _Optional[_Union[PlaceGroup, _Mapping]] = ..., set_guards: _Optional[_Union[SetGuards, _Mapping]] = ..., set_mark: _Optional[_Union[SetMark, _Mapping]] = ..., set_dead_man: _Optional[_Union[SetDeadMan, _Mapping]] = ..., kill: _Optional[_Union[Kill, _Mapping]] = ..., set_fee_market: _Optional[_Union[SetFeeMarket, _Mapping]] = ..., halt: _Optional[_Union[Halt, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ...) -> None: ...

class PlaceOrder(_message.Message):
    __slots__ = ("instrument", "side", "type", "time_in_force", "post_only", "self_trade_prevention", "price_ticks", "quantity_lots", "quote_minor", "client_order_id", "trigger_ticks", "trigger_by", "trail_ticks", "trail_ppm", "activation_ticks", "display_lots", "min_fill_lots", "expires_us", "protection_ticks")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    SELF_TRADE_PREVENTION_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    QUOTE_MINOR_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_TICKS_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_BY_FIELD_NUMBER: _ClassVar[int]
    TRAIL_TICKS_FIELD_NUMBER: _ClassVar[int]
    TRAIL_PPM_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_TICKS_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_LOTS_FIELD_NUMBER: _ClassVar[int]
    MIN_FILL_LOTS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_US_FIELD_NUMBER: _ClassVar[int]
    PROTECTION_TICKS_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    side: _words_pb2.Side
    type: _words_pb2.OrderType
    time_in_force: _words_pb2.TimeInForce
    post_only: bool
    self_trade_prevention: _words_pb2.SelfTradePrevention
    price_ticks: int
    quantity_lots: int
    quote_minor: int
    client_order_id: str
    trigger_ticks: int
    trigger_by: _words_pb2.TriggerBy
    trail_ticks: int
    trail_ppm: int
    activation_ticks: int
    display_lots: int
    min_fill_lots: int
    expires_us: int
    protection_ticks: int
    def __init__(self, instrument: _Optional[int] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., type: _Optional[_Union[_words_pb2.OrderType, str]] = ..., time_in_force: _Optional[_Union[_words_pb2.TimeInForce, str]] = ..., post_only: _Optional[bool] = ..., self_trade_prevention: _Optional[_Union[_words_pb2.SelfTradePrevention, str]] = ..., price_ticks: _Optional[int] = ..., quantity_lots: _Optional[int] = ..., quote_minor: _Optional[int] = ..., client_order_id: _Optional[str] = ..., trigger_ticks: _Optional[int] = ..., trigger_by: _Optional[_Union[_words_pb2.TriggerBy, str]] = ..., trail_ticks: _Optional[int] = ..., trail_ppm: _Optional[int] = ..., activation_ticks: _Optional[int] = ..., display_lots: _Optional[int] = ..., min_fill_lots: _Optional[int] = ..., expires_us: _Optional[int] = ..., protection_ticks: _Optional[int] = ...) -> None: ...

class ReplaceOrder(_message.Message):
    __slots__ = ("order_id", "client_order_id", "order")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    client_order_id: str
    order: PlaceOrder
    def __init__(self, order_id: _Optional[int] = ..., client_order_id: _Optional[str] = ..., order: _Optional[_Union[PlaceOrder, _Mapping]] = ...) -> None: ...

class PlaceGroup(_message.Message):
    __slots__ = ("kind", "first", "second", "third")
    KIND_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    THIRD_FIELD_NUMBER: _ClassVar[int]
    kind: _words_pb2.GroupKind
    first: PlaceOrder
    second: PlaceOrder
    third: PlaceOrder
    def __init__(self, kind: _Optional[_Union[_words_pb2.GroupKind, str]] = ..., first: _Optional[_Union[PlaceOrder, _Mapping]] = ..., second: _Optional[_Union[PlaceOrder, _Mapping]] = ..., third: _Optional[_Union[PlaceOrder, _Mapping]] = ...) -> None: ...

class AmendOrder(_message.Message):
    __slots__ = ("order_id", "client_order_id", "price_ticks", "quantity_lots")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    client_order_id: str
    price_ticks: int
    quantity_lots: int
    def __init__(self, order_id: _Optional[int] = ..., client_order_id: _Optional[str] = ..., price_ticks: _Optional[int] = ..., quantity_lots: _Optional[int] = ...) -> None: ...

class CancelOrder(_message.Message):
    __slots__ = ("order_id", "client_order_id", "by_operator")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    BY_OPERATOR_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    client_order_id: str
    by_operator: bool
    def __init__(self, order_id: _Optional[int] = ..., client_order_id: _Optional[str] = ..., by_operator: _Optional[bool] = ...) -> None: ...

class CancelAll(_message.Message):
    __slots__ = ("instrument", "by_operator")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    BY_OPERATOR_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    by_operator: bool
    def __init__(self, instrument: _Optional[int] = ..., by_operator: _Optional[bool] = ...) -> None: ...

class Credit(_message.Message):
    __slots__ = ("asset", "amount_minor")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    asset: int
    amount_minor: int
    def __init__(self, asset: _Optional[int] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class Debit(_message.Message):
    __slots__ = ("asset", "amount_minor")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    asset: int
    amount_minor: int
    def __init__(self, asset: _Optional[int] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class OpenSession(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CloseSession(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Tick(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AddAsset(_message.Message):
    __slots__ = ("asset",)
    ASSET_FIELD_NUMBER: _ClassVar[int]
    asset: _nouns_pb2.Asset
    def __init__(self, asset: _Optional[_Union[_nouns_pb2.Asset, _Mapping]] = ...) -> None: ...

class AddInstrument(_message.Message):
    __slots__ = ("instrument",)
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    instrument: _nouns_pb2.Instrument
    def __init__(self, instrument: _Optional[_Union[_nouns_pb2.Instrument, _Mapping]] = ...) -> None: ...

class SetPhase(_message.Message):
    __slots__ = ("instrument", "phase", "until_us")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    phase: _words_pb2.Phase
    until_us: int
    def __init__(self, instrument: _Optional[int] = ..., phase: _Optional[_Union[_words_pb2.Phase, str]] = ..., until_us: _Optional[int] = ...) -> None: ...

class SetLimits(_message.Message):
    __slots__ = ("instrument", "min_quantity_lots", "max_quantity_lots", "min_notional_minor", "max_notional_minor", "market_protection_ppm")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    MIN_QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    MAX_QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    MIN_NOTIONAL_MINOR_FIELD_NUMBER: _ClassVar[int]
    MAX_NOTIONAL_MINOR_FIELD_NUMBER: _ClassVar[int]
    MARKET_PROTECTION_PPM_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    min_quantity_lots: int
    max_quantity_lots: int
    min_notional_minor: int
    max_notional_minor: int
    market_protection_ppm: int
    def __init__(self, instrument: _Optional[int] = ..., min_quantity_lots: _Optional[int] = ..., max_quantity_lots: _Optional[int] = ..., min_notional_minor: _Optional[int] = ..., max_notional_minor: _Optional[int] = ..., market_protection_ppm: _Optional[int] = ...) -> None: ...

class SetFees(_message.Message):
    __slots__ = ("instrument", "fee")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    FEE_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    fee: _nouns_pb2.FeeRate
    def __init__(self, instrument: _Optional[int] = ..., fee: _Optional[_Union[_nouns_pb2.FeeRate, _Mapping]] = ...) -> None: ...

class SetAccount(_message.Message):
    __slots__ = ("fee_tier", "self_trade_prevention", "suspended", "max_open_orders", "max_commands_per_second", "pays_fee_asset")
    FEE_TIER_FIELD_NUMBER: _ClassVar[int]
    SELF_TRADE_PREVENTION_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    MAX_OPEN_ORDERS_FIELD_NUMBER: _ClassVar[int]
    MAX_COMMANDS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    PAYS_FEE_ASSET_FIELD_NUMBER: _ClassVar[int]
    fee_tier: int
    self_trade_prevention: _words_pb2.SelfTradePrevention
    suspended: bool
    max_open_orders: int
    max_commands_per_second: int
    pays_fee_asset: bool
    def __init__(self, fee_tier: _Optional[int] = ..., self_trade_prevention: _Optional[_Union[_words_pb2.SelfTradePrevention, str]] = ..., suspended: _Optional[bool] = ..., max_open_orders: _Optional[int] = ..., max_commands_per_second: _Optional[int] = ..., pays_fee_asset: _Optional[bool] = ...) -> None: ...

class SetSizes(_message.Message):
    __slots__ = ("orders", "orders_per_account", "accounts", "balances", "client_order_ids", "client_order_id_memory_us", "sessions", "instruments")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    ORDERS_PER_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_IDS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_MEMORY_US_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    orders: int
    orders_per_account: int
    accounts: int
    balances: int
    client_order_ids: int
    client_order_id_memory_us: int
    sessions: int
    instruments: int
    def __init__(self, orders: _Optional[int] = ..., orders_per_account: _Optional[int] = ..., accounts: _Optional[int] = ..., balances: _Optional[int] = ..., client_order_ids: _Optional[int] = ..., client_order_id_memory_us: _Optional[int] = ..., sessions: _Optional[int] = ..., instruments: _Optional[int] = ...) -> None: ...

class UseRules(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class SetClock(_message.Message):
    __slots__ = ("time_us",)
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    time_us: int
    def __init__(self, time_us: _Optional[int] = ...) -> None: ...

class SetGuards(_message.Message):
    __slots__ = ("instrument", "reference_ticks", "static_band_ppm", "dynamic_band_ppm", "volatility_auction_us")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_TICKS_FIELD_NUMBER: _ClassVar[int]
    STATIC_BAND_PPM_FIELD_NUMBER: _ClassVar[int]
    DYNAMIC_BAND_PPM_FIELD_NUMBER: _ClassVar[int]
    VOLATILITY_AUCTION_US_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    reference_ticks: int
    static_band_ppm: int
    dynamic_band_ppm: int
    volatility_auction_us: int
    def __init__(self, instrument: _Optional[int] = ..., reference_ticks: _Optional[int] = ..., static_band_ppm: _Optional[int] = ..., dynamic_band_ppm: _Optional[int] = ..., volatility_auction_us: _Optional[int] = ...) -> None: ...

class SetMark(_message.Message):
    __slots__ = ("instrument", "price_ticks")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    price_ticks: int
    def __init__(self, instrument: _Optional[int] = ..., price_ticks: _Optional[int] = ...) -> None: ...

class SetDeadMan(_message.Message):
    __slots__ = ("timeout_us",)
    TIMEOUT_US_FIELD_NUMBER: _ClassVar[int]
    timeout_us: int
    def __init__(self, timeout_us: _Optional[int] = ...) -> None: ...

class Kill(_message.Message):
    __slots__ = ("instrument",)
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    def __init__(self, instrument: _Optional[int] = ...) -> None: ...

class SetFeeMarket(_message.Message):
    __slots__ = ("instrument", "fee_market", "discount_ppm")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    FEE_MARKET_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_PPM_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    fee_market: int
    discount_ppm: int
    def __init__(self, instrument: _Optional[int] = ..., fee_market: _Optional[int] = ..., discount_ppm: _Optional[int] = ...) -> None: ...

class Halt(_message.Message):
    __slots__ = ("sequence", "state_hash", "command_offset")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    COMMAND_OFFSET_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    state_hash: int
    command_offset: int
    def __init__(self, sequence: _Optional[int] = ..., state_hash: _Optional[int] = ..., command_offset: _Optional[int] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...

class SubmitResponse(_message.Message):
    __slots__ = ("session", "number", "source", "status", "first_sequence", "time_us", "command_offset", "expected", "outcomes", "trades", "cancelled", "detail")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    COMMAND_OFFSET_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    TRADES_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    session: int
    number: int
    source: int
    status: BatchStatus
    first_sequence: int
    time_us: int
    command_offset: int
    expected: int
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    trades: _containers.RepeatedCompositeFieldContainer[_events_pb2.TradeEvent]
    cancelled: _containers.RepeatedCompositeFieldContainer[CancelledOrder]
    detail: str
    def __init__(self, session: _Optional[int] = ..., number: _Optional[int] = ..., source: _Optional[int] = ..., status: _Optional[_Union[BatchStatus, str]] = ..., first_sequence: _Optional[int] = ..., time_us: _Optional[int] = ..., command_offset: _Optional[int] = ..., expected: _Optional[int] = ..., outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ..., trades: _Optional[_Iterable[_Union[_events_pb2.TradeEvent, _Mapping]]] = ..., cancelled: _Optional[_Iterable[_Union[CancelledOrder, _Mapping]]] = ..., detail: _Optional[str] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("refusal", "order", "repeated", "created_id", "needed_minor", "available_minor", "others", "member")
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    CREATED_ID_FIELD_NUMBER: _ClassVar[int]
    NEEDED_MINOR_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_MINOR_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    refusal: _refusals_pb2.Refusal
    order: _nouns_pb2.Order
    repeated: bool
    created_id: int
    needed_minor: int
    available_minor: int
    others: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.Order]
    member: int
    def __init__(self, refusal: _Optional[_Union[_refusals_pb2.Refusal, str]] = ..., order: _Optional[_Union[_nouns_pb2.Order, _Mapping]] = ..., repeated: _Optional[bool] = ..., created_id: _Optional[int] = ..., needed_minor: _Optional[int] = ..., available_minor: _Optional[int] = ..., others: _Optional[_Iterable[_Union[_nouns_pb2.Order, _Mapping]]] = ..., member: _Optional[int] = ...) -> None: ...

class CancelledOrder(_message.Message):
    __slots__ = ("command", "order_id")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    command: int
    order_id: int
    def __init__(self, command: _Optional[int] = ..., order_id: _Optional[int] = ...) -> None: ...
