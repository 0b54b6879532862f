"""An incoming order meets the book.

A plan says what it would do to the book as it stands: a fill-or-kill, a minimum fill and what a
market order needs are decided by it. Then it does what the plan says.
"""

from typing import Literal, NamedTuple

from bourse.types import v1 as types
from tests.model.book import (
    gives,
    hold,
    put_phase,
    reach,
    receives,
    rest,
    state_resting,
    touch,
    within,
)
from tests.model.ends import close, decrement, end, follow_up, linked
from tests.model.fees import Charge, charges
from tests.model.guards import outside_dynamic_band
from tests.model.phases import GATHERS, VOLATILITY
from tests.model.prices import price_event
from tests.model.state import FEES, IDS, TOP, State


class Step(NamedTuple):
    """What an incoming order does when it meets a resting one."""

    act: Literal["trade", "cancel", "decrement"]
    maker: types.Order
    lots: int


class Plan(NamedTuple):
    """The steps an incoming order would take, and what would keep it from going on."""

    steps: list[Step]
    stop: Literal["", "self_trade", "band"] = ""

    @property
    def lots(self) -> int:
        """What would trade."""
        return sum(step.lots for step in self.steps if step.act == "trade")


def arrive(s: State, order: types.Order) -> None:
    """An incoming order, its hold taken, meets the book; then it has ended or rests."""
    before = len(s.record.trades)
    limit_ticks = reach(s, order)
    course = plan(s, order, limit_ticks)
    if reason := unfillable(order, course):
        end(s, order, types.ORDER_STATE_EXPIRED, reason)
    else:
        for step in course.steps:
            take(s, order, step)
        finish(s, order, limit_ticks, course)
    trades = s.record.trades[before:]
    s.state_order(order)
    if order.order_id in s.orders:
        s.state_level(order)
    s.state_balance(order.account, gives(s, order))
    if trades:
        s.state_balance(order.account, receives(s, order))
    if any(trade.taker_fee_asset for trade in trades):
        s.state_balance(order.account, order.other_fee_asset)
    follow_up(s, order)
    for price_ticks in dict.fromkeys(trade.price_ticks for trade in (trades[:1] + trades[-1:])):
        price_event(s, order.instrument, types.TRIGGER_BY_LAST_PRICE, price_ticks)


def unfillable(order: types.Order, course: Plan) -> types.EndReason:
    """Why nothing happens at all, if so little would trade."""
    if order.time_in_force == types.TIME_IN_FORCE_FOK and course.lots < order.quantity_lots:
        return types.END_REASON_FOK_UNFILLABLE
    if order.filled_lots + course.lots < order.min_fill_lots:
        return types.END_REASON_MIN_QUANTITY_UNFILLABLE
    return types.END_REASON_UNSPECIFIED


# --- The plan -------------------------------------------------------------------------------


def plan(s: State, order: types.Order, limit_ticks: int) -> Plan:
    """What the order would do, and whether self-trade prevention or a band would stop it."""
    if s.instruments[order.instrument].phase in GATHERS:
        return Plan([])
    steps: list[Step] = []
    mode = order.self_trade_prevention
    lots_left, quote_left = order.remaining_lots, order.quote_minor
    ahead = Ahead(s, list(within(s, order, limit_ticks)))
    while maker := ahead.first():
        cost = maker.price_ticks * s.instruments[order.instrument].tick_lot_minor
        could = quote_left // cost if order.quote_minor else lots_left
        own = maker.account == order.account and mode != types.SELF_TRADE_PREVENTION_NONE
        if could == 0:
            break
        if outside_dynamic_band(s, maker):
            return Plan(steps, "band")
        if own and mode == types.SELF_TRADE_PREVENTION_CANCEL_TAKER:
            return Plan(steps, "self_trade")
        if own and mode != types.SELF_TRADE_PREVENTION_DECREMENT:
            steps.append(Step("cancel", maker, 0))
            ahead.end(maker)
            if mode == types.SELF_TRADE_PREVENTION_CANCEL_BOTH:
                return Plan(steps, "self_trade")
            continue
        lots = min(could, ahead.left[maker.order_id] if own else ahead.shown[maker.order_id])
        steps.append(Step("decrement" if own else "trade", maker, lots))
        if own and lots == could:
            return Plan(steps, "self_trade")
        if own:
            ahead.end(maker)
        else:
            ahead.trade(maker, lots)
        lots_left, quote_left = lots_left - lots, quote_left - lots * cost
    return Plan(steps)


