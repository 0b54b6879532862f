"""The messages of the WebSocket, both ways: what a client may send, and what it is told.

Like `shapes`, they validate, encode, and are what the AsyncAPI document is made of.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from services.gateway.shapes import (
    Auction,
    Balance,
    Candle,
    Fill,
    Order,
    Sequence,
    Ticker,
    Time,
    Trade,
)


class TradeMessage(Trade, frozen=True, kw_only=True, tag_field="type", tag="trade"):
    """On `trades.<instrument>`: every trade."""

    channel: str


class TickerMessage(Ticker, frozen=True, kw_only=True, tag_field="type", tag="ticker"):
    """On `ticker.<instrument>`: the latest, at most ten a second."""

    channel: str


class AuctionMessage(Auction, frozen=True, kw_only=True, tag_field="type", tag="auction"):
    """On `auction.<instrument>`: the latest, at most ten a second."""

    channel: str


class CandleMessage(Candle, frozen=True, kw_only=True, tag_field="type", tag="candle"):
    """On `candles.<instrument>.<interval>`: the latest, at most ten a second."""

    channel: str


Shard = Annotated[
    int, Meta(description="Whose sequence it is, in a house of several shards; absent: shard 0.")
]


class OrderMessage(Struct, frozen=True, tag_field="type", tag="order"):
    """On `user.orders`: an order after a change."""

    channel: str
    cursor: str
    sequence: Sequence
    time_us: Time
    order: Order
    shard: Shard | UnsetType = UNSET


class FillMessage(Struct, frozen=True, tag_field="type", tag="fill"):
    """On `user.fills`: a fill."""

    channel: str
    cursor: str
    sequence: Sequence
    time_us: Time
    fill: Fill
    shard: Shard | UnsetType = UNSET


class BalanceMessage(Struct, frozen=True, tag_field="type", tag="balance"):
    """On `user.balances`: a balance after a change, all shards together."""

    channel: str
    cursor: str
    sequence: Sequence
    time_us: Time
    balance: Balance
    shard: Shard | UnsetType = UNSET


RequestId = int | str | None


class Subscribe(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="subscribe"):
    """Listen to channels. `after` continues one private channel behind a cursor."""

    channels: list[str]
    id: RequestId = None
    after: str | None = None


class Unsubscribe(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="unsubscribe"
):
    """Listen no more."""

    channels: list[str]
    id: RequestId = None


class Ping(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="ping"):
    """Answered by a pong."""

    id: RequestId = None


class Authenticate(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="authenticate"
):
    """Say whose socket it is: the text of `GET` `/ws`, window 5000 and an empty body, signed."""

    key: str
    timestamp: str
    signature: str
    id: RequestId = None


class Subscribed(Struct, frozen=True, tag_field="type", tag="subscribed"):
    """These channels are listened to; what they say follows."""

    id: RequestId
    channels: list[str]


class Unsubscribed(Struct, frozen=True, tag_field="type", tag="unsubscribed"):
    """These channels are listened to no more."""

    id: RequestId
    channels: list[str]


class Pong(Struct, frozen=True, tag_field="type", tag="pong"):
    """The answer to a ping."""

    id: RequestId


class Authenticated(Struct, frozen=True, tag_field="type", tag="authenticated"):
    """The socket may subscribe to private channels."""

    id: RequestId


class ErrorMessage(Struct, frozen=True, tag_field="type", tag="error"):
    """A request was refused, with a code of REST or `cursor_gone`."""

    id: RequestId
    code: str
    detail: str


class Closing(Struct, frozen=True, tag_field="type", tag="closing"):
    """The socket is about to be closed."""

    reason: str
