"""Two real cores and the real books between them, driven step by step in one process.

Nothing runs by itself here: a batch reaches a core, a record is published, a part is posted when
somebody says so, and the ledger may die, or lose an answer of its Postgres, in any of its steps.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from itertools import product
from typing import Any, NamedTuple, NoReturn

import grpc
from pydantic import SecretStr

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from services.ledger import checks, moves
from services.ledger.config import LedgerConfig
from services.ledger.moves import Limits
from services.ledger.outbox import CoreSilent, Line, batch
from services.ledger.reader import Bookkeeper, LedgerReader
from services.ledger.server import Ledger
from services.ledger.state import FEES, SOURCES, Leg
from services.matching.core import Core
from services.runtime.clock import SystemClock
from services.runtime.config import PostgresConfig
from services.runtime.events import follow
from services.runtime.log import events_topic
from services.runtime.memory_log import MemoryLog
from services.runtime.postgres import CommitUnknown, Pool, open_postgres
from services.runtime.readers import Readers
from services.runtime.sequencer import wrap
from tests.services.matching.rig import ALICE, BOB, BTC, USD, command, market
from tests.services.shard import START_US

SHARDS = (0, 1)
ACCOUNTS = (ALICE, BOB)
ASSETS = (USD, BTC)
RICH = 10**9
PLENTY = 10**12
CONFIG = LedgerConfig(addresses={"matching": "a;b"})
MINUTES_US = 10**9

Totals = dict[tuple[int, int], int]
"""Minor units by account and asset."""


class State(NamedTuple):
    """A shard after one of its records."""

    sequence: int
    totals: Totals
    put_in: Totals
    """What the totals would be had nothing come from or gone to another shard."""


class Shard:
    """A core and what it says. Only `publish` lets others hear it."""

    def __init__(self, number: int, log: MemoryLog) -> None:
        self.number = number
        self.core = Core(number)
        self.states = [State(0, {}, {})]
        self.applied: Counter[bytes] = Counter()
        """Legs of moves that were taken, by request id."""
        self._log = log
        self._unheard: list[bytes] = []
        self._session_number = 0
        opening = matching.SubmitRequest(commands=[command(open_session={})])
        assert self.submit(opening).status == matching.BATCH_STATUS_APPLIED
        self.order(*market())
        self.order(command(use_rules={"version": 3}))

    def order(self, *commands: matching.Command) -> matching.SubmitResponse:
        """Commands in the shard's one session."""
        self._session_number += 1
        request = matching.SubmitRequest(session=1, number=self._session_number)
        request.commands.extend(commands)
        return self.submit(request)

    def halt(self) -> None:
        """As a replica does it that differs."""
        halting = command(halt={"sequence": self.core.facts().sequence})
        self.submit(matching.SubmitRequest(commands=[halting]))
        assert self.core.facts().halt_sequence

    def resume(self) -> None:
        """As an operator does it; from the next record on the shard trades, if it did not."""
        if sequence := self.core.facts().halt_sequence:
            answer = self.order(command(resume={"sequence": sequence}))
            assert not answer.outcomes[0].refusal
            self.submit(matching.SubmitRequest(commands=[command(tick={})]))

    def submit(
        self, request: matching.SubmitRequest, *, skipped: bool = False
    ) -> matching.SubmitResponse:
        """Apply a batch as a record of its own; one that is skipped is refused whatever it asks."""
        offset = self.core.facts().next_offset
        work = self.core.skip if skipped else self.core.apply
        record = wrap(self.number, [request.SerializeToString()])
        answer = b""
        for part in work(offset, START_US + offset, record):
            answer += b"".join(each.piece for each in part.answers)
            self._unheard.append(part.events)
            self._count(matching.EventRecord.FromString(part.events))
        self._look(between=request.source == 2)
        return matching.SubmitResponse.FromString(answer)

    def _count(self, events: matching.EventRecord) -> None:
        for move in events.moves:
            mark = events.commands[move.command]
            if move.source == 2 and not mark.refusal:
                self.applied[mark.request_id] += 1

    def _look(self, *, between: bool) -> None:
        """Note how everything stands, by what the core says of balances alone."""
        before, totals = self.states[-1], {}
        for account in (*ACCOUNTS, FEES):
            said = matching.GetBalancesResponse.FromString(self.core.get_balances(account))
            for one in said.balances:
                totals[account, one.asset] = one.available_minor + one.held_minor
        put_in = dict(before.put_in)
        if not between:
            for place, total in totals.items():
                put_in[place] = put_in.get(place, 0) + total - before.totals.get(place, 0)
        self.states.append(State(self.core.facts().sequence, totals, put_in))

    async def publish(self) -> bool:
        """Publish the oldest part that nobody has heard; False if there is none."""
        if self._unheard:
            event, *self._unheard = self._unheard
            await self._log.append(events_topic(self.number), [event], clock_us=START_US)
            return True
        return False

    def back(self, records: int) -> State:
        """How it stood so many records ago."""
        return self.states[max(0, len(self.states) - 1 - records)]

    def up_to(self, sequence: int) -> State:
        """The newest state that is not above a sequence."""
        return next(state for state in reversed(self.states) if state.sequence <= sequence)

    def at_least(self, sequence: int) -> State:
        """The first state that is not below a sequence."""
        return next(state for state in self.states if state.sequence >= sequence)


