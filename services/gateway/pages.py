"""Pages of orders, newest first, and the cursors that say where one ends.

Ids of one shard grow with time, so there a cursor is an order's id. Those of several shards do
not: there it is the order's time and id, as history has it too.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from bourse.types import v1 as types
from services.gateway.problems import invalid
from services.gateway.rest import number

_CURSOR: Final = re.compile(r"(0|[1-9][0-9]{0,18})\.([1-9][0-9]{0,18})", re.ASCII)


class Place(NamedTuple):
    """The place of an order in a list; a lower one is further down."""

    created_us: int
    """0 in a house of one shard."""
    order_id: int


class Page(NamedTuple):
    """Some orders, newest first, and what they were true at in each shard."""

    orders: list[types.Order]
    more: bool
    """There are others below them."""
    at: Mapping[int, int]


class Cursors:
    """Reads and writes the places of a house."""

    def __init__(self, *, is_several: bool) -> None:
        """`is_several`: the house has more than one shard."""
        self._is_several = is_several

    def read(self, text: object) -> Place | None:
        """The place that a cursor names; None for the first page. Raises Problem."""
        if not self._is_several:
            order_id = number(text, "/cursor")
            return Place(0, order_id) if order_id else None
        if not isinstance(text, str):
            return None
        cursor = _CURSOR.fullmatch(text)
        if cursor is None:
            raise invalid("/cursor", "It is no cursor.")
        return Place(int(cursor[1]), int(cursor[2]))

    def write(self, place: Place) -> str:
        """The cursor that names a place."""
        return f"{place.created_us}.{place.order_id}" if self._is_several else f"{place.order_id}"

    def place(self, order: types.Order) -> Place:
        """Where an order stands."""
        return Place(order.created_us if self._is_several else 0, order.order_id)

    def page(
        self, orders: Iterable[types.Order], limit: int, at: Mapping[int, int], *, more: bool
    ) -> Page:
        """The newest of some orders. `more`: there are others below them anyway."""
        newest = sorted(orders, key=self.place, reverse=True)
        return Page(newest[:limit], more or len(newest) > limit, at)
