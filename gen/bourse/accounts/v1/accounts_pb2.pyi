from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCOPE_UNSPECIFIED: _ClassVar[Scope]
    SCOPE_READ: _ClassVar[Scope]
    SCOPE_TRADE: _ClassVar[Scope]
    SCOPE_WITHDRAW: _ClassVar[Scope]
SCOPE_UNSPECIFIED: Scope
SCOPE_READ: Scope
SCOPE_TRADE: Scope
SCOPE_WITHDRAW: Scope

class Account(_message.Message):
    __slots__ = ("account", "name", "created_us", "demo")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_US_FIELD_NUMBER: _ClassVar[int]
    DEMO_FIELD_NUMBER: _ClassVar[int]
    account: int
    name: str
    created_us: int
    demo: bool
    def __init__(self, account: _Optional[int] = ..., name: _Optional[str] = ..., created_us: _Optional[int] = ..., demo: _Optional[bool] = ...) -> None: ...

class Key(_message.Message):
    __slots__ = ("key", "account", "scopes", "created_us", "revoked_us")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    CREATED_US_FIELD_NUMBER: _ClassVar[int]
    REVOKED_US_FIELD_NUMBER: _ClassVar[int]
    key: str
    account: int
    scopes: _containers.RepeatedScalarFieldContainer[Scope]
    created_us: int
    revoked_us: int
    def __init__(self, key: _Optional[str] = ..., account: _Optional[int] = ..., scopes: _Optional[_Iterable[_Union[Scope, str]]] = ..., created_us: _Optional[int] = ..., revoked_us: _Optional[int] = ...) -> None: ...
