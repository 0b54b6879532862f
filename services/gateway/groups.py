"""R-GROUP: what orders that belong together may look like, each by itself and to each other.

The body is read order by order, so that a mistake is named with its pointer: `/orders/1/price`.
"""

from typing import Annotated, Final

from msgspec import UNSET, Meta, Raw, Struct

from services.gateway import shapes, shaping
from services.gateway.problems import Problem
from services.gateway.reading import PRECEDENCE, Reader
from services.gateway.shapes import FieldError, NewGroup, NewOrder
from services.gateway.shaping import Decimals, Mistakes
from services.gateway.terms import WAITING

_FIRST_EXIT: Final = 1


class _Envelope(Struct, forbid_unknown_fields=True, frozen=True):
    """A group whose orders are not read yet."""

    kind: shapes.GroupKind
    orders: Annotated[list[Raw], Meta(min_length=2, max_length=3)]


class GroupReader(Reader[NewGroup]):
    """Reads a group: its orders are bodies of their own."""

    def __init__(self) -> None:
        super().__init__(NewGroup)
        self._envelope = Reader(_Envelope)
        self._order = Reader(NewOrder)

    def body(self, data: bytes) -> NewGroup:
        """The body as a group. Raises Problem with every mistake in it."""
        envelope = self._envelope.body(data)
        orders: list[NewOrder] = []
        problems: list[Problem] = []
        for index, raw in enumerate(envelope.orders):
            try:
                orders.append(self._order.body(bytes(raw)))
            except Problem as problem:
                problem.errors = _at(index, problem.errors)
                problems.append(problem)
        if problems:
            raise _joined(problems)
        return NewGroup(envelope.kind, orders)


def _at(index: int, errors: list[FieldError]) -> list[FieldError]:
    return [FieldError(f"/orders/{index}{error.pointer}", error.detail) for error in errors]


def _joined(problems: list[Problem]) -> Problem:
    """One problem for several orders, with the code that goes before the others."""
    found = {problem.code for problem in problems}
    code = next((code for code in PRECEDENCE if code in found), problems[0].code)
    errors = [error for problem in problems for error in problem.errors]
    detail = "; ".join(f"{error.pointer}: {error.detail}" for error in errors[:5])
    return Problem(code, detail, errors=errors)


def check_group(group: NewGroup) -> list[Decimals]:
    """The decimals of a group whose shape is right. Raises Problem with all that is wrong."""
    is_bracket = group.kind == "bracket"
    missing: list[FieldError] = []
    wrong = list(_of_bracket(group.orders) if is_bracket else _of_oco(group.orders))
    members: list[Decimals] = []
    for index, order in enumerate(group.orders):
        is_exit = is_bracket and index >= _FIRST_EXIT
        decimals, mistakes = shaping.look_at(order, sized=not is_exit)
        members.append(decimals)
        missing += _at(index, mistakes.missing)
        wrong += _at(index, [*mistakes.wrong, *(_of_exit(order) if is_exit else ())])
    wrong += _of_all(group.orders)
    Mistakes(missing, wrong).none_or_raise()
    return members


def _of_all(orders: list[NewOrder]) -> list[FieldError]:
    symbol = orders[0].instrument
    return [
        FieldError(f"/orders/{index}/instrument", "A group is in one instrument.")
        for index, order in enumerate(orders)
        if order.instrument != symbol
    ]


def _of_oco(orders: list[NewOrder]) -> list[FieldError]:
    """Two orders of one side; each waits or, one of them at most, is post-only."""
    wrong = []
    if len(orders) != 2:
        wrong.append(FieldError("/orders", "An oco has two orders."))
    if orders[1].side != orders[0].side:
        wrong.append(FieldError("/orders/1/side", "The orders of an oco are of one side."))
    for index, order in enumerate(orders):
        if order.type not in WAITING and not order.post_only:
            detail = "An order of an oco waits, or is a post-only limit order."
            wrong.append(FieldError(f"/orders/{index}/type", detail))
    if all(order.post_only for order in orders):
        wrong.append(FieldError("/orders/1/post_only", "One of the two has to wait."))
    return wrong


def _of_bracket(orders: list[NewOrder]) -> list[FieldError]:
    """An entry by quantity that does not wait; exits of the other side, one that rests at most."""
    entry, *exits = orders
    wrong = []
    if entry.type in WAITING:
        wrong.append(FieldError("/orders/0/type", "The entry of a bracket does not wait."))
    if entry.quote_quantity is not UNSET:
        detail = "The entry of a bracket has a quantity."
        wrong.append(FieldError("/orders/0/quote_quantity", detail))
    for index, order in enumerate(exits, _FIRST_EXIT):
        if order.side == entry.side:
            detail = "An exit is of the other side than its entry."
            wrong.append(FieldError(f"/orders/{index}/side", detail))
    if sum(order.type == "limit" for order in exits) > 1:
        wrong.append(FieldError("/orders/2/type", "One of two exits has to wait."))
    return wrong


def _of_exit(order: NewOrder) -> list[FieldError]:
    """An exit is as much as its entry has traded, and plain if it is a limit order."""
    follows = "An exit is as much as its entry has traded."
    limit = order.type == "limit"
    rules = (
        (order.quantity is not UNSET, "/quantity", follows),
        (order.quote_quantity is not UNSET, "/quote_quantity", follows),
        (order.type == "market", "/type", "An exit waits, or is a limit order."),
        (order.display_quantity is not UNSET, "/display_quantity", "An exit is shown whole."),
        (order.min_fill_quantity is not UNSET, "/min_fill_quantity", "An exit has no least fill."),
        (order.post_only, "/post_only", "An exit is not post-only."),
        (
            limit and order.time_in_force is not UNSET and order.time_in_force != "gtc",
            "/time_in_force",
            "An exit that is a limit order is gtc.",
        ),
    )
    return [FieldError(pointer, detail) for broken, pointer, detail in rules if broken]
