"""A shard for the tests of whoever reads events: the model's records, in parts like the core's."""

import time
from collections.abc import Iterator, Sequence
from random import Random

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.runtime.log import Log, events_topic
from tests.model.model import Model

TOPIC = "bourse.events.0"
USD, BTC = 1, 2
ALICE, BOB, CAROL = 1000, 1001, 1002
BTC_USD = 1024
START_US = 1_700_000_000_000_000
RICH = 10**15

_LISTS = ("trades", "orders", "levels", "balances", "moves", "assets", "instruments", "accounts")


class Shard:
    """A shard with one market, BTC-USD, and three accounts that can afford everything."""

    topic, instrument = TOPIC, BTC_USD

    def __init__(self, rules: int = 1, number: int = 0) -> None:
        self.topic, self.instrument = events_topic(number), BTC_USD + number
        self.model = Model(number)
        self.time_us = START_US
        self.records: list[matching.EventRecord] = []
        self._session = self._number = 0
        self._published = 0
        opened = self._apply(matching.SubmitRequest(commands=[command(0, open_session={})]))
        self._session = opened[0].created_id
        if rules > 1:
            self.run(command(0, use_rules=matching.UseRules(version=rules)))
        self.run(_asset(USD, "USD"), _asset(BTC, "BTC"))
        self.add_instrument("BTC-USD")
        credits = [(account, asset) for account in (ALICE, BOB, CAROL) for asset in (USD, BTC)]
        commands = [
            command(account, credit=matching.Credit(asset=asset, amount_minor=RICH))
            for account, asset in credits
        ]
        self._apply(matching.SubmitRequest(source=1, number=1, commands=commands))

    @property
    def sequence(self) -> int:
        """The last sequence applied."""
        return self.model.sequence

    def open_orders(self) -> list[types.Order]:
        """What the core would say, open and waiting, by id."""
        return [order for _, order in sorted(self.model.orders.items())]

    def depth(self, instrument: int = 0) -> matching.GetDepthResponse:
        """The whole book, as the core would say it."""
        instrument = instrument or self.instrument
        answer = matching.GetDepthResponse(
            sequence=self.sequence, command_offset=len(self.records) - 1, found=True
        )
        for side, levels in ((types.SIDE_BUY, answer.bids), (types.SIDE_SELL, answer.asks)):
            for order in self.model.books[instrument, side]:
                if not levels or levels[-1].price_ticks != order.price_ticks:
                    levels.add(price_ticks=order.price_ticks)
                levels[-1].lots += self.model.shown[order.order_id]
        return answer

    def run(self, *commands: matching.Command) -> list[matching.Outcome]:
        """Apply commands as one record."""
        self._number += 1
        request = matching.SubmitRequest(session=self._session, number=self._number)
        request.commands.extend(commands)
        return self._apply(request)

    def tick(self) -> None:
        """A record without a command."""
        self._apply(matching.SubmitRequest(commands=[command(0, tick={})]))

    def _apply(self, request: matching.SubmitRequest) -> list[matching.Outcome]:
        self.time_us += 1_000
        record = matching.CommandRecord(requests=[request.SerializeToString()])
        events, answers = self.model.apply(len(self.records), self.time_us, record)
        assert answers[0].status == matching.BATCH_STATUS_APPLIED
        copy = matching.EventRecord()
        copy.CopyFrom(events)
        self.records.append(copy)
        return list(answers[0].outcomes)

    def add_instrument(self, symbol: str) -> int:
        """A market of BTC in USD, without limits worth mentioning; returns its id."""
        instrument = types.Instrument(
            symbol=symbol,
            base_asset=BTC,
            quote_asset=USD,
            lot_minor=10_000,
            tick_units=1,
            tick_scale=2,
            phase=types.PHASE_CONTINUOUS,
            min_quantity_lots=1,
            max_quantity_lots=10**9,
            max_notional_minor=2**62,
            market_protection_ppm=50_000,
            fees=[types.FeeRate(tier=0, maker_fee_ppm=1000, taker_fee_ppm=2000)],
        )
        added = matching.AddInstrument(instrument=instrument)
        return self.run(command(0, add_instrument=added))[0].created_id

    def buy(self, account: int, lots: int, price_ticks: int, **fields: object) -> types.Order:
        """A limit order; the answer's order."""
        fields = {"instrument": self.instrument} | fields
        return self.run(place(account, types.SIDE_BUY, lots, price_ticks, **fields))[0].order

    def sell(self, account: int, lots: int, price_ticks: int, **fields: object) -> types.Order:
        """A limit order; the answer's order."""
        fields = {"instrument": self.instrument} | fields
        return self.run(place(account, types.SIDE_SELL, lots, price_ticks, **fields))[0].order

    def cancel(self, account: int, order_id: int) -> None:
        """Cancel an order."""
        self.run(command(account, cancel_order=matching.CancelOrder(order_id=order_id)))

    def cancel_all(self, account: int) -> None:
        """Cancel all of an account's."""
        self.run(command(account, cancel_all={}))

    def trade(self, lots: int, price_ticks: int, instrument: int = 0) -> None:
        """Alice sells to Bob, in one record."""
        instrument = instrument or self.instrument
        self.run(
            place(ALICE, types.SIDE_SELL, lots, price_ticks, instrument=instrument),
            place(BOB, types.SIDE_BUY, lots, price_ticks, instrument=instrument),
        )

    def tear(self) -> None:
        """A gap in its events: nobody may go on behind it."""
        self.tick()
        self.records.pop()
        self.buy(ALICE, 1, 9_000)
        self.records[-1].command_offset += 1

    def flood(self, levels: int, lots: int) -> None:
        """A refused command whose record states many low bids: no core would, but it is big."""
        self.cancel(ALICE, 0)
        for price_ticks in range(1, levels + 1):
            self.records[-1].levels.add(
                instrument=self.instrument, side=types.SIDE_BUY, price_ticks=price_ticks, lots=lots
            )

    def bustle(self, records: int, seed: int = 1, instruments: Sequence[int] = ()) -> None:
        """Orders, cancels and trades of all three around 10,000, some with themselves."""
        instruments = instruments or (self.instrument,)
        random = Random(seed)
        for _ in range(records):
            self.run(*(self._any(random, instruments) for _ in range(random.randint(1, 12))))

    def _any(self, random: Random, instruments: Sequence[int]) -> matching.Command:
        account = random.choice((ALICE, BOB, CAROL))
        open_orders = [order for order in self.open_orders() if order.account == account]
        if open_orders and random.random() < 0.4:
            cancel = matching.CancelOrder(order_id=random.choice(open_orders).order_id)
            return command(account, cancel_order=cancel)
        side = random.choice((types.SIDE_BUY, types.SIDE_SELL))
        away = random.randint(-3, 20) * (-1 if side == types.SIDE_BUY else 1)
        return place(
            account,
            side,
            random.randint(1, 50),
            10_000 + away,
            instrument=random.choice(instruments),
            self_trade_prevention=random.randint(1, 5),
            client_order_id=f"c{random.randint(1, 10**9)}",
        )

    async def publish(self, log: Log, count: int = 1_000_000) -> None:
        """Put what is new on the event log, at most so many records."""
        for record in self.records[self._published : self._published + count]:
            await put(log, record.SerializeToString(), topic=self.topic)
            self._published += 1


