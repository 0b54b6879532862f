"""Pages of orders, newest first, and the cursors that say where one ends.

Ids of one shard grow with time, and those of several do not: so a cursor is an order's time and id,
as history has it too.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from bourse.types import v1 as types
from services.gateway.problems import invalid

_CURSOR: Final = re.compile(r"(0|[1-9][0-9]{0,18})\.([1-9][0-9]{0,18})", re.ASCII)


class Place(NamedTuple):
    """The place of an order in a list; a lower one is further down."""

    created_us: int
    order_id: int


class Page(NamedTuple):
    """Some orders, newest first, and what they were true at in each shard."""

    orders: list[types.Order]
    more: bool
    """There are others below them."""
    at: Mapping[int, int]


def read_cursor(text: object) -> Place | None:
    """The place that a cursor names; None for the first page. Raises Problem."""
    if not isinstance(text, str):
        return None
    cursor = _CURSOR.fullmatch(text)
    if cursor is None:
        raise invalid("/cursor", "It is no cursor.")
    return Place(int(cursor[1]), int(cursor[2]))


def write_cursor(place: Place) -> str:
    """The cursor that names a place."""
    return f"{place.created_us}.{place.order_id}"


def place_of(order: types.Order) -> Place:
    """Where an order stands."""
    return Place(order.created_us, order.order_id)


def newest(orders: Iterable[types.Order], limit: int, at: Mapping[int, int], *, more: bool) -> Page:
    """The newest of some orders. `more`: there are others below them anyway."""
    in_order = sorted(orders, key=place_of, reverse=True)
    return Page(in_order[:limit], more or len(in_order) > limit, at)
