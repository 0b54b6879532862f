"""An incoming order meets the book.

A plan says what it would do to the book as it stands: a fill-or-kill and what a market order needs
are decided by it. Then it does what the plan says.
"""

from typing import Literal, NamedTuple

from bourse.types import v1 as types
from tests.model.book import (
    PPM,
    gives,
    hold,
    leave,
    reach,
    receives,
    rest,
    state_resting,
    touch,
    within,
)
from tests.model.state import FEES, IDS, TOP, State


class Step(NamedTuple):
    """What an incoming order does when it meets a resting one."""

    act: Literal["trade", "cancel", "decrement"]
    maker: types.Order
    lots: int


def arrive(s: State, order: types.Order) -> None:
    """An incoming order, its hold taken, meets the book; then it has ended or rests."""
    limit_ticks = reach(s, order)
    steps, stopped = plan(s, order, limit_ticks)
    traded = sum(step.lots for step in steps if step.act == "trade")
    if order.time_in_force == types.TIME_IN_FORCE_FOK and traded < order.quantity_lots:
        end(s, order, types.ORDER_STATE_EXPIRED, types.END_REASON_FOK_UNFILLABLE)
        traded = 0
    else:
        for step in steps:
            take(s, order, step)
        finish(s, order, limit_ticks, stopped, traded)
    s.state_order(order)
    if order.order_id in s.orders:
        s.state_level(order)
    s.state_balance(order.account, gives(s, order))
    if traded:
        s.state_balance(order.account, receives(s, order))


def plan(s: State, order: types.Order, limit_ticks: int) -> tuple[list[Step], bool]:
    """The steps the order would take, and whether self-trade prevention would end it."""
    steps: list[Step] = []
    mode = order.self_trade_prevention
    lots_left, quote_left = order.remaining_lots, order.quote_minor
    for maker in within(s, order, limit_ticks):
        cost = maker.price_ticks * s.instruments[order.instrument].tick_lot_minor
        could = quote_left // cost if order.quote_minor else lots_left
        lots = min(could, maker.remaining_lots)
        own = maker.account == order.account and mode != types.SELF_TRADE_PREVENTION_NONE
        if could == 0:
            break
        if own and mode == types.SELF_TRADE_PREVENTION_CANCEL_TAKER:
            return steps, True
        if own and mode != types.SELF_TRADE_PREVENTION_DECREMENT:
            steps.append(Step("cancel", maker, 0))
            if mode == types.SELF_TRADE_PREVENTION_CANCEL_BOTH:
                return steps, True
            continue
        steps.append(Step("decrement" if own else "trade", maker, lots))
        if own and lots == could:
            return steps, True
        lots_left, quote_left = lots_left - lots, quote_left - lots * cost
        if lots < maker.remaining_lots:
            break
    return steps, False


def need(s: State, order: types.Order) -> int:
    """What must be available or held: the hold, or what a market order's plan would move."""
    if order.type == types.ORDER_TYPE_LIMIT:
        return hold(s, order)
    instrument = s.instruments[order.instrument]
    trades = [step for step in plan(s, order, reach(s, order))[0] if step.act == "trade"]
    if order.side == types.SIDE_SELL:
        return sum(step.lots * instrument.lot_minor for step in trades)
    return sum(step.maker.price_ticks * step.lots * instrument.tick_lot_minor for step in trades)


def take(s: State, taker: types.Order, step: Step) -> None:
    maker = step.maker
    if step.act == "trade":
        trade(s, taker, maker, step.lots)
        return
    if step.act == "decrement":
        decrement(s, taker, step.lots, maker.price_ticks)
        decrement(s, maker, step.lots, maker.price_ticks)
    if step.act == "cancel" or maker.remaining_lots == 0:
        end(s, maker, types.ORDER_STATE_CANCELLED, types.END_REASON_SELF_TRADE)
    state_resting(s, maker)


def decrement(s: State, order: types.Order, lots: int, price_ticks: int) -> None:
    touch(s, order)
    if order.quote_minor:
        order.quote_minor -= price_ticks * lots * s.instruments[order.instrument].tick_lot_minor
        return
    freed = hold(s, order, lots)
    if freed:
        s.move(order.account, gives(s, order), freed, -freed)
    order.quantity_lots -= lots
    order.remaining_lots -= lots


