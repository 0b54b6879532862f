"""What other rooms and operators ask of the ledger."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import grpc

from bourse.ledger import v1 as ledger
from bourse.ledger.v1 import rpc
from services.domain.clock import Clock
from services.ledger import checks, store
from services.ledger.config import LedgerConfig
from services.ledger.outbox import Outbox
from services.ledger.reader import Bookkeeper, RequestReused, TreasuryShort
from services.ledger.state import OUTSIDE, TREASURY, Leg
from services.runtime.lag import Lag
from services.runtime.postgres import Pool
from services.runtime.rpc import Context

_TOP: Final = 2**62
_PATIENCE_S: Final = 30.0
"""How long a check waits for the books to come to the sequence it is about."""


class Ledger(rpc.LedgerServiceServicer):
    """Statements, transfers and checks."""

    def __init__(
        self,
        pool: Pool,
        keeper: Bookkeeper,
        outbox: Outbox,
        config: LedgerConfig,
        clock: Clock,
        lag: Lag,
    ) -> None:
        self._pool = pool
        self._keeper = keeper
        self._outbox = outbox
        self._config = config
        self._clock = clock
        self._lag = lag

    async def FundTreasury(
        self, request: ledger.FundTreasuryRequest, context: Context
    ) -> ledger.FundTreasuryResponse:
        """Money from outside into the treasury."""
        if (
            len(request.request_id) != 16
            or not request.asset
            or not 0 < request.amount_minor <= _TOP
        ):
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "16 bytes of id, an asset, 1..2^62"
            )
        now_us = self._clock.now_us()
        total = self._keeper.books.posted(OUTSIDE, request.asset) - request.amount_minor
        if -total > _TOP:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "asset_cap: above 2^62 in all")
        posted = await self._keeper.fund(
            request.request_id, now_us, request.asset, request.amount_minor
        )
        return ledger.FundTreasuryResponse(posted_minor=posted)

    async def CreateTransfer(
        self, request: ledger.CreateTransferRequest, context: Context
    ) -> ledger.CreateTransferResponse:
        """Money between the treasury and an account, answered once the core has said."""
        await _check(request, context)
        leg = Leg(request.account, request.asset, self._config.shard, request.amount_minor)
        try:
            sending, answered = await self._keeper.start_transfer(
                request.request_id, self._clock.now_us(), leg
            )
        except TreasuryShort as short:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"treasury_short: {short}")
        except RequestReused as reused:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, f"request_reused: {reused}")
        if answered is not None:
            self._outbox.wake()
            await self._wait(answered, context)
        async with self._pool.acquire() as connection:
            sending = await store.transfer(connection, request.request_id) or sending
        return ledger.CreateTransferResponse(transfer=_transfer(sending))

    async def _wait(self, answered: "asyncio.Future[None]", context: Context) -> None:
        try:
            async with asyncio.timeout(self._config.transfer_timeout_s):
                # Others may wait for the same transfer: it is theirs as well.
                await asyncio.shield(answered)
        except TimeoutError:
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                "the core has not answered yet; ask again with the same id",
            )

    async def ListBalances(
        self, request: ledger.ListBalancesRequest, context: Context
    ) -> ledger.ListBalancesResponse:
        """Balances of one account or of all, as of the last posted sequence."""
        books = self._keeper.books
        answer = ledger.ListBalancesResponse(sequence=self._keeper.place.sequence)
        for (account, asset, shard), posted in sorted(books.balances.items()):
            if request.account in (0, account):
                answer.balances.add(account=account, asset=asset, shard=shard, posted_minor=posted)
        return answer

    async def ListPostings(
        self, request: ledger.ListPostingsRequest, context: Context
    ) -> ledger.ListPostingsResponse:
        """Postings of an account, newest first. A page ends with a whole entry."""
        limit = min(max(request.limit, 1), 1000)
        rows = await store.postings(
            self._pool, request.account, request.asset, request.cursor or 2**63 - 1, limit
        )
        answer = ledger.ListPostingsResponse()
        for row in rows:
            amount = row.pop("amount")
            answer.postings.add(amount_minor=amount, **row)
        answer.next_cursor = rows[-1]["seq"] if len(rows) == limit else 0
        return answer

    async def GetStatus(
        self, request: ledger.GetStatusRequest, context: Context
    ) -> ledger.GetStatusResponse:
        """How far the ledger has come."""
        place = self._keeper.place
        records, milliseconds = await self._lag.of(place.position.next_offset)
        async with self._pool.acquire() as connection:
            moving = await store.count_under_way(connection)
        return ledger.GetStatusResponse(
            sequence=place.sequence,
            next_offset=place.position.next_offset,
            lag_records=records,
            lag_ms=milliseconds,
            transfers_under_way=moving,
            balance_hash=self._keeper.books.balance_hash(self._config.shard),
            stopped=self._keeper.stopped,
        )

    async def StreamVerify(
        self, requests: AsyncIterator[ledger.StreamVerifyRequest], context: Context
    ) -> ledger.StreamVerifyResponse:
        """Check the books against themselves and against the core's totals."""
        core = await _totals(requests)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._keeper.passed(core.sequence)
        except TimeoutError:
            why = self._keeper.stopped or "lagging"
            at = self._keeper.place.sequence
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"the ledger stands at {at}: {why}")
        found = await checks.all_checks(self._pool, self._keeper, core)
        return ledger.StreamVerifyResponse(checks=found, sequence=self._keeper.place.sequence)


async def _totals(requests: AsyncIterator[ledger.StreamVerifyRequest]) -> checks.CoreTotals:
    """What the core said, put together. Of each total only its numbers are kept."""
    first, totals = ledger.StreamVerifyRequest(), {}
    async for piece in requests:
        if piece.sequence:
            first = ledger.StreamVerifyRequest(sequence=piece.sequence, shard=piece.shard)
        totals.update({(one.account, one.asset): one.total_minor for one in piece.totals})
    return checks.CoreTotals(first.sequence, first.shard, totals)


async def _check(request: ledger.CreateTransferRequest, context: Context) -> None:
    """Refuse what could never become a command."""
    right = len(request.request_id) == 16 and request.account > TREASURY and request.asset
    if not right or not 0 < abs(request.amount_minor) <= _TOP:
        await context.abort(
            grpc.StatusCode.INVALID_ARGUMENT, "16 bytes of id, an account, an asset, 1..2^62"
        )


def _transfer(sending: store.Sending) -> ledger.Transfer:
    return ledger.Transfer(
        request_id=sending.request_id,
        account=sending.account,
        asset=sending.asset,
        amount_minor=sending.amount_minor,
        state=sending.state,  # type: ignore[arg-type]  # the table keeps the contract's numbers
        refusal=sending.refusal,
        sequence=sending.sequence,
        number=sending.number,
    )