class Ahead:
    """The resting orders that an incoming one would meet, as they would be when it meets them."""

    def __init__(self, s: State, queue: list[types.Order]) -> None:
        self.queue = queue
        self.left = {order.order_id: order.remaining_lots for order in queue}
        self.shown = {order.order_id: s.shown[order.order_id] for order in queue}

    def first(self) -> types.Order | None:
        return self.queue[0] if self.queue else None

    def trade(self, order: types.Order, lots: int) -> None:
        """Its tip trades."""
        self.left[order.order_id] -= lots
        self.shown[order.order_id] -= lots
        if self.left[order.order_id] == 0:
            self.end(order)
        elif self.shown[order.order_id] == 0:
            self._refresh(order)

    def end(self, order: types.Order) -> None:
        """It is out of the way."""
        self.queue = [other for other in self.queue if other is not order]

    def _refresh(self, order: types.Order) -> None:
        """A new tip, behind all others at its price."""
        self.shown[order.order_id] = min(order.display_lots, self.left[order.order_id])
        self.end(order)
        at = [i for i, o in enumerate(self.queue) if o.price_ticks == order.price_ticks]
        self.queue.insert(at[-1] + 1 if at else 0, order)


def need(s: State, order: types.Order) -> int:
    """What must be available or held: the hold, or what a market order's plan would move."""
    if order.price_ticks or order.state == types.ORDER_STATE_WAITING:
        return hold(s, order)
    instrument = s.instruments[order.instrument]
    steps = plan(s, order, reach(s, order)).steps
    trades = [step for step in steps if step.act == "trade"]
    if order.side == types.SIDE_SELL:
        return sum(step.lots * instrument.lot_minor for step in trades)
    return sum(step.maker.price_ticks * step.lots * instrument.tick_lot_minor for step in trades)


# --- The steps ------------------------------------------------------------------------------


def take(s: State, taker: types.Order, step: Step) -> None:
    maker = step.maker
    if step.act == "trade":
        paid = fill(s, taker, maker, step.lots, maker.price_ticks)
        use_up(s, maker, step.lots)
        state_filled(s, maker, paid[1])
        if other := linked(s, taker):
            close(s, other, types.ORDER_STATE_CANCELLED, types.END_REASON_LINKED)
        follow_up(s, maker, step.lots)
        return
    if step.act == "decrement":
        decrement(s, taker, step.lots, maker.price_ticks)
        decrement(s, maker, step.lots, maker.price_ticks)
    if step.act == "cancel" or maker.remaining_lots == 0:
        close(s, maker, types.ORDER_STATE_CANCELLED, types.END_REASON_SELF_TRADE)
    else:
        state_resting(s, maker)


def fill(
    s: State, taker: types.Order, maker: types.Order, lots: int, price_ticks: int
) -> tuple[Charge, Charge]:
    """One trade: everything moves and the trade is stated. The fees of the taker and the maker."""
    instrument = s.instruments[taker.instrument]
    base = lots * instrument.lot_minor
    quote = price_ticks * lots * instrument.tick_lot_minor
    paid = charges(s, taker, maker, base, quote)
    settle(s, taker, lots, base, quote, paid[0])
    settle(s, maker, lots, base, quote, paid[1])
    instrument.last_price_ticks = price_ticks
    s.trades_given += 1
    s.record.trades.add(
        command=s.command,
        trade_id=s.trades_given * IDS + s.shard,
        instrument=instrument.instrument,
        price_ticks=price_ticks,
        lots=lots,
        taker_side=taker.side,
        taker_order_id=taker.order_id,
        maker_order_id=maker.order_id,
        taker_account=taker.account,
        maker_account=maker.account,
        base_minor=base,
        quote_minor=quote,
        taker_fee_minor=paid[0].minor,
        maker_fee_minor=paid[1].minor,
        base_asset=instrument.base_asset,
        quote_asset=instrument.quote_asset,
        taker_client_order_id=taker.client_order_id,
        maker_client_order_id=maker.client_order_id,
        taker_fee_asset=paid[0].asset,
        maker_fee_asset=paid[1].asset,
        auction=taker.order_id in s.shown,
    )
    return paid


