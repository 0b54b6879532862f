"""Asks for random settings: markets, fees, accounts, sizes, the clock, and guards."""

from collections.abc import Callable
from functools import partial
from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.choices import END, MODES, PEOPLE, SECOND_US, Chooser
from tests.model.phases import FIRST, GATHERS, MOVES, NEXT, RULES_1
from tests.model.state import FIRST_SIZES

PHASES: Final = (
    *[types.PHASE_CONTINUOUS] * 25,
    types.PHASE_HALT,
    types.PHASE_POST_ONLY,
    types.PHASE_CANCEL_ONLY,
    types.PHASE_CLOSED,
)


class SettingsAsker(Chooser):
    """Puts settings that are right, at the edge of right, or wrong."""

    def operate(self) -> matching.Command:
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
                self._set_sizes,
                self._add_asset,
                self._set_rules_or_clock,
                self._add_market,
            )
        )(command)
        return command

    # --- Guards and switches ---

    def guard(self) -> matching.Command:
        """What rules 2 let operators and accounts do against harm."""
        command = self.command(0)
        ways: dict[str, Callable[[matching.Command], None]] = {
            "phases": self._set_phase,
            "bands": self._set_guards,
            "dead_man": self._set_dead_man,
            "kill": self._kill,
            "limits": self._set_account,
            "fee_market": self._set_fee_market,
        }
        often = ("phases", "phases", "phases", "bands", "dead_man", "fee_market", "fee_market")
        names = [name for name in (*ways, *often) if name in self.features]
        ways.get(self.random.choice(names or ["limits"]), self._set_account)(command)
        return command

    def mends(self) -> list[Callable[[], matching.Command]]:
        """What would let halted markets and suspended accounts go on; auctions too, at times."""
        markets = {i.symbol: i for i in self.model.instruments.values()}.values()
        phases = [i for i in markets if i.phase != types.PHASE_CONTINUOUS]
        phases = [i for i in phases if i.phase not in GATHERS or self.one_in(8)]
        accounts = [a for a in PEOPLE if a in self.model.accounts]
        stopped = [a for a in accounts if self.model.accounts[a].suspended]
        return [
            *(partial(self._let_on, instrument) for instrument in phases),
            *(partial(self._let_in, account) for account in stopped),
        ]

    def fills(self) -> list[Callable[[], matching.Command]]:
        """What asks for one more of that of which there is no more room."""
        sizes, used = self.model.sizes, self._in_use()
        ways: list[tuple[str, Callable[[matching.Command], None]]] = [
            ("accounts", self._meet),
            ("balances", self._add_asset),
            ("instruments", self._add_market),
        ]
        full = [ask for name, ask in ways if used[name] >= getattr(sizes, name)]
        return [partial(self._made, ask) for ask in full]

    def _made(self, ask: Callable[[matching.Command], None]) -> matching.Command:
        command = self.command(0)
        ask(command)
        return command

    def _meet(self, command: matching.Command) -> None:
        """One of the commands by which an account becomes known."""
        names = [name for name in ("dead_man", "kill") if name in self.features]
        ways = {"dead_man": self._set_dead_man, "kill": self._kill}
        self.random.choice([self._set_account, *map(ways.__getitem__, names)])(command)
        if command.account:
            command.account = 2_000 + self.random.randrange(40)

    def _let_on(self, instrument: types.Instrument) -> matching.Command:
        may = MOVES[instrument.phase] & {*GATHERS, types.PHASE_CONTINUOUS, types.PHASE_CLOSED}
        if self.one_in(2) and types.PHASE_CONTINUOUS in may:
            may = {types.PHASE_CONTINUOUS}
        elif self.one_in(4):
            may = MOVES[instrument.phase]
        command = self.command(0)
        command.set_phase.instrument = instrument.instrument
        command.set_phase.phase = self.random.choice(sorted(may))
        if command.set_phase.phase in NEXT:
            command.set_phase.until_us = self.soon_us()
        return command

    def _let_in(self, account: int) -> matching.Command:
        command = self.command(0)
        self._set_account(command)
        command.account = account
        return command

    def set_mark(self) -> matching.Command:
        command = self.command(0)
        command.set_mark.instrument = self.market_or_none()
        price_ticks = self.price(command.set_mark.instrument)
        command.set_mark.price_ticks = 0 if self.one_in(30) else price_ticks
        return command

    def _set_guards(self, command: matching.Command) -> None:
        guards = command.set_guards
        guards.instrument = self.market_or_none()
        guards.reference_ticks = self.random.choice((0, 0, 0, self.price(guards.instrument)))
        guards.static_band_ppm = self.random.choice((0, 0, 30_000, 50_000))
        guards.dynamic_band_ppm = self.random.choice((0, 10_000, 20_000, 40_000, 1_000_000))
        if self.at_edge():
            guards.static_band_ppm = self.random.choice((0, 1, 999_999, 1_000_000, 1_000_001))
            guards.dynamic_band_ppm = self.random.choice((0, 1, 999_999, 1_000_000, 1_000_001))
        lasts = (0, SECOND_US, 5 * SECOND_US, 5 * SECOND_US)
        if self.one_in(12):
            wrong = self.random.choice(("reference_ticks", "volatility_auction_us"))
            setattr(guards, wrong, self.random.choice((-1, 2**62 + 1)))
            return
        guards.volatility_auction_us = self.random.choice(lasts)

    def _set_dead_man(self, command: matching.Command) -> None:
        command.account = self.account()
        lasts = (0, SECOND_US - 1, SECOND_US, 3 * SECOND_US, 3 * SECOND_US, 86_401 * SECOND_US)
        command.set_dead_man.timeout_us = self.random.choice(lasts)

    def _kill(self, command: matching.Command) -> None:
        command.kill.SetInParent()
        if self.one_in(2):
            command.account = self.account()
        else:
            command.kill.instrument = self.market_or_none()

    def _set_fee_market(self, command: matching.Command) -> None:
        wanted = command.set_fee_market
        wanted.instrument = self.market_or_none()
        at = self.model.instruments.get(wanted.instrument, types.Instrument())
        same = [n for n, i in self.model.instruments.items() if i.quote_asset == at.quote_asset]
        likely = self.random.choice(same or [0])
        wanted.fee_market = self.random.choice((0, likely, likely, likely, self.instrument()))
        discounts = [0, 250_000, 250_000, 1_000_000, 1_000_001]
        wanted.discount_ppm = self.random.choice([1, 999_999] if self.at_edge() else discounts)

    # --- Settings ---

    def _set_account(self, command: matching.Command) -> None:
        command.account = self.account()
        settings = command.set_account
        settings.fee_tier = self.random.choice((0, 1, 2, 15, 16))
        settings.self_trade_prevention = self.random.choice(MODES)
        settings.suspended = self.one_in(30)
        if "limits" in self.features:
            settings.max_open_orders = self.random.choice((0, 0, 0, 0, 3, 8))
            settings.max_commands_per_second = self.random.choice((0, 0, 0, 0, 0, 0, 1, 5))
        settings.pays_fee_asset = "fee_market" in self.features and not self.one_in(3)

    def _set_phase(self, command: matching.Command) -> None:
        """Mostly to continuous trading, or the next phase that leads there."""
        wanted = command.set_phase
        wanted.instrument = self.market_or_none()
        wanted.phase = self.random.choice(PHASES)
        at = self.model.instruments.get(wanted.instrument)
        if "phases" not in self.features or at is None:
            return
        if self.one_in(6):
            wanted.phase = self.random.choice(sorted(MOVES))
            return
        may = sorted(MOVES[at.phase])
        known = types.PHASE_CONTINUOUS in may and self.one_in(2)
        wanted.phase = types.PHASE_CONTINUOUS if known else self.random.choice(may)
        if (wanted.phase in NEXT and self.one_in(2)) or self.one_in(30):
            wanted.until_us = max(1, self.soon_us() - (SECOND_US if self.one_in(10) else 0))

    def _set_limits(self, command: matching.Command) -> None:
        limits = command.set_limits
        limits.instrument = self.market_or_none()
        at = self.random.choice(self.world.markets)
        limits.min_quantity_lots = self.random.choice((0, 1, 1, 2))
        limits.max_quantity_lots = min(at.max_quantity_lots + self.random.choice((0, 0, 1)), END)
        limits.min_notional_minor = self.random.choice((-1, 0, 0, 300))
        limits.max_notional_minor = at.max_notional_minor + self.random.choice((0, 0, 1))
        limits.market_protection_ppm = self.random.choice((0, 20_000, 50_000, 10**6, 10**6 + 1))

    def _set_fees(self, command: matching.Command) -> None:
        command.set_fees.instrument = self.market_or_none()
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
        for name, used in self.random.sample(list(self._in_use().items()), 2):
            first: int = getattr(FIRST_SIZES, name)
            near = used + self.random.choice((-1, *[0] * 8, 1, 1, 4))
            far = self.random.choice((0, 1, 2 * first, 16 * first + 1))
            setattr(sizes, name, max(0, far if self.one_in(60) else near))

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
            new.phase = self.random.choice(sorted(FIRST if "phases" in self.features else RULES_1))
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
            versions = (0, 1, 2, 3) if self.features else (0, 1)
            command.use_rules.version = self.random.choice(versions)
            return
        steps = (-200 * SECOND_US, -SECOND_US, 0, 50 * SECOND_US)
        time_us = self.model.clock_us + self.random.choice(steps)
        if self.at_edge():
            time_us = self.random.choice((END, END - 1, END - 3 * SECOND_US, 1_000 * SECOND_US))
        self.time_us = max(0, min(time_us, END))
        command.set_clock.time_us = self.time_us

    # --- Choices ---
