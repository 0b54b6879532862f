"""The two faces of a shard: order entry as raw streams, and what its core can be asked."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.matching.reader import Lagging, Replica
from services.runtime.lease import Lease
from services.runtime.publisher import Publisher
from services.runtime.rpc import Context
from services.runtime.sequencer import Sequencer
from services.runtime.storage import StorageError


class OrderEntry:
    """Order entry for one shard. Answers only what the log has made durable."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer

    async def Submit(
        self, requests: AsyncIterator[bytes], _context: Context
    ) -> AsyncIterator[bytes]:
        """Encoded SubmitRequests in, an encoded SubmitResponse out for each, in the same order.

        Bytes go to the core untouched: nothing on this path parses an order in Python.
        """
        async with aclosing(self._sequencer.submit(requests)) as answers:
            async for answer in answers:
                yield answer


class Matching(rpc.MatchingServiceServicer):
    """What operators and other rooms ask of a shard."""

    def __init__(
        self, replica: Replica, sequencer: Sequencer, publisher: Publisher, lease: Lease
    ) -> None:
        self._replica = replica
        self._core = replica.core
        self._sequencer = sequencer
        self._publisher = publisher
        self._lease = lease

    async def GetOrder(
        self, request: matching.GetOrderRequest, context: Context
    ) -> matching.GetOrderResponse:
        """One order of an account, by id or by its owner's name for it."""
        await self._stand(context, request.after_sequence)
        answer = self._core.get_order(request.account, request.order_id, request.client_order_id)
        return matching.GetOrderResponse.FromString(answer)

    async def ListOpenOrders(
        self, request: matching.ListOpenOrdersRequest, context: Context
    ) -> matching.ListOpenOrdersResponse:
        """All open orders of an account, oldest first."""
        await self._stand(context, request.after_sequence)
        answer = self._core.list_open_orders(request.account, request.instrument)
        return matching.ListOpenOrdersResponse.FromString(answer)

    async def GetBalances(
        self, request: matching.GetBalancesRequest, context: Context
    ) -> matching.GetBalancesResponse:
        """Available and held of one account at the sequence the answer names."""
        await self._stand(context, request.after_sequence)
        answer = self._core.get_balances(request.account)
        return matching.GetBalancesResponse.FromString(answer)

    async def GetAccount(
        self, request: matching.GetAccountRequest, context: Context
    ) -> matching.GetAccountResponse:
        """Settings of an account."""
        await self._stand(context, request.after_sequence)
        return matching.GetAccountResponse.FromString(self._core.get_account(request.account))

    async def GetDepth(
        self, request: matching.GetDepthRequest, context: Context
    ) -> matching.GetDepthResponse:
        """All levels of one book."""
        await self._stand(context)
        return matching.GetDepthResponse.FromString(self._core.get_depth(request.instrument))

    async def WatchMarkets(
        self, request: matching.WatchMarketsRequest, context: Context
    ) -> AsyncIterator[matching.WatchMarketsResponse]:
        """Assets and instruments: all at once, then all again after each change."""
        await self._stand(context)
        told = -1
        while not self._replica.is_closed:
            if self._replica.facts.markets_changed != told:
                told = self._replica.facts.markets_changed
                yield matching.WatchMarketsResponse.FromString(self._core.list_markets())
            else:
                await self._replica.change()

    async def GetStatus(
        self, request: matching.GetStatusRequest, context: Context
    ) -> matching.GetStatusResponse:
        """Where the shard stands, whatever its state."""
        facts, progress = self._replica.facts, self._replica.progress
        return matching.GetStatusResponse(
            shard=facts.shard,
            sequence=facts.sequence,
            next_offset=facts.next_offset,
            clock_us=facts.clock_us,
            state_hash=facts.state_hash,
            balance_hash=facts.balance_hash,
            leader=self._publisher.leading,
            epoch=self._lease.epoch,
            queued_batches=self._sequencer.queued_batches,
            queued_bytes=self._sequencer.queued_bytes,
            retained_bytes=self._publisher.retained_bytes,
            malformed_batches=self._sequencer.malformed,
            open_orders=facts.open_orders,
            rules=facts.rules,
            snapshot_offset=max(progress.snapshot_next_offset - 1, 0),
            halt_sequence=facts.halt_sequence,
        )

    async def StreamVerify(
        self, request: matching.StreamVerifyRequest, context: Context
    ) -> AsyncIterator[matching.StreamVerifyResponse]:
        """Walk the whole state. Trading waits until it is read, not until it is sent."""
        await self._stand(context)
        pieces = deque(self._core.verify())
        while pieces:
            piece = matching.VerifyResponse.FromString(pieces.popleft())
            yield matching.StreamVerifyResponse(piece=piece)

    async def TakeSnapshot(
        self, request: matching.TakeSnapshotRequest, context: Context
    ) -> matching.TakeSnapshotResponse:
        """Take a snapshot now; answer once it is on disk."""
        await self._stand(context)
        try:
            taken = await self._replica.take_snapshot()
        except (Lagging, StorageError) as error:
            why = str(error).rstrip(".")
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"No snapshot was taken: {why}.")
        return matching.TakeSnapshotResponse(
            command_offset=taken.offset, state_hash=taken.state_hash, sequence=taken.sequence
        )

    async def _stand(self, context: Context, after_sequence: int = 0) -> None:
        """Wait, at most 2 s, until the core stands where it may be asked."""
        try:
            await self._replica.stand(after_sequence)
        except Lagging as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"{error}.")
