"""R-SHAPE: what a native order may look like, before anybody asks where it is meant for.

Every mistake is found at once and named by its pointer. What is left fits together, and becomes
`OrderWords` once the market is known.
"""

from typing import Final, NamedTuple, TypeVar, cast

from msgspec import UNSET, UnsetType

from bourse.types import v1 as types
from services.domain import ids, words
from services.domain.instruments import Market, Misfit
from services.domain.money import Plain
from services.gateway.problems import Problem
from services.gateway.shapes import Amendment, FieldError, NewOrder
from services.gateway.translate import Flaw, OrderWords, read_decimal

_NOT_DECIMAL: Final = "It is not a decimal above zero in plain notation that fits 64 bits."
_T = TypeVar("_T")


class Decimals(NamedTuple):
    """The decimals of a request; None for those that are absent."""

    price: Plain | None
    quantity: Plain | None
    quote_quantity: Plain | None


def check_order(order: NewOrder) -> Decimals:
    """The decimals of an order whose shape is right. Raises Problem with all that is wrong."""
    missing = _missing(order)
    wrong = _contradictions(order)
    decimals = _decimals(order.price, order.quantity, order.quote_quantity, wrong)
    client_order_id = _given(order.client_order_id)
    if client_order_id is not None and not ids.is_client_order_id(client_order_id):
        wrong.append(FieldError("/client_order_id", "It is not 1..36 of A-Z a-z 0-9 . _ : -."))
    _raise(missing, wrong)
    return decimals


def _missing(order: NewOrder) -> list[FieldError]:
    missing = []
    if order.type == "limit" and order.price is UNSET:
        missing.append(FieldError("/price", "A limit order needs a price."))
    if order.quantity is UNSET and order.quote_quantity is UNSET:
        missing.append(FieldError("/quantity", "An order needs a quantity."))
    return missing


def _contradictions(order: NewOrder) -> list[FieldError]:
    """Fields that do not go together."""
    market = order.type == "market"
    rules = (
        (market and order.price is not UNSET, "/price", "A market order has no price."),
        (
            market and order.time_in_force in ("gtc", "fok"),
            "/time_in_force",
            "A market order is always ioc.",
        ),
        (
            order.post_only and (market or order.time_in_force in ("ioc", "fok")),
            "/post_only",
            "Only a gtc limit order can be post-only.",
        ),
        (
            not market and order.quote_quantity is not UNSET,
            "/quote_quantity",
            "Only a market order can be by quote_quantity.",
        ),
        (
            order.quantity is not UNSET and order.quote_quantity is not UNSET,
            "/quote_quantity",
            "An order has a quantity or a quote_quantity, not both.",
        ),
    )
    return [FieldError(pointer, detail) for broken, pointer, detail in rules if broken]


def check_amendment(amendment: Amendment) -> Decimals:
    """The decimals of an amendment. Raises Problem with all that is wrong."""
    if amendment.price is UNSET and amendment.quantity is UNSET:
        _raise([FieldError("", "An amendment needs a price, a quantity or both.")], [])
    wrong: list[FieldError] = []
    decimals = _decimals(amendment.price, amendment.quantity, UNSET, wrong)
    _raise([], wrong)
    return decimals


def _decimals(
    price: str | UnsetType,
    quantity: str | UnsetType,
    quote_quantity: str | UnsetType,
    wrong: list[FieldError],
) -> Decimals:
    """Read what is there; what is no decimal is added to `wrong`."""
    given = {"price": price, "quantity": quantity, "quote_quantity": quote_quantity}
    read = {name: read_decimal(text) for name, text in given.items() if isinstance(text, str)}
    wrong += [FieldError(f"/{name}", _NOT_DECIMAL) for name, value in read.items() if value is None]
    return Decimals(read.get("price"), read.get("quantity"), read.get("quote_quantity"))


def _raise(missing: list[FieldError], wrong: list[FieldError]) -> None:
    if not missing and not wrong:
        return
    errors = [*missing, *wrong]
    detail = " ".join(f"{error.pointer}: {error.detail}".lstrip(": ") for error in errors)
    raise Problem("missing_field" if missing else "invalid_value", detail, errors=errors)


def order_words(order: NewOrder, decimals: Decimals, market: Market, default_id: str) -> OrderWords:
    """The order in the contract's words. Its shape must have been checked."""
    is_market = order.type == "market"
    time_in_force = _given(order.time_in_force) or ("ioc" if is_market else "gtc")
    mode = _given(order.self_trade_prevention)
    return OrderWords(
        market=market,
        side=cast("types.Side", words.SIDE_OF[order.side]),
        type=cast("types.OrderType", words.ORDER_TYPE_OF[order.type]),
        time_in_force=cast("types.TimeInForce", words.TIME_IN_FORCE_OF[time_in_force]),
        client_order_id=_given(order.client_order_id) or default_id,
        price=decimals.price,
        quantity=decimals.quantity,
        quote_quantity=decimals.quote_quantity,
        post_only=order.post_only,
        self_trade_prevention=cast(
            "types.SelfTradePrevention", words.SELF_TRADE_PREVENTION_OF[mode] if mode else 0
        ),
    )


def _given(value: _T | UnsetType) -> _T | None:
    return None if isinstance(value, UnsetType) else value


def misfit(flaws: list[Flaw]) -> Problem:
    """What is said of decimals that do not fit their instrument: a 400 goes before a 422."""
    large = [flaw for flaw in flaws if flaw.misfit is Misfit.TOO_LARGE]
    told = [FieldError(f"/{flaw.field}", f"It {flaw.misfit.value}.") for flaw in large or flaws]
    detail = " ".join(f"{error.pointer}: {error.detail}" for error in told)
    if large:
        return Problem("invalid_value", detail, errors=told)
    code = "price_off_tick" if flaws[0].field == "price" else "quantity_off_lot"
    return Problem(code, detail, errors=told)
