"""All money there is, counted three ways: what was put in and traded, by the logs; what the cores
have; what GET /balances says. Between shards there is none left, and none was lost there.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from bourse.accounts import v1 as accounts
from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.cli.key import new_key
from services.cli.rooms import Rooms
from tests.chaos.journals import answered, asked, total

if TYPE_CHECKING:
    from tests.chaos.story import Clients

REST_S = 60.0
"""What is between shards, or on its way into one, has ended so long after the last client."""

OUTSIDE, BETWEEN = 1, 2
"""The ledger's two sources of credits and debits."""

Purses: TypeAlias = Counter[tuple[int, int]]
"""Minor units by account and asset."""


class Told:
    """What the event log of a shard says of money and of names, a part at a time."""

    def __init__(self) -> None:
        self.placed: dict[tuple[int, str], set[int]] = {}
        """By account and client order id: the orders."""
        self.deposited: Purses = Counter()
        self.traded: Purses = Counter()
        self.came: Purses = Counter()
        """From other shards, less what went to them."""
        self.left = 0
        """How often money went to another shard."""

    def hear(self, part: matching.EventRecord) -> None:
        """Take in the next part."""
        for event in part.orders:
            named = (event.order.account, event.order.client_order_id)
            self.placed.setdefault(named, set()).add(event.order.order_id)
        for trade in part.trades:
            self._trade(trade)
        for move in part.moves:
            if not part.commands[move.command].refusal:
                self._move(move)

    def _trade(self, trade: matching.TradeEvent) -> None:
        taker = trade.taker_account, trade.taker_fee_minor
        maker = trade.maker_account, trade.maker_fee_minor
        is_bought = trade.taker_side == types.SIDE_BUY
        (buyer, buyer_fee), (seller, seller_fee) = (taker, maker) if is_bought else (maker, taker)
        base, quote = trade.base_asset, trade.quote_asset
        assert not trade.taker_fee_asset | trade.maker_fee_asset, "no market here has such fees"
        self.traded[buyer, base] += trade.base_minor - buyer_fee
        self.traded[seller, base] -= trade.base_minor
        self.traded[buyer, quote] -= trade.quote_minor
        self.traded[seller, quote] += trade.quote_minor - seller_fee

    def _move(self, move: matching.MoveEvent) -> None:
        kinds = {OUTSIDE: self.deposited, BETWEEN: self.came}
        kinds[move.source][move.account, move.asset] += move.amount_minor
        self.left += move.source == BETWEEN and move.amount_minor < 0


async def at_rest(rooms: Rooms) -> None:
    """Wait for the end of all that is on its way. Raises AssertionError where it does not end."""
    waits = ""
    with suppress(TimeoutError):
        async with asyncio.timeout(REST_S):
            # The ledger tells nobody when it has ended.
            while waits := _waits(await rooms.ledger.GetStatus(ledger.GetStatusRequest())):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    assert not waits, f"{waits}, {REST_S:g} s after the last client"


def _waits(status: ledger.GetStatusResponse) -> str:
    moves, transfers = status.moves_under_way, status.transfers_under_way
    return f"{moves} moves and {transfers} transfers are under way" if moves + transfers else ""


async def hold_money(rooms: Rooms, clients: "Clients", told: Sequence[Told]) -> None:
    """The three counts are one, and nothing is between shards. Raises AssertionError."""
    deposited, traded, came = (
        _sum(each) for each in zip(*((t.deposited, t.traded, t.came) for t in told), strict=True)
    )
    assert not any(came.values()), f"went between shards and did not come: {_some(came)}"
    asked_for = _asked_for(clients)
    assert deposited == asked_for, f"deposits on the logs {deposited}, asked for {asked_for}"
    there = _sum([deposited, traded])
    people = {account for account, _ in asked_for}
    sequences: list[int] = []
    in_cores: Purses = Counter()
    for shard in rooms.shards:
        sequences.append(await _of_core(rooms, shard, people, in_cores))
    wrong = {place for place in there if place[0] in people and there[place] != in_cores[place]}
    assert not wrong, f"deposits and trades, and what the cores have: {_both(there, in_cores)}"
    cut = [types.ShardSequence(shard=n, sequence=at) for n, at in enumerate(sequences)]
    about = ledger.GetTransitRequest(at=cut)
    transit = await answered(partial(rooms.ledger.GetTransit, about), REST_S)
    found = [*transit.amounts, *transit.read_again]
    assert not found, f"between shards: {found}"
    for account in sorted(people):
        await _hold_shown(rooms, account, in_cores)


def _asked_for(clients: "Clients") -> Purses:
    """By those who deposited; each was answered."""
    savings = clients.savings
    asked_for: Purses = Counter({(savings.account, savings.asset): savings.done_minor})
    for traders in clients.traders:
        asked_for.update(traders.deposited)
    return asked_for


def _sum(of_shards: Sequence[Purses]) -> Purses:
    total_of: Purses = Counter()
    for one in of_shards:
        total_of.update(one)
    return total_of


def _some(purses: Purses) -> dict[tuple[int, int], int]:
    return {place: amount for place, amount in purses.items() if amount}


def _both(left: Purses, right: Purses) -> dict[tuple[int, int], tuple[int, int]]:
    return {place: (left[place], right[place]) for place in left if left[place] != right[place]}


async def _of_core(rooms: Rooms, shard: int, people: set[int], into: Purses) -> int:
    """Add what a shard's core has of these accounts; its sequence, which stands still by now."""
    sequences = set()
    for account in people:
        request = matching.GetBalancesRequest(account=account)
        # A replica that is a moment behind its log says nothing, and is no fault.
        answer = await answered(partial(rooms.core(shard).GetBalances, request), REST_S)
        sequences.add(answer.sequence)
        for one in answer.balances:
            into[account, one.asset] += one.available_minor + one.held_minor
    return max(sequences)


async def _hold_shown(rooms: Rooms, account: int, in_cores: Purses) -> None:
    """What the account is shown is what the cores have of it."""
    key = (await new_key(rooms, account, (accounts.SCOPE_READ,)))._asdict()
    answer = None
    while answer is None or answer.status != 200:
        answer = await asked(rooms.url, key, "GET", "/balances")
    for code, asset in (("USD", 1), ("BTC", 2)):
        shown = total(answer, code)
        assert shown == in_cores[account, asset], f"account {account} is shown {answer.body}"
