"""What is due by the clock: the ends of orders, dead man's switches, the ends of phases."""

from typing import NamedTuple

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.accounts import state_account
from tests.model.cascade import work_off
from tests.model.ends import close, close_all
from tests.model.moves import move
from tests.model.orders import orders_of
from tests.model.phases import NEXT
from tests.model.state import State


class Due(NamedTuple):
    """At the same time orders come first, then switches, then phases; each by its number."""

    due_us: int
    kind: int
    number: int


def due(s: State) -> list[Due]:
    """All that the clock has reached."""
    things = [Due(order.expires_us, 0, number) for number, order in s.orders.items()]
    things += [Due(due_us, 1, account) for account, due_us in s.dead_man_us.items()]
    things += [Due(each.phase_until_us, 2, number) for number, each in s.instruments.items()]
    return [thing for thing in things if 0 < thing.due_us <= s.clock_us]


def let_time_act(s: State) -> None:
    """If anything is due it happens under a mark of its own, one thing after the other."""
    if not due(s):
        return
    s.sequence += 1
    while things := due(s):
        act(s, min(things))
        work_off(s)
    s.record.commands.add(kind=matching.COMMAND_KIND_TIME)


def act(s: State, thing: Due) -> None:
    if thing.kind == 0:
        order = s.orders[thing.number]
        close(s, order, types.ORDER_STATE_EXPIRED, types.END_REASON_TIME_REACHED)
    elif thing.kind == 1:
        s.dead_man_us[thing.number] = 0
        state_account(s, thing.number)
        close_all(s, orders_of(s, thing.number), types.END_REASON_DEAD_MAN)
    else:
        instrument = s.instruments[thing.number]
        move(s, instrument, NEXT[instrument.phase])
