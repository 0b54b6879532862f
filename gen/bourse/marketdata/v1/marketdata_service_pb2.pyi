from bourse.marketdata.v1 import marketdata_pb2 as _marketdata_pb2
from bourse.types.v1 import nouns_pb2 as _nouns_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchRequest(_message.Message):
    __slots__ = ("after_sequence", "shard")
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    after_sequence: int
    shard: int
    def __init__(self, after_sequence: _Optional[int] = ..., shard: _Optional[int] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("depths", "trades", "tickers", "candles", "sequence", "trades_missing", "auctions")
    DEPTHS_FIELD_NUMBER: _ClassVar[int]
    TRADES_FIELD_NUMBER: _ClassVar[int]
    TICKERS_FIELD_NUMBER: _ClassVar[int]
    CANDLES_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TRADES_MISSING_FIELD_NUMBER: _ClassVar[int]
    AUCTIONS_FIELD_NUMBER: _ClassVar[int]
    depths: _containers.RepeatedCompositeFieldContainer[_marketdata_pb2.Depth]
    trades: _containers.RepeatedCompositeFieldContainer[_marketdata_pb2.PublicTrade]
    tickers: _containers.RepeatedCompositeFieldContainer[_marketdata_pb2.Ticker]
    candles: _containers.RepeatedCompositeFieldContainer[_marketdata_pb2.Candle]
    sequence: int
    trades_missing: bool
    auctions: _containers.RepeatedCompositeFieldContainer[_marketdata_pb2.Auction]
    def __init__(self, depths: _Optional[_Iterable[_Union[_marketdata_pb2.Depth, _Mapping]]] = ..., trades: _Optional[_Iterable[_Union[_marketdata_pb2.PublicTrade, _Mapping]]] = ..., tickers: _Optional[_Iterable[_Union[_marketdata_pb2.Ticker, _Mapping]]] = ..., candles: _Optional[_Iterable[_Union[_marketdata_pb2.Candle, _Mapping]]] = ..., sequence: _Optional[int] = ..., trades_missing: _Optional[bool] = ..., auctions: _Optional[_Iterable[_Union[_marketdata_pb2.Auction, _Mapping]]] = ...) -> None: ...

class ListTradesRequest(_message.Message):
    __slots__ = ("instrument", "limit", "before", "after_sequence")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    limit: int
    before: int
    after_sequence: int
    def __init__(self, instrument: _Optional[int] = ..., limit: _Optional[int] = ..., before: _Optional[int] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class ListTradesResponse(_message.Message):
    __slots__ = ("trades",)
    TRADES_FIELD_NUMBER: _ClassVar[int]
    trades: _containers.RepeatedCompositeFieldContainer[_marketdata_pb2.PublicTrade]
    def __init__(self, trades: _Optional[_Iterable[_Union[_marketdata_pb2.PublicTrade, _Mapping]]] = ...) -> None: ...

class GetTickerRequest(_message.Message):
    __slots__ = ("instrument", "after_sequence")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    after_sequence: int
    def __init__(self, instrument: _Optional[int] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class GetTickerResponse(_message.Message):
    __slots__ = ("ticker", "auction")
    TICKER_FIELD_NUMBER: _ClassVar[int]
    AUCTION_FIELD_NUMBER: _ClassVar[int]
    ticker: _marketdata_pb2.Ticker
    auction: _marketdata_pb2.Auction
    def __init__(self, ticker: _Optional[_Union[_marketdata_pb2.Ticker, _Mapping]] = ..., auction: _Optional[_Union[_marketdata_pb2.Auction, _Mapping]] = ...) -> None: ...

class ListCandlesRequest(_message.Message):
    __slots__ = ("instrument", "interval", "from_us", "to_us", "limit", "after_sequence")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    TO_US_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    instrument: int
    interval: _marketdata_pb2.Interval
    from_us: int
    to_us: int
    limit: int
    after_sequence: int
    def __init__(self, instrument: _Optional[int] = ..., interval: _Optional[_Union[_marketdata_pb2.Interval, str]] = ..., from_us: _Optional[int] = ..., to_us: _Optional[int] = ..., limit: _Optional[int] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class ListCandlesResponse(_message.Message):
    __slots__ = ("candles",)
    CANDLES_FIELD_NUMBER: _ClassVar[int]
    candles: _containers.RepeatedCompositeFieldContainer[_marketdata_pb2.Candle]
    def __init__(self, candles: _Optional[_Iterable[_Union[_marketdata_pb2.Candle, _Mapping]]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("places",)
    PLACES_FIELD_NUMBER: _ClassVar[int]
    places: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ReaderPlace]
    def __init__(self, places: _Optional[_Iterable[_Union[_nouns_pb2.ReaderPlace, _Mapping]]] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("sequence", "shard")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    shard: int
    def __init__(self, sequence: _Optional[int] = ..., shard: _Optional[int] = ...) -> None: ...

class Check(_message.Message):
    __slots__ = ("name", "ok", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    ok: bool
    detail: str
    def __init__(self, name: _Optional[str] = ..., ok: _Optional[bool] = ..., detail: _Optional[str] = ...) -> None: ...

class VerifyResponse(_message.Message):
    __slots__ = ("checks", "sequence", "trades")
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TRADES_FIELD_NUMBER: _ClassVar[int]
    checks: _containers.RepeatedCompositeFieldContainer[Check]
    sequence: int
    trades: int
    def __init__(self, checks: _Optional[_Iterable[_Union[Check, _Mapping]]] = ..., sequence: _Optional[int] = ..., trades: _Optional[int] = ...) -> None: ...
