"""Services of bourse.accounts.v1: stubs, servicers and full names. Written by tools/gen from proto/."""

from typing import Final

from bourse.accounts.v1.accounts_service_pb2_grpc import (
    AccountsServiceServicer as AccountsServiceServicer,
    AccountsServiceStub as AccountsServiceStub,
    add_AccountsServiceServicer_to_server as add_AccountsServiceServicer_to_server,
)

ACCOUNTS_SERVICE: Final = "bourse.accounts.v1.AccountsService"

__all__ = [
    "ACCOUNTS_SERVICE",
    "AccountsServiceServicer",
    "AccountsServiceStub",
    "add_AccountsServiceServicer_to_server",
]