def trade(s: State, taker: types.Order, maker: types.Order, lots: int) -> None:
    instrument = s.instruments[taker.instrument]
    base = lots * instrument.lot_minor
    quote = maker.price_ticks * lots * instrument.tick_lot_minor
    buys = taker.side == types.SIDE_BUY
    taker_fee = fee(s, taker, base if buys else quote, is_taker=True)
    maker_fee = fee(s, maker, quote if buys else base, is_taker=False)
    settle(s, taker, lots, base, quote, taker_fee)
    settle(s, maker, lots, base, quote, maker_fee)
    instrument.last_price_ticks = maker.price_ticks
    state_trade(s, taker, maker, lots, (base, quote), (taker_fee, maker_fee))
    if maker.remaining_lots == 0:
        end(s, maker, types.ORDER_STATE_FILLED)
    state_resting(s, maker)
    s.state_balance(maker.account, receives(s, maker))


def state_trade(
    s: State,
    taker: types.Order,
    maker: types.Order,
    lots: int,
    moved: tuple[int, int],
    fees: tuple[int, int],
) -> None:
    instrument = s.instruments[taker.instrument]
    s.trades_given += 1
    s.record.trades.add(
        command=s.command,
        trade_id=s.trades_given * IDS + s.shard,
        instrument=instrument.instrument,
        price_ticks=maker.price_ticks,
        lots=lots,
        taker_side=taker.side,
        taker_order_id=taker.order_id,
        maker_order_id=maker.order_id,
        taker_account=taker.account,
        maker_account=maker.account,
        base_minor=moved[0],
        quote_minor=moved[1],
        taker_fee_minor=fees[0],
        maker_fee_minor=fees[1],
        base_asset=instrument.base_asset,
        quote_asset=instrument.quote_asset,
        taker_client_order_id=taker.client_order_id,
        maker_client_order_id=maker.client_order_id,
    )


def fee(s: State, order: types.Order, received: int, is_taker: bool) -> int:
    """Rounded up. Negative is a rebate: rounded down, at most what the fee account has."""
    rates = {rate.tier: rate for rate in s.instruments[order.instrument].fees}
    rate = rates.get(s.accounts[order.account].fee_tier, rates[0])
    ppm = rate.taker_fee_ppm if is_taker else rate.maker_fee_ppm
    if ppm >= 0:
        return -(-received * ppm // PPM)
    chest = s.balance(FEES, receives(s, order)).available_minor
    return -min(received * -ppm // PPM, chest)


def settle(s: State, order: types.Order, lots: int, base: int, quote: int, fee_minor: int) -> None:
    """One side of a trade: what it gives leaves its hold (or available), what it receives comes."""
    buys = order.side == types.SIDE_BUY
    gave, got = (quote, base) if buys else (base, quote)
    held = hold(s, order, lots)
    s.move(order.account, gives(s, order), held - gave, -held)
    s.move(order.account, receives(s, order), got - fee_minor)
    s.move(FEES, receives(s, order), fee_minor)
    touch(s, order)
    order.filled_lots += lots
    order.filled_quote_minor = min(order.filled_quote_minor + quote, TOP)
    order.fee_minor = min(order.fee_minor + fee_minor, TOP)
    if not order.quote_minor:
        order.remaining_lots -= lots


def finish(s: State, order: types.Order, limit_ticks: int, stopped: bool, traded: int) -> None:
    """The order has taken all its steps: say how it ended, or let it rest."""
    if stopped:
        end(s, order, types.ORDER_STATE_CANCELLED, types.END_REASON_SELF_TRADE)
    elif is_filled(s, order, limit_ticks, traded):
        end(s, order, types.ORDER_STATE_FILLED)
    elif order.type == types.ORDER_TYPE_MARKET:
        end(s, order, types.ORDER_STATE_EXPIRED, types.END_REASON_NO_LIQUIDITY)
    elif order.time_in_force == types.TIME_IN_FORCE_IOC:
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


def end(
    s: State,
    order: types.Order,
    state: types.OrderState,
    reason: types.EndReason = types.END_REASON_UNSPECIFIED,
) -> None:
    """It leaves the book, its hold is released, and the memory of its name begins to run."""
    freed = hold(s, order)
    if freed:
        s.move(order.account, gives(s, order), freed, -freed)
    if order.order_id in s.orders:
        leave(s, order)
    touch(s, order)
    order.state = state
    order.reason = reason
    if order.client_order_id:
        s.names[order.account, order.client_order_id].ended_us = s.clock_us
