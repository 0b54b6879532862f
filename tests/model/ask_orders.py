"""Asks for random orders that collide: placed, amended, replaced, cancelled.

Most of it is sensible, the rest every kind of nonsense that passes for well formed.
"""

from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.choices import END, MODES, PEOPLE, Chooser
from tests.model.phases import GATHERS
from tests.model.prices import by_rise, price_of
from tests.model.reasons import TIPS
from tests.model.state import CAP

WAITS: Final = (
    *[types.TIME_IN_FORCE_GTC] * 4,
    types.TIME_IN_FORCE_IOC,
    types.TIME_IN_FORCE_FOK,
)
STOPS: Final = (
    types.ORDER_TYPE_STOP,
    types.ORDER_TYPE_STOP_LIMIT,
    types.ORDER_TYPE_TAKE_PROFIT,
    types.ORDER_TYPE_TAKE_PROFIT_LIMIT,
)
LATER_LIMITS: Final = (types.ORDER_TYPE_STOP_LIMIT, types.ORDER_TYPE_TAKE_PROFIT_LIMIT)
SIDES: Final = (types.SIDE_BUY, types.SIDE_SELL)
OTHER: Final = {types.SIDE_BUY: types.SIDE_SELL, types.SIDE_SELL: types.SIDE_BUY}
Body = matching.PlaceOrder | matching.PlaceGroup | matching.ReplaceOrder


