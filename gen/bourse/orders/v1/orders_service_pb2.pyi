from bourse.orders.v1 import orders_pb2 as _orders_pb2
from bourse.types.v1 import nouns_pb2 as _nouns_pb2
from bourse.types.v1 import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetOrderRequest(_message.Message):
    __slots__ = ("account", "order_id", "client_order_id", "after")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    account: int
    order_id: int
    client_order_id: str
    after: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ShardSequence]
    def __init__(self, account: _Optional[int] = ..., order_id: _Optional[int] = ..., client_order_id: _Optional[str] = ..., after: _Optional[_Iterable[_Union[_nouns_pb2.ShardSequence, _Mapping]]] = ...) -> None: ...

class GetOrderResponse(_message.Message):
    __slots__ = ("found", "order", "at")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    found: bool
    order: _orders_pb2.OrderWithFills
    at: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ShardSequence]
    def __init__(self, found: _Optional[bool] = ..., order: _Optional[_Union[_orders_pb2.OrderWithFills, _Mapping]] = ..., at: _Optional[_Iterable[_Union[_nouns_pb2.ShardSequence, _Mapping]]] = ...) -> None: ...

class ListOrdersRequest(_message.Message):
    __slots__ = ("account", "instrument", "state", "from_us", "to_us", "limit", "after", "page")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    TO_US_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    account: int
    instrument: int
    state: _words_pb2.OrderState
    from_us: int
    to_us: int
    limit: int
    after: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ShardSequence]
    page: str
    def __init__(self, account: _Optional[int] = ..., instrument: _Optional[int] = ..., state: _Optional[_Union[_words_pb2.OrderState, str]] = ..., from_us: _Optional[int] = ..., to_us: _Optional[int] = ..., limit: _Optional[int] = ..., after: _Optional[_Iterable[_Union[_nouns_pb2.ShardSequence, _Mapping]]] = ..., page: _Optional[str] = ...) -> None: ...

class ListOrdersResponse(_message.Message):
    __slots__ = ("orders", "at", "next_page")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.Order]
    at: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ShardSequence]
    next_page: str
    def __init__(self, orders: _Optional[_Iterable[_Union[_nouns_pb2.Order, _Mapping]]] = ..., at: _Optional[_Iterable[_Union[_nouns_pb2.ShardSequence, _Mapping]]] = ..., next_page: _Optional[str] = ...) -> None: ...

class ListFillsRequest(_message.Message):
    __slots__ = ("account", "instrument", "order_id", "from_us", "to_us", "limit", "cursor", "after")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    TO_US_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    account: int
    instrument: int
    order_id: int
    from_us: int
    to_us: int
    limit: int
    cursor: str
    after: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ShardSequence]
    def __init__(self, account: _Optional[int] = ..., instrument: _Optional[int] = ..., order_id: _Optional[int] = ..., from_us: _Optional[int] = ..., to_us: _Optional[int] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ..., after: _Optional[_Iterable[_Union[_nouns_pb2.ShardSequence, _Mapping]]] = ...) -> None: ...

class ListFillsResponse(_message.Message):
    __slots__ = ("fills", "next_cursor", "at")
    FILLS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    fills: _containers.RepeatedCompositeFieldContainer[_orders_pb2.Fill]
    next_cursor: str
    at: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ShardSequence]
    def __init__(self, fills: _Optional[_Iterable[_Union[_orders_pb2.Fill, _Mapping]]] = ..., next_cursor: _Optional[str] = ..., at: _Optional[_Iterable[_Union[_nouns_pb2.ShardSequence, _Mapping]]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("places",)
    PLACES_FIELD_NUMBER: _ClassVar[int]
    places: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ReaderPlace]
    def __init__(self, places: _Optional[_Iterable[_Union[_nouns_pb2.ReaderPlace, _Mapping]]] = ...) -> None: ...

class StreamVerifyRequest(_message.Message):
    __slots__ = ("open_orders", "sequence", "shard")
    OPEN_ORDERS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    open_orders: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.Order]
    sequence: int
    shard: int
    def __init__(self, open_orders: _Optional[_Iterable[_Union[_nouns_pb2.Order, _Mapping]]] = ..., sequence: _Optional[int] = ..., shard: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("checks", "sequence", "trades")
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TRADES_FIELD_NUMBER: _ClassVar[int]
    checks: _containers.RepeatedCompositeFieldContainer[Check]
    sequence: int
    trades: int
    def __init__(self, checks: _Optional[_Iterable[_Union[Check, _Mapping]]] = ..., sequence: _Optional[int] = ..., trades: _Optional[int] = ...) -> None: ...
