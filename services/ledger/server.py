"""What other rooms and operators ask of the ledger."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

import grpc

from bourse.ledger import v1 as ledger
from bourse.ledger.v1 import rpc
from services.domain.clock import Clock
from services.ledger import checks, moves, store
from services.ledger.config import LedgerConfig
from services.ledger.reader import (
    MOST_MINOR,
    AssetFull,
    Bookkeeper,
    LedgerReader,
    PostingStopped,
    RequestReused,
    ShardHalted,
    TooManyMoves,
    TreasuryShort,
)
from services.ledger.state import TRANSIT, Leg, Move
from services.runtime.postgres import Connection, Pool
from services.runtime.readers import Readers
from services.runtime.rpc import Context

_LAST: Final = 2**63 - 1
"""No sequence of a shard is above it, and no entry of the journal."""
_PATIENCE_S: Final = 30.0
"""How long a check waits for the books to come to the sequence it is about."""
_TRANSIT_PATIENCE_S: Final = 2.0
"""How long what is between the shards waits for the same."""
_LONGEST_WAIT_MS: Final = 10_000


class Ledger(rpc.LedgerServiceServicer):
    """Statements, transfers and checks."""

    def __init__(
        self,
        pool: Pool,
        keeper: Bookkeeper,
        readers: Readers[LedgerReader],
        config: LedgerConfig,
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._keeper = keeper
        self._readers = readers
        self._config = config
        self._clock = clock
        # Whoever asks much is answered later, and what is posted waits for nobody's questions.
        self._asking = asyncio.Semaphore(max(1, config.postgres.connections // 2))

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        """A connection to answer a question over; half of all there are, at most, do that."""
        async with self._asking, self._pool.acquire() as connection:
            yield connection

    async def FundTreasury(
        self, request: ledger.FundTreasuryRequest, context: Context
    ) -> ledger.FundTreasuryResponse:
        """Money from outside into the treasury."""
        if (
            len(request.request_id) != 16
            or not request.asset
            or not 0 < request.amount_minor <= MOST_MINOR
        ):
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "16 bytes of id, an asset, 1..2^62"
            )
        now_us = self._clock.now_us()
        try:
            posted = await self._keeper.fund(
                request.request_id, now_us, request.asset, request.amount_minor
            )
        except AssetFull as full:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"asset_cap: {full}")
        return ledger.FundTreasuryResponse(posted_minor=posted)

    async def CreateTransfer(
        self, request: ledger.CreateTransferRequest, context: Context
    ) -> ledger.CreateTransferResponse:
        """Money between the treasury and an account, answered once the core has said."""
        await _check(request, context)
        await self._readers.of(request.shard, context)
        leg = Leg(request.account, request.asset, request.shard, request.amount_minor)
        try:
            sending, answered = await self._keeper.start_transfer(
                request.request_id, self._clock.now_us(), leg
            )
        except TreasuryShort as short:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"treasury_short: {short}")
        except PostingStopped as stopped:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"posting_stopped: {stopped}")
        except RequestReused as reused:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, f"request_reused: {reused}")
        if answered is not None:
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

    async def MoveMoney(
        self, request: ledger.MoveMoneyRequest, context: Context
    ) -> ledger.MoveMoneyResponse:
        """Money of one account from one shard to another, answered as it stands after the wait."""
        await self._check_move(request, context)
        move = Move(
            request.request_id,
            request.account,
            request.asset,
            request.amount_minor,
            request.from_shard,
            request.to_shard,
        )
        now_us = self._clock.now_us()
        try:
            ended = await self._keeper.start_move(move, request.valid_until_us, now_us)
        except RequestReused as reused:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, f"request_reused: {reused}")
        except PostingStopped as stopped:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"posting_stopped: {stopped}")
        except ShardHalted as halted:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"shard_halted: {halted}")
        except TooManyMoves as many:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"too_many_moves: {many}")
        if ended is not None:
            # Others may wait for the same move, and it goes on when nobody does.
            await asyncio.wait([ended], timeout=request.wait_ms / 1000)
        async with self._pool.acquire() as connection:
            move = await moves.find(connection, request.request_id) or move
        return ledger.MoveMoneyResponse(move=_move(move))

    async def _check_move(self, request: ledger.MoveMoneyRequest, context: Context) -> None:
        """Refuse what could never become a move."""
        for shard in (request.from_shard, request.to_shard):
            await self._readers.of(shard, context)
        right = len(request.request_id) == 16 and request.account > TRANSIT and request.asset
        if not right or not 0 < request.amount_minor <= MOST_MINOR:
            why = "16 bytes of id, an account, an asset, 1..2^62"
        elif request.from_shard == request.to_shard:
            why = "from one shard to another"
        elif request.valid_until_us < 0 or request.wait_ms > _LONGEST_WAIT_MS:
            why = f"a deadline or 0, and a wait of 0..{_LONGEST_WAIT_MS} ms"
        else:
            return
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, why)

    async def GetTransit(
        self, request: ledger.GetTransitRequest, context: Context
    ) -> ledger.GetTransitResponse:
        """What is between the shards at a cut of them."""
        at = {one.shard: min(one.sequence, _LAST) for one in request.at}
        if len(request.at) != len(at) or at.keys() != set(range(self._config.shards)):
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "the cut names each shard there is, and once"
            )
        async with self._reading() as connection:
            touched = await moves.touched(connection, request.account)
        await self._come_to({shard: at[shard] for shard in touched}, _TRANSIT_PATIENCE_S, context)
        async with self._reading() as connection:
            found = await moves.between(connection, request.account, at)
        return _transit(found)

    async def _come_to(self, at: Mapping[int, int], patience_s: float, context: Context) -> None:
        """Wait until the books of each shard have come to a sequence; else the call ends."""
        deadline_s = asyncio.get_running_loop().time() + patience_s
        for shard, sequence in at.items():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline_s):
                    if await self._keeper.passed(sequence, shard):
                        continue
            stopped, reached = self._keeper.stopped[shard], self._keeper.places[shard].sequence
            said = f"the ledger stands at {reached} of shard {shard}: {stopped or 'lagging'}"
            # To wait helps only where more is still to come, as of any room's reader.
            code = grpc.StatusCode.FAILED_PRECONDITION if stopped else grpc.StatusCode.UNAVAILABLE
            await context.abort(code, said)

    async def ListBalances(
        self, request: ledger.ListBalancesRequest, context: Context
    ) -> ledger.ListBalancesResponse:
        """Balances of one account or of all, as of the last posted sequence."""
        books = self._keeper.books
        answer = ledger.ListBalancesResponse(at=self._readers.at())
        for (account, asset, shard), posted in sorted(books.balances.items()):
            if request.account in (0, account):
                answer.balances.add(account=account, asset=asset, shard=shard, posted_minor=posted)
        return answer

    async def ListPostings(
        self, request: ledger.ListPostingsRequest, context: Context
    ) -> ledger.ListPostingsResponse:
        """Postings of an account, newest first. A page ends with a whole entry."""
        limit = min(max(request.limit, 1), 1000)
        below = min(request.cursor or _LAST, _LAST)
        async with self._reading() as connection:
            rows = await store.postings(connection, request.account, request.asset, below, limit)
        answer = ledger.ListPostingsResponse()
        for row in rows:
            amount = row.pop("amount")
            answer.postings.add(amount_minor=amount, **row)
        answer.next_cursor = rows[-1]["seq"] if len(rows) >= limit else 0
        return answer

    async def GetStatus(
        self, request: ledger.GetStatusRequest, context: Context
    ) -> ledger.GetStatusResponse:
        """How far the ledger has come."""
        places = await self._readers.places()
        async with self._reading() as connection:
            transfers = await store.count_under_way(connection)
        books = self._keeper.books
        shards = [
            ledger.ShardBooks(place=place, balance_hash=books.balance_hash(place.shard))
            for place in places
        ]
        return ledger.GetStatusResponse(
            transfers_under_way=transfers,
            shards=shards,
            moves_under_way=self._keeper.moves_under_way,
        )

    async def StreamVerify(
        self, requests: AsyncIterator[ledger.StreamVerifyRequest], context: Context
    ) -> ledger.StreamVerifyResponse:
        """Check the books against themselves and against the core's totals."""
        core = await _totals(requests)
        reader = await self._readers.of(core.shard, context)
        await self._come_to({core.shard: core.sequence}, _PATIENCE_S, context)
        found = await checks.all_checks(self._pool, self._keeper, core)
        return ledger.StreamVerifyResponse(checks=found, sequence=reader.reached().sequence)


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
    right = len(request.request_id) == 16 and request.account > TRANSIT and request.asset
    if not right or not 0 < abs(request.amount_minor) <= MOST_MINOR:
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
        shard=sending.shard,
    )


def _move(move: Move) -> ledger.Move:
    return ledger.Move(
        request_id=move.request_id,
        account=move.account,
        asset=move.asset,
        amount_minor=move.amount_minor,
        from_shard=move.from_shard,
        to_shard=move.to_shard,
        state=move.state,  # type: ignore[arg-type]  # the table keeps the contract's numbers
        refusal=move.refusal,
        debit_sequence=move.debit_sequence,
        credit_sequence=move.credit_sequence,
    )


def _transit(found: moves.Between) -> ledger.GetTransitResponse:
    answer = ledger.GetTransitResponse()
    for (account, asset), amount_minor in sorted(found.amounts.items()):
        answer.amounts.add(account=account, asset=asset, amount_minor=amount_minor)
    for shard, sequence in sorted(found.read_again.items()):
        answer.read_again.add(shard=shard, sequence=sequence)
    return answer
