"""The public shape of a problem: the only place where an outcome becomes an HTTP answer.

    Problem     a request that is not answered with what it asked for; carries a code of CODES

Whoever finds one raises it; `rest.py` catches it and answers with `response`, the WebSocket with
the same code and detail as an error message.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import grpc
import msgspec
from aiohttp import web
from msgspec import UNSET

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain import money
from services.domain.ids import shard_of
from services.domain.instruments import Market, amount_text
from services.domain.outcomes import REFUSAL_CODES
from services.gateway import shapes
from services.gateway.state import Undecided

REQUEST_ID_HEADER: Final = "X-Request-Id"


class Kind(NamedTuple):
    """What is said of every problem of a code."""

    status: int
    title: str
    detail: str


CODES: Final = {
    "malformed_json": Kind(400, "Not JSON", "The body is not a JSON object."),
    "unknown_field": Kind(400, "Unknown field", "The request has a field that is not known."),
    "missing_field": Kind(400, "Missing field", "The request lacks a field that it needs."),
    "invalid_value": Kind(400, "Invalid value", "The request has a value that cannot be."),
    "key_unknown": Kind(401, "Unknown key", "There is no such key, or it was revoked."),
    "signature_invalid": Kind(
        401, "Invalid signature", "A header of the signature is absent, malformed or wrong."
    ),
    "timestamp_outside_window": Kind(
        401, "Timestamp outside its window", "Set the clock of this client, or sign anew."
    ),
    "scope_missing": Kind(403, "Scope missing", "This key may not do that."),
    "address_not_allowed": Kind(403, "Address not allowed", "This key may not be used from here."),
    "account_suspended": Kind(403, "Account suspended", "This account may only cancel."),
    "route_unknown": Kind(404, "Unknown route", "There is nothing at this path."),
    "instrument_unknown": Kind(404, "Unknown instrument", "There is no such instrument."),
    "order_unknown": Kind(404, "Unknown order", "This account has no such order."),
    "method_not_allowed": Kind(405, "Method not allowed", "This path does not take that method."),
    "client_order_id_reused": Kind(
        409,
        "Client order id reused",
        "This id names another order of the account. Choose a new one.",
    ),
    "order_ended": Kind(409, "Order ended", "The order has already ended."),
    "body_too_large": Kind(413, "Body too large", "The body is larger than any request needs."),
    "content_type_unsupported": Kind(
        415, "Content type unsupported", "Send application/json, not encoded."
    ),
    "price_off_tick": Kind(422, "Price off tick", "The price is not a whole number of ticks."),
    "quantity_off_lot": Kind(
        422, "Quantity off lot", "The quantity is not a whole number of lots."
    ),
    "expired_in_transit": Kind(
        422, "Expired in transit", "It reached the engine after timestamp + window."
    ),
    "rules_too_old": Kind(
        422, "Rules too old", "The rules in force do not know this yet; operators raise them."
    ),
    "replacement_differs": Kind(
        422,
        "Replacement differs",
        "The new order is in another market or on another side than the one it would replace.",
    ),
    "market_not_open": Kind(
        422, "Market not open", "The phase of the market does not allow it at the moment."
    ),
    "expiry_passed": Kind(422, "Expiry passed", "expires_us is not after the engine's clock."),
    "quantity_too_small": Kind(422, "Quantity too small", "It is below min_quantity."),
    "quantity_too_large": Kind(422, "Quantity too large", "It is above max_quantity."),
    "quantity_below_filled": Kind(
        422, "Quantity below filled", "The new total is not above what has traded."
    ),
    "notional_too_small": Kind(422, "Notional too small", "It is below min_notional."),
    "notional_too_large": Kind(422, "Notional too large", "It is above max_notional."),
    "price_outside_band": Kind(422, "Price outside band", "The price is too far from the market."),
    "would_trigger": Kind(
        422, "Would trigger", "The price that would trigger it is there already."
    ),
    "too_many_open_orders": Kind(
        422, "Too many open orders", "The account has as many open orders as it may."
    ),
    "capacity_full": Kind(422, "Capacity full", "A memory of the engine is full."),
    "post_only_would_trade": Kind(422, "Post-only would trade", "It would trade at once."),
    "insufficient_balance": Kind(
        422, "Not enough available balance", "Less is available than this order needs."
    ),
    "asset_cap": Kind(422, "Asset cap", "There would be more of the asset than can be counted."),
    "engine_refused": Kind(422, "Engine refused", "An operator had to skip this request."),
    "rate_limited": Kind(429, "Rate limited", "Too many requests with this key."),
    "too_many_commands": Kind(
        429,
        "Too many commands",
        "The account sends more a second than it may. Cancels are free.",
    ),
    "unavailable": Kind(503, "Unavailable", "Not accepted, and nothing happened. Try again."),
    "shard_halted": Kind(
        503,
        "Shard halted",
        "Not accepted, and nothing happened: trading stands still until operators resume it.",
    ),
    "lagging": Kind(
        503, "Lagging", "What was asked for is not yet visible, and nothing happened. Try again."
    ),
    "outcome_unknown": Kind(
        504,
        "Outcome unknown",
        "Decided at the latest one second after timestamp + window: ask by client id then.",
    ),
}
"""Every code of the public API with its status, title and standard sentence."""


class Elsewhere(NamedTuple):
    """Where the money is that an order lacks, minor units."""

    available: Mapping[int, int]
    """By shard; that of the order is among them."""
    on_its_way_minor: int | None
    """None: the ledger did not say."""
    silent: Sequence[int]
    """Shards that did not answer."""
    stuck: Mapping[int, str]
    """Shards from which nothing can be brought, and why: `SHARD_HALTED` or `POSTING_STOPPED`."""
    needed_minor: int
    """By the order, in its shard."""
    is_crowded: bool
    """None was brought, for too many moves are under way."""

    @property
    def advice(self) -> str:
        """What may be done."""
        stuck_minor = sum(self.available[number] for number in self.stuck)
        all_minor = sum(self.available.values()) + (self.on_its_way_minor or 0)
        if self.needed_minor < money.TOP and all_minor >= self.needed_minor:
            if all_minor - stuck_minor < self.needed_minor:
                why = {why for number, why in self.stuck.items() if self.available[number]}
                return " ".join(_STUCK[each].advice for each in sorted(why))
            return _CROWDED if self.is_crowded else _IN_TIME
        return _ASK if self.on_its_way_minor is None else _DEPOSIT


_DEPOSIT: Final = "Deposit or lower the quantity."
_ASK: Final = "Try again, deposit or lower the quantity."
_IN_TIME: Final = "What is missing could not be brought there in time: try again."
_CROWDED: Final = "What is missing was not sent for, so much is on its way already: try again."

SHARD_HALTED: Final = "shard_halted"
POSTING_STOPPED: Final = "posting_stopped"
"""The ledger's words for why it begins no move from or to a shard."""


