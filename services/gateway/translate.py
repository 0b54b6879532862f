"""Public words to commands and back, apart from any transport.

There is one builder of an order command, `place_order`: whatever a client speaks, its order comes
through there. What does not fit is a value (`Flaw`); each face of the gateway has its own way to
say it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeVar, cast

from msgspec import UNSET, Struct, structs

from bourse.marketdata import v1 as marketdata
from bourse.matching import v1 as matching
from bourse.orders import v1 as orders
from bourse.types import v1 as types
from services.domain import money, words
from services.domain.instruments import Market, Misfit, amount_text
from services.domain.money import Plain
from services.gateway import shapes
from services.gateway.shapes import Amount

Field = Literal[
    "price",
    "quantity",
    "quote_quantity",
    "trigger_price",
    "trail",
    "activation_price",
    "display_quantity",
    "min_fill_quantity",
    "protection_price",
]
MOST_TICKS: Final = 2**62
"""Prices that an order waits for, and those of a bracket's exits, are at most this."""


class Flaw(NamedTuple):
    """A decimal of an order that is no count of its instrument's units."""

    field: Field
    misfit: Misfit


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plain limit or market order has not. None and 0 are absent."""

    trigger_price: Plain | None = None
    trigger_by: int = 0
    trail: Plain | None = None
    trail_ppm: int = 0
    activation_price: Plain | None = None
    expires_us: int = 0
    display_quantity: Plain | None = None
    min_fill_quantity: Plain | None = None
    protection_price: Plain | None = None


@dataclass(frozen=True, slots=True)
class OrderWords:
    """An order in the contract's words and in decimals. Its shape has been checked by who made it:
    a limit order has a price and a quantity, a market order one of the two quantities.
    """

    market: Market
    side: "types.Side"
    type: "types.OrderType"
    time_in_force: "types.TimeInForce"
    client_order_id: str
    price: Plain | None = None
    quantity: Plain | None = None
    quote_quantity: Plain | None = None
    post_only: bool = False
    self_trade_prevention: "types.SelfTradePrevention" = types.SELF_TRADE_PREVENTION_UNSPECIFIED
    terms: Terms | None = None


def place_order(order: OrderWords) -> matching.PlaceOrder | list[Flaw]:
    """The command that places an order, or all that does not fit its instrument."""
    market = order.market
    counts: dict[Field, int | Misfit] = {
        "price": market.ticks(order.price) if order.price else 0,
        "quantity": market.lots(order.quantity) if order.quantity else 0,
        "quote_quantity": market.quote_minor(order.quote_quantity) if order.quote_quantity else 0,
    }
    if order.terms is not None:
        counts |= _term_counts(market, order.terms)
    if flaws := _flaws(counts):
        return flaws
    fitting = cast(dict[Field, int], counts)
    placed = matching.PlaceOrder(
        instrument=market.id,
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force,
        post_only=order.post_only,
        self_trade_prevention=order.self_trade_prevention,
        price_ticks=fitting["price"],
        quantity_lots=fitting["quantity"],
        quote_minor=fitting["quote_quantity"],
        client_order_id=order.client_order_id,
    )
    if order.terms is not None:
        _put_terms(placed, order.terms, fitting)
    return placed


def _term_counts(market: Market, terms: Terms) -> dict[Field, int | Misfit]:
    prices: dict[Field, Plain | None] = {
        "trigger_price": terms.trigger_price,
        "activation_price": terms.activation_price,
        "trail": terms.trail,
        "protection_price": terms.protection_price,
    }
    quantities: dict[Field, Plain | None] = {
        "display_quantity": terms.display_quantity,
        "min_fill_quantity": terms.min_fill_quantity,
    }
    counts = {name: market.ticks(price) if price else 0 for name, price in prices.items()}
    counts |= {name: market.lots(lots) if lots else 0 for name, lots in quantities.items()}
    for name in ("trigger_price", "activation_price"):
        ticks = counts[name]
        if not isinstance(ticks, Misfit) and ticks > MOST_TICKS:
            counts[name] = Misfit.TOO_LARGE
    return counts


def _put_terms(placed: matching.PlaceOrder, terms: Terms, counts: dict[Field, int]) -> None:
    placed.trigger_ticks = counts["trigger_price"]
    placed.trigger_by = cast("types.TriggerBy", terms.trigger_by)
    placed.trail_ticks = counts["trail"]
    placed.trail_ppm = terms.trail_ppm
    placed.activation_ticks = counts["activation_price"]
    placed.display_lots = counts["display_quantity"]
    placed.min_fill_lots = counts["min_fill_quantity"]
    placed.expires_us = terms.expires_us
    placed.protection_ticks = counts["protection_price"]


def amend_order(
    market: Market, order_id: int, price: Plain | None, quantity: Plain | None
) -> matching.AmendOrder | list[Flaw]:
    """The command that amends an order of a market, or all that does not fit it."""
    counts: dict[Field, int | Misfit] = {
        "price": market.ticks(price) if price else 0,
        "quantity": market.lots(quantity) if quantity else 0,
    }
    if flaws := _flaws(counts):
        return flaws
    fitting = cast(dict[Field, int], counts)
    return matching.AmendOrder(
        order_id=order_id, price_ticks=fitting["price"], quantity_lots=fitting["quantity"]
    )


def _flaws(counts: dict[Field, int | Misfit]) -> list[Flaw]:
    return [Flaw(field, count) for field, count in counts.items() if isinstance(count, Misfit)]


def order(
    of: types.Order,
    market: Market,
    fee_asset: types.Asset | None,
    fills: list[shapes.OrderFill] | None = None,
    other_fee_asset: types.Asset | None = None,
) -> shapes.Order:
    """An order as the public sees it; without `fills` where the contract does not ask for them."""
    by_quote = of.quote_minor != 0
    # An exit has no quantity until its entry has ended.
    unsized = by_quote or (of.quantity_lots == 0 and of.state == types.ORDER_STATE_WAITING)
    return shapes.Order(
        order_id=str(of.order_id),
        client_order_id=of.client_order_id or None,
        instrument=market.symbol,
        side=cast(shapes.Side, words.SIDES[of.side]),
        type=cast(shapes.OrderType, words.ORDER_TYPES[of.type]),
        price=market.price_text(of.price_ticks) if of.price_ticks else None,
        quantity=None if unsized else market.quantity_text(of.quantity_lots),
        quote_quantity=market.quote_text(of.quote_minor) if by_quote else None,
        time_in_force=cast(shapes.TimeInForce, words.TIMES_IN_FORCE[of.time_in_force]),
        post_only=of.post_only,
        self_trade_prevention=prevention(of.self_trade_prevention),
        state=cast(shapes.State, words.ORDER_STATES[of.state]),
        reason=words.END_REASONS.get(of.reason),
        filled_quantity=market.quantity_text(of.filled_lots),
        remaining_quantity=None if unsized else market.quantity_text(of.remaining_lots),
        filled_quote=market.quote_text(of.filled_quote_minor),
        fees=_fees(of, fee_asset, other_fee_asset),
        created_us=of.created_us,
        updated_us=of.updated_us,
        sequence=of.sequence,
        fills=UNSET if fills is None else fills,
        **(_shown_terms(of, market) if _has_terms(of) else {}),
    )


def _has_terms(of: types.Order) -> bool:
    """Whether an order is more than a plain limit or market order; most are not."""
    return bool(
        of.type not in (types.ORDER_TYPE_LIMIT, types.ORDER_TYPE_MARKET)
        or of.group
        or of.expires_us
        or of.display_lots
        or of.min_fill_lots
        or of.protection_ticks
    )


def _shown_terms(of: types.Order, market: Market) -> dict[str, Any]:
    """Fields of an order that a plain one has not: null there."""
    return {
        "trigger_price": _price(market, of.trigger_ticks),
        "trigger_by": words.TRIGGERS.get(of.trigger_by),
        "trail": _price(market, of.trail_ticks),
        "trail_ppm": of.trail_ppm or None,
        "activation_price": _price(market, of.activation_ticks),
        "peak_price": _price(market, of.peak_ticks),
        "triggered_us": of.triggered_us or None,
        "expires_us": of.expires_us or None,
        "display_quantity": _quantity(market, of.display_lots),
        "min_fill_quantity": _quantity(market, of.min_fill_lots),
        "protection_price": _price(market, of.protection_ticks),
        "group": str(of.group) if of.group else None,
        "group_kind": words.GROUP_KINDS.get(of.group_kind),
    }


def _fees(
    of: types.Order, fee_asset: types.Asset | None, other: types.Asset | None
) -> list[Amount]:
    """What an order that has traded has paid: in what it receives, in another asset, or in both."""
    if not of.filled_lots:
        return []
    fees = []
    if fee_asset is not None and (of.fee_minor or other is None):
        fees.append(Amount(fee_asset.code, amount_text(fee_asset, of.fee_minor)))
    if other is not None:
        fees.append(Amount(other.code, amount_text(other, of.other_fee_minor)))
    return fees


def prevention(mode: int) -> shapes.SelfTradePrevention:
    """The word for a mode of self-trade prevention; unspecified means cancel taker."""
    word = words.SELF_TRADE_PREVENTIONS.get(mode, "cancel_taker")
    return cast(shapes.SelfTradePrevention, word)


def taken(
    trades: Iterable[matching.TradeEvent],
    market: Market,
    order: types.Order,
    time_us: int,
    asset_of: Callable[[int], types.Asset | None],
) -> list[shapes.OrderFill]:
    """What an order traded in the command that is answered; trades of others are left out.

    It may have been the maker too: of an order that its own arrival triggered.
    """
    return [
        _taken(trade, market, order, time_us, asset_of)
        for trade in trades
        if order.order_id in (trade.taker_order_id, trade.maker_order_id)
    ]


def _taken(
    trade: matching.TradeEvent,
    market: Market,
    order: types.Order,
    time_us: int,
    asset_of: Callable[[int], types.Asset | None],
) -> shapes.OrderFill:
    took = trade.taker_order_id == order.order_id
    received = market.base if order.side == types.SIDE_BUY else market.quote
    other = asset_of(trade.taker_fee_asset if took else trade.maker_fee_asset)
    fee_minor = trade.taker_fee_minor if took else trade.maker_fee_minor
    paid = other or received
    return shapes.OrderFill(
        trade_id=str(trade.trade_id),
        price=market.price_text(trade.price_ticks),
        quantity=market.quantity_text(trade.lots),
        fee=Amount(paid.code, amount_text(paid, fee_minor)),
        liquidity="taker" if took else "maker",
        time_us=time_us,
    )


def order_fill(of: orders.Fill, market: Market, fee_asset: types.Asset) -> shapes.OrderFill:
    """A fill as a part of its order."""
    return shapes.OrderFill(
        trade_id=str(of.trade_id),
        price=market.price_text(of.price_ticks),
        quantity=market.quantity_text(of.lots),
        fee=Amount(fee_asset.code, amount_text(fee_asset, of.fee_minor)),
        liquidity="maker" if of.maker else "taker",
        time_us=of.time_us,
    )


def fill(of: orders.Fill, market: Market, fee_asset: types.Asset) -> shapes.Fill:
    """A fill by itself."""
    return shapes.Fill(
        trade_id=str(of.trade_id),
        order_id=str(of.order_id),
        client_order_id=of.client_order_id or None,
        instrument=market.symbol,
        side=cast(shapes.Side, words.SIDES[of.side]),
        price=market.price_text(of.price_ticks),
        quantity=market.quantity_text(of.lots),
        fee=Amount(fee_asset.code, amount_text(fee_asset, of.fee_minor)),
        liquidity="maker" if of.maker else "taker",
        time_us=of.time_us,
        sequence=of.sequence,
    )


def balance(
    asset: types.Asset, available_minor: int, held_minor: int, in_transit_minor: int = 0
) -> shapes.Balance:
    """What an account has of an asset."""
    available, held = amount_text(asset, available_minor), amount_text(asset, held_minor)
    in_transit = amount_text(asset, in_transit_minor) if in_transit_minor else UNSET
    return shapes.Balance(asset.code, available, held, in_transit)


def instrument(market: Market, fee_market: Market | None) -> shapes.Instrument:
    """A market with its standard fees; null is what it has not."""
    rules, standard = market.instrument, market.fees_of_tier(0)
    return shapes.Instrument(
        instrument=market.symbol,
        base=market.base.code,
        quote=market.quote.code,
        phase=words.PHASES[rules.phase],
        tick_size=market.price_text(1),
        lot_size=market.quantity_text(1),
        min_quantity=market.quantity_text(rules.min_quantity_lots),
        max_quantity=market.quantity_text(rules.max_quantity_lots),
        min_notional=market.quote_text(rules.min_notional_minor),
        max_notional=market.quote_text(rules.max_notional_minor),
        market_protection_ppm=rules.market_protection_ppm,
        maker_fee_ppm=standard.maker_fee_ppm,
        taker_fee_ppm=standard.taker_fee_ppm,
        mark_price=_price(market, rules.mark_price_ticks),
        reference_price=_price(market, rules.reference_ticks),
        static_band_ppm=rules.static_band_ppm or None,
        dynamic_band_ppm=rules.dynamic_band_ppm or None,
        volatility_auction_us=rules.volatility_auction_us or None,
        phase_until_us=rules.phase_until_us or None,
        fee_market=fee_market.symbol if fee_market else None,
        fee_discount_ppm=rules.fee_discount_ppm if fee_market else None,
    )


def trade(of: marketdata.PublicTrade, market: Market) -> shapes.Trade:
    """A public trade."""
    return shapes.Trade(
        trade_id=str(of.trade_id),
        price=market.price_text(of.price_ticks),
        quantity=market.quantity_text(of.lots),
        side=cast(shapes.Side, words.SIDES[of.side]),
        time_us=of.time_us,
        sequence=of.sequence,
        auction=of.auction,
    )


def ticker(of: marketdata.Ticker, market: Market) -> shapes.Ticker:
    """The last 24 hours; sums over time may be beyond 64 bits, which Python does not mind."""
    return shapes.Ticker(
        instrument=market.symbol,
        open=_price(market, of.open_ticks),
        high=_price(market, of.high_ticks),
        low=_price(market, of.low_ticks),
        last=_price(market, of.last_ticks),
        volume=market.quantity_text(int(of.volume_lots or "0")),
        quote_volume=market.quote_text(int(of.quote_volume_minor or "0")),
        best_bid=_price(market, of.best_bid_ticks),
        best_bid_quantity=_quantity(market, of.best_bid_lots),
        best_ask=_price(market, of.best_ask_ticks),
        best_ask_quantity=_quantity(market, of.best_ask_lots),
        sequence=of.sequence,
    )


def auction(of: marketdata.Auction, market: Market, sequence: int = 0) -> shapes.Auction:
    """What an auction would come to; `sequence` where none was ever told."""
    return shapes.Auction(
        instrument=market.symbol,
        price=_price(market, of.price_ticks),
        volume=market.quantity_text(of.volume_lots),
        surplus=market.quantity_text(of.surplus_lots),
        sequence=of.sequence or sequence,
    )


def candle(of: marketdata.Candle, market: Market) -> shapes.Candle:
    """One candle."""
    return shapes.Candle(
        open_us=of.open_us,
        open=market.price_text(of.open_ticks),
        high=market.price_text(of.high_ticks),
        low=market.price_text(of.low_ticks),
        close=market.price_text(of.close_ticks),
        volume=market.quantity_text(int(of.volume_lots or "0")),
        quote_volume=market.quote_text(int(of.quote_volume_minor or "0")),
        trades=of.trades,
    )


MessageT = TypeVar("MessageT", bound=Struct)


def on_channel(kind: type[MessageT], channel: str, body: Struct) -> MessageT:
    """A public shape as the message of a channel, which has the same fields and the channel."""
    return kind(channel=channel, **structs.asdict(body))


def _price(market: Market, ticks: int) -> str | None:
    return market.price_text(ticks) if ticks else None


def _quantity(market: Market, lots: int) -> str | None:
    return market.quantity_text(lots) if lots else None


def read_decimal(text: str) -> Plain | None:
    """A decimal above zero; None if it is none, or not in plain notation."""
    value = money.read(text)
    return value if value is not None and value.digits > 0 else None
