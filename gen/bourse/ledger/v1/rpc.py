"""Services of bourse.ledger.v1: stubs, servicers and full names. Written by tools/gen from proto/."""

from typing import Final

from bourse.ledger.v1.ledger_service_pb2_grpc import (
    LedgerServiceServicer as LedgerServiceServicer,
    LedgerServiceStub as LedgerServiceStub,
    add_LedgerServiceServicer_to_server as add_LedgerServiceServicer_to_server,
)

LEDGER_SERVICE: Final = "bourse.ledger.v1.LedgerService"

__all__ = [
    "LEDGER_SERVICE",
    "LedgerServiceServicer",
    "LedgerServiceStub",
    "add_LedgerServiceServicer_to_server",
]
