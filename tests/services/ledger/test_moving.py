"""Money between shards is never lost and never counted twice, whatever dies between two steps.

Two real cores, the real books on the real Postgres, and a random order of everything that can
happen. A failure is made short by hypothesis. Longer, and other ones: `tools/soak moves`.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bourse.ledger import v1 as ledger
from services.ledger import moves
from services.ledger.moves import Limits
from services.ledger.state import DONE, NOT_MOVED, RETURNED, UNDER_WAY, Leg, Move, command_id
from services.runtime.config import PostgresConfig
from services.runtime.postgres import Pool, open_postgres
from tests.services.ledger.two_shards import (
    ACCOUNTS,
    ASSETS,
    FAULTS,
    SHARDS,
    Fault,
    House,
    Refused,
)
from tests.services.matching.rig import ALICE, BOB, buy, cancel_all, sell

EXAMPLES_IN_CI = 20
STEPS_IN_CI = 150

INSTRUMENTS = (1024, 1025)
KINDS = (
    *("look", "again", "trade", "rest", "cancel", "transfer", "home", "home", "die", "old"),
    *("halt", *("resume",) * 6),
    *("ask",) * 3,
    *("send",) * 10,
    *("publish", "publish", "post", "post"),
    *("hear",) * 8,
)
NOT_BEGUN = ("FAILED_PRECONDITION: shard_halted", "RESOURCE_EXHAUSTED: too_many_moves")
FEW = Limits(of_account=4, of_pair=4)
BACK = (0, 0, 1, 2, 3, 5, 8, 13)
"""So many records ago a shard may have been read."""


class Step(NamedTuple):
    """Something that happens."""

    kind: str
    shard: int
    pick: int
    """Chooses among what there is to choose from, 0..63."""
    amount: int
    fault: Fault | None


STEPS = st.builds(
    Step,
    st.sampled_from(KINDS),
    st.sampled_from(SHARDS),
    st.integers(0, 63),
    st.sampled_from([1, 1_000, 10**6, 10**8, 4 * 10**8]),
    st.sampled_from([None] * 8 + list(FAULTS)),
)


class Walk:
    """One random history of a house."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def take(self, step: Step) -> None:
        """Let a step happen."""
        await getattr(self, f"_{step.kind}")(step)

    async def _look(self, step: Step) -> None:
        """Nothing happens."""

    async def _ask(self, step: Step) -> None:
        request = ledger.MoveMoneyRequest(
            request_id=(len(self._house.asked) + 1).to_bytes(16),
            account=ACCOUNTS[step.pick % 2],
            asset=ASSETS[step.pick // 2 % 2],
            amount_minor=step.amount,
            from_shard=step.shard,
            to_shard=1 - step.shard,
        )
        try:
            await self._house.ask(request, step.fault)
        except Refused as refused:
            if not str(refused).startswith(NOT_BEGUN):
                raise
        else:
            self._house.asked.append(request)

    async def _again(self, step: Step) -> None:
        if self._house.asked:
            request = self._house.asked[step.pick % len(self._house.asked)]
            move = await self._house.ask(request, step.fault)
            assert (move.account, move.amount_minor) == (request.account, request.amount_minor)

    async def _transfer(self, step: Step) -> None:
        sign = 1 if step.pick // 4 % 2 else -1
        account, asset = ACCOUNTS[step.pick % 2], ASSETS[step.pick // 2 % 2]
        await self._house.transfer(Leg(account, asset, step.shard, sign * step.amount), step.fault)

    async def _send(self, step: Step) -> None:
        source, fate = 1 if step.pick % 4 == 0 else 2, step.pick // 4
        await self._house.send(step.shard, source, lost=fate in (1, 2), skipped=fate > 10)

    async def _old(self, step: Step) -> None:
        """A batch that was sent before comes once more."""
        if self._house.sent:
            shard, batch = self._house.sent[-1 - step.pick % len(self._house.sent)]
            self._house.shards[shard].submit(batch)

    async def _publish(self, step: Step) -> None:
        for _ in range(1 + step.pick % 8):
            await self._house.shards[step.shard].publish()

    async def _post(self, step: Step) -> None:
        await self._house.post(step.shard, 1 + step.pick % 8, step.fault)

    async def _hear(self, step: Step) -> None:
        await self._publish(step)
        await self._post(step)

    async def _trade(self, step: Step) -> None:
        instrument, price = INSTRUMENTS[step.shard], 90 + step.pick % 20
        lots = min(step.amount // 10**6 + 1, 100)
        seller, buyer = (ALICE, BOB) if step.pick % 2 else (BOB, ALICE)
        self._house.shards[step.shard].order(
            sell(seller, lots, price, instrument=instrument),
            buy(buyer, lots, price, instrument=instrument),
        )

    async def _rest(self, step: Step) -> None:
        order = buy if step.pick % 2 else sell
        price = 1 + step.pick if order is buy else 1_000 + step.pick
        wanted = order(ACCOUNTS[step.pick // 2 % 2], 50, price, instrument=INSTRUMENTS[step.shard])
        self._house.shards[step.shard].order(wanted)

    async def _cancel(self, step: Step) -> None:
        self._house.shards[step.shard].order(cancel_all(ACCOUNTS[step.pick % 2]))

    async def _home(self, step: Step) -> None:
        await self._house.offer_again(step.fault)

    async def _halt(self, step: Step) -> None:
        self._house.shards[step.shard].halt()

    async def _resume(self, step: Step) -> None:
        self._house.shards[step.shard].resume()

    async def _die(self, step: Step) -> None:
        await self._house.start()


async def story(pool: Pool, steps: Sequence[Step]) -> Counter[int]:
    """A history from its beginning until all moves have ended. Returns how they ended."""
    house = House(pool, FEW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.ledger.reader.crash_point", house.crash_point)
        await house.open()
        walk = Walk(house)
        for step in steps:
            await walk.take(step)
            back = BACK[step.pick % 8], BACK[step.pick // 8]
            cut = {each: house.shards[each].back(back[each]) for each in SHARDS}
            await house.look((0, *ACCOUNTS)[step.pick % 3], cut)
        await house.settle()
    await house.look(0, {each: house.shards[each].back(0) for each in SHARDS})
    assert await house.broken() == []
    return await all_moved_once(house)


async def all_moved_once(house: House) -> Counter[int]:
    """See that every move has ended, and that the cores have taken what its end says, once."""
    taken = house.shards[0].applied + house.shards[1].applied
    ends = Counter[int]()
    for request in house.asked:
        async with house.pool.acquire() as connection:
            move = await moves.find(connection, request.request_id)
        assert move is not None
        assert move.state not in UNDER_WAY
        legs = {NOT_MOVED: [], DONE: [0, 1], RETURNED: [0, move.commands - 1]}[move.state]
        for leg in legs:
            assert taken.pop(_leg(move, leg)) == 1
        ends[move.state] += 1
    assert not taken
    return ends


def _leg(move: Move, number: int) -> bytes:
    return command_id(move._replace(commands=number))


@dataclass
class Wandered:
    """What random histories came to."""

    histories: int = 0
    steps: int = 0
    ends: Counter[int] = field(default_factory=Counter)
    """How many moves ended in each state."""

    def add(self, more: "Wandered") -> None:
        """Take others in."""
        self.histories += more.histories
        self.steps += more.steps
        self.ends += more.ends

    def __str__(self) -> str:
        moved = self.ends.total()
        return f"{self.histories:,} histories, {self.steps:,} steps, {moved:,} moves"


def wander(dsn: str, examples: int, steps: int, chance: int) -> Wandered:
    """So many histories of so many steps, others for each `chance`."""
    found = Wandered()
    with asyncio.Runner() as runner:
        pool = runner.run(open_postgres(PostgresConfig(address=SecretStr(dsn)), "ledger"))
        lengths = st.sampled_from([steps // 10, *[steps] * 7])

        @seed(chance)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(lengths.flatmap(lambda length: st.lists(STEPS, min_size=length, max_size=length)))
        def history(taken: list[Step]) -> None:
            found.add(Wandered(1, len(taken), runner.run(story(pool, taken))))

        try:
            history()
        finally:
            runner.run(pool.close())
    return found


def test_money_between_shards_is_moved_once_whatever_dies(postgres: str) -> None:
    found = wander(postgres, EXAMPLES_IN_CI, STEPS_IN_CI, chance=1)
    assert found.ends.keys() == {DONE, NOT_MOVED, RETURNED}
