"""Orders that are placed together, and orders that take another's place."""

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.book import Reasons, first
from tests.model.ends import close
from tests.model.orders import find, missing, new_order, start, take_in
from tests.model.prices import wait
from tests.model.reasons import (
    Beside,
    refused,
    why_not_command,
    why_not_exit,
    why_not_order,
)
from tests.model.state import State

OF_TARGET = (matching.REFUSAL_ORDER_UNKNOWN, matching.REFUSAL_ORDER_ENDED)


# --- Groups ---------------------------------------------------------------------------------


def place_group(s: State, command: matching.Command) -> matching.Outcome:
    """All of its orders, or none and the member that is the reason."""
    group = command.place_group
    orders = members(s, command)
    name = s.names.get((command.account, group.first.client_order_id))
    if name and name.body == group:
        return matching.Outcome(repeated=True, order=types.Order(order_id=name.order_id))
    member, refusal = why_not_group(s, command, orders)
    if refusal:
        outcome = refused(s, refusal, orders[member], Beside(orders[:member]))
        outcome.member = member + 1
        return outcome
    for order in orders:
        take_in(s, order, group)
    s.own = orders
    if group.kind == types.GROUP_KIND_BRACKET:
        for exit_order in orders[1:]:
            s.dormant.add(exit_order.order_id)
            wait(s, exit_order)
        start(s, orders[0])
    else:
        for order in orders:
            start(s, order)
    return matching.Outcome(order=orders[0], others=orders[1:])


def members(s: State, command: matching.Command) -> list[types.Order]:
    group = command.place_group
    bodies = [group.first, group.second, *([group.third] if group.HasField("third") else [])]
    orders = [new_order(s, command.account, body, i) for i, body in enumerate(bodies)]
    for member, order in enumerate(orders):
        order.group, order.group_kind, order.group_member = orders[0].order_id, group.kind, member
        if is_exit(order):
            order.state = types.ORDER_STATE_WAITING
    return orders


def is_exit(order: types.Order) -> bool:
    return order.group_kind == types.GROUP_KIND_BRACKET and order.group_member > 0


def why_not_group(
    s: State, command: matching.Command, orders: list[types.Order]
) -> tuple[int, matching.Refusal]:
    """The first member that would be refused, and why; no reason if none would be."""
    names = [order.client_order_id for order in orders]
    for member, name in enumerate(names):
        if name and ((command.account, name) in s.names or name in names[:member]):
            return member, matching.REFUSAL_CLIENT_ORDER_ID_REUSED
    if refusal := first(why_not_command(s, command)):
        return 0, refusal
    for member, order in enumerate(orders):
        if refusal := first(why_not_member(s, order, Beside(orders[:member]))):
            return member, refusal
    return 0, matching.REFUSAL_UNSPECIFIED


def why_not_member(s: State, order: types.Order, beside: Beside) -> Reasons:
    yield order.instrument not in s.instruments, matching.REFUSAL_INSTRUMENT_UNKNOWN
    yield from (why_not_exit if is_exit(order) else why_not_order)(s, order, beside)


# --- Replacing ------------------------------------------------------------------------------


def replace(s: State, command: matching.Command) -> matching.Outcome:
    """A new order in the place of another, or neither."""
    body = command.replace_order
    name = s.names.get((command.account, body.order.client_order_id))
    if name and name.body == body:
        return matching.Outcome(repeated=True, order=types.Order(order_id=name.order_id))
    order, target = new_order(s, command.account, body.order), find(s, command.account, body)
    beside = Beside(gone=target)
    if refusal := first(why_not_replace(s, command, order, target)):
        outcome = refused(s, refusal, order, beside)
        outcome.member = 1 if refusal in OF_TARGET else 2
        return outcome
    assert target is not None, "an order that was not found was refused"
    take_in(s, order, body)
    s.own = [order, target]
    close(s, target, types.ORDER_STATE_CANCELLED, types.END_REASON_REPLACED)
    start(s, order)
    return matching.Outcome(order=order, others=[target])


def why_not_replace(
    s: State, command: matching.Command, order: types.Order, target: types.Order | None
) -> Reasons:
    body = command.replace_order
    name = (order.account, order.client_order_id)
    yield name in s.names, matching.REFUSAL_CLIENT_ORDER_ID_REUSED
    yield from why_not_command(s, command)
    yield order.instrument not in s.instruments, matching.REFUSAL_INSTRUMENT_UNKNOWN
    yield target is None, missing(s, command.account, body)
    assert target is not None, "the reason before holds otherwise"
    same = (order.instrument, order.side) == (target.instrument, target.side)
    yield not same, matching.REFUSAL_REPLACEMENT_DIFFERS
    yield from why_not_order(s, order, Beside(gone=target))
