"""Money by hand, as far as the ledger begins it."""

import asyncio
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import grpc
import pytest

from services.cli.rooms import Rooms
from services.cli.terminal import Refused
from services.cli.transfers import move_money


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "posting_stopped: nothing of shard 1 is posted: they differ",
            "nothing of shard 1 is posted: they differ. Until that is mended money stays where it"
            " is: see `bourse verify`.",
        ),
        ("shard_halted: shard 1 is halted", "shard 1 is halted. See `bourse shard status`."),
    ],
)
def test_a_move_that_is_not_begun_is_asked_for_once(said: str, told: str) -> None:
    asked = 0

    async def move(*_: Any, **__: Any) -> NoReturn:
        nonlocal asked
        asked += 1
        nothing = grpc.aio.Metadata()
        code = grpc.StatusCode.FAILED_PRECONDITION
        raise grpc.aio.AioRpcError(code, nothing, nothing, said)

    rooms = cast("Rooms", SimpleNamespace(ledger=SimpleNamespace(MoveMoney=move)))
    with pytest.raises(Refused) as refused:
        asyncio.run(move_money(rooms, 1000, 1, 5, 0, 1))
    assert str(refused.value) == f"No money went from shard 0 to shard 1: {told}"
    assert asked == 1
