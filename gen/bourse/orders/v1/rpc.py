"""Services of bourse.orders.v1: stubs, servicers and full names. Written by tools/gen from proto/."""

from typing import Final

from bourse.orders.v1.orders_service_pb2_grpc import (
    OrdersServiceServicer as OrdersServiceServicer,
    OrdersServiceStub as OrdersServiceStub,
    add_OrdersServiceServicer_to_server as add_OrdersServiceServicer_to_server,
)

ORDERS_SERVICE: Final = "bourse.orders.v1.OrdersService"

__all__ = [
    "ORDERS_SERVICE",
    "OrdersServiceServicer",
    "OrdersServiceStub",
    "add_OrdersServiceServicer_to_server",
]
