from bourse.orders.v1 import orders_pb2 as _orders_pb2
from bourse.types.v1 import nouns_pb2 as _nouns_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AccountBalance(_message.Message):
    __slots__ = ("asset", "available_minor", "held_minor")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_MINOR_FIELD_NUMBER: _ClassVar[int]
    HELD_MINOR_FIELD_NUMBER: _ClassVar[int]
    asset: int
    available_minor: int
    held_minor: int
    def __init__(self, asset: _Optional[int] = ..., available_minor: _Optional[int] = ..., held_minor: _Optional[int] = ...) -> None: ...

class Notification(_message.Message):
    __slots__ = ("cursor", "sequence", "time_us", "account", "order", "fill", "balance")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    FILL_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    sequence: int
    time_us: int
    account: int
    order: _nouns_pb2.Order
    fill: _orders_pb2.Fill
    balance: AccountBalance
    def __init__(self, cursor: _Optional[str] = ..., sequence: _Optional[int] = ..., time_us: _Optional[int] = ..., account: _Optional[int] = ..., order: _Optional[_Union[_nouns_pb2.Order, _Mapping]] = ..., fill: _Optional[_Union[_orders_pb2.Fill, _Mapping]] = ..., balance: _Optional[_Union[AccountBalance, _Mapping]] = ...) -> None: ...
