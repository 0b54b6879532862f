"""Command records of every kind for one shard: random, reproducible, and now and then wrong.

A flow listens to the answers, so that what it cancels and amends exists, mostly.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from bourse.matching import v1 as matching
from bourse.types import v1 as types

T = TypeVar("T")
START_US: Final = 1_700_000_000_000_000
USD, BTC, ETH = 1, 2, 3
SIDES: Final = (types.SIDE_BUY, types.SIDE_SELL)
PREVENTIONS: Final[list[Any]] = [*types.SelfTradePrevention.values()]
ACCOUNTS: Final = range(1000, 1012)
PRICE: Final = 500
"""Prices are drawn around this one, in ticks."""


class Flow:
    """What a gateway, an operator and a ledger might send."""

    def __init__(self, seed: int, shard: int = 0) -> None:
        self._chance = random.Random(seed)
        self._shard = shard
        self._time_us = START_US
        self._sessions: dict[int, int] = {}
        """Last number sent, by session."""
        self._source_number = 1
        self._orders: list[tuple[int, int]] = []
        """Account and id of orders that were open."""
        self._names: list[tuple[int, str]] = []
        """Account and client order id of orders that were sent."""
        self._sent: list[matching.SubmitRequest] = []
        self.instruments: list[int] = []

    # --- records ----------------------------------------------------------------------------

    def records(self, count: int) -> Iterator[tuple[int, bytes]]:
        """The log's time of a record, and the record. Tell what it was answered before the next."""
        yield self._time_us, self._record([self._alone(matching.OpenSession())])
        house = [*self._assets(), *self._markets(), *self._settings()]
        yield self._time_us, self._record([self._in_session(1, house)])
        money = [self._credit(account, asset) for account in ACCOUNTS for asset in (USD, BTC, ETH)]
        yield self._time_us, self._record([self._from_source(money)])
        yield from self.more_records(count - 3)

    def more_records(self, count: int) -> Iterator[tuple[int, bytes]]:
        """As `records`, of a shard that has begun."""
        for _ in range(count):
            yield self._next_record()

    def crowd(self, orders: int) -> Iterator[tuple[int, bytes]]:
        """Many orders on one side of a book, and one that sweeps them: more than a part can say."""
        yield self._time_us, self._record([self._alone(matching.OpenSession())])
        session = max(self._sessions)
        yield self._time_us, self._record([self._in_session(session, self._reset())])
        for _ in range(0, orders, 500):
            yield self._time_us, self._record([self._in_session(session, self._many(500))])
        sweep = self._order(types.ORDER_TYPE_LIMIT, types.TIME_IN_FORCE_IOC)
        sweep.instrument, sweep.side = self.instruments[0], types.SIDE_BUY
        sweep.price_ticks, sweep.quantity_lots = 3 * PRICE, 2 * orders + 10
        sweep.self_trade_prevention = types.SELF_TRADE_PREVENTION_NONE
        sweeping = self._command(ACCOUNTS[0], place_order=sweep)
        sweeping.valid_until_us = 0
        after = [*self._commands(3), sweeping, *self._commands(3)]
        yield self._time_us, self._record([self._in_session(session, after)])

    def _reset(self) -> list[matching.Command]:
        """An open market, accounts that may have many orders, and no deadlines."""
        commands = [
            self._command(0, set_sizes=self._sizes(orders_per_account=10_000)),
            self._command(
                0,
                set_phase=matching.SetPhase(
                    instrument=self.instruments[0], phase=types.PHASE_CONTINUOUS
                ),
            ),
            *(self._command(account, set_account=matching.SetAccount()) for account in ACCOUNTS),
        ]
        for command in commands:
            command.valid_until_us = 0
        return commands

    def _many(self, count: int) -> list[matching.Command]:
        commands = []
        for _ in range(count):
            order = self._order(types.ORDER_TYPE_LIMIT, types.TIME_IN_FORCE_GTC)
            order.instrument, order.side = self.instruments[0], types.SIDE_SELL
            order.price_ticks, order.quantity_lots = 2 * PRICE + self._chance.randrange(99), 2
            command = self._command(self._account(), place_order=order)
            command.valid_until_us = 0
            commands.append(command)
        return commands

    def _next_record(self) -> tuple[int, bytes]:
        step_us = self._pick([(900, 10_000), (60, 2_000_000), (6, 130_000_000), (3, 601_000_000)])
        self._time_us += step_us
        batches = [self._batch() for _ in range(self._chance.randrange(1, 5))]
        return self._time_us, self._record(batches)

    def _record(self, batches: Iterable[matching.SubmitRequest]) -> bytes:
        requests = [batch.SerializeToString() for batch in batches]
        return matching.CommandRecord(shard=self._shard, requests=requests).SerializeToString()

    def heard(self, answers: Sequence[matching.SubmitResponse]) -> None:
        """Remember the sessions, instruments and orders that came of it."""
        for answer in answers:
            for outcome in answer.outcomes:
                if outcome.order.state == types.ORDER_STATE_OPEN:
                    self._orders.append((outcome.order.account, outcome.order.order_id))
            if answer.status == matching.BATCH_STATUS_UNKNOWN:
                self._sessions.pop(answer.session, None)
            if not answer.session and not answer.source and answer.outcomes:
                opened = answer.outcomes[0].created_id
                self._sessions |= {opened: 0} if opened else {}
        del self._orders[:-50], self._names[:-50], self._sent[:-40]

    # --- batches ----------------------------------------------------------------------------

    def _batch(self) -> matching.SubmitRequest:
        make: Callable[[], matching.SubmitRequest] = self._pick(
            [
                (200, self._fresh_batch),
                (8, self._again),
                (4, self._skipping_batch),
                (2, lambda: self._in_session(self._chance.randrange(10**6), self._commands(2))),
                (8, lambda: self._from_source(self._moves())),
                (2, lambda: self._source_batch(self._source_number + 5, self._moves())),
                (4, lambda: self._source_batch(max(1, self._source_number - 2), self._moves())),
                (
                    8,
                    lambda: matching.SubmitRequest(
                        commands=[matching.Command(tick=matching.Tick())]
                    ),
                ),
                (6, lambda: self._alone(matching.OpenSession())),
                (1, self._closing_batch),
            ]
        )
        return make()

    def _fresh_batch(self) -> matching.SubmitRequest:
        if not self._sessions:
            return self._alone(matching.OpenSession())
        session = self._session()
        return self._in_session(session, self._commands(self._chance.randrange(1, 9)))

    def _skipping_batch(self) -> matching.SubmitRequest:
        session = self._session()
        self._sessions[session] = self._sessions.get(session, 0) + self._chance.randrange(1, 4)
        return self._in_session(session, self._commands(2))

    def _closing_batch(self) -> matching.SubmitRequest:
        closing = self._command(0, close_session=matching.CloseSession())
        return self._in_session(self._session(), [*self._commands(1), closing])

    def _again(self) -> matching.SubmitRequest:
        """A batch that was sent before, or one of a number that was passed over."""
        if not self._sent:
            return self._fresh_batch()
        again = matching.SubmitRequest()
        again.CopyFrom(self._chance.choice(self._sent))
        if self._chance.random() < 0.4:
            again.number = max(1, again.number - self._chance.randrange(1, 8))
        return again

    def _session(self) -> int:
        return self._chance.choice(list(self._sessions)[-3:] or [1])

    def _in_session(
        self, session: int, commands: Sequence[matching.Command]
    ) -> matching.SubmitRequest:
        number = self._sessions.get(session, 0) + 1
        self._sessions[session] = number
        batch = matching.SubmitRequest(session=session or 1, number=number, commands=commands)
        self._sent.append(batch)
        return batch

    def _from_source(self, moves: Sequence[matching.Command]) -> matching.SubmitRequest:
        batch = self._source_batch(self._source_number, moves)
        self._source_number += len(moves)
        return batch

    def _source_batch(
        self, number: int, moves: Sequence[matching.Command]
    ) -> matching.SubmitRequest:
        return matching.SubmitRequest(source=1, number=number, commands=moves)

    def _alone(self, open_session: matching.OpenSession) -> matching.SubmitRequest:
        return matching.SubmitRequest(commands=[self._command(0, open_session=open_session)])

    # --- commands ---------------------------------------------------------------------------

    def _commands(self, count: int) -> list[matching.Command]:
        return [self._some_command() for _ in range(count)]

    def _some_command(self) -> matching.Command:
        make: Callable[[], matching.Command] = self._pick(
            [
                (400, self._limit_order),
                (60, self._market_order),
                (90, self._amend),
                (130, self._cancel),
                (8, self._cancel_all),
                (30, lambda: self._chance.choice([*self._settings(), *self._odd_settings()])),
            ]
        )
        return make()

    def _command(self, account: int, **kind: object) -> matching.Command:
        command = matching.Command(request_id=self._chance.randbytes(16), account=account)
        for name, body in kind.items():
            getattr(command, name).CopyFrom(body)
        if self._chance.random() < 0.5:
            command.valid_until_us = self._time_us + self._chance.randrange(-20_000, 5_000_000)
        if self._chance.random() < 0.02:
            command.trace, command.causation = self._chance.randbytes(25), 5
        return command

    def _limit_order(self) -> matching.Command:
        account = self._account()
        force, post_only = self._pick(
            [(60, (1, False)), (12, (1, True)), (12, (2, False)), (10, (3, False))]
        )
        order = self._order(types.ORDER_TYPE_LIMIT, force)
        order.post_only = post_only
        order.price_ticks = max(1, round(PRICE + self._chance.gauss(0, 12)))
        order.quantity_lots = self._lots()
        order.client_order_id = self._name(account)
        return self._command(account, place_order=order)

    def _market_order(self) -> matching.Command:
        order = self._order(types.ORDER_TYPE_MARKET, types.TIME_IN_FORCE_IOC)
        if self._chance.random() < 0.5:
            order.quantity_lots = self._lots()
        else:
            order.quote_minor = self._lots() * PRICE * 1000 + self._chance.randrange(400_000)
        return self._command(self._account(), place_order=order)

    def _order(self, kind: Any, force: Any) -> matching.PlaceOrder:
        order = matching.PlaceOrder(instrument=self._instrument(), side=self._chance.choice(SIDES))
        order.type, order.time_in_force = kind, force
        if self._chance.random() < 0.4:
            order.self_trade_prevention = self._chance.choice(PREVENTIONS[1:])
        return order

    def _amend(self) -> matching.Command:
        account, naming = self._naming()
        amend = matching.AmendOrder(**naming)
        if self._chance.random() < 0.5:
            amend.price_ticks = max(1, round(PRICE + self._chance.gauss(0, 12)))
        if not amend.price_ticks or self._chance.random() < 0.5:
            amend.quantity_lots = self._lots()
        return self._command(account, amend_order=amend)

    def _cancel(self) -> matching.Command:
        account, naming = self._naming()
        cancel = matching.CancelOrder(**naming)
        cancel.by_operator = self._chance.random() < 0.1
        return self._command(account, cancel_order=cancel)

    def _cancel_all(self) -> matching.Command:
        one = self._chance.random() < 0.5
        cancel = matching.CancelAll(instrument=self._instrument() if one else 0)
        return self._command(self._account(), cancel_all=cancel)

    def _naming(self) -> tuple[int, dict[str, Any]]:
        """An account, and how it names one of its orders, or somebody else's."""
        account, order_id = self._chance.choice(self._orders or [(1000, 1024)])
        if self._names and self._chance.random() < 0.3:
            account, name = self._chance.choice(self._names)
            return account, {"client_order_id": name}
        if self._chance.random() < 0.03:
            account = self._account()
        if self._chance.random() < 0.02:
            order_id += 1024 * self._chance.randrange(10_000)
        return account, {"order_id": order_id}

    def _name(self, account: int) -> str:
        chance = self._chance.random()
        if self._names and chance < 0.05:
            return self._chance.choice(self._names)[1]
        if chance < 0.5:
            return ""
        name = f"order-{self._chance.randrange(10**9)}"
        self._names.append((account, name))
        return name

    # --- money and settings -----------------------------------------------------------------

    def _moves(self) -> list[matching.Command]:
        return [self._move() for _ in range(self._chance.randrange(1, 5))]

    def _move(self) -> matching.Command:
        asset = self._pick([(5, USD), (3, BTC), (3, ETH), (1, 99)])
        if self._chance.random() < 0.6:
            return self._credit(self._account(), asset)
        debit = matching.Debit(asset=asset, amount_minor=self._chance.randrange(1, 10**10))
        return self._command(self._account(), debit=debit)

    def _credit(self, account: int, asset: int) -> matching.Command:
        most = 10**12 if asset == USD else 10**9
        credit = matching.Credit(asset=asset, amount_minor=self._chance.randrange(1, most))
        return self._command(account, credit=credit)

    def _assets(self) -> list[matching.Command]:
        named = [("USD", USD, 8), ("BTC", BTC, 8), ("ETH", ETH, 6)]
        return [
            self._command(
                0,
                add_asset=matching.AddAsset(
                    asset=types.Asset(asset=number, code=code, decimals=decimals)
                ),
            )
            for code, number, decimals in named
        ]

    def _markets(self) -> list[matching.Command]:
        self.instruments = [1024 + self._shard, 2048 + self._shard]
        return [
            self._command(0, add_instrument=self._market("BTC-USD", BTC)),
            self._command(0, add_instrument=self._market("ETH-USD", ETH)),
        ]

    def _market(self, symbol: str, base: int) -> matching.AddInstrument:
        instrument = types.Instrument(
            symbol=symbol,
            base_asset=base,
            quote_asset=USD,
            lot_minor=1000,
            tick_units=1,
            tick_scale=0 if base == BTC else 2,
            phase=types.PHASE_CONTINUOUS,
            min_quantity_lots=1,
            max_quantity_lots=10**6,
            max_notional_minor=10**13,
            market_protection_ppm=50_000,
            fees=[
                types.FeeRate(tier=0, maker_fee_ppm=1000, taker_fee_ppm=2000),
                types.FeeRate(tier=2, maker_fee_ppm=-150, taker_fee_ppm=777),
            ],
        )
        return matching.AddInstrument(instrument=instrument)

    def _settings(self) -> list[matching.Command]:
        """Settings that are in order."""
        fee = types.FeeRate(tier=self._chance.randrange(3), maker_fee_ppm=-50, taker_fee_ppm=400)
        account = matching.SetAccount(
            fee_tier=self._chance.randrange(3),
            self_trade_prevention=self._chance.choice(PREVENTIONS),
            suspended=self._chance.random() < 0.1,
        )
        limits = matching.SetLimits(
            instrument=self._instrument(),
            min_quantity_lots=self._chance.randrange(1, 3),
            max_quantity_lots=10**6,
            max_notional_minor=10**13,
            market_protection_ppm=self._chance.randrange(10**5),
        )
        return [
            self._command(0, set_fees=matching.SetFees(instrument=self._instrument(), fee=fee)),
            self._command(self._account(), set_account=account),
            self._command(self._account(), set_account=matching.SetAccount()),
            self._command(0, set_limits=limits),
        ]

    def _odd_settings(self) -> list[matching.Command]:
        """Settings that are rare, change nothing, or are refused."""
        phase = self._pick(
            [
                (9, types.PHASE_CONTINUOUS),
                (1, types.PHASE_HALT),
                (1, types.PHASE_POST_ONLY),
                (1, types.PHASE_CANCEL_ONLY),
                (1, types.PHASE_CLOSED),
            ]
        )
        clock = matching.SetClock(time_us=self._time_us + self._chance.randrange(-9, 9) * 10**6)
        return [
            *self._assets()[:1],
            self._command(0, add_asset=matching.AddAsset(asset=types.Asset(asset=9, code="usd"))),
            self._command(0, add_instrument=self._market("BTC-BTC", USD)),
            self._command(
                0, set_phase=matching.SetPhase(instrument=self._instrument(), phase=phase)
            ),
            self._command(
                0,
                set_phase=matching.SetPhase(
                    instrument=self.instruments[0], phase=types.PHASE_CONTINUOUS
                ),
            ),
            self._command(
                0,
                set_phase=matching.SetPhase(
                    instrument=self.instruments[1], phase=types.PHASE_CONTINUOUS
                ),
            ),
            self._command(0, set_sizes=self._sizes(self._chance.randrange(50, 10_000))),
            self._command(0, use_rules=matching.UseRules(version=1)),
            self._command(0, set_clock=clock),
        ]

    def _sizes(self, orders_per_account: int) -> matching.SetSizes:
        return matching.SetSizes(
            orders=100_000,
            orders_per_account=orders_per_account,
            accounts=10_000,
            balances=20_000,
            client_order_ids=50_000,
            client_order_id_memory_us=self._chance.randrange(110, 200) * 1_000_000,
            sessions=self._chance.randrange(2, 20),
            instruments=20,
        )

    # --- chance -----------------------------------------------------------------------------

    def _account(self) -> int:
        return self._chance.choice(ACCOUNTS)

    def _instrument(self) -> int:
        return self._chance.choice([*self.instruments * 20, 5])

    def _lots(self) -> int:
        return self._pick([(20, self._chance.randrange(1, 200)), (1, 10**6), (1, 2 * 10**6)])

    def _pick(self, weighted: Sequence[tuple[int, T]]) -> T:
        return self._chance.choices([one for _, one in weighted], [w for w, _ in weighted])[0]
