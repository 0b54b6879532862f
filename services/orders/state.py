"""What event records mean for history: the newest state of each order, and two fills a trade.

Orders are stated as they are after a change, so of several states in a batch only the last is
kept. Rows are tuples in the order of `ORDER_COLUMNS` and `FILL_COLUMNS`; the tables have the same.
"""

import re
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from bourse.matching import v1 as matching
from bourse.orders import v1 as orders
from bourse.types import v1 as types

Row: TypeAlias = tuple[Any, ...]

ORDER_FIELDS: Final = (
    "account",
    "order_id",
    "instrument",
    "side",
    "type",
    "time_in_force",
    "post_only",
    "self_trade_prevention",
    "client_order_id",
    "price_ticks",
    "quantity_lots",
    "quote_minor",
    "state",
    "reason",
    "remaining_lots",
    "filled_lots",
    "filled_quote_minor",
    "fee_asset",
    "fee_minor",
    "created_us",
    "updated_us",
    "sequence",
    "trigger_ticks",
    "trigger_by",
    "trail_ticks",
    "trail_ppm",
    "activation_ticks",
    "peak_ticks",
    "triggered_us",
    "display_lots",
    "min_fill_lots",
    "expires_us",
    "protection_ticks",
    "group",
    "group_kind",
    "group_member",
    "other_fee_asset",
    "other_fee_minor",
)
"""Fields of an order as the contract names them, and as the table does."""

ORDER_COLUMNS: Final = (*ORDER_FIELDS, "ends")
"""`ends` counts how often the order was said to have ended."""

FILL_COLUMNS: Final = (
    "account",
    "trade_id",
    "maker",
    "order_id",
    "client_order_id",
    "instrument",
    "side",
    "price_ticks",
    "lots",
    "quote_minor",
    "fee_asset",
    "fee_minor",
    "time_us",
    "sequence",
)

_LIVE: Final = (int(types.ORDER_STATE_OPEN), int(types.ORDER_STATE_WAITING))
_UNSTATED: Final = frozenset({"trigger_ticks", "peak_ticks"})
"""What follows the price while an order waits, without being stated."""
_BUY: Final = int(types.SIDE_BUY)
_SELL: Final = int(types.SIDE_SELL)

# One call in C for all fields: a comprehension over them costs three times as much.
_order_row = attrgetter(*ORDER_FIELDS)
_common = attrgetter("instrument", "price_ticks", "lots", "quote_minor")
_taker = attrgetter(
    "taker_account",
    "trade_id",
    "taker_order_id",
    "taker_client_order_id",
    "taker_fee_minor",
    "taker_fee_asset",
)
_maker = attrgetter(
    "maker_account",
    "trade_id",
    "maker_order_id",
    "maker_client_order_id",
    "maker_fee_minor",
    "maker_fee_asset",
)


def order_rows(records: Iterable[matching.EventRecord]) -> list[Row]:
    """The newest state of each order that changed, by account and order id."""
    newest: dict[int, types.Order] = {}
    ends: dict[int, int] = {}
    for record in records:
        for event in record.orders:
            order = event.order
            order_id = order.order_id
            newest[order_id] = order
            if order.state not in _LIVE:
                ends[order_id] = ends.get(order_id, 0) + 1
    return sorted((*_order_row(order), ends.get(id_, 0)) for id_, order in newest.items())


def fill_rows(records: Iterable[matching.EventRecord]) -> list[Row]:
    """Both sides of each trade, the taker's first."""
    rows: list[Row] = []
    for record in records:
        time_us, first = record.time_us, record.first_sequence
        for trade in record.trades:
            when = (time_us, first + trade.command)
            bought, sold = trade.base_asset, trade.quote_asset
            if trade.taker_side == _BUY:
                sides = (_BUY, bought), (_SELL, sold)
            else:
                sides = (_SELL, sold), (_BUY, bought)
            common = _common(trade)
            rows.append(_fill_row(_taker(trade), False, sides[0], common, when))
            rows.append(_fill_row(_maker(trade), True, sides[1], common, when))
    return rows


def _fill_row(own: Row, maker: bool, side: Row, common: Row, when: Row) -> Row:
    account, trade_id, order_id, name, fee_minor, other_fee_asset = own
    instrument, *amounts = common
    place = (account, trade_id, maker, order_id, name, instrument, side[0])
    return (*place, *amounts, other_fee_asset or side[1], fee_minor, *when)


class _Named(Protocol):
    """A row whose columns have names."""

    def __getitem__(self, name: str, /) -> Any: ...


def order_of(row: _Named) -> types.Order:
    """An order from its row."""
    return types.Order(**{name: row[name] for name in ORDER_FIELDS})


def fill_of(row: Iterable[Any]) -> orders.Fill:
    """A fill from its row; whose it is is known, and the amount of quote is for checks only."""
    named = dict(zip(FILL_COLUMNS, row, strict=True))
    del named["account"], named["quote_minor"]
    return orders.Fill(**named)


class OrderCursor(NamedTuple):
    """A place in an account's orders of all shards, newest first."""

    created_us: int
    order_id: int

    def text(self) -> str:
        """As clients see it."""
        return f"{self.created_us}.{self.order_id}"


class FillCursor(NamedTuple):
    """A place in an account's fills of all shards, newest first. Of a trade the maker's side is the
    newer one."""

    time_us: int
    trade_id: int
    maker: bool

    def text(self) -> str:
        """As clients see it."""
        return f"{self.time_us}.{self.trade_id}.{int(self.maker)}"


_TOP: Final = 2**63 - 1

NEWEST_ORDER: Final = OrderCursor(_TOP, _TOP)
"""Before the first page."""
NEWEST_FILL: Final = FillCursor(_TOP, _TOP, True)
"""Before the first page."""

_PAGE: Final = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})", re.ASCII)
_CURSOR: Final = re.compile(rf"{_PAGE.pattern}\.([01])", re.ASCII)


def parse_page(text: str) -> OrderCursor | None:
    """A place in orders from what a client sent; None if it never was one."""
    found = _PAGE.fullmatch(text)
    return None if found is None else OrderCursor(*_time_and_id(found))


def parse_cursor(text: str) -> FillCursor | None:
    """A place in fills from what a client sent; None if it never was one."""
    found = _CURSOR.fullmatch(text)
    return None if found is None else FillCursor(*_time_and_id(found), found[3] == "1")


def _time_and_id(found: re.Match[str]) -> tuple[int, int]:
    return min(int(found[1]), _TOP), min(int(found[2]), _TOP)


def difference(ours: types.Order | None, theirs: types.Order | None, sequence: int) -> str | None:
    """What differs between an order as history has it and as the core had it, open, at a sequence.

    One of the two may be missing, not both. History may be later: what changed after `sequence` is
    not compared, for it keeps the newest state only.
    """
    if ours is None:
        order_id = theirs.order_id if theirs else 0
        return f"order {order_id} is open in the core and not in history"
    if ours.sequence <= sequence:
        for field in _differing(ours, theirs):
            return f"order {ours.order_id}, sequence {ours.sequence}: {field}"
    return None


def _differing(ours: types.Order, theirs: types.Order | None) -> Iterator[str]:
    if theirs is None:
        if ours.state in _LIVE:
            yield "open in history and not in the core"
        return
    waits = theirs.state == types.ORDER_STATE_WAITING
    for name in ORDER_FIELDS:
        if waits and name in _UNSTATED:
            continue
        here, there = getattr(ours, name), getattr(theirs, name)
        if here != there:
            yield f"{name} is {here} in history and {there} in the core"
