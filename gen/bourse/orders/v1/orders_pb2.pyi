from bourse.types.v1 import nouns_pb2 as _nouns_pb2
from bourse.types.v1 import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Fill(_message.Message):
    __slots__ = ("trade_id", "order_id", "client_order_id", "instrument", "side", "maker", "price_ticks", "lots", "fee_asset", "fee_minor", "time_us", "sequence")
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    MAKER_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    FEE_ASSET_FIELD_NUMBER: _ClassVar[int]
    FEE_MINOR_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    trade_id: int
    order_id: int
    client_order_id: str
    instrument: int
    side: _words_pb2.Side
    maker: bool
    price_ticks: int
    lots: int
    fee_asset: int
    fee_minor: int
    time_us: int
    sequence: int
    def __init__(self, trade_id: _Optional[int] = ..., order_id: _Optional[int] = ..., client_order_id: _Optional[str] = ..., instrument: _Optional[int] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., maker: _Optional[bool] = ..., price_ticks: _Optional[int] = ..., lots: _Optional[int] = ..., fee_asset: _Optional[int] = ..., fee_minor: _Optional[int] = ..., time_us: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class OrderWithFills(_message.Message):
    __slots__ = ("order", "fills")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    FILLS_FIELD_NUMBER: _ClassVar[int]
    order: _nouns_pb2.Order
    fills: _containers.RepeatedCompositeFieldContainer[Fill]
    def __init__(self, order: _Optional[_Union[_nouns_pb2.Order, _Mapping]] = ..., fills: _Optional[_Iterable[_Union[Fill, _Mapping]]] = ...) -> None: ...