class _Stuck(NamedTuple):
    """What is said of money that cannot be brought."""

    mark: str
    """Of the shard that has it."""
    advice: str


_STUCK: Final = {
    SHARD_HALTED: _Stuck(
        "which is halted",
        "What is in a halted shard cannot be brought until trading is resumed there.",
    ),
    # Either shard of a move may be the one that is not posted: what is said holds of both.
    POSTING_STOPPED: _Stuck(
        "from where none can be moved",
        "What cannot be moved stays where it is until operators have mended the books.",
    ),
}


class Problem(Exception):
    """A request that is not answered with what it asked for."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[shapes.FieldError] = (),
        order: shapes.Order | None = None,
        member: int = 0,
        funds: shapes.Funds | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.code = code
        self.kind = CODES[code]
        self.detail = detail or self.kind.detail
        self.errors = list(errors)
        self.order = order
        self.member = member
        self.funds = funds
        self.headers = headers or {}
        super().__init__(f"{code}: {self.detail}")


def response(problem: Problem, request_id: str) -> web.Response:
    """The HTTP answer to a problem."""
    body = shapes.ProblemDetails(
        type=f"urn:bourse:problem:{problem.code}",
        title=problem.kind.title,
        status=problem.kind.status,
        code=problem.code,
        detail=problem.detail,
        request_id=request_id,
        errors=problem.errors or UNSET,
        order=problem.order or UNSET,
        member=problem.member or UNSET,
        funds=problem.funds or UNSET,
    )
    return web.Response(
        status=problem.kind.status,
        body=msgspec.json.encode(body),
        content_type="application/problem+json",
        headers=problem.headers,
    )


def invalid(pointer: str, detail: str, code: str = "invalid_value") -> Problem:
    """A request with one field that is wrong, or (no pointer) with no field of its own to blame."""
    sentence = f"{pointer}: {detail}" if pointer else detail
    return Problem(code, sentence, errors=[shapes.FieldError(pointer, detail)])


def undecided(what: Undecided) -> Problem:
    """A command that the core did not decide, as far as is known."""
    return Problem("unavailable" if what is Undecided.NOT_TAKEN else "outcome_unknown")


def refused(outcome: matching.Outcome, market: Market | None, side: int = 0) -> Problem:
    """A command that the core refused. `market` and `side` are those of the order, if known."""
    code = REFUSAL_CODES.get(outcome.refusal, "engine_refused")
    if code not in CODES:
        return Problem("engine_refused", f"The engine answered {code}.")
    detail = _sentence(code, outcome, market, side) if market else ""
    # The engine counts by the second of its clock.
    headers = {"Retry-After": "1"} if code == "too_many_commands" else None
    return Problem(code, detail, member=outcome.member, headers=headers)


def _sentence(code: str, outcome: matching.Outcome, market: Market, side: int) -> str:
    """What the limits are that were not kept; empty where the standard sentence says it all."""
    rules, base, quote = market.instrument, market.base.code, market.quote.code
    match code:
        case "market_not_open":
            return f"{market.symbol} does not take this order in its present phase."
        case "quantity_too_small":
            least = market.quantity_text(rules.min_quantity_lots)
            return f"The smallest order of {market.symbol} is {least} {base}."
        case "quantity_too_large":
            most = market.quantity_text(rules.max_quantity_lots)
            return f"The largest order of {market.symbol} is {most} {base}."
        case "notional_too_small":
            least = market.quote_text(rules.min_notional_minor)
            return f"An order of {market.symbol} is worth at least {least} {quote}."
        case "notional_too_large":
            most = market.quote_text(rules.max_notional_minor)
            return f"An order of {market.symbol} is worth at most {most} {quote}."
        case "insufficient_balance":
            return _shortage(outcome, market, side)
        case _:
            return ""


def _shortage(outcome: matching.Outcome, market: Market, side: int) -> str:
    asset = market.asset_given(side)
    available = amount_text(asset, outcome.available_minor)
    return f"{_need(outcome, asset)}; {available} {asset.code} is available. {_DEPOSIT}"


def _need(outcome: matching.Outcome, asset: types.Asset) -> str:
    needed = amount_text(asset, outcome.needed_minor)
    more = "more than " if outcome.needed_minor == money.TOP else ""
    return f"This order needs {more}{needed} {asset.code}"


def short(
    outcome: matching.Outcome, market: Market, asset: types.Asset, elsewhere: Elsewhere
) -> Problem:
    """An order for which there is too little of an asset in its shard, and where the rest is."""
    code, here = asset.code, shard_of(market.id)
    said = {n: amount_text(asset, minor) for n, minor in sorted(elsewhere.available.items())}
    minor = elsewhere.on_its_way_minor
    on_its_way = UNSET if minor is None else amount_text(asset, minor)
    parts = [f"{said[here]} {code} is available in shard {here}, where {market.symbol} trades"]
    for number in (n for n in said if n != here and elsewhere.available[n]):
        mark = f", {_STUCK[elsewhere.stuck[number]].mark}" if number in elsewhere.stuck else ""
        parts.append(f"{said[number]} {code} in shard {number}{mark}")
    parts += [f"{on_its_way} {code} on its way"] if minor else []
    parts += [f"shard {number} does not answer" for number in elsewhere.silent]
    funds = shapes.Funds(
        asset=code,
        available=[shapes.ShardAmount(number, text) for number, text in said.items()],
        in_transit=on_its_way,
    )
    detail = f"{_need(outcome, asset)}; {', '.join(parts)}. {elsewhere.advice}"
    return Problem("insufficient_balance", detail, member=outcome.member, funds=funds)


_STOPPED: Final = "What was asked for is not taken in any more until operators have mended that."


def unreachable(error: grpc.aio.AioRpcError, *, waited: bool) -> Problem:
    """A room that did not answer a read. `waited`: it was reached, and had not come far enough.

    One that will come no further says so at once, and it does not help to wait for it.
    """
    if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
        return Problem("unavailable", _STOPPED)
    late = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    if waited and error.code() in late:
        return Problem("lagging")
    return Problem("unavailable", "What was asked for cannot be read at the moment. Try again.")
