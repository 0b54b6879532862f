"""Services of bourse.notifications.v1: stubs, servicers and full names. Written by tools/gen from proto/."""

from typing import Final

from bourse.notifications.v1.notifications_service_pb2_grpc import (
    NotificationsServiceServicer as NotificationsServiceServicer,
    NotificationsServiceStub as NotificationsServiceStub,
    add_NotificationsServiceServicer_to_server as add_NotificationsServiceServicer_to_server,
)

NOTIFICATIONS_SERVICE: Final = "bourse.notifications.v1.NotificationsService"

__all__ = [
    "NOTIFICATIONS_SERVICE",
    "NotificationsServiceServicer",
    "NotificationsServiceStub",
    "add_NotificationsServiceServicer_to_server",
]
