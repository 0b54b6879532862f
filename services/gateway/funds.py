"""Money in several shards: an account's balances put together, and brought to where an order is.

    the engine refuses insufficient_balance
      │ the other shards have what is missing     MoveMoney, from the fullest first
      │     it has come within 250 ms             the command is asked again
      └ else                                      the refusal says where the money is

A shard that is halted, or that the ledger does not post, gives nothing: what is in it is told, and
not asked for.

A house of one shard comes here for its balances alone.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import grpc

from bourse.ledger import v1 as ledger
from bourse.ledger.v1 import rpc
from bourse.matching import v1 as matching
from services.domain import ids, money
from services.gateway.problems import POSTING_STOPPED, SHARD_HALTED, Elsewhere, Problem
from services.gateway.reads import READ_S, Reads, read
from services.gateway.shards import NONE_NAMED, Sequences, Shard, Shards, heard, spoken
from services.gateway.state import Answered

BRING_S: Final = 0.25
"""An order waits at most this long for its money, all told."""

ANSWER_S: Final = 0.02
"""The ledger is to answer so long before that, and to say how far the money has come."""

BRINGINGS: Final = 3
"""So often money is brought for one order: what was there may be spent while it is asked for."""

EXPLAIN_S: Final = 0.1
"""So long at least is looked where the money is, for the answer that it did not come."""

CUTS: Final = 4
"""A cut that does not fit is read again, three times at most."""

_SETTLED: Final = (ledger.MOVE_STATE_DONE, ledger.MOVE_STATE_REFUSED)
"""It has come, or what was there was spent meanwhile: the command is asked again."""

_ON_ITS_WAY: Final = (
    ledger.MOVE_STATE_ASKED,
    ledger.MOVE_STATE_IN_TRANSIT,
    ledger.MOVE_STATE_RETURNING,
)


@dataclass
class Need:
    """A command that lacks money: whose it is, where, and until when it is good."""

    account: int
    shard: Shard
    valid_until_us: int
    until_s: float
    """By the loop's clock: when the money must be there."""
    brought: int = 0
    """How often money was brought for it."""
    stuck: dict[int, str] = field(default_factory=dict)
    """Shards that give nothing, and the word by which the ledger has said why."""
    is_crowded: bool = False
    """The ledger has begun no move, for too many are under way."""


class Has(NamedTuple):
    """What an account has of an asset, minor units. Sums over shards may pass 64 bits."""

    available_minor: int = 0
    held_minor: int = 0
    in_transit_minor: int = 0
    """Between the shards: neither available nor held."""


class Cut(NamedTuple):
    """What an account has in all shards, as it was at one point of each."""

    has: Mapping[int, Has]
    """By asset, ascending."""
    at: Sequences


