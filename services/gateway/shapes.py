"""The public shapes: what a request may hold and what an answer does. The contract of the edge.

Requests are validated with these types, answers are written from them, and the OpenAPI and AsyncAPI
documents are made of them, so that the three cannot differ.
"""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from services.domain import ids

Decimal = Annotated[
    str,
    Meta(
        description="A decimal in plain notation, never with an exponent.",
        examples=["0.1"],
        extra_json_schema={"pattern": r"^-?[0-9]+(\.[0-9]+)?$"},
    ),
]
Positive = Annotated[
    str,
    Meta(
        description="A decimal above zero in plain notation, never with an exponent.",
        examples=["0.1"],
        extra_json_schema={"pattern": r"^[0-9]+(\.[0-9]+)?$"},
    ),
]
Id = Annotated[str, Meta(description="A number in digits.", examples=["1029384"])]
ClientOrderId = Annotated[
    str,
    Meta(
        description="The owner's name for its order.",
        examples=["a-1"],
        extra_json_schema={"pattern": f"^{ids.CLIENT_ORDER_ID}$"},
    ),
]
Symbol = Annotated[str, Meta(description="An instrument.", examples=["BTC-USD"])]
Code = Annotated[str, Meta(description="An asset.", examples=["USD"])]
Time = Annotated[int, Meta(description="Microseconds since 1970 UTC.")]
Sequence = Annotated[int, Meta(description="The engine's count of commands; never restarts.")]
Bound = Annotated[
    int, Meta(ge=0, le=2**63 - 1, description="Microseconds since 1970 UTC; 0 is no bound.")
]
Moment = Annotated[int, Meta(ge=1, le=2**63 - 1, description="Microseconds since 1970 UTC.")]
Cursor = Annotated[str, Meta(description="The next_cursor of the page before.")]
Limit = Annotated[int, Meta(ge=1, le=1000, description="At most this many.")]

Side = Literal["buy", "sell"]
OrderType = Literal[
    "limit",
    "market",
    "stop",
    "stop_limit",
    "take_profit",
    "take_profit_limit",
    "trailing_stop",
]
TimeInForce = Literal["gtc", "ioc", "fok", "gtd", "gfa"]
TriggerBy = Literal["last", "mark"]
GroupKind = Literal["oco", "bracket"]
SelfTradePrevention = Literal["none", "cancel_maker", "cancel_taker", "cancel_both", "decrement"]
State = Literal["open", "filled", "cancelled", "expired", "waiting"]
Interval = Literal["1m", "5m", "1h", "1d"]
RoomState = Literal["serving", "degraded"]
Scope = Literal["read", "trade", "withdraw"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "trade", "withdraw")


