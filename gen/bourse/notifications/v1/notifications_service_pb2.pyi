from bourse.notifications.v1 import notifications_pb2 as _notifications_pb2
from bourse.types.v1 import nouns_pb2 as _nouns_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FollowStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FOLLOW_STATUS_UNSPECIFIED: _ClassVar[FollowStatus]
    FOLLOW_STATUS_STARTED: _ClassVar[FollowStatus]
    FOLLOW_STATUS_CURSOR_GONE: _ClassVar[FollowStatus]
FOLLOW_STATUS_UNSPECIFIED: FollowStatus
FOLLOW_STATUS_STARTED: FollowStatus
FOLLOW_STATUS_CURSOR_GONE: FollowStatus

class FollowRequest(_message.Message):
    __slots__ = ("subscription", "account", "after", "drop", "shard")
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    DROP_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    subscription: int
    account: int
    after: str
    drop: bool
    shard: int
    def __init__(self, subscription: _Optional[int] = ..., account: _Optional[int] = ..., after: _Optional[str] = ..., drop: _Optional[bool] = ..., shard: _Optional[int] = ...) -> None: ...

class FollowResponse(_message.Message):
    __slots__ = ("subscription", "status", "notifications", "cursor")
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    subscription: int
    status: FollowStatus
    notifications: _containers.RepeatedCompositeFieldContainer[_notifications_pb2.Notification]
    cursor: str
    def __init__(self, subscription: _Optional[int] = ..., status: _Optional[_Union[FollowStatus, str]] = ..., notifications: _Optional[_Iterable[_Union[_notifications_pb2.Notification, _Mapping]]] = ..., cursor: _Optional[str] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("places",)
    PLACES_FIELD_NUMBER: _ClassVar[int]
    places: _containers.RepeatedCompositeFieldContainer[_nouns_pb2.ReaderPlace]
    def __init__(self, places: _Optional[_Iterable[_Union[_nouns_pb2.ReaderPlace, _Mapping]]] = ...) -> None: ...
