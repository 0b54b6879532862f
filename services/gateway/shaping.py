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
from services.gateway import terms
from services.gateway.problems import Problem
from services.gateway.shapes import Amendment, FieldError, NewOrder
from services.gateway.terms import LIMITED, NOT_DECIMAL
from services.gateway.translate import Flaw, OrderWords, Terms, read_decimal

_LOTS: Final = ("quantity", "quote_quantity", "display_quantity", "min_fill_quantity")
_T = TypeVar("_T")


class Decimals(NamedTuple):
    """The decimals of a request; None for those that are absent."""

    price: Plain | None
    quantity: Plain | None
    quote_quantity: Plain | None
    terms: Terms | None = None


class Mistakes(NamedTuple):
    """What is wrong with a request: what it lacks, and what cannot be."""

    missing: list[FieldError]
    wrong: list[FieldError]

    def none_or_raise(self) -> None:
        """Raises Problem with all of them, if there are any."""
        if self.missing or self.wrong:
            errors = [*self.missing, *self.wrong]
            code = "missing_field" if self.missing else "invalid_value"
            detail = " ".join(f"{error.pointer}: {error.detail}".lstrip(": ") for error in errors)
            raise Problem(code, detail, errors=errors)


def check_order(order: NewOrder) -> Decimals:
    """The decimals of an order whose shape is right. Raises Problem with all that is wrong."""
    decimals, mistakes = look_at(order)
    mistakes.none_or_raise()
    return decimals


def look_at(order: NewOrder, *, sized: bool = True) -> tuple[Decimals, Mistakes]:
    """The decimals of an order, and all that is wrong with it. Not `sized`: without a quantity."""
    missing = _missing(order, sized)
    wrong = _contradictions(order)
    decimals = _decimals(order.price, order.quantity, order.quote_quantity, wrong)
    if terms.are_there(order):
        missing += terms.missing(order)
        wrong += terms.contradictions(order)
        decimals = decimals._replace(terms=terms.read(order, decimals.quantity, wrong))
    client_order_id = _given(order.client_order_id)
    if client_order_id is not None and not ids.is_client_order_id(client_order_id):
        wrong.append(FieldError("/client_order_id", "It is not 1..36 of A-Z a-z 0-9 . _ : -."))
    return decimals, Mistakes(missing, wrong)


def _missing(order: NewOrder, sized: bool) -> list[FieldError]:
    missing = []
    if order.type in LIMITED and order.price is UNSET:
        missing.append(FieldError("/price", "A limit order needs a price."))
    if sized and order.quantity is UNSET and order.quote_quantity is UNSET:
        missing.append(FieldError("/quantity", "An order needs a quantity."))
    return missing


def _contradictions(order: NewOrder) -> list[FieldError]:
    """Fields that do not go together."""
    market, in_force = order.type not in LIMITED, order.time_in_force
    rules = (
        (market and order.price is not UNSET, "/price", "A market order has no price."),
        (
            market and in_force is not UNSET and in_force != "ioc",
            "/time_in_force",
            "A market order is always ioc.",
        ),
        (
            order.post_only and (order.type != "limit" or in_force in ("ioc", "fok", "gfa")),
            "/post_only",
            "Only a gtc or gtd limit order can be post-only.",
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
        empty = FieldError("", "An amendment needs a price, a quantity or both.")
        Mistakes([empty], []).none_or_raise()
    wrong: list[FieldError] = []
    decimals = _decimals(amendment.price, amendment.quantity, UNSET, wrong)
    Mistakes([], wrong).none_or_raise()
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
    wrong += [FieldError(f"/{name}", NOT_DECIMAL) for name, value in read.items() if value is None]
    return Decimals(read.get("price"), read.get("quantity"), read.get("quote_quantity"))


def order_words(order: NewOrder, decimals: Decimals, market: Market, default_id: str) -> OrderWords:
    """The order in the contract's words. Its shape must have been checked."""
    time_in_force = _given(order.time_in_force) or ("gtc" if order.type in LIMITED else "ioc")
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
        terms=decimals.terms,
    )


def _given(value: _T | UnsetType) -> _T | None:
    return None if isinstance(value, UnsetType) else value


def misfit(flaws: list[Flaw], at: str = "", member: int = 0) -> Problem:
    """What is said of decimals that do not fit their instrument: a 400 goes before a 422.

    `at` is the pointer to the order, and `member` its number, where there are several.
    """
    large = [flaw for flaw in flaws if flaw.misfit is Misfit.TOO_LARGE]
    told = [FieldError(f"{at}/{flaw.field}", f"It {flaw.misfit.value}.") for flaw in large or flaws]
    detail = " ".join(f"{error.pointer}: {error.detail}" for error in told)
    if large:
        return Problem("invalid_value", detail, errors=told)
    code = "quantity_off_lot" if flaws[0].field in _LOTS else "price_off_tick"
    return Problem(code, detail, errors=told, member=member)