def settle(s: State, order: types.Order, lots: int, base: int, quote: int, paid: Charge) -> None:
    """One side of a trade: what it gives leaves its hold (or available), what it receives comes."""
    buys = order.side == types.SIDE_BUY
    gave, got = (quote, base) if buys else (base, quote)
    held = hold(s, order, lots)
    s.move(order.account, gives(s, order), held - gave, -held)
    s.move(order.account, receives(s, order), got)
    if paid.minor:
        s.move(order.account, paid.asset or receives(s, order), -paid.minor)
        s.move(FEES, paid.asset or receives(s, order), paid.minor)
    touch(s, order)
    order.filled_lots += lots
    order.filled_quote_minor = min(order.filled_quote_minor + quote, TOP)
    if paid.asset:
        order.other_fee_asset = paid.asset
        order.other_fee_minor = min(order.other_fee_minor + paid.minor, TOP)
    else:
        order.fee_minor = min(order.fee_minor + paid.minor, TOP)
    if not order.quote_minor:
        order.remaining_lots -= lots


def use_up(s: State, order: types.Order, lots: int) -> None:
    """A resting order has traded so much of what it shows: perhaps all it has, or only its tip."""
    s.shown[order.order_id] -= lots
    if order.remaining_lots == 0:
        end(s, order, types.ORDER_STATE_FILLED)
    elif s.shown[order.order_id] == 0:
        s.books[order.instrument, order.side].remove(order)
        rest(s, order)


def state_filled(s: State, order: types.Order, paid: Charge) -> None:
    """What is said of a resting order after a fill."""
    state_resting(s, order)
    s.state_balance(order.account, receives(s, order))
    if paid.asset:
        s.state_balance(order.account, paid.asset)


# --- The end --------------------------------------------------------------------------------


def finish(s: State, order: types.Order, limit_ticks: int, course: Plan) -> None:
    """The order has taken all its steps: say how it ended, or let it rest."""
    if course.stop == "self_trade":
        end(s, order, types.ORDER_STATE_CANCELLED, types.END_REASON_SELF_TRADE)
        return
    if is_filled(s, order, limit_ticks, course.lots):
        end(s, order, types.ORDER_STATE_FILLED)
        return
    instrument = s.instruments[order.instrument]
    auction_us = instrument.volatility_auction_us if course.stop == "band" else 0
    if auction_us:
        put_phase(s, instrument, VOLATILITY, s.later(auction_us))
    at_once = order.time_in_force in (types.TIME_IN_FORCE_IOC, types.TIME_IN_FORCE_FOK)
    if course.stop == "band" and (at_once or not auction_us):
        end(s, order, types.ORDER_STATE_EXPIRED, types.END_REASON_PRICE_BAND)
    elif not order.price_ticks:
        end(s, order, types.ORDER_STATE_EXPIRED, types.END_REASON_NO_LIQUIDITY)
    elif at_once:
        end(s, order, types.ORDER_STATE_EXPIRED, types.END_REASON_IOC_REMAINDER)
    else:
        rest(s, order)


def is_filled(s: State, order: types.Order, limit_ticks: int, traded: int) -> bool:
    if not order.quote_minor:
        return order.remaining_lots == 0
    instrument = s.instruments[order.instrument]
    ahead = next(within(s, order, limit_ticks), None)
    price_ticks = ahead.price_ticks if ahead else instrument.last_price_ticks
    left = order.quote_minor - order.filled_quote_minor
    return traded > 0 and left < price_ticks * instrument.tick_lot_minor