class Died(Exception):
    """The ledger's process ended here."""


class Fault(NamedTuple):
    """What shall happen to the ledger, and in which of its steps."""

    place: str
    kind: type[Exception]


FAULTS = tuple(
    Fault(place, kind)
    for place in ("ledger.in_transaction", "ledger.after_commit")
    for kind in (Died, CommitUnknown)
)


class Refused(Exception):
    """What a call was ended with."""


class Call:
    """A call's context, as far as the ledger asks of it."""

    async def abort(self, code: grpc.StatusCode, said: str) -> NoReturn:
        raise Refused(f"{code.name}: {said}")


class House:
    """Two shards and a ledger, which dies and comes back."""

    def __init__(self, pool: Pool, limits: Limits = Limits()) -> None:  # noqa: B008 - immutable
        self.pool = pool
        self.limits = limits
        self.now_us = 10 * START_US
        """By the clock of who looks after money that no shard takes."""
        self.log = MemoryLog(clock_us=lambda: START_US)
        self.shards = [Shard(number, self.log) for number in SHARDS]
        self.asked: list[ledger.MoveMoneyRequest] = []
        self.sent: list[tuple[int, matching.SubmitRequest]] = []
        """Batches that the ledger has sent, and to which shard."""
        self._fault: Fault | None = None
        self._transfers = 0

    async def open(self) -> None:
        """Both are rich in both shards, and the treasury is richer."""
        await self.pool.execute(
            "set session_replication_role = replica; delete from outbox; delete from move;"
            " delete from posting; delete from journal; delete from balance;"
            " delete from consumer_offset; delete from halt; set session_replication_role = default"
        )
        for shard in SHARDS:
            await self.log.create(events_topic(shard))
        await self.start()
        for asset in ASSETS:
            await self.keeper.fund(bytes([asset] * 16), 0, asset, PLENTY)
        for account in ACCOUNTS:
            for shard, asset in product(SHARDS, ASSETS):
                await self.transfer(Leg(account, asset, shard, RICH))
        await self.settle()

    async def start(self) -> None:
        """The ledger, from its tables."""
        self.keeper = Bookkeeper(self.pool, len(SHARDS), self.limits)
        await self.keeper.open()
        readers = [LedgerReader(self.log, shard, self.keeper, 0) for shard in SHARDS]
        clock = SystemClock()
        every = Readers(self.log, clock, readers)
        self.server = Ledger(self.pool, self.keeper, every, CONFIG, clock)
        self.lines = {
            (shard, source): Line(self.pool, source, shard)
            for shard in SHARDS
            for source in SOURCES
        }

    def crash_point(self, place: str) -> None:
        """Stands where the process may be killed."""
        if self._fault is not None and self._fault.place == place:
            kind, self._fault = self._fault.kind, None
            raise kind

    async def through(self, fault: Fault | None, act: Callable[[], Awaitable[Any]]) -> Any:
        """Have the ledger do something, and once more if it dies or does not know what it did."""
        self._fault = fault
        try:
            return await act()
        except Died:
            await self.start()
        except CommitUnknown:
            pass
        finally:
            self._fault = None
        return await act()

    # --- steps ------------------------------------------------------------------------------

    async def ask(self, request: ledger.MoveMoneyRequest, fault: Fault | None) -> ledger.Move:
        """Ask for a move, and again with the same id if no answer comes."""
        answer = await self.through(fault, lambda: self.server.MoveMoney(request, Call()))  # type: ignore[arg-type]
        move: ledger.Move = answer.move
        return move

    async def transfer(self, leg: Leg, fault: Fault | None = None) -> None:
        """Ask for a deposit or a withdrawal."""
        self._transfers += 1
        request_id = self._transfers.to_bytes(16)
        await self.through(fault, lambda: self.keeper.start_transfer(request_id, 0, leg))

    async def send(self, shard: int, source: int, *, lost: bool, skipped: bool) -> bool:
        """Send a batch; its answer may be lost, or operators have to skip it. False: none waits, or
        the shard is halted."""
        line = self.lines[shard, source]
        run = await line.next()
        if not run:
            line.begin_again()
            return False
        self.sent.append((shard, batch(run)))
        answer = self.shards[shard].submit(batch(run), skipped=skipped)
        if lost:
            line.begin_again()
            return True
        try:
            line.heard(run, answer)
        except CoreSilent:
            assert answer.status == matching.BATCH_STATUS_HALTED
            line.begin_again()
            return False
        return True

    async def offer_again(self, fault: Fault | None = None) -> None:
        """Minutes have passed: what no shard took is offered once more."""
        self.now_us += MINUTES_US
        await self.through(fault, lambda: self.keeper.offer_again(self.now_us))

    async def post(self, shard: int, most: int, fault: Fault | None = None) -> bool:
        """Post at most so many parts; False if there is none."""
        position = self.keeper.places[shard].position
        if position.next_offset == await self.log.end(events_topic(shard)):
            return False
        async with aclosing(follow(self.log, events_topic(shard), position)) as batches:
            parts = await anext(batches)
        await self.through(fault, lambda: self.keeper.post(shard, parts[:most]))
        return True

    async def settle(self) -> None:
        """Let everything come to its end."""
        for shard in self.shards:
            shard.resume()
        for _ in range(100):
            for line in self.lines.values():
                line.begin_again()
            await self.offer_again()
            if not any([await self._round(shard) for shard in SHARDS]):
                return
        raise AssertionError("it does not come to an end")

    async def _round(self, shard: int) -> bool:
        news = [await self.send(shard, each, lost=False, skipped=False) for each in SOURCES]
        while await self.shards[shard].publish():
            news.append(True)
        while await self.post(shard, 1000):
            news.append(True)
        return any(news)

    # --- questions --------------------------------------------------------------------------

    async def look(self, account: int, cut: Mapping[int, State]) -> None:
        """See that a cut of the shards and what is between them add up to what was put in.

        Where the books have not come to the cut and that matters, another one is looked at.
        """
        cut = await self._known(account, cut)
        for _ in range(20):
            said = await self._transit(account, cut)
            if not said.read_again:
                break
            for one in said.read_again:
                assert cut[one.shard].sequence < one.sequence
            again = {one.shard: one.sequence for one in said.read_again}
            newer = {shard: self.shards[shard].at_least(again[shard]) for shard in again}
            cut = {**cut, **newer}
        assert not said.read_again
        between = {(one.account, one.asset): one.amount_minor for one in said.amounts}
        whose = [account] if account else [*ACCOUNTS, FEES]
        for place in ((account, asset) for account in whose for asset in ASSETS):
            total = sum(state.totals.get(place, 0) for state in cut.values())
            put_in = sum(state.put_in.get(place, 0) for state in cut.values())
            assert total + between.pop(place, 0) == put_in, (place, total, put_in)
        assert not between

    async def _known(self, account: int, cut: Mapping[int, State]) -> dict[int, State]:
        async with self.pool.acquire() as connection:
            touched = await moves.touched(connection, account)
        places = self.keeper.places
        return {
            number: self.shards[number].up_to(places[number].sequence)
            if number in touched and state.sequence > places[number].sequence
            else state
            for number, state in cut.items()
        }

    async def _transit(self, account: int, cut: Mapping[int, State]) -> ledger.GetTransitResponse:
        request = ledger.GetTransitRequest(account=account)
        for shard, state in cut.items():
            request.at.add(shard=shard, sequence=state.sequence)
        return await self.server.GetTransit(request, Call())  # type: ignore[arg-type]

    async def broken(self) -> Sequence[str]:
        """The checks that do not hold, with what was found."""
        found = []
        for shard in self.shards:
            state = shard.states[-1]
            core = checks.CoreTotals(state.sequence, shard.number, state.totals)
            found += await checks.all_checks(self.pool, self.keeper, core)
        return [f"{one.name}: {one.detail}" for one in found if not one.ok]


Story = Callable[[House], Awaitable[None]]


def tell(dsn: str, story: Story, limits: Limits = Limits()) -> None:  # noqa: B008 - immutable
    """Run a story in a house where Alice and Bob are rich in both shards."""

    async def main() -> None:
        async with asyncio.timeout(60):
            pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), "ledger")
            house = House(pool, limits)
            await house.open()
            await story(house)
            await pool.close()

    asyncio.run(main())


def asking(number: int, amount: int = 400, **more: Any) -> ledger.MoveMoneyRequest:
    """Alice's USD from shard 0 to shard 1, unless `more` says otherwise."""
    request = ledger.MoveMoneyRequest(
        request_id=number.to_bytes(16),
        account=ALICE,
        asset=USD,
        amount_minor=amount,
        from_shard=0,
        to_shard=1,
    )
    for name, value in more.items():
        setattr(request, name, value)
    return request
