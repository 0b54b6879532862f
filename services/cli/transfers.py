"""Money by hand: between the treasury and an account, and from one shard to another.

Each deed has an id of its own and is asked for until somebody has said what became of it, so it is
done once, whatever breaks on the way.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import grpc

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from services.cli.engine import refusal_sentence
from services.cli.rooms import PATIENCE_S, Rooms
from services.cli.terminal import Refused, sentence

TRANSFER_S: Final = 60.0
"""How long money may be under way before we stop asking after it."""

MOVE_WAIT_MS: Final = 5000
"""How long the ledger keeps a question after a move, before it is asked again."""

_UNANSWERED: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_NOT_BEGUN: Final = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.RESOURCE_EXHAUSTED)
_ADVICE: Final = {
    "posting_stopped": " Until that is mended money stays where it is: see `bourse verify`.",
    "shard_halted": " See `bourse shard status`.",
}
"""By the ledger's word for why it begins nothing."""

_ENDS: Final = (ledger.MOVE_STATE_DONE, ledger.MOVE_STATE_REFUSED, ledger.MOVE_STATE_RETURNED)

T = TypeVar("T")


async def transfer_money(
    rooms: Rooms, account: int, asset: int, minor: int, request_id: bytes = b"", shard: int = 0
) -> ledger.Transfer:
    """Move money between the treasury and an account's slice in a shard; positive: to the account.

    Raises Refused if the core refuses it, or if it is still under way after `TRANSFER_S`.
    """
    request = ledger.CreateTransferRequest(
        request_id=request_id or secrets.token_bytes(16),
        account=account,
        asset=asset,
        amount_minor=minor,
        shard=shard,
    )

    async def ask() -> ledger.Transfer | None:
        answer = await rooms.ledger.CreateTransfer(request, timeout=PATIENCE_S)
        found = answer.transfer
        return None if found.state == ledger.TRANSFER_STATE_SENT else found

    transfer = await _decided(ask, "The transfer")
    if transfer.state == ledger.TRANSFER_STATE_REFUSED:
        raise Refused(refusal_sentence(transfer.refusal))
    return transfer


async def gather_money(
    rooms: Rooms, account: int, asset: int, minor: int, shard: int
) -> list[ledger.Move]:
    """Have so much available in a shard, if there is as much in all of them together.

    What is missing comes from the others, from the fullest first. Returns how it came. Raises
    Refused.
    """
    if len(rooms.shards) == 1:
        return []
    there = await asyncio.gather(
        *(_available(rooms, account, asset, each) for each in rooms.shards)
    )
    missing = minor - there[shard]
    if sum(there) < minor:
        # Then nothing is moved, and the transfer is refused as it is in a house of one shard.
        return []
    moved = []
    others = [each for each in rooms.shards if each != shard]
    for other in sorted(others, key=lambda each: there[each], reverse=True):
        part = min(missing, there[other])
        if part > 0:
            moved.append(await move_money(rooms, account, asset, part, other, shard))
            missing -= part
    return moved


async def _available(rooms: Rooms, account: int, asset: int, shard: int) -> int:
    request = matching.GetBalancesRequest(account=account)
    said = await rooms.core(shard).GetBalances(request, timeout=PATIENCE_S)
    return sum(each.available_minor for each in said.balances if each.asset == asset)


async def move_money(
    rooms: Rooms, account: int, asset: int, minor: int, from_shard: int, to_shard: int
) -> ledger.Move:
    """Move money of an account from one shard to another. Raises Refused if it did not come."""
    request = ledger.MoveMoneyRequest(
        request_id=secrets.token_bytes(16),
        account=account,
        asset=asset,
        amount_minor=minor,
        from_shard=from_shard,
        to_shard=to_shard,
        wait_ms=MOVE_WAIT_MS,
    )

    async def ask() -> ledger.Move | None:
        try:
            move = (await rooms.ledger.MoveMoney(request, timeout=PATIENCE_S)).move
        except grpc.aio.AioRpcError as error:
            if error.code() in _NOT_BEGUN:
                advice = _ADVICE.get((error.details() or "").partition(":")[0], "")
                raise Refused(
                    f"No money went from shard {from_shard} to shard {to_shard}:"
                    f" {sentence(error)}{advice}"
                ) from error
            raise
        return move if move.state in _ENDS else None

    move = await _decided(ask, f"The money from shard {from_shard} to shard {to_shard}")
    if move.state != ledger.MOVE_STATE_DONE:
        where = from_shard if move.state == ledger.MOVE_STATE_REFUSED else to_shard
        raise Refused(
            f"Money was to go from shard {from_shard} to shard {to_shard}, and shard {where} did"
            f" not let it: {refusal_sentence(move.refusal)} It is in shard {from_shard}."
        )
    return move


async def _decided(ask: Callable[[], Awaitable[T | None]], what: str) -> T:
    """Ask with the same id until somebody has said. Raises Refused after `TRANSFER_S`."""
    deadline = time.monotonic() + TRANSFER_S
    while True:
        try:
            if (found := await ask()) is not None:
                return found
        except grpc.aio.AioRpcError as error:
            if error.code() not in _UNANSWERED:
                raise
        if time.monotonic() > deadline:
            raise Refused(
                f"{what} is under way and nobody has said yet what became of it. Look with"
                " `bourse account list` before you ask again."
            )
        await asyncio.sleep(0.2)
