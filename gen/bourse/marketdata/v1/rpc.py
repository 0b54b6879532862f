"""Services of bourse.marketdata.v1: stubs, servicers and full names. Written by tools/gen from proto/."""

from typing import Final

from bourse.marketdata.v1.marketdata_service_pb2_grpc import (
    MarketdataServiceServicer as MarketdataServiceServicer,
    MarketdataServiceStub as MarketdataServiceStub,
    add_MarketdataServiceServicer_to_server as add_MarketdataServiceServicer_to_server,
)

MARKETDATA_SERVICE: Final = "bourse.marketdata.v1.MarketdataService"

__all__ = [
    "MARKETDATA_SERVICE",
    "MarketdataServiceServicer",
    "MarketdataServiceStub",
    "add_MarketdataServiceServicer_to_server",
]
