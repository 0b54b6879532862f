"""A gateway before several shards and a ledger that say what a story tells them to."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from bourse.ledger import v1 as ledger
from bourse.ledger.v1 import rpc as ledger_rpc
from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from bourse.types import v1 as types
from services.gateway.__main__ import Gateway
from services.runtime.config import run_folder
from services.runtime.rpc import raw_service, serve, service
from tests.services.gateway.world import MARKETS, Client, gateway, until

USD, BTC = 1, 2
UNIT = 10**8
DONE = ledger.MOVE_STATE_DONE


def markets_of(shard: int) -> matching.WatchMarketsResponse:
    """BTC-USD in shard 0, ETH1-USD in shard 1 and so on."""
    told = matching.WatchMarketsResponse()
    told.CopyFrom(MARKETS)
    if shard:
        told.instruments[0].instrument += shard
        told.instruments[0].symbol = f"ETH{shard}-USD"
    return told


class FarShard(rpc.MatchingServiceServicer):
    """A shard with one account: what it can use of USD decides whether an order is taken."""

    def __init__(self, number: int, usd_units: int) -> None:
        self.number = number
        self.available_minor = usd_units * UNIT
        self.sequence = 10
        self.asked_after: list[int] = []
        self.on_its_way = ""
        """The name of an order that a cancel finds, and a look before it does not."""
        self.placed = 0
        self.status = matching.BATCH_STATUS_APPLIED
        """What becomes of batches; sessions are opened all the same."""
        self.refusal = matching.REFUSAL_UNSPECIFIED
        """What it answers to all commands, if it is not this; sessions are opened all the same."""
        self.answers = asyncio.Event()
        """Questions after balances are answered; a shard that hangs does not."""
        self.answers.set()
        self.halt_sequence = 0

    async def submit(self, requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for encoded in requests:
            batch = matching.SubmitRequest.FromString(encoded)
            if batch.session and self.status != matching.BATCH_STATUS_APPLIED:
                yield matching.SubmitResponse(
                    session=batch.session, number=batch.number, status=self.status
                ).SerializeToString()
                continue
            first = self.sequence + 1
            outcomes = [self._decide(command) for command in batch.commands]
            yield matching.SubmitResponse(
                session=batch.session,
                number=batch.number,
                status=matching.BATCH_STATUS_APPLIED,
                first_sequence=first,
                outcomes=outcomes,
            ).SerializeToString()

    def _decide(self, command: matching.Command) -> matching.Outcome:
        self.sequence += 1
        if self.refusal and command.WhichOneof("kind") != "open_session":
            return matching.Outcome(refusal=self.refusal)
        if command.WhichOneof("kind") == "cancel_order":
            if command.cancel_order.client_order_id != self.on_its_way:
                return matching.Outcome(refusal=matching.REFUSAL_ORDER_UNKNOWN)
            return matching.Outcome(order=self._order(types.ORDER_STATE_CANCELLED))
        if command.WhichOneof("kind") != "place_order":
            return matching.Outcome(created_id=7)
        place = command.place_order
        self.placed += 1
        # A tick of a lot costs 100 minor units; a quantity of a million is more than can be said.
        needed_minor = place.price_ticks * place.quantity_lots * 100
        if place.quantity_lots == 10**10:
            needed_minor = 2**63 - 1
        if needed_minor > self.available_minor:
            return matching.Outcome(
                refusal=matching.REFUSAL_INSUFFICIENT_BALANCE,
                needed_minor=needed_minor,
                available_minor=self.available_minor,
            )
        self.available_minor -= needed_minor
        return matching.Outcome(order=self._order(types.ORDER_STATE_OPEN))

    def _order(self, state: "types.OrderState") -> types.Order:
        return types.Order(
            order_id=1024 * (self.placed + 1) + self.number,
            instrument=1024 + self.number,
            side=types.SIDE_BUY,
            type=types.ORDER_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            state=state,
        )

    async def GetOrder(  # noqa: N802 - the contract's name
        self, request: matching.GetOrderRequest, context: Any
    ) -> matching.GetOrderResponse:
        return matching.GetOrderResponse(sequence=self.sequence)

    async def GetStatus(  # noqa: N802 - the contract's name
        self, request: matching.GetStatusRequest, context: Any
    ) -> matching.GetStatusResponse:
        return matching.GetStatusResponse(sequence=self.sequence, halt_sequence=self.halt_sequence)

    async def GetBalances(  # noqa: N802 - the contract's name
        self, request: matching.GetBalancesRequest, context: Any
    ) -> matching.GetBalancesResponse:
        self.asked_after.append(request.after_sequence)
        await self.answers.wait()
        self.sequence = max(self.sequence, request.after_sequence)
        has = matching.Balance(account=1000, asset=USD, available_minor=self.available_minor)
        return matching.GetBalancesResponse(balances=[has], sequence=self.sequence)


class FarLedger(ledger_rpc.LedgerServiceServicer):
    """Moves what it is asked to, unless the story has another end for it."""

    def __init__(self, shards: list[FarShard]) -> None:
        self._shards = shards
        self.moves: list[tuple[int, int, int]] = []
        """From which shard to which, units."""
        self.ends: list[ledger.MoveState] = []
        self.slow: set[int] = set()
        """Shards from which money does not come in time."""
        self.not_begun: dict[int, tuple[grpc.StatusCode, str]] = {}
        """How a move from a shard is refused, and with which words."""
        self.cuts: list[dict[int, int]] = []
        self.transits: list[ledger.GetTransitResponse] = []
        self.knows_all_shards = True
        self.misses: grpc.StatusCode | None = None
        """How a look at what is between the shards ends."""

    async def MoveMoney(  # noqa: N802 - the contract's name
        self, request: ledger.MoveMoneyRequest, context: Any
    ) -> ledger.MoveMoneyResponse:
        where = (request.from_shard, request.to_shard)
        self.moves.append((*where, request.amount_minor // UNIT))
        assert request.valid_until_us > 0, "the debit carries the deadline of the request"
        if request.from_shard in self.not_begun:
            await context.abort(*self.not_begun[request.from_shard])
        end = self.ends.pop(0) if self.ends else DONE
        if request.from_shard in self.slow:
            end = ledger.MOVE_STATE_IN_TRANSIT
        if end == DONE:
            self._shards[request.from_shard].available_minor -= request.amount_minor
            self._shards[request.to_shard].available_minor += request.amount_minor
        return ledger.MoveMoneyResponse(move=ledger.Move(state=end))

    async def GetTransit(  # noqa: N802 - the contract's name
        self, request: ledger.GetTransitRequest, context: Any
    ) -> ledger.GetTransitResponse:
        if not self.knows_all_shards:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the cut names each shard")
        if self.misses is not None:
            await context.abort(self.misses, "the ledger stands at 10 of shard 1")
        self.cuts.append({one.shard: one.sequence for one in request.at})
        return self.transits.pop(0) if self.transits else ledger.GetTransitResponse()


class Several(NamedTuple):
    """All of it."""

    house: Gateway
    client: Client
    shards: list[FarShard]
    ledger: FarLedger


def places(tmp_path: Path, count: int) -> Mapping[str, str]:
    """Where so many shards are."""
    sockets = [f"unix:{run_folder(tmp_path)}/shard-{number}.sock" for number in range(count)]
    return {"matching": ";".join(sockets)}


@asynccontextmanager
async def several(
    tmp_path: Path, *usd_units: int, with_ledger: bool = True, away: int = 0
) -> AsyncIterator[Several]:
    """A gateway and shards in each of which the account has so much; behind them, some that are
    `away`."""
    addresses = places(tmp_path, len(usd_units) + away)
    there = addresses["matching"].split(";")[: len(usd_units)]
    shards = [FarShard(n, units) for n, units in enumerate(usd_units)]  # type: ignore[abstract]
    books = FarLedger(shards)  # type: ignore[abstract]  # they are asked for nothing else
    serving = [
        serve(
            address,
            raw_service(rpc.ORDER_ENTRY_SERVICE, {"Submit": shard.submit}),
            service(rpc.MATCHING_SERVICE, rpc.add_MatchingServiceServicer_to_server, shard),
        )
        for address, shard in zip(there, shards, strict=True)
    ]
    if with_ledger:
        add = ledger_rpc.add_LedgerServiceServicer_to_server
        face = service(ledger_rpc.LEDGER_SERVICE, add, books)
        serving.append(serve(f"unix:{run_folder(tmp_path)}/ledger.sock", face))
    running = [asyncio.create_task(each) for each in serving]
    sockets = [Path(each.removeprefix("unix:")) for each in there]
    try:
        # Whoever looks for a socket before it is there waits a second before looking again.
        await until(lambda: all(socket.exists() for socket in sockets))
        async with gateway(tmp_path, addresses=dict(addresses)) as (house, client):
            for shard in range(1, len(shards)):
                await house.markets.take(markets_of(shard), shard)
            entries = [shard.entry for shard in house.shards][: len(shards)]
            await until(lambda: all(entry.open for entry in entries))
            yield Several(house, client, shards, books)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
