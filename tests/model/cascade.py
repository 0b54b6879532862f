"""What a command or a thing that was due sets going: the queue, worked off to its end."""

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.arrival import arrive
from tests.model.book import Reasons, first, gives, hold, leave, touch
from tests.model.ends import close, linked
from tests.model.phases import CONTINUOUS
from tests.model.prices import WAITS, meets, price_of, wait
from tests.model.reasons import suspended, why_not_now, why_not_size
from tests.model.state import State


def work_off(s: State) -> None:
    """Look at each order in the queue, those that come to it meanwhile too."""
    while s.queue:
        order = s.queue.pop(0)
        if order.order_id in s.dormant:
            let_out(s, order)
        elif s.instruments[order.instrument].phase != CONTINUOUS:
            s.give_place(order)
        else:
            order.triggered_us = s.clock_us
            leave(s, order)
            if other := linked(s, order):
                close(s, other, types.ORDER_STATE_CANCELLED, types.END_REASON_LINKED)
            launch(s, order)


def let_out(s: State, exit_order: types.Order) -> None:
    """The entry of this exit has ended."""
    if exit_order.quantity_lots == 0:
        close(s, exit_order, types.ORDER_STATE_CANCELLED, types.END_REASON_LINKED)
        return
    touch(s, exit_order)
    continuous = s.instruments[exit_order.instrument].phase == CONTINUOUS
    if exit_order.type in WAITS:
        s.dormant.discard(exit_order.order_id)
        wait(s, exit_order)
        if continuous and meets(exit_order, price_of(s, exit_order)):
            s.queue.append(exit_order)
    elif continuous:
        leave(s, exit_order)
        launch(s, exit_order)
    else:
        s.state_order(exit_order)


def launch(s: State, order: types.Order) -> None:
    """It has left where it waited, and is an order like any other or would be refused."""
    touch(s, order)
    now = types.Order()
    now.CopyFrom(order)
    now.state = types.ORDER_STATE_OPEN
    if first(why_not_launch(s, now)):
        close(s, order, types.ORDER_STATE_EXPIRED, types.END_REASON_TRIGGER_REFUSED)
        return
    order.state = types.ORDER_STATE_OPEN
    held = hold(s, order)
    if held:
        s.move(order.account, gives(s, order), -held, held)
    arrive(s, order)


def why_not_launch(s: State, order: types.Order) -> Reasons:
    """What would be refused if it were placed now, and was not asked when it was."""
    order.expires_us = 0
    yield suspended(s, order.account), matching.REFUSAL_ACCOUNT_SUSPENDED
    yield from why_not_size(s, order)
    yield from why_not_now(s, order)
