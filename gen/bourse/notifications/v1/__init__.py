"""Messages and enums of bourse.notifications.v1. Written by tools/gen from proto/."""

from bourse.notifications.v1.notifications_pb2 import (
    AccountBalance as AccountBalance,
    Notification as Notification,
)
from bourse.notifications.v1.notifications_service_pb2 import (
    FOLLOW_STATUS_CURSOR_GONE as FOLLOW_STATUS_CURSOR_GONE,
    FOLLOW_STATUS_STARTED as FOLLOW_STATUS_STARTED,
    FOLLOW_STATUS_UNSPECIFIED as FOLLOW_STATUS_UNSPECIFIED,
    FollowRequest as FollowRequest,
    FollowResponse as FollowResponse,
    FollowStatus as FollowStatus,
    GetStatusRequest as GetStatusRequest,
    GetStatusResponse as GetStatusResponse,
)

__all__ = [
    "AccountBalance",
    "FOLLOW_STATUS_CURSOR_GONE",
    "FOLLOW_STATUS_STARTED",
    "FOLLOW_STATUS_UNSPECIFIED",
    "FollowRequest",
    "FollowResponse",
    "FollowStatus",
    "GetStatusRequest",
    "GetStatusResponse",
    "Notification",
]