class OrderAsker(Chooser):
    """Remembers what was sent under which name, to send it again."""

    bodies: list[tuple[int, Body]]

    # --- One order ---

    def place(self) -> matching.Command:
        if self.bodies and self.one_in(12):
            return self._once_more()
        command = self.command(self.account())
        self._order(command.place_order, self.instrument(), self.random.choice(SIDES))
        self.bodies.append((command.account, command.place_order))
        return command

    def _once_more(self) -> matching.Command:
        account, body = self.random.choice(self.bodies[-40:])
        again = self.command(account)
        kinds = {
            matching.PlaceOrder: again.place_order,
            matching.PlaceGroup: again.place_group,
            matching.ReplaceOrder: again.replace_order,
        }
        kinds[type(body)].MergeFrom(body)
        return again

    def _order(self, order: matching.PlaceOrder, instrument: int, side: types.Side) -> None:
        """Any order that may be placed alone."""
        self._name_it(order, instrument, side)
        gathers = self._gathers(instrument) and not self.one_in(4)
        if self.has("stops", 4) or self.has("trailing", 8):
            self._make_waiting(order)
        elif not gathers and self.one_in(4):
            self._make_market(order)
        else:
            self._make_limit(order)

    def _name_it(self, order: matching.PlaceOrder, instrument: int, side: types.Side) -> None:
        order.instrument, order.side = instrument, side
        order.self_trade_prevention = self.random.choice((MODES[0], MODES[0], *MODES))
        if self.one_in(3):
            order.client_order_id = f"n{self.random.randrange(25)}"

    def _make_limit(self, order: matching.PlaceOrder) -> None:
        order.type = types.ORDER_TYPE_LIMIT
        order.price_ticks = self.price(order.instrument)
        order.quantity_lots = self._lots(order.instrument, order.price_ticks)
        order.time_in_force = self.random.choice(WAITS)
        if self._gathers(order.instrument) and not self.one_in(6):
            self._make_gathered(order)
        else:
            self._make_arriving(order)

    def _make_gathered(self, order: matching.PlaceOrder) -> None:
        """What an auction takes."""
        order.time_in_force = types.TIME_IN_FORCE_GTC
        if self.has("auction_orders", 2):
            order.time_in_force = types.TIME_IN_FORCE_GFA
        self._may_expire(order)
        self._may_hide(order)

    def _make_arriving(self, order: matching.PlaceOrder) -> None:
        if self.has("auction_orders", 40):
            order.time_in_force = types.TIME_IN_FORCE_GFA
        self._may_expire(order)
        plain = order.time_in_force in (types.TIME_IN_FORCE_GTC, types.TIME_IN_FORCE_GTD)
        order.post_only = plain and self.one_in(6)
        self._may_hide(order)
        takes = order.time_in_force not in (types.TIME_IN_FORCE_FOK, types.TIME_IN_FORCE_GFA)
        if takes and not order.post_only and self.has("min_fill", 8):
            order.min_fill_lots = self.random.randint(1, min(order.quantity_lots, 6))
            if self.at_edge():
                order.min_fill_lots = order.quantity_lots

    def _gathers(self, instrument: int) -> bool:
        at = self.model.instruments.get(instrument)
        return at is not None and at.phase in GATHERS

    def _may_expire(self, order: matching.PlaceOrder) -> None:
        if order.time_in_force == types.TIME_IN_FORCE_GTC and self.has("gtd", 4):
            order.time_in_force = types.TIME_IN_FORCE_GTD
            passed = self.one_in(30)
            order.expires_us = max(1, self.model.clock_us) if passed else self.soon_us()

    def _may_hide(self, order: matching.PlaceOrder) -> None:
        at_once = (types.TIME_IN_FORCE_IOC, types.TIME_IN_FORCE_FOK)
        if order.time_in_force not in at_once and self.has("iceberg", 3):
            tips = (2, 2, 3, 5) if order.quantity_lots < 300 else (order.quantity_lots // 40,)
            order.display_lots = 1 if self.one_in(8) else self.random.choice(tips)
            if self.at_edge():
                order.display_lots = self.close_to(-(-order.quantity_lots // TIPS))

    def _lots(self, instrument: int, price_ticks: int) -> int:
        """Mostly as many as the market takes at this price."""
        at = self.model.instruments.get(instrument)
        if at is None or self.one_in(10):
            return self.random.choice(self.world.lots)
        most = min(at.max_notional_minor // (price_ticks * at.tick_lot_minor), at.max_quantity_lots)
        if self.world.edges:
            to_pay = self._lots_to_pay(at, price_ticks)
            return self.close_to(*to_pay, *to_pay, most if self.at_edge() else 1)
        fitting = [lots for lots in self.world.lots if lots <= most]
        return self.random.choice(fitting or self.world.lots)

    def _lots_to_pay(self, at: types.Instrument, price_ticks: int) -> list[int]:
        """As many as whoever asks could pay for at this price, in either asset."""
        account = self.acting or self.random.choice(PEOPLE)
        base = self.model.balance(account, at.base_asset).available_minor
        quote = self.model.balance(account, at.quote_asset).available_minor
        return [base // at.lot_minor, quote // (price_ticks * at.tick_lot_minor)]

    def _make_market(self, order: matching.PlaceOrder) -> None:
        order.type = types.ORDER_TYPE_MARKET
        order.time_in_force = types.TIME_IN_FORCE_IOC
        self._lots_or_quote(order, self.price(order.instrument))

    def _lots_or_quote(self, order: matching.PlaceOrder, price: int) -> None:
        if self.has("protection", 3):
            order.protection_ticks = self.price(order.instrument)
        lots = self._lots(order.instrument, price)
        if self.one_in(2):
            order.quantity_lots = lots
            return
        quote = price * lots + self.random.randint(-2, 2)
        order.quote_minor = max(1, min(quote, 2**62 + 1))
        if self.at_edge(4):
            order.quote_minor = self.close_to(1, 2**62, END)

    # --- Orders that wait ---

    def _make_waiting(self, order: matching.PlaceOrder) -> None:
        self._make_trigger(order)
        price = order.price_ticks or order.trigger_ticks or self.price(most=CAP)
        if order.price_ticks:
            order.quantity_lots = self._lots(order.instrument, price)
        else:
            self._lots_or_quote(order, price)

    def _make_trigger(self, order: matching.PlaceOrder) -> None:
        """All of an order that waits but how much."""
        order.time_in_force = types.TIME_IN_FORCE_IOC
        if self.has("mark", 3):
            order.trigger_by = types.TRIGGER_BY_MARK_PRICE
        elif self.one_in(2):
            order.trigger_by = types.TRIGGER_BY_LAST_PRICE
        if "stops" not in self.features or self.has("trailing", 4):
            self._make_trailing(order)
            return
        order.type = self.random.choice(STOPS)
        order.trigger_ticks = self._trigger(order)
        if order.type in LATER_LIMITS:
            order.price_ticks = self.price(order.instrument, most=CAP)
            order.time_in_force = self.random.choice(WAITS)
            self._may_expire(order)
            self._may_hide(order)

    def _trigger(self, order: matching.PlaceOrder) -> int:
        """Mostly a price that is still to come."""
        at = self.model.instruments.get(order.instrument)
        if at is None or self.one_in(8):
            return self.price(order.instrument, most=CAP)
        like = types.Order(side=order.side, type=order.type, instrument=order.instrument)
        like.trigger_by = order.trigger_by or types.TRIGGER_BY_LAST_PRICE
        now = price_of(self.model, like)
        prices = [p for p in self.prices if p <= CAP]
        later = [p for p in prices if (p > now if by_rise(like) else p < now)]
        return self.random.choice(later or prices)

    def _make_trailing(self, order: matching.PlaceOrder) -> None:
        order.type = types.ORDER_TYPE_TRAILING_STOP
        if self.one_in(2):
            order.trail_ticks = self.random.choice((1, 1, 2, 3, self.price()))
        else:
            order.trail_ppm = self.random.choice((1, 5_000, 20_000, 30_000, 500_000))
        if self.one_in(2):
            order.activation_ticks = self.price(order.instrument, most=CAP)

    # --- Several orders ---

    def group(self) -> matching.Command:
        waits = bool(self.features & {"stops", "trailing"})
        if waits and ("bracket" not in self.features or self.has("oco", 2)):
            return self._oco()
        return self._bracket(waits)

    def _bracket(self, waits: bool) -> matching.Command:
        """Of the exits at most one is a limit order."""
        command = self.command(self.account())
        group = command.place_group
        group.kind = types.GROUP_KIND_BRACKET
        instrument, side = self.instrument(), self.random.choice(SIDES)
        self._name_it(group.first, instrument, side)
        if self.one_in(4):
            group.first.type = types.ORDER_TYPE_MARKET
            group.first.time_in_force = types.TIME_IN_FORCE_IOC
            group.first.quantity_lots = self._lots(instrument, self.price())
        else:
            self._make_limit(group.first)
        exits = (group.second, group.third)
        waits = bool(self.features & {"stops", "trailing"})
        rests = self.random.randrange(3) if waits else 0
        count = self.random.choice((1, 2, 2, 2)) if waits else 1
        for at, exit_order in enumerate(exits[:count]):
            self._name_it(exit_order, instrument, OTHER[side])
            self._make_exit(exit_order, at == rests)
        self.bodies.append((command.account, group))
        return command

    def _make_exit(self, order: matching.PlaceOrder, rests: bool) -> None:
        if rests:
            order.type = types.ORDER_TYPE_LIMIT
            order.time_in_force = types.TIME_IN_FORCE_GTC
            order.price_ticks = self.price(order.instrument, most=CAP)
        else:
            self._make_trigger(order)
            order.ClearField("display_lots")

    def _oco(self) -> matching.Command:
        """Of the two at most one rests."""
        command = self.command(self.account())
        group = command.place_group
        group.kind = types.GROUP_KIND_OCO
        instrument, side = self.instrument(), self.random.choice(SIDES)
        rests = self.random.randrange(3)
        for at, leg in enumerate((group.first, group.second)):
            self._name_it(leg, instrument, side)
            if at == rests:
                self._make_resting(leg)
            else:
                self._make_waiting(leg)
        self.bodies.append((command.account, group))
        return command

    def _make_resting(self, order: matching.PlaceOrder) -> None:
        order.type = types.ORDER_TYPE_LIMIT
        order.time_in_force = types.TIME_IN_FORCE_GTC
        order.post_only = True
        order.price_ticks = self.price(order.instrument)
        order.quantity_lots = self._lots(order.instrument, order.price_ticks)
        self._may_expire(order)
        self._may_hide(order)

    def replace(self) -> matching.Command:
        command = self.command(0)
        body = command.replace_order
        command.account, body.order_id, body.client_order_id = self._which_order()
        self.acting = command.account
        target = self.model.orders.get(body.order_id)
        if target is None or self.one_in(10):
            self._order(body.order, self.instrument(), self.random.choice(SIDES))
        else:
            self._order(body.order, target.instrument, target.side)
        self.bodies.append((command.account, body))
        return command

    # --- Orders that there are ---

    def amend(self) -> matching.Command:
        command = self.command(0)
        amend = command.amend_order
        command.account, amend.order_id, amend.client_order_id = self._which_order()
        if not self.one_in(3):
            amend.quantity_lots = self.random.choice(self.world.lots)
        if not amend.quantity_lots or self.one_in(2):
            amend.price_ticks = self.price()
        return command

    def cancel(self) -> matching.Command:
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
            return (self.account() if self.one_in(15) else order.account), order.order_id, ""
        if self.one_in(2):
            return self.account(), 0, f"n{self.random.randrange(25)}"
        counter = self.random.randint(0, self.model.orders_given + 2)
        wrong_shard = self.random.choice((0, 0, 0, 5))
        return self.account(), max(1, counter * 1024 + self.model.shard + wrong_shard), ""

    def cancel_all(self) -> matching.Command:
        command = self.command(self.account())
        command.cancel_all.instrument = self.random.choice((0, self.market_or_none()))
        command.cancel_all.by_operator = self.one_in(3)
        return command