class Funds:
    """The money of accounts, wherever it is."""

    def __init__(self, shards: Shards, reads: Reads, ledger_channel: grpc.aio.Channel) -> None:
        self._shards = shards
        self._reads = reads
        self._channel = ledger_channel
        self._ledger = rpc.LedgerServiceStub(ledger_channel)

    async def everywhere(self, account: int, after: Sequences) -> Cut:
        """All that an account has. Raises Problem.

        What is between the shards is the ledger's to say. It may find that a shard was read before
        money left it that another was seen to have: that shard is read again.
        """
        told: dict[int, matching.GetBalancesResponse] = {}
        again: Sequences = {shard.number: 0 for shard in self._shards}
        for _ in range(CUTS):
            numbers = list(again)
            wanted = {n: max(again[n], after.get(n, 0)) for n in numbers}
            reading = (self._reads.balances(self._shards[n], account, wanted) for n in numbers)
            told |= zip(numbers, await asyncio.gather(*reading), strict=True)
            at = {number: answer.sequence for number, answer in told.items()}
            if not self._shards.is_several:
                return Cut(_sums(told, ()), at)
            transit = await self._transit(account, at, READ_S)
            if not transit.read_again:
                return Cut(_sums(told, transit.amounts), at)
            again = heard(transit.read_again)
        raise Problem("lagging")

    async def _transit(
        self, account: int, at: Sequences, within_s: float
    ) -> ledger.GetTransitResponse:
        request = ledger.GetTransitRequest(account=account, at=spoken(at))
        return await read(self._ledger.GetTransit(request, timeout=within_s), self._channel)

    def need(self, account: int, shard: Shard, valid_until_us: int) -> Need:
        """A command that was refused for want of money just now."""
        until_s = asyncio.get_running_loop().time() + BRING_S
        return Need(account, shard, valid_until_us, until_s)

    async def bring(self, need: Need, asset: int, refused: Answered) -> Elsewhere | None:
        """Bring what a command lacks to its shard; None: try again, else where the money is."""
        outcome = refused.outcome
        missing_minor = outcome.needed_minor - outcome.available_minor
        told = await self._others(need)
        purses = {n: _available(answer, asset) for n, answer in told.items()}
        there = {need.shard.number: outcome.available_minor, **purses}
        silent = [shard.number for shard in self._shards if shard.number not in there]
        stuck = {n: why for n in purses if (why := self._stuck(need, n))}

        def elsewhere(on_its_way_minor: int | None) -> Elsewhere:
            needed_minor, is_crowded = outcome.needed_minor, need.is_crowded
            return Elsewhere(there, on_its_way_minor, silent, stuck, needed_minor, is_crowded)

        purses = {n: minor for n, minor in purses.items() if n not in stuck}
        is_there = outcome.needed_minor < money.TOP and sum(purses.values()) >= missing_minor
        is_over = need.is_crowded or need.brought == BRINGINGS or _left_s(need) <= ANSWER_S
        if is_over or not is_there:
            at = {n: answer.sequence for n, answer in told.items()}
            at[need.shard.number] = refused.sequence
            return elsewhere(None if silent else await self._on_its_way(need, asset, at))
        need.brought += 1
        parts = _parts(purses, missing_minor)
        states = await asyncio.gather(*(self._move(need, asset, n, parts[n]) for n in parts))
        if all(state in _SETTLED for state in states):
            return None
        moved = dict(zip(parts, states, strict=True))
        gone = {n: parts[n] for n in parts if moved[n] in (*_ON_ITS_WAY, ledger.MOVE_STATE_DONE)}
        come_minor = sum(parts[n] for n in parts if moved[n] == ledger.MOVE_STATE_DONE)
        there |= {n: there[n] - part_minor for n, part_minor in gone.items()}
        there[need.shard.number] += come_minor
        is_told = ledger.MOVE_STATE_UNSPECIFIED not in states
        return elsewhere(sum(gone.values()) - come_minor if is_told else None)

    def _stuck(self, need: Need, shard: int) -> str:
        """Why a shard gives nothing; empty if it does, as far as is known."""
        return SHARD_HALTED if self._shards[shard].is_halted else need.stuck.get(shard, "")

    async def _others(self, need: Need) -> dict[int, matching.GetBalancesResponse]:
        """What the account has in the other shards; those that do not answer are left out.

        A silent one has half of the time: what the others have still is to come in the rest.
        """
        others = [shard for shard in self._shards if shard is not need.shard]
        within_s = max(_left_s(need) / 2, EXPLAIN_S)
        answers = await asyncio.gather(*(self._at_once(one, need, within_s) for one in others))
        told = zip(others, answers, strict=True)
        return {shard.number: answer for shard, answer in told if answer is not None}

    async def _at_once(
        self, shard: Shard, need: Need, within_s: float
    ) -> matching.GetBalancesResponse | None:
        """What the account has in a shard; None if it does not say so in time."""
        after = self._shards.after(NONE_NAMED)
        try:
            # Of replicas one that serves is looked for first, which the call's own time leaves out.
            async with asyncio.timeout(within_s):
                return await self._reads.balances(shard, need.account, after, within_s)
        except (Problem, TimeoutError):
            return None

    async def _on_its_way(self, need: Need, asset: int, at: Sequences) -> int | None:
        """Minor units between the shards; None if the ledger does not say so in time."""
        try:
            transit = await self._transit(need.account, at, max(_left_s(need), EXPLAIN_S))
        except Problem:
            return None
        if transit.read_again:
            return None
        return sum(one.amount_minor for one in transit.amounts if one.asset == asset)

    async def _move(
        self, need: Need, asset: int, shard: int, amount_minor: int
    ) -> ledger.MoveState:
        """Move money from a shard to where it is needed, and say how far that has come."""
        left_s = max(_left_s(need), ANSWER_S)
        request = ledger.MoveMoneyRequest(
            request_id=os.urandom(ids.REQUEST_ID_BYTES),
            account=need.account,
            asset=asset,
            amount_minor=amount_minor,
            from_shard=shard,
            to_shard=need.shard.number,
            valid_until_us=need.valid_until_us,
            wait_ms=int((left_s - ANSWER_S) * 1000),
        )
        try:
            return (await self._ledger.MoveMoney(request, timeout=left_s)).move.state
        except grpc.aio.AioRpcError as error:
            return _not_begun(need, shard, error)


def _not_begun(need: Need, shard: int, error: grpc.aio.AioRpcError) -> ledger.MoveState:
    """Where money stands that the ledger was asked to move and did not answer for.

    What it has refused has not moved. The command is asked once more all the same: where it is its
    own shard that is halted the engine says so; of another one nothing is asked any more. A ledger
    that is away may have begun it.
    """
    code, word = error.code(), (error.details() or "").partition(":")[0]
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        need.stuck[shard] = POSTING_STOPPED if word == POSTING_STOPPED else SHARD_HALTED
        return ledger.MOVE_STATE_REFUSED
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        need.is_crowded = True
        return ledger.MOVE_STATE_REFUSED
    is_late = code is grpc.StatusCode.DEADLINE_EXCEEDED
    return ledger.MOVE_STATE_ASKED if is_late else ledger.MOVE_STATE_UNSPECIFIED


def _left_s(need: Need) -> float:
    return need.until_s - asyncio.get_running_loop().time()


def _available(told: matching.GetBalancesResponse, asset: int) -> int:
    return sum(one.available_minor for one in told.balances if one.asset == asset)


def _parts(purses: Mapping[int, int], missing_minor: int) -> dict[int, int]:
    """How much of what is missing each shard gives: as few of them as can be."""
    parts: dict[int, int] = {}
    for number in sorted(purses, key=lambda number: (-purses[number], number)):
        if missing_minor > 0:
            parts[number] = min(purses[number], missing_minor)
            missing_minor -= parts[number]
    return parts


def _sums(
    told: Mapping[int, matching.GetBalancesResponse], transit: Iterable[ledger.Transit]
) -> dict[int, Has]:
    parts = [
        (one.asset, Has(one.available_minor, one.held_minor))
        for answer in told.values()
        for one in answer.balances
    ]
    parts += [(one.asset, Has(in_transit_minor=one.amount_minor)) for one in transit]
    sums: dict[int, Has] = {}
    for asset, part in parts:
        sums[asset] = Has(*map(sum, zip(sums.get(asset, Has()), part, strict=True)))
    return dict(sorted(sums.items()))
