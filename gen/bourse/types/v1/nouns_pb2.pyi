from bourse.types.v1 import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Asset(_message.Message):
    __slots__ = ("asset", "code", "decimals")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DECIMALS_FIELD_NUMBER: _ClassVar[int]
    asset: int
    code: str
    decimals: int
    def __init__(self, asset: _Optional[int] = ..., code: _Optional[str] = ..., decimals: _Optional[int] = ...) -> None: ...

class FeeRate(_message.Message):
    __slots__ = ("tier", "maker_fee_ppm", "taker_fee_ppm")
    TIER_FIELD_NUMBER: _ClassVar[int]
    MAKER_FEE_PPM_FIELD_NUMBER: _ClassVar[int]
    TAKER_FEE_PPM_FIELD_NUMBER: _ClassVar[int]
    tier: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    def __init__(self, tier: _Optional[int] = ..., maker_fee_ppm: _Optional[int] = ..., taker_fee_ppm: _Optional[int] = ...) -> None: ...

class Instrument(_message.Message):
    __slots__ = ("instrument", "symbol", "base_asset", "quote_asset", "lot_minor", "tick_units", "tick_scale", "tick_lot_minor", "phase", "min_quantity_lots", "max_quantity_lots", "min_notional_minor", "max_notional_minor", "market_protection_ppm", "fees", "last_price_ticks", "mark_price_ticks", "reference_ticks", "static_band_ppm", "dynamic_band_ppm", "volatility_auction_us", "phase_until_us", "fee_market", "fee_discount_ppm")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    BASE_ASSET_FIELD_NUMBER: _ClassVar[int]
    QUOTE_ASSET_FIELD_NUMBER: _ClassVar[int]
    LOT_MINOR_FIELD_NUMBER: _ClassVar[int]
    TICK_UNITS_FIELD_NUMBER: _ClassVar[int]
    TICK_SCALE_FIELD_NUMBER: _ClassVar[int]
    TICK_LOT_MINOR_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    MIN_QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    MAX_QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    MIN_NOTIONAL_MINOR_FIELD_NUMBER: _ClassVar[int]
    MAX_NOTIONAL_MINOR_FIELD_NUMBER: _ClassVar[int]
    MARKET_PROTECTION_PPM_FIELD_NUMBER: _ClassVar[int]
    FEES_FIELD_NUMBER: _ClassVar[int]
    LAST_PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    MARK_PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_TICKS_FIELD_NUMBER: _ClassVar[int]
    STATIC_BAND_PPM_FIELD_NUMBER: _ClassVar[int]
    DYNAMIC_BAND_PPM_FIELD_NUMBER: _ClassVar[int]
    VOLATILITY_AUCTION_US_FIELD_NUMBER: _ClassVar[int]
    PHASE_UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    FEE_MARKET_FIELD_NUMBER: _ClassVar[int]
    FEE_DISCOUNT_PPM_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    symbol: str
    base_asset: int
    quote_asset: int
    lot_minor: int
    tick_units: int
    tick_scale: int
    tick_lot_minor: int
    phase: _words_pb2.Phase
    min_quantity_lots: int
    max_quantity_lots: int
    min_notional_minor: int
    max_notional_minor: int
    market_protection_ppm: int
    fees: _containers.RepeatedCompositeFieldContainer[FeeRate]
    last_price_ticks: int
    mark_price_ticks: int
    reference_ticks: int
    static_band_ppm: int
    dynamic_band_ppm: int
    volatility_auction_us: int
    phase_until_us: int
    fee_market: int
    fee_discount_ppm: int
    def __init__(self, instrument: _Optional[int] = ..., symbol: _Optional[str] = ..., base_asset: _Optional[int] = ..., quote_asset: _Optional[int] = ..., lot_minor: _Optional[int] = ..., tick_units: _Optional[int] = ..., tick_scale: _Optional[int] = ..., tick_lot_minor: _Optional[int] = ..., phase: _Optional[_Union[_words_pb2.Phase, str]] = ..., min_quantity_lots: _Optional[int] = ..., max_quantity_lots: _Optional[int] = ..., min_notional_minor: _Optional[int] = ..., max_notional_minor: _Optional[int] = ..., market_protection_ppm: _Optional[int] = ..., fees: _Optional[_Iterable[_Union[FeeRate, _Mapping]]] = ..., last_price_ticks: _Optional[int] = ..., mark_price_ticks: _Optional[int] = ..., reference_ticks: _Optional[int] = ..., static_band_ppm: _Optional[int] = ..., dynamic_band_ppm: _Optional[int] = ..., volatility_auction_us: _Optional[int] = ..., phase_until_us: _Optional[int] = ..., fee_market: _Optional[int] = ..., fee_discount_ppm: _Optional[int] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("order_id", "account", "instrument", "side", "type", "time_in_force", "post_only", "self_trade_prevention", "client_order_id", "price_ticks", "quantity_lots", "quote_minor", "state", "reason", "remaining_lots", "filled_lots", "filled_quote_minor", "fee_asset", "fee_minor", "created_us", "updated_us", "sequence", "trigger_ticks", "trigger_by", "trail_ticks", "trail_ppm", "activation_ticks", "peak_ticks", "triggered_us", "display_lots", "min_fill_lots", "expires_us", "protection_ticks", "group", "group_kind", "group_member", "other_fee_asset", "other_fee_minor")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    SELF_TRADE_PREVENTION_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    QUOTE_MINOR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REMAINING_LOTS_FIELD_NUMBER: _ClassVar[int]
    FILLED_LOTS_FIELD_NUMBER: _ClassVar[int]
    FILLED_QUOTE_MINOR_FIELD_NUMBER: _ClassVar[int]
    FEE_ASSET_FIELD_NUMBER: _ClassVar[int]
    FEE_MINOR_FIELD_NUMBER: _ClassVar[int]
    CREATED_US_FIELD_NUMBER: _ClassVar[int]
    UPDATED_US_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_TICKS_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_BY_FIELD_NUMBER: _ClassVar[int]
    TRAIL_TICKS_FIELD_NUMBER: _ClassVar[int]
    TRAIL_PPM_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_TICKS_FIELD_NUMBER: _ClassVar[int]
    PEAK_TICKS_FIELD_NUMBER: _ClassVar[int]
    TRIGGERED_US_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_LOTS_FIELD_NUMBER: _ClassVar[int]
    MIN_FILL_LOTS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_US_FIELD_NUMBER: _ClassVar[int]
    PROTECTION_TICKS_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    GROUP_KIND_FIELD_NUMBER: _ClassVar[int]
    GROUP_MEMBER_FIELD_NUMBER: _ClassVar[int]
    OTHER_FEE_ASSET_FIELD_NUMBER: _ClassVar[int]
    OTHER_FEE_MINOR_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    account: int
    instrument: int
    side: _words_pb2.Side
    type: _words_pb2.OrderType
    time_in_force: _words_pb2.TimeInForce
    post_only: bool
    self_trade_prevention: _words_pb2.SelfTradePrevention
    client_order_id: str
    price_ticks: int
    quantity_lots: int
    quote_minor: int
    state: _words_pb2.OrderState
    reason: _words_pb2.EndReason
    remaining_lots: int
    filled_lots: int
    filled_quote_minor: int
    fee_asset: int
    fee_minor: int
    created_us: int
    updated_us: int
    sequence: int
    trigger_ticks: int
    trigger_by: _words_pb2.TriggerBy
    trail_ticks: int
    trail_ppm: int
    activation_ticks: int
    peak_ticks: int
    triggered_us: int
    display_lots: int
    min_fill_lots: int
    expires_us: int
    protection_ticks: int
    group: int
    group_kind: _words_pb2.GroupKind
    group_member: int
    other_fee_asset: int
    other_fee_minor: int
    def __init__(self, order_id: _Optional[int] = ..., account: _Optional[int] = ..., instrument: _Optional[int] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., type: _Optional[_Union[_words_pb2.OrderType, str]] = ..., time_in_force: _Optional[_Union[_words_pb2.TimeInForce, str]] = ..., post_only: _Optional[bool] = ..., self_trade_prevention: _Optional[_Union[_words_pb2.SelfTradePrevention, str]] = ..., client_order_id: _Optional[str] = ..., price_ticks: _Optional[int] = ..., quantity_lots: _Optional[int] = ..., quote_minor: _Optional[int] = ..., state: _Optional[_Union[_words_pb2.OrderState, str]] = ..., reason: _Optional[_Union[_words_pb2.EndReason, str]] = ..., remaining_lots: _Optional[int] = ..., filled_lots: _Optional[int] = ..., filled_quote_minor: _Optional[int] = ..., fee_asset: _Optional[int] = ..., fee_minor: _Optional[int] = ..., created_us: _Optional[int] = ..., updated_us: _Optional[int] = ..., sequence: _Optional[int] = ..., trigger_ticks: _Optional[int] = ..., trigger_by: _Optional[_Union[_words_pb2.TriggerBy, str]] = ..., trail_ticks: _Optional[int] = ..., trail_ppm: _Optional[int] = ..., activation_ticks: _Optional[int] = ..., peak_ticks: _Optional[int] = ..., triggered_us: _Optional[int] = ..., display_lots: _Optional[int] = ..., min_fill_lots: _Optional[int] = ..., expires_us: _Optional[int] = ..., protection_ticks: _Optional[int] = ..., group: _Optional[int] = ..., group_kind: _Optional[_Union[_words_pb2.GroupKind, str]] = ..., group_member: _Optional[int] = ..., other_fee_asset: _Optional[int] = ..., other_fee_minor: _Optional[int] = ...) -> None: ...

class ShardSequence(_message.Message):
    __slots__ = ("shard", "sequence")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    shard: int
    sequence: int
    def __init__(self, shard: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class ReaderPlace(_message.Message):
    __slots__ = ("shard", "sequence", "next_offset", "lag_records", "lag_ms", "stopped", "lag_unknown")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NEXT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    LAG_RECORDS_FIELD_NUMBER: _ClassVar[int]
    LAG_MS_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    LAG_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    shard: int
    sequence: int
    next_offset: int
    lag_records: int
    lag_ms: int
    stopped: str
    lag_unknown: bool
    def __init__(self, shard: _Optional[int] = ..., sequence: _Optional[int] = ..., next_offset: _Optional[int] = ..., lag_records: _Optional[int] = ..., lag_ms: _Optional[int] = ..., stopped: _Optional[str] = ..., lag_unknown: _Optional[bool] = ...) -> None: ...
