"""Traffic to measure with: a steady market in one instrument, made before the clock runs."""

import random
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from bourse.matching import v1 as matching
from bourse.types import v1 as types

BATCH: Final = 1024
ACCOUNTS: Final = 2000
"""Of the market that opening_records makes."""
MID: Final = 50_000
START_US: Final = 1_700_000_000_000_000
USD, BTC = 1, 2
INSTRUMENT: Final = 1024


class Resting(NamedTuple):
    """An order that rests, as far as its sender knows."""

    order_id: int
    account: int
    lots: int


class Trader:
    """A steady market in one instrument: of five orders three are cancelled, one trades with one.

    Knows the ids of its orders without being told: the shard counts them. So all commands can be
    made before the clock runs. With `named`, each order has a client order id. The accounts are
    numbered from 1000; the instrument is the first of shard 0.
    """

    def __init__(self, named: bool = False, accounts: int = ACCOUNTS) -> None:
        self._named = named
        self._accounts = accounts
        self._chance = random.Random(1)
        self._orders = 0
        self._books: dict[int, dict[int, deque[Resting]]] = {
            types.SIDE_BUY: {},
            types.SIDE_SELL: {},
        }
        self._open: list[tuple[int, int, Resting]] = []

    def beginning(self) -> Iterator[list[matching.Command]]:
        """A deep book to trade in."""
        for _ in range(20):
            yield [self._resting_order() for _ in range(BATCH)]

    def batch(self) -> list[matching.Command]:
        """Commands of a steady market: five orders and three cancels in eight."""
        turn = [self._cancel, self._resting_order, self._resting_order, self._cancel]
        turn += [self._resting_order, self._resting_order, self._cancel, self._taking_order]
        return [turn[number % len(turn)]() for number in range(BATCH)]

    def trading_batch(self) -> list[matching.Command]:
        """Nothing but trades: each order that rests is met by the next, or one like it."""
        turn = [self._resting_order, self._taking_order]
        return [turn[number % 2]() for number in range(BATCH)]

    def _resting_order(self) -> matching.Command:
        side = self._chance.choice((types.SIDE_BUY, types.SIDE_SELL))
        away = 1 + min(int(self._chance.expovariate(1 / 40)), 2000)
        price = MID - away if side == types.SIDE_BUY else MID + away
        account, lots = (
            1000 + self._chance.randrange(self._accounts),
            self._chance.randrange(10, 5000),
        )
        resting = Resting(self._next_id(), account, lots)
        self._books[side].setdefault(price, deque()).append(resting)
        self._open.append((side, price, resting))
        return self._place(account, side, price, lots)

    def _taking_order(self) -> matching.Command:
        side = self._chance.choice((types.SIDE_BUY, types.SIDE_SELL))
        book = self._books[types.SIDE_SELL if side == types.SIDE_BUY else types.SIDE_BUY]
        price = min(book) if side == types.SIDE_BUY else max(book)
        maker = book[price].popleft()
        if not book[price]:
            del book[price]
        self._next_id()
        account = maker.account + 1 if maker.account < 999 + self._accounts else 1000
        return self._place(account, side, price, maker.lots)

    def _cancel(self) -> matching.Command:
        """One of the open orders, whichever; those that have traded since are passed over."""
        while True:
            at = self._chance.randrange(len(self._open))
            self._open[at], self._open[-1] = self._open[-1], self._open[at]
            side, price, resting = self._open.pop()
            queue = self._books[side].get(price)
            if queue is not None and resting in queue:
                break
        queue.remove(resting)
        if not queue:
            del self._books[side][price]
        command = self._command(resting.account)
        command.cancel_order.order_id = resting.order_id
        return command

    def _next_id(self) -> int:
        self._orders += 1
        return self._orders * 1024

    def _place(self, account: int, side: int, price: int, lots: int) -> matching.Command:
        command = self._command(account)
        if self._named:
            command.place_order.client_order_id = f"order-{self._orders:012}"
        command.place_order.MergeFrom(
            matching.PlaceOrder(
                instrument=INSTRUMENT,
                side=types.SIDE_BUY if side == types.SIDE_BUY else types.SIDE_SELL,
                type=types.ORDER_TYPE_LIMIT,
                time_in_force=types.TIME_IN_FORCE_GTC,
                price_ticks=price,
                quantity_lots=lots,
            )
        )
        return command

    def _command(self, account: int) -> matching.Command:
        return matching.Command(
            request_id=self._chance.randbytes(16),
            account=account,
            valid_until_us=START_US + 3_600_000_000,
        )


def record_of(batch: matching.SubmitRequest) -> bytes:
    return matching.CommandRecord(requests=[batch.SerializeToString()]).SerializeToString()


def opening_records(trader: Trader) -> list[bytes]:
    """A session, a market with fees, rich accounts, and a deep book."""
    house = [
        matching.Command(
            add_asset=matching.AddAsset(asset=types.Asset(asset=number, code=code, decimals=8))
        )
        for number, code in ((USD, "USD"), (BTC, "BTC"))
    ]
    house.append(matching.Command(add_instrument=matching.AddInstrument(instrument=market())))
    money = [
        matching.Command(
            account=1000 + account, credit=matching.Credit(asset=asset, amount_minor=10**15)
        )
        for account in range(ACCOUNTS)
        for asset in (USD, BTC)
    ]
    for command in [*house, *money]:
        command.request_id = bytes(16)
    first = matching.Command(request_id=bytes(16), open_session=matching.OpenSession())
    return [
        record_of(matching.SubmitRequest(commands=[first])),
        record_of(matching.SubmitRequest(session=1, number=1, commands=house)),
        record_of(matching.SubmitRequest(source=1, number=1, commands=money)),
        *numbered(trader.beginning(), 2),
    ]


def numbered(batches: Iterator[list[matching.Command]], first: int) -> list[bytes]:
    """A record for each of the batches of session 1, from this number on."""
    return [
        record_of(matching.SubmitRequest(session=1, number=number, commands=commands))
        for number, commands in enumerate(batches, first)
    ]


def market() -> types.Instrument:
    return types.Instrument(
        symbol="BTC-USD",
        base_asset=BTC,
        quote_asset=USD,
        lot_minor=1000,
        tick_units=1,
        tick_scale=0,
        phase=types.PHASE_CONTINUOUS,
        min_quantity_lots=1,
        max_quantity_lots=10**9,
        max_notional_minor=2**62,
        market_protection_ppm=50_000,
        fees=[types.FeeRate(maker_fee_ppm=1000, taker_fee_ppm=2000)],
    )
