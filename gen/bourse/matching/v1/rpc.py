"""Services of bourse.matching.v1: stubs, servicers and full names. Written by tools/gen from proto/."""

from typing import Final

from bourse.matching.v1.matching_service_pb2_grpc import (
    MatchingServiceServicer as MatchingServiceServicer,
    MatchingServiceStub as MatchingServiceStub,
    OrderEntryServiceServicer as OrderEntryServiceServicer,
    OrderEntryServiceStub as OrderEntryServiceStub,
    add_MatchingServiceServicer_to_server as add_MatchingServiceServicer_to_server,
    add_OrderEntryServiceServicer_to_server as add_OrderEntryServiceServicer_to_server,
)

ORDER_ENTRY_SERVICE: Final = "bourse.matching.v1.OrderEntryService"
MATCHING_SERVICE: Final = "bourse.matching.v1.MatchingService"

__all__ = [
    "MATCHING_SERVICE",
    "MatchingServiceServicer",
    "MatchingServiceStub",
    "ORDER_ENTRY_SERVICE",
    "OrderEntryServiceServicer",
    "OrderEntryServiceStub",
    "add_MatchingServiceServicer_to_server",
    "add_OrderEntryServiceServicer_to_server",
]
