from bourse.types.v1 import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Interval(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTERVAL_UNSPECIFIED: _ClassVar[Interval]
    INTERVAL_1M: _ClassVar[Interval]
    INTERVAL_5M: _ClassVar[Interval]
    INTERVAL_1H: _ClassVar[Interval]
    INTERVAL_1D: _ClassVar[Interval]
INTERVAL_UNSPECIFIED: Interval
INTERVAL_1M: Interval
INTERVAL_5M: Interval
INTERVAL_1H: Interval
INTERVAL_1D: Interval

class DepthLevel(_message.Message):
    __slots__ = ("price_ticks", "lots")
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    price_ticks: int
    lots: int
    def __init__(self, price_ticks: _Optional[int] = ..., lots: _Optional[int] = ...) -> None: ...

class Depth(_message.Message):
    __slots__ = ("instrument", "snapshot", "previous", "sequence", "bids", "asks")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    BIDS_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    snapshot: bool
    previous: int
    sequence: int
    bids: _containers.RepeatedCompositeFieldContainer[DepthLevel]
    asks: _containers.RepeatedCompositeFieldContainer[DepthLevel]
    def __init__(self, instrument: _Optional[int] = ..., snapshot: _Optional[bool] = ..., previous: _Optional[int] = ..., sequence: _Optional[int] = ..., bids: _Optional[_Iterable[_Union[DepthLevel, _Mapping]]] = ..., asks: _Optional[_Iterable[_Union[DepthLevel, _Mapping]]] = ...) -> None: ...

class PublicTrade(_message.Message):
    __slots__ = ("instrument", "trade_id", "price_ticks", "lots", "side", "time_us", "sequence", "auction")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AUCTION_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    trade_id: int
    price_ticks: int
    lots: int
    side: _words_pb2.Side
    time_us: int
    sequence: int
    auction: bool
    def __init__(self, instrument: _Optional[int] = ..., trade_id: _Optional[int] = ..., price_ticks: _Optional[int] = ..., lots: _Optional[int] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., time_us: _Optional[int] = ..., sequence: _Optional[int] = ..., auction: _Optional[bool] = ...) -> None: ...

class Auction(_message.Message):
    __slots__ = ("instrument", "price_ticks", "volume_lots", "surplus_lots", "sequence")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    VOLUME_LOTS_FIELD_NUMBER: _ClassVar[int]
    SURPLUS_LOTS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    price_ticks: int
    volume_lots: int
    surplus_lots: int
    sequence: int
    def __init__(self, instrument: _Optional[int] = ..., price_ticks: _Optional[int] = ..., volume_lots: _Optional[int] = ..., surplus_lots: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class Ticker(_message.Message):
    __slots__ = ("instrument", "open_ticks", "high_ticks", "low_ticks", "last_ticks", "volume_lots", "quote_volume_minor", "best_bid_ticks", "best_bid_lots", "best_ask_ticks", "best_ask_lots", "sequence")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    OPEN_TICKS_FIELD_NUMBER: _ClassVar[int]
    HIGH_TICKS_FIELD_NUMBER: _ClassVar[int]
    LOW_TICKS_FIELD_NUMBER: _ClassVar[int]
    LAST_TICKS_FIELD_NUMBER: _ClassVar[int]
    VOLUME_LOTS_FIELD_NUMBER: _ClassVar[int]
    QUOTE_VOLUME_MINOR_FIELD_NUMBER: _ClassVar[int]
    BEST_BID_TICKS_FIELD_NUMBER: _ClassVar[int]
    BEST_BID_LOTS_FIELD_NUMBER: _ClassVar[int]
    BEST_ASK_TICKS_FIELD_NUMBER: _ClassVar[int]
    BEST_ASK_LOTS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    last_ticks: int
    volume_lots: str
    quote_volume_minor: str
    best_bid_ticks: int
    best_bid_lots: int
    best_ask_ticks: int
    best_ask_lots: int
    sequence: int
    def __init__(self, instrument: _Optional[int] = ..., open_ticks: _Optional[int] = ..., high_ticks: _Optional[int] = ..., low_ticks: _Optional[int] = ..., last_ticks: _Optional[int] = ..., volume_lots: _Optional[str] = ..., quote_volume_minor: _Optional[str] = ..., best_bid_ticks: _Optional[int] = ..., best_bid_lots: _Optional[int] = ..., best_ask_ticks: _Optional[int] = ..., best_ask_lots: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class Candle(_message.Message):
    __slots__ = ("instrument", "interval", "open_us", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots", "quote_volume_minor", "trades")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    OPEN_US_FIELD_NUMBER: _ClassVar[int]
    OPEN_TICKS_FIELD_NUMBER: _ClassVar[int]
    HIGH_TICKS_FIELD_NUMBER: _ClassVar[int]
    LOW_TICKS_FIELD_NUMBER: _ClassVar[int]
    CLOSE_TICKS_FIELD_NUMBER: _ClassVar[int]
    VOLUME_LOTS_FIELD_NUMBER: _ClassVar[int]
    QUOTE_VOLUME_MINOR_FIELD_NUMBER: _ClassVar[int]
    TRADES_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    interval: Interval
    open_us: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: str
    quote_volume_minor: str
    trades: int
    def __init__(self, instrument: _Optional[int] = ..., interval: _Optional[_Union[Interval, str]] = ..., open_us: _Optional[int] = ..., open_ticks: _Optional[int] = ..., high_ticks: _Optional[int] = ..., low_ticks: _Optional[int] = ..., close_ticks: _Optional[int] = ..., volume_lots: _Optional[str] = ..., quote_volume_minor: _Optional[str] = ..., trades: _Optional[int] = ...) -> None: ...
