"""What all routes that send a command have in common: asking, and saying what became of it."""

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain import ids
from services.domain.instruments import Market
from services.gateway import problems, shapes, translate
from services.gateway.entry import OrderEntry
from services.gateway.markets import Markets
from services.gateway.problems import Problem, invalid
from services.gateway.reads import OrderName, Reads
from services.gateway.rest import Ask, number
from services.gateway.state import Answered

GONE = (matching.REFUSAL_ORDER_UNKNOWN, matching.REFUSAL_ORDER_ENDED)
"""Refusals of what names an order that does not stand."""

EVERY = (
    "rules_too_old",
    "shard_halted",
    "expired_in_transit",
    "engine_refused",
    "outcome_unknown",
)
"""Codes that any command may be answered with."""

PLACING = (
    *EVERY,
    "instrument_unknown",
    "client_order_id_reused",
    "account_suspended",
    "too_many_commands",
    "market_not_open",
    "expiry_passed",
    "quantity_too_small",
    "quantity_too_large",
    "notional_too_small",
    "notional_too_large",
    "price_outside_band",
    "would_trigger",
    "too_many_open_orders",
    "capacity_full",
    "post_only_would_trade",
    "insufficient_balance",
    "price_off_tick",
    "quantity_off_lot",
)
"""Codes of what places an order."""


class Commands:
    """Sends commands in the name of those who ask. Every method may raise Problem."""

    def __init__(self, entry: OrderEntry, markets: Markets, reads: Reads) -> None:
        self._entry = entry
        self._markets = markets
        self._reads = reads

    async def ask(self, ask: Ask, **kind: object) -> Answered:
        """Send one command in the name of who asked. Raises Problem if it was not decided."""
        assert ask.caller is not None, "the route is private"
        command = matching.Command(
            request_id=ask.request_id,
            account=ask.account,
            valid_until_us=ask.caller.valid_until_us,
            **kind,  # type: ignore[arg-type]  # one of the oneof, named by who calls
        )
        answer = await self._entry.ask(command)
        if not isinstance(answer, Answered):
            raise problems.undecided(answer)
        return answer

    async def gone(self, account: int, name: OrderName, after: int, member: int = 0) -> Problem:
        """What is said of an order that does not stand: 409 if it was the account's, else 404."""
        past = await self._reads.past_order(account, name, after)
        if past is None or past.state in ("open", "waiting"):
            return Problem("order_unknown", member=member)
        return Problem("order_ended", f"The order is {past.state}.", order=past, member=member)

    def taken(
        self, answer: Answered, market: Market, order: types.Order | None = None
    ) -> shapes.Order:
        """An order after a command that may have traded, with what it traded: the answer's own."""
        order = order or answer.outcome.order
        asset = self._markets.asset
        fills = translate.taken(answer.trades, market, order, answer.time_us, asset)
        other = asset(order.other_fee_asset) if order.other_fee_asset else None
        return translate.order(order, market, asset(order.fee_asset), fills, other)

    def after(self, ask: Ask) -> int:
        """Reads see your writes: after all that this gateway has answered, and what was named."""
        return max(ask.after, self._entry.answered_sequence)


def default_id(ask: Ask) -> str:
    """The name of an order that was sent without one: the same signed bytes are one order."""
    assert ask.caller is not None, "the route is private"
    return f"sig-{ask.caller.signature[:32]}"


def named(ask: Ask) -> OrderName:
    """The order that the path names. Raises Problem."""
    client_order_id = ask.path.get("client_order_id")
    if client_order_id is None:
        return OrderName(number(ask.path["order_id"], "/order_id"))
    if not ids.is_client_order_id(client_order_id):
        raise invalid("/client_order_id", "It is not 1..36 of A-Z a-z 0-9 . _ : -.")
    return OrderName(0, client_order_id)