async def put(log: Log, *parts: bytes, topic: str = TOPIC) -> None:
    """Put encoded parts on an event log, each as a record."""
    await log.create(topic)
    for part in parts:
        await log.append(topic, [part], clock_us=time.time_ns() // 1000)


def place(
    account: int, side: types.Side, lots: int, price_ticks: int, **fields: object
) -> matching.Command:
    """A limit order, good till cancelled unless `fields` says otherwise."""
    order = matching.PlaceOrder(
        instrument=BTC_USD,
        side=side,
        type=types.ORDER_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_GTC,
        price_ticks=price_ticks,
        quantity_lots=lots,
    )
    for name, value in fields.items():
        setattr(order, name, value)
    return command(account, place_order=order)


def _asset(asset: int, code: str) -> matching.Command:
    added = matching.AddAsset(asset=types.Asset(asset=asset, code=code, decimals=8))
    return command(0, add_asset=added)


def command(account: int, **kind: object) -> matching.Command:
    """A command of some kind: `command(ALICE, cancel_all={})`."""
    return matching.Command(request_id=bytes(16), account=account, **kind)  # type: ignore[arg-type]


def split(record: matching.EventRecord, command: int) -> list[matching.EventRecord]:
    """A record in two parts, closed in the middle of what one of its commands did."""
    first, second = matching.EventRecord(), matching.EventRecord()
    first.CopyFrom(record)
    second.CopyFrom(record)
    first.last, first.state_hash, first.balance_hash = False, 0, 0
    second.part, second.first_sequence = 1, record.first_sequence + command
    del first.commands[command + 1 :]
    del first.auctions[:]
    del second.commands[:command]
    for name in _LISTS:
        events = list(getattr(record, name))
        cut = _cut(events, command)
        del getattr(first, name)[cut:]
        del getattr(second, name)[:cut]
        for event in getattr(second, name):
            event.command -= command
    return [first, second]


def _cut(events: Sequence[matching.TradeEvent], command: int) -> int:
    before = sum(event.command < command for event in events)
    return before + sum(event.command == command for event in events) // 2


def in_parts(records: Sequence[matching.EventRecord]) -> Iterator[bytes]:
    """All records, every one with several commands in two parts."""
    for record in records:
        halves = split(record, len(record.commands) // 2) if len(record.commands) > 1 else [record]
        for half in halves:
            yield half.SerializeToString()
