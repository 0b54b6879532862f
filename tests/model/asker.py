"""Asks random things that collide: few accounts, markets, prices and names.

It looks at the model to aim, at orders that are open and names that were used. Most of it is
sensible, the rest every kind of nonsense that passes for well formed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.model import Model
from tests.model.state import FEES, FIRST_SIZES

PEOPLE: Final = (1000, 1001, 1002, 1003, 1004)
SECOND_US: Final = 1_000_000
MODES: Final = (
    types.SELF_TRADE_PREVENTION_UNSPECIFIED,
    types.SELF_TRADE_PREVENTION_NONE,
    types.SELF_TRADE_PREVENTION_CANCEL_MAKER,
    types.SELF_TRADE_PREVENTION_CANCEL_TAKER,
    types.SELF_TRADE_PREVENTION_CANCEL_BOTH,
    types.SELF_TRADE_PREVENTION_DECREMENT,
)
WAITS: Final = (
    *[types.TIME_IN_FORCE_GTC] * 4,
    types.TIME_IN_FORCE_IOC,
    types.TIME_IN_FORCE_FOK,
)
PHASES: Final = (
    *[types.PHASE_CONTINUOUS] * 25,
    types.PHASE_HALT,
    types.PHASE_POST_ONLY,
    types.PHASE_CANCEL_ONLY,
    types.PHASE_CLOSED,
)
T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """How large the numbers are."""

    prices: tuple[int, ...]
    lots: tuple[int, ...]
    credits: tuple[int, ...]
    markets: tuple[types.Instrument, ...]


def market(symbol: str, base: int, quote: int, **fields: int) -> types.Instrument:
    """An instrument with wide limits; fields as in the contract."""
    made = types.Instrument(
        symbol=symbol,
        base_asset=base,
        quote_asset=quote,
        lot_minor=1,
        tick_units=1,
        phase=types.PHASE_CONTINUOUS,
        min_quantity_lots=1,
        max_quantity_lots=1_000,
        max_notional_minor=1_000_000,
        market_protection_ppm=50_000,
    )
    for name, value in fields.items():
        setattr(made, name, value)
    made.fees.add(tier=0, maker_fee_ppm=-300, taker_fee_ppm=10_000)
    made.fees.add(tier=2, maker_fee_ppm=700, taker_fee_ppm=0)
    return made


SMALL: Final = World(
    prices=tuple(range(95, 106)),
    lots=(1, 1, 2, 3, 5, 8, 20),
    credits=(1, 50, 1_000, 5_000, 20_000),
    markets=(
        market("A-C", 1, 3, lot_minor=3, tick_units=2),
        market("B-C", 2, 3),
        market("B-A", 2, 1, max_quantity_lots=10, min_quantity_lots=2, min_notional_minor=200),
    ),
)

_POWERS: Final = (1, 2, 3, 1_000, 2**20, 2**31, 2**32 + 1, 2**42, 2**50 - 1, 2**61, 2**62 - 1)
LARGE: Final = World(
    prices=(*_POWERS, 2**62),
    lots=(*_POWERS, 2**62),
    credits=(2**20, 2**40, 2**58, 2**58, 2**59, 2**59, 2**60, 2**62 - 5),
    markets=(
        market("A-C", 1, 3, max_quantity_lots=2**62, max_notional_minor=2**62),
        market(
            "B-C",
            2,
            3,
            lot_minor=2**31,
            max_quantity_lots=2**31,
            max_notional_minor=2**62,
            market_protection_ppm=1_000_000,
        ),
        market(
            "B-A", 2, 1, tick_units=2**40, max_quantity_lots=2**62, max_notional_minor=2**62 - 1
        ),
    ),
)


class Asker:
    """Makes commands for the model as it stands. All choices are the given Random's."""

    def __init__(self, random: Random, model: Model, world: World) -> None:
        self.random = random
        self.model = model
        self.world = world
        self.time_us = 1_000 * SECOND_US
        self.bodies: list[tuple[int, matching.PlaceOrder]] = []
        self.asked = 0
        self.cancels = random.choice((5, 50))
        self.operates = random.choice((1, 15))
        self.traced = random.choice((1, 50))

    def any_command(self) -> matching.Command:
        ways: list[tuple[int, Callable[[], matching.Command]]] = [
            (300, self._place),
            (self.cancels, self._cancel),
            (60, self._amend),
            (2, self._cancel_all),
            (self.operates, self._operate),
        ]
        command = self.weighted(ways)()
        if self.one_in(12):
            limits = (-10 * SECOND_US, -1, 0, 1, 10 * SECOND_US)
            command.valid_until_us = self.model.clock_us + self.random.choice(limits)
        return command

    def command(self, account: int) -> matching.Command:
        self.asked += 1
        command = matching.Command(
            request_id=self.asked.to_bytes(16, "big"), account=account, causation=self.asked % 3
        )
        if self.asked % self.traced == 0:
            command.trace = b"trace" * 12
        return command

    def _place(self) -> matching.Command:
        if self.bodies and self.one_in(12):
            account, body = self.random.choice(self.bodies[-40:])
            again = self.command(account)
            again.place_order.CopyFrom(body)
            return again
        command = self.command(self._account())
        order = command.place_order
        order.instrument = self._instrument()
        order.side = self.random.choice((types.SIDE_BUY, types.SIDE_SELL))
        order.self_trade_prevention = self.random.choice((MODES[0], MODES[0], *MODES))
        if self.one_in(3):
            order.client_order_id = f"n{self.random.randrange(25)}"
        if self.one_in(4):
            self._make_market(order)
        else:
            self._make_limit(order)
        self.bodies.append((command.account, order))
        return command

    def _make_limit(self, order: matching.PlaceOrder) -> None:
        order.type = types.ORDER_TYPE_LIMIT
        order.price_ticks = self.random.choice(self.world.prices)
        order.quantity_lots = self._lots(order.instrument, order.price_ticks)
        order.time_in_force = self.random.choice(WAITS)
        gtc = order.time_in_force == types.TIME_IN_FORCE_GTC
        order.post_only = gtc and self.one_in(6)

    def _lots(self, instrument: int, price_ticks: int) -> int:
        """Mostly as many as the market takes at this price."""
        at = self.model.instruments.get(instrument)
        if at is None or self.one_in(10):
            return self.random.choice(self.world.lots)
        most = min(at.max_notional_minor // (price_ticks * at.tick_lot_minor), at.max_quantity_lots)
        fitting = [lots for lots in self.world.lots if lots <= most]
        return self.random.choice(fitting or self.world.lots)

    def _make_market(self, order: matching.PlaceOrder) -> None:
        order.type = types.ORDER_TYPE_MARKET
        order.time_in_force = types.TIME_IN_FORCE_IOC
        price = self.random.choice(self.world.prices)
        lots = self._lots(order.instrument, price)
        if self.one_in(2):
            order.quantity_lots = lots
            return
        quote = price * lots + self.random.randint(-2, 2)
        order.quote_minor = max(1, min(quote, 2**62 + 1))

    def _amend(self) -> matching.Command:
        command = self.command(0)
        amend = command.amend_order
        command.account, amend.order_id, amend.client_order_id = self._which_order()
        if not self.one_in(3):
            amend.quantity_lots = self.random.choice(self.world.lots)
        if not amend.quantity_lots or self.one_in(2):
            amend.price_ticks = self.random.choice(self.world.prices)
        return command

    def _cancel(self) -> matching.Command:
        command = self.command(0)
        cancel = command.cancel_order
        command.account, cancel.order_id, cancel.client_order_id = self._which_order()
        cancel.by_operator = self.one_in(5)
        return command

    def _which_order(self) -> tuple[int, int, str]:
        """Whose, and which: by id or by name; mostly one that is open."""
        if self.model.orders and not self.one_in(8):
            order = self.model.orders[self.random.choice(list(self.model.orders))]
            if order.client_order_id and self.one_in(2):
                return order.account, 0, order.client_order_id
            return (self._account() if self.one_in(15) else order.account), order.order_id, ""
        if self.one_in(2):
            return self._account(), 0, f"n{self.random.randrange(25)}"
        counter = self.random.randint(0, self.model.orders_given + 2)
        wrong_shard = self.random.choice((0, 0, 0, 5))
        return self._account(), max(1, counter * 1024 + self.model.shard + wrong_shard), ""

    def _cancel_all(self) -> matching.Command:
        command = self.command(self._account())
        command.cancel_all.instrument = self.random.choice((0, self._instrument()))
        command.cancel_all.by_operator = self.one_in(3)
        return command

    def move(self) -> matching.Command:
        if self.one_in(3):
            command = self.command(self._account())
            command.debit.asset = self._asset()
            command.debit.amount_minor = self.random.choice(self.world.credits)
            return command
        return self.credit(self._account())

    def credit(self, account: int) -> matching.Command:
        command = self.command(account)
        command.credit.asset = self._asset()
        command.credit.amount_minor = self.random.choice(self.world.credits)
        return command

    def _operate(self) -> matching.Command:
        command = self.command(0)
        self.random.choice(
            (
                self._set_account,
                self._set_account,
                self._set_phase,
                self._set_limits,
                self._set_fees,
                self._set_fees,
                self._set_sizes,
                self._add_asset,
                self._set_rules_or_clock,
                self._add_market if self.one_in(3) else self._set_fees,
            )
        )(command)
        return command

    def _set_account(self, command: matching.Command) -> None:
        command.account = self._account()
        settings = command.set_account
        settings.fee_tier = self.random.choice((0, 1, 2, 15, 16))
        settings.self_trade_prevention = self.random.choice(MODES)
        settings.suspended = self.one_in(30)

    def _set_phase(self, command: matching.Command) -> None:
        command.set_phase.instrument = self._instrument()
        command.set_phase.phase = self.random.choice(PHASES)

    def _set_limits(self, command: matching.Command) -> None:
        limits = command.set_limits
        limits.instrument = self._instrument()
        at = self.random.choice(self.world.markets)
        limits.min_quantity_lots = self.random.choice((0, 1, 1, 2))
        limits.max_quantity_lots = at.max_quantity_lots + self.random.choice((0, 0, 1))
        limits.min_notional_minor = self.random.choice((-1, 0, 0, 300))
        limits.max_notional_minor = at.max_notional_minor + self.random.choice((0, 0, 1))
        limits.market_protection_ppm = self.random.choice((0, 20_000, 50_000, 10**6, 10**6 + 1))

    def _set_fees(self, command: matching.Command) -> None:
        command.set_fees.instrument = self._instrument()
        self._rate(command.set_fees.fee)

    def _rate(self, fee: types.FeeRate) -> None:
        fee.tier = self.random.choice((0, 0, 1, 2, 15, 16))
        fee.maker_fee_ppm = self.random.choice((-100_001, -100_000, -5_000, -1, 0, 900, 100_001))
        fee.taker_fee_ppm = self.random.choice((-1, 0, 1, 999, 5_000, 100_000, 100_001))

    def _set_sizes(self, command: matching.Command) -> None:
        """Often a little above what is in use, so that it is soon full; else the first sizes."""
        sizes = command.set_sizes
        sizes.CopyFrom(FIRST_SIZES)
        if self.one_in(2):
            return
        name, used = self.random.choice(list(self._in_use().items()))
        first: int = getattr(FIRST_SIZES, name)
        near = used + self.random.choice((-1, 0, 1, 4))
        far = self.random.choice((0, 1, 2 * first, 16 * first + 1))
        setattr(sizes, name, max(0, far if self.one_in(30) else near))

    def _in_use(self) -> dict[str, int]:
        model = self.model
        return {
            "orders": len(model.orders),
            "orders_per_account": len(model.orders) // len(PEOPLE),
            "accounts": len(model.accounts),
            "balances": len(model.balances),
            "client_order_ids": len(model.names),
            "client_order_id_memory_us": FIRST_SIZES.client_order_id_memory_us,
            "sessions": len(model.sessions),
            "instruments": len(model.instruments),
        }

    def _add_market(self, command: matching.Command) -> None:
        new = command.add_instrument.instrument
        new.CopyFrom(self.random.choice(self.world.markets))
        if self.one_in(2):
            self._rescale(new)
        if self.one_in(3):
            wrong = self.random.choice(("lot_minor", "base_asset", "phase", "tick_scale"))
            setattr(new, wrong, self.random.choice((0, 1, 3, 5)))
        if self.one_in(8):
            new.symbol = self.random.choice(("", "a", "A_B", "A" * 32, "A" * 33))
        if self.one_in(3):
            self._rate(new.fees.add())

    def _rescale(self, new: types.Instrument) -> None:
        """Ticks and lots of other sizes, on assets of any scale; some do not fit."""
        powers = (1, 5, 10, 10**2, 10**8, 10**9, 10**18)
        new.symbol = "SCALED"
        new.base_asset = self.random.choice((1, 2, 3, 4, 5))
        new.quote_asset = self.random.choice((1, 2, 3, 4, 5))
        new.lot_minor = self.random.choice(powers)
        new.tick_units = self.random.choice((*powers, 2**62, 2**63 - 1))
        new.tick_scale = self.random.choice((0, 1, 2, 8, 17, 18, 19))
        new.max_quantity_lots = self.random.choice((1, 4, 5, 1_000))

    def _add_asset(self, command: matching.Command) -> None:
        asset = command.add_asset.asset
        asset.asset = self.random.choice((0, 1, 2, 3, 4, 4, 5, 5))
        asset.code = self.random.choice(("A", "B", "C", "DECIMALS", "DECIMALS", "E", "d", ""))
        asset.decimals = self.random.choice((0, 0, 2, 8, 18, 19))

    def _set_rules_or_clock(self, command: matching.Command) -> None:
        if self.one_in(2):
            command.use_rules.version = self.random.choice((0, 1))
            return
        steps = (-200 * SECOND_US, -SECOND_US, 0, 50 * SECOND_US)
        self.time_us = max(0, self.model.clock_us + self.random.choice(steps))
        command.set_clock.time_us = self.time_us

    # --- Choices ---

    def _account(self) -> int:
        stranger = 2_000 + self.random.randrange(40)
        return self.random.choice((*PEOPLE * 8, FEES, stranger))

    def _asset(self) -> int:
        return self.random.choice((1, 2, 3, 1, 2, 3, 1, 2, 3, 9))

    def _instrument(self) -> int:
        """Mostly one that is the newest of its symbol; else an older one, or none."""
        if not self.model.instruments or self.one_in(40):
            return 77
        if self.one_in(20):
            return self.random.choice(list(self.model.instruments))
        newest = {i.symbol: number for number, i in self.model.instruments.items()}
        return self.random.choice(list(newest.values()))

    def one_in(self, times: int) -> bool:
        return self.random.randrange(times) == 0

    def weighted(self, ways: list[tuple[int, T]]) -> T:
        return self.random.choices([way for _, way in ways], [weight for weight, _ in ways])[0]
