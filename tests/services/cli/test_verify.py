"""What the core says of itself is passed on piece by piece, and only its sums are kept."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.cli.terminal import Refused
from services.cli.verify import (
    Check,
    Core,
    _core_checks,
    _open_orders,
    _totals,
    of_one_of_several,
)
from services.domain.hashes import total_hash
from services.runtime.events import EventsError
from services.runtime.log import LogUnavailable

PIECES = [
    matching.VerifyResponse(sequence=7, command_offset=5, balance_hash=0),
    matching.VerifyResponse(
        balances=[matching.Balance(account=1000, asset=1, available_minor=40, held_minor=2)]
    ),
    matching.VerifyResponse(
        balances=[matching.Balance(account=1001, asset=2, available_minor=9)],
        orders=[types.Order(order_id=1024)],
    ),
    matching.VerifyResponse(orders=[types.Order(order_id=2048)]),
]


def told() -> Core:
    core = Core()
    for piece in PIECES:
        core.hear(piece)
    return core


def test_the_first_piece_says_where_the_core_stood_and_all_of_them_its_hash() -> None:
    core = told()
    assert (core.sequence, core.command_offset) == (7, 5)
    expected = (total_hash(1000, 1, 42) + total_hash(1001, 2, 9)) % 2**64
    assert core.computed_hash == expected
    own, summed = _core_checks(core)
    assert own.ok
    assert not summed.ok
    core.balance_hash = expected
    assert all(check.ok for check in _core_checks(core))


def test_a_broken_rule_of_the_core_is_said_even_where_nothing_was_ever_done() -> None:
    core = Core()
    core.hear(matching.VerifyResponse(broken="a rule does not hold"))
    core.hear(matching.VerifyResponse())
    own, _ = _core_checks(core)
    assert (own.ok, own.detail) == (False, "a rule does not hold")


def test_each_piece_is_passed_on_to_whom_it_concerns() -> None:
    totals = [_totals(piece) for piece in PIECES]
    assert [(one.sequence, len(one.totals)) for one in totals] == [(7, 0), (0, 1), (0, 1), (0, 0)]
    assert totals[1].totals[0].total_minor == 42
    orders = [_open_orders(piece) for piece in PIECES]
    assert [(one.sequence, len(one.open_orders)) for one in orders] == [
        (7, 0),
        (0, 0),
        (0, 1),
        (0, 1),
    ]


WHY = "bourse.events.1 was rolled back."


def told_by_a_room() -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.FAILED_PRECONDITION, nothing, nothing, WHY)


@pytest.mark.parametrize(
    "stops",
    [None, told_by_a_room(), Refused(WHY), LogUnavailable(WHY), EventsError(WHY)],
    ids=lambda stops: type(stops).__name__,
)
def test_a_shard_that_cannot_be_checked_is_said_and_keeps_none_from_it(
    stops: Exception | None,
) -> None:
    first = Check("shard 1: the first", ok=True)

    async def checks() -> AsyncIterator[Check]:
        yield first
        if stops is not None:
            raise stops

    async def story() -> list[Check]:
        return [check async for check in of_one_of_several(1, checks())]

    broken = Check("shard 1: every check can be made", ok=False, detail=WHY)
    assert asyncio.run(story()) == ([first] if stops is None else [first, broken])


def test_what_nobody_foresaw_is_no_finding() -> None:
    async def checks() -> AsyncIterator[Check]:
        yield Check("shard 1: the first", ok=True)
        raise KeyError("x")

    async def story() -> list[Check]:
        return [check async for check in of_one_of_several(1, checks())]

    with pytest.raises(KeyError, match="x"):
        asyncio.run(story())
