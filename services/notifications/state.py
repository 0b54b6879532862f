"""What an event part tells each account, and the cursors that name a place in an account's stream.

A cursor is `sequence.part.number`: the command, the part of its record, and the count of what that
part told the account up to there. It means the same after a restart, whoever published the part.
"""

import re
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from bourse.matching import v1 as matching
from bourse.notifications import v1 as notifications
from bourse.orders import v1 as orders
from bourse.types import v1 as types

_CURSOR: Final = re.compile(r"(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,9})\.(0|[1-9]\d{0,9})")


LAST_NUMBER: Final = 9_999_999_999
"""Above every number that a part could give out."""


class Cursor(NamedTuple):
    """A place in an account's stream; compares as the stream runs."""

    sequence: int
    part: int
    number: int

    def text(self) -> str:
        """As clients see it."""
        return f"{self.sequence}.{self.part}.{self.number}"


def parse_cursor(text: str) -> Cursor | None:
    """A cursor from what a client sent, or None if it never was one."""
    match = _CURSOR.fullmatch(text)
    return None if match is None else Cursor(*map(int, match.groups()))


def accounts_in(part: matching.EventRecord) -> set[int]:
    """Everybody a part concerns. Whoever traded also has an order that changed."""
    found = {event.order.account for event in part.orders}
    found.update(event.account for event in part.balances)
    return found


def told(
    part: matching.EventRecord, wanted: Collection[int]
) -> Iterator[tuple[int, notifications.Notification]]:
    """(account, notification) for the accounts wanted; of a command fills, orders, balances."""
    numbers: dict[int, int] = {}
    for command, account, body in sorted(_bodies(part, wanted), key=_by_command):
        number = numbers[account] = numbers.get(account, 0) + 1
        sequence = part.first_sequence + command
        body.cursor = Cursor(sequence, part.part, number).text()
        body.sequence, body.time_us, body.account = sequence, part.time_us, account
        yield account, body


def _by_command(found: tuple[int, int, notifications.Notification]) -> int:
    return found[0]


def _bodies(
    part: matching.EventRecord, wanted: Collection[int]
) -> Iterator[tuple[int, int, notifications.Notification]]:
    for trade in part.trades:
        if trade.taker_account in wanted:
            yield trade.command, trade.taker_account, _fill(part, trade, maker=False)
        if trade.maker_account in wanted:
            yield trade.command, trade.maker_account, _fill(part, trade, maker=True)
    for event in part.orders:
        if event.order.account in wanted:
            body = notifications.Notification(order=event.order)
            yield event.command, event.order.account, body
    for balance in part.balances:
        if balance.account in wanted:
            yield balance.command, balance.account, _balance(balance)


def _balance(event: matching.BalanceEvent) -> notifications.Notification:
    balance = notifications.AccountBalance(
        asset=event.asset, available_minor=event.available_minor, held_minor=event.held_minor
    )
    return notifications.Notification(balance=balance)


def _fill(
    part: matching.EventRecord, trade: matching.TradeEvent, *, maker: bool
) -> notifications.Notification:
    opposite = types.SIDE_BUY if trade.taker_side == types.SIDE_SELL else types.SIDE_SELL
    side = opposite if maker else trade.taker_side
    other_asset = trade.maker_fee_asset if maker else trade.taker_fee_asset
    received = trade.base_asset if side == types.SIDE_BUY else trade.quote_asset
    fill = orders.Fill(
        trade_id=trade.trade_id,
        order_id=trade.maker_order_id if maker else trade.taker_order_id,
        client_order_id=trade.maker_client_order_id if maker else trade.taker_client_order_id,
        instrument=trade.instrument,
        side=side,
        maker=maker,
        price_ticks=trade.price_ticks,
        lots=trade.lots,
        fee_asset=other_asset or received,
        fee_minor=trade.maker_fee_minor if maker else trade.taker_fee_minor,
        time_us=part.time_us,
        sequence=part.first_sequence + trade.command,
    )
    return notifications.Notification(fill=fill)
