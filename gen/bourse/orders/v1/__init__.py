"""Messages and enums of bourse.orders.v1. Written by tools/gen from proto/."""

from bourse.orders.v1.orders_pb2 import (
    Fill as Fill,
    OrderWithFills as OrderWithFills,
)
from bourse.orders.v1.orders_service_pb2 import (
    Check as Check,
    GetOrderRequest as GetOrderRequest,
    GetOrderResponse as GetOrderResponse,
    GetStatusRequest as GetStatusRequest,
    GetStatusResponse as GetStatusResponse,
    ListFillsRequest as ListFillsRequest,
    ListFillsResponse as ListFillsResponse,
    ListOrdersRequest as ListOrdersRequest,
    ListOrdersResponse as ListOrdersResponse,
    StreamVerifyRequest as StreamVerifyRequest,
    StreamVerifyResponse as StreamVerifyResponse,
)

__all__ = [
    "Check",
    "Fill",
    "GetOrderRequest",
    "GetOrderResponse",
    "GetStatusRequest",
    "GetStatusResponse",
    "ListFillsRequest",
    "ListFillsResponse",
    "ListOrdersRequest",
    "ListOrdersResponse",
    "OrderWithFills",
    "StreamVerifyRequest",
    "StreamVerifyResponse",
]