class NewOrder(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /orders`."""

    instrument: Symbol
    side: Side
    type: OrderType = "limit"
    quantity: Positive | UnsetType = UNSET
    quote_quantity: Positive | UnsetType = UNSET
    price: Positive | UnsetType = UNSET
    time_in_force: TimeInForce | UnsetType = UNSET
    post_only: bool = False
    self_trade_prevention: SelfTradePrevention | UnsetType = UNSET
    client_order_id: ClientOrderId | UnsetType = UNSET
    trigger_price: Positive | UnsetType = UNSET
    trigger_by: TriggerBy | UnsetType = UNSET
    trail: Positive | UnsetType = UNSET
    trail_ppm: Annotated[int, Meta(ge=1, le=500_000)] | UnsetType = UNSET
    activation_price: Positive | UnsetType = UNSET
    expires_us: Moment | UnsetType = UNSET
    display_quantity: Positive | UnsetType = UNSET
    min_fill_quantity: Positive | UnsetType = UNSET
    protection_price: Positive | UnsetType = UNSET


class NewGroup(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /orders/groups`: two orders of an OCO, or an entry and its exits."""

    kind: GroupKind
    orders: Annotated[list[NewOrder], Meta(min_length=2, max_length=3)]


class DeadMan(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `PUT /dead-man`: 0 is off, else 1,000 to 86,400,000."""

    timeout_ms: Annotated[int, Meta(ge=0, le=86_400_000)]


class Amendment(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `PATCH /orders/…`: at least one of the two."""

    price: Positive | UnsetType = UNSET
    quantity: Positive | UnsetType = UNSET


class NoQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """A route that takes no parameters."""


class InstrumentQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """One instrument, or all."""

    instrument: Symbol | UnsetType = UNSET


class OrdersQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """Which orders; `from_us` is inclusive, `to_us` exclusive, both of `created_us`."""

    instrument: Symbol | UnsetType = UNSET
    state: State | UnsetType = UNSET
    from_us: Bound = 0
    to_us: Bound = 0
    limit: Limit = 100
    cursor: Cursor | UnsetType = UNSET


class FillsQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """Which fills; `from_us` is inclusive, `to_us` exclusive."""

    instrument: Symbol | UnsetType = UNSET
    order_id: Id | UnsetType = UNSET
    from_us: Bound = 0
    to_us: Bound = 0
    limit: Limit = 100
    cursor: str = ""


class OrderbookQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """How many levels of each side."""

    depth: Annotated[int, Meta(ge=1, le=1000)] = 100


class TradesQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """How many trades, and before which (exclusive)."""

    limit: Limit = 100
    before: Id | UnsetType = UNSET


class CandlesQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """Which candles: the first ones if `from_us` is given, else the last ones."""

    interval: Interval = "1m"
    from_us: Bound = 0
    to_us: Bound = 0
    limit: Limit = 100


class Amount(Struct, frozen=True):
    """So much of an asset; a negative fee is a rebate."""

    asset: Code
    amount: Decimal


class OrderFill(Struct, frozen=True):
    """What an order traded at once."""

    trade_id: Id
    price: Decimal
    quantity: Decimal
    fee: Amount
    liquidity: Literal["maker", "taker"]
    time_us: Time


class Fill(Struct, frozen=True):
    """One account's side of a trade."""

    trade_id: Id
    order_id: Id
    client_order_id: str | None
    instrument: Symbol
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Amount
    liquidity: Literal["maker", "taker"]
    time_us: Time
    sequence: Sequence


class Order(Struct, frozen=True):
    """An order as it stands. `fills` is there where the contract says so."""

    order_id: Id
    client_order_id: str | None
    instrument: Symbol
    side: Side
    type: OrderType
    price: Decimal | None
    quantity: Decimal | None
    quote_quantity: Decimal | None
    time_in_force: TimeInForce
    post_only: bool
    self_trade_prevention: SelfTradePrevention
    state: State
    reason: str | None
    filled_quantity: Decimal
    remaining_quantity: Decimal | None
    filled_quote: Decimal
    fees: list[Amount]
    created_us: Time
    updated_us: Time
    sequence: Sequence
    trigger_price: Decimal | None = None
    trigger_by: TriggerBy | None = None
    trail: Decimal | None = None
    trail_ppm: int | None = None
    activation_price: Decimal | None = None
    peak_price: Decimal | None = None
    triggered_us: Time | None = None
    expires_us: Time | None = None
    display_quantity: Decimal | None = None
    min_fill_quantity: Decimal | None = None
    protection_price: Decimal | None = None
    group: Id | None = None
    group_kind: GroupKind | None = None
    fills: list[OrderFill] | UnsetType = UNSET


class ShardSequence(Struct, frozen=True):
    """How far a shard had come."""

    shard: int
    sequence: Sequence


ShardSequences = Annotated[
    list[ShardSequence],
    Meta(description="Where there are several shards: how far each that was read had come."),
]


class Orders(Struct, frozen=True):
    """A page of orders, newest first."""

    orders: list[Order]
    next_cursor: str | None
    sequence: Sequence
    sequences: ShardSequences | UnsetType = UNSET


class Group(Struct, frozen=True):
    """The orders of a group, in the order in which they were sent."""

    orders: list[Order]


class Replaced(Struct, frozen=True):
    """The order that was cancelled, and the one in its place."""

    cancelled: Order
    order: Order


class Fills(Struct, frozen=True):
    """A page of fills, newest first."""

    fills: list[Fill]
    next_cursor: str | None
    sequence: Sequence
    sequences: ShardSequences | UnsetType = UNSET


class Cancelled(Struct, frozen=True):
    """What a cancel of all ended."""

    cancelled: list[Id]


class Balance(Struct, frozen=True):
    """What an account has of an asset; `in_transit` where some of it is between two shards."""

    asset: Code
    available: Decimal
    held: Decimal
    in_transit: Decimal | UnsetType = UNSET


class Balances(Struct, frozen=True):
    """What an account has."""

    balances: list[Balance]
    sequences: list[ShardSequence]


class Fees(Struct, frozen=True):
    """What an instrument charges the account, parts per million of what it receives."""

    instrument: Symbol
    maker_fee_ppm: int
    taker_fee_ppm: int


class Account(Struct, frozen=True):
    """The account of the key."""

    account_id: Id
    name: str
    fee_tier: int
    fees: list[Fees]
    self_trade_prevention: SelfTradePrevention
    scopes: list[Scope]
    max_open_orders: int | None
    max_commands_per_second: int | None
    pays_fee_asset: bool
    dead_man_us: Time | None


class Switch(Struct, frozen=True):
    """The dead man's switch: when it cancels everything unless it is renewed; null: it is off."""

    dead_man_us: Time | None


class Now(Struct, frozen=True):
    """The gateway's clock."""

    time_us: Time


class Health(Struct, frozen=True, omit_defaults=True):
    """Which rooms answer: `serving`, `degraded` (orders are taken), or `unavailable`."""

    status: Literal["serving", "degraded", "unavailable"]
    rooms: dict[str, RoomState]
    halted: list[int] | UnsetType = UNSET
    """Shards whose trading stands still until operators let it go on; absent if there is none."""


class Instrument(Struct, frozen=True):
    """A market, with its standard fees."""

    instrument: Symbol
    base: Code
    quote: Code
    phase: str
    tick_size: Decimal
    lot_size: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    max_notional: Decimal
    market_protection_ppm: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    mark_price: Decimal | None
    reference_price: Decimal | None
    static_band_ppm: int | None
    dynamic_band_ppm: int | None
    volatility_auction_us: int | None
    phase_until_us: Time | None
    fee_market: Symbol | None
    fee_discount_ppm: int | None


class Asset(Struct, frozen=True):
    """Something that can be owned; `decimals` is the house's scale."""

    asset: Code
    decimals: int


class Instruments(Struct, frozen=True):
    """Everything that trades."""

    instruments: list[Instrument]
    assets: list[Asset]
    client_order_id_memory_s: int


Level = Annotated[
    tuple[Decimal, Decimal], Meta(description="Price and quantity; `0` removes a level.")
]


class Snapshot(Struct, frozen=True, tag_field="type", tag="snapshot"):
    """A whole book; `checksum` is the CRC-32 of its ten best bids and asks."""

    channel: str
    sequence: Sequence
    bids: list[Level]
    asks: list[Level]
    checksum: int


class Update(Struct, frozen=True, tag_field="type", tag="update"):
    """The levels that changed since `previous`."""

    channel: str
    previous: Sequence
    sequence: Sequence
    bids: list[Level]
    asks: list[Level]
    checksum: int


class Trade(Struct, frozen=True):
    """Two orders met; `side` is the taker's, in an auction that of the order that came later."""

    trade_id: Id
    price: Decimal
    quantity: Decimal
    side: Side
    time_us: Time
    sequence: Sequence
    auction: bool


class Trades(Struct, frozen=True):
    """Trades, newest first."""

    trades: list[Trade]


class Ticker(Struct, frozen=True):
    """The last 24 hours; null where nothing traded or nobody offers."""

    instrument: Symbol
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    last: Decimal | None
    volume: Decimal
    quote_volume: Decimal
    best_bid: Decimal | None
    best_bid_quantity: Decimal | None
    best_ask: Decimal | None
    best_ask_quantity: Decimal | None
    sequence: Sequence


class Auction(Struct, frozen=True):
    """What an auction would come to if it ended now; `price` is null while nothing would trade.

    `surplus` is what would be left at that price: above zero of buys, below zero of sells.
    """

    instrument: Symbol
    price: Decimal | None
    volume: Decimal
    surplus: Decimal
    sequence: Sequence


class Candle(Struct, frozen=True):
    """Prices and volume of one interval; intervals without trades have none."""

    open_us: Time
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int


class Candles(Struct, frozen=True):
    """Candles, oldest first."""

    candles: list[Candle]


class Document(Struct, frozen=True):
    """A document in the words of its own standard."""


class FieldError(Struct, frozen=True):
    """One thing that is wrong with a request."""

    pointer: Annotated[str, Meta(description="A JSON pointer, or `/` and a parameter's name.")]
    detail: str


class ShardAmount(Struct, frozen=True):
    """How much is available in a shard."""

    shard: int
    amount: Decimal


class Funds(Struct, frozen=True):
    """Where the money is that an order lacks; `in_transit` is between two shards, and absent where
    that is not known just now."""

    asset: Code
    available: list[ShardAmount]
    in_transit: Decimal | UnsetType = UNSET


class ProblemDetails(Struct, frozen=True):
    """Why a request was not answered with what it asked for (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[FieldError] | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    member: Annotated[int, Meta(description="Which order of the request, from 1.")] | UnsetType = (
        UNSET
    )
    funds: (
        Annotated[
            Funds,
            Meta(description="Of `insufficient_balance`, where there are several shards."),
        ]
        | UnsetType
    ) = UNSET
