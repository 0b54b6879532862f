"""The routes of orders: place, amend, cancel, look."""

from collections.abc import Sequence
from typing import NamedTuple

from bourse.matching import v1 as matching
from bourse.orders import v1 as history
from bourse.types import v1 as types
from services.domain import ids
from services.domain.instruments import Market
from services.domain.words import ORDER_STATE_OF
from services.gateway import problems, shapes, shaping, translate
from services.gateway.entry import OrderEntry
from services.gateway.markets import Markets
from services.gateway.problems import Problem, invalid
from services.gateway.reading import Reader
from services.gateway.reads import OrderName, Reads
from services.gateway.rest import PREFIX, Ask, Reply, Route, number
from services.gateway.state import Answered

_GONE = (matching.REFUSAL_ORDER_UNKNOWN, matching.REFUSAL_ORDER_ENDED)
_LIMITS = (
    "expired_in_transit",
    "account_suspended",
    "market_not_open",
    "quantity_too_small",
    "quantity_too_large",
    "notional_too_small",
    "notional_too_large",
    "price_outside_band",
    "capacity_full",
    "post_only_would_trade",
    "insufficient_balance",
    "price_off_tick",
    "quantity_off_lot",
    "engine_refused",
    "outcome_unknown",
)
_OF_ENDED = ("order_unknown", "order_ended", "expired_in_transit", "engine_refused", "lagging")


class _Page(NamedTuple):
    """Some orders, whether there are more, and what they were true at."""

    orders: Sequence[types.Order]
    more: bool
    sequence: int


class Orders:
    """What can be asked of orders."""

    def __init__(self, entry: OrderEntry, markets: Markets, reads: Reads) -> None:
        self._entry = entry
        self._markets = markets
        self._reads = reads

    def routes(self) -> Sequence[Route]:
        """The lines of the public API that are served here."""
        orders, one = f"{PREFIX}/orders", f"{PREFIX}/orders/{{order_id}}"
        named = f"{PREFIX}/orders/by-client-id/{{client_order_id}}"
        order, query, amendment = shapes.Order, Reader(shapes.OrdersQuery), Reader(shapes.Amendment)
        placing = ("client_order_id_reused", "instrument_unknown", "too_many_open_orders", *_LIMITS)
        amending = ("order_unknown", "order_ended", "quantity_below_filled", "lagging", *_LIMITS)
        ending, looking = (*_OF_ENDED, "outcome_unknown"), ("order_unknown", "lagging")
        lists = ("instrument_unknown", "lagging")
        mass = ("instrument_unknown", "expired_in_transit", "outcome_unknown")
        return (
            Route("POST", orders, self.place, "Place an order; asking twice is one order", order,
                  "trade", body=Reader(shapes.NewOrder), codes=placing, statuses=(201, 200)),
            Route("GET", orders, self.find, "Orders, newest first", shapes.Orders,
                  "read", query=query, codes=lists),
            Route("DELETE", orders, self.cancel_all, "Cancel all, or all of one instrument",
                  shapes.Cancelled, "trade", query=Reader(shapes.InstrumentQuery), codes=mass),
            Route("GET", one, self.get, "One order with its fills", order, "read", codes=looking),
            Route("GET", named, self.get, "The newest order of that name with its fills", order,
                  "read", codes=looking),
            Route("PATCH", one, self.amend, "Change price, quantity or both", order,
                  "trade", body=amendment, codes=amending),
            Route("PATCH", named, self.amend, "Change price, quantity or both, by name", order,
                  "trade", body=amendment, codes=amending),
            Route("DELETE", one, self.cancel, "Cancel an order", order, "trade", codes=ending),
            Route("DELETE", named, self.cancel, "Cancel an order, by name", order,
                  "trade", codes=ending),
        )  # fmt: skip

    async def place(self, ask: Ask) -> Reply:
        """Place an order: 201, or 200 with the order as it stands if it was asked before."""
        assert ask.caller is not None, "the route is private"
        decimals = shaping.check_order(ask.body)
        market = self._markets.find(ask.body.instrument)
        default_id = f"sig-{ask.caller.signature[:32]}"
        placed = translate.place_order(shaping.order_words(ask.body, decimals, market, default_id))
        if isinstance(placed, list):
            raise shaping.misfit(placed)
        answer = await self._ask(ask, place_order=placed)
        outcome = answer.outcome
        if outcome.refusal:
            raise problems.refused(outcome, market, placed.side)
        if outcome.repeated:
            name = OrderName(outcome.order.order_id)
            order = await self._reads.order(ask.account, name, answer.sequence)
            return Reply(order, answer.sequence)
        return Reply(self._taken(answer, market), answer.sequence, status=201)

    async def amend(self, ask: Ask) -> Reply:
        """Change an open order."""
        name = _named(ask)
        decimals = shaping.check_amendment(ask.body)
        now = await self._reads.engine_order(ask.account, name, self._after(ask))
        if not now.found or now.order.state != types.ORDER_STATE_OPEN:
            raise await self._gone(ask.account, name, now.sequence)
        market = await self._markets.wait_for(now.order.instrument)
        amended = translate.amend_order(
            market, now.order.order_id, decimals.price, decimals.quantity
        )
        if isinstance(amended, list):
            raise shaping.misfit(amended)
        answer = await self._ask(ask, amend_order=amended)
        if answer.outcome.refusal in _GONE:
            raise await self._gone(ask.account, name, answer.sequence)
        if answer.outcome.refusal:
            raise problems.refused(answer.outcome, market, now.order.side)
        return Reply(self._taken(answer, market), answer.sequence)

    async def cancel(self, ask: Ask) -> Reply:
        """End an open order."""
        name = _named(ask)
        answer = await self._ask(ask, cancel_order=matching.CancelOrder(**name._asdict()))
        if answer.outcome.refusal in _GONE:
            raise await self._gone(ask.account, name, answer.sequence)
        if answer.outcome.refusal:
            raise problems.refused(answer.outcome, None)
        return Reply(await self._reads.shown(answer.outcome.order), answer.sequence)

    async def cancel_all(self, ask: Ask) -> Reply:
        """End all open orders. A symbol may stand for several instruments: all but one are old."""
        symbol = ask.query.instrument
        wanted = self._markets.ids_of(symbol) if isinstance(symbol, str) else [0]
        cancelled: list[str] = []
        sequence = 0
        for instrument in wanted:
            command = matching.CancelAll(instrument=instrument)
            answer = await self._ask(ask, cancel_all=command)
            if answer.outcome.refusal:
                raise problems.refused(answer.outcome, None)
            cancelled += map(str, answer.cancelled)
            sequence = answer.sequence
        return Reply(shapes.Cancelled(cancelled), sequence)

    async def get(self, ask: Ask) -> Reply:
        """One order with all its fills."""
        order = await self._reads.order(ask.account, _named(ask), self._after(ask))
        return Reply(order, order.sequence)

    async def find(self, ask: Ask) -> Reply:
        """Orders, newest first: open ones from the engine, all others from history."""
        cursor = number(ask.query.cursor, "/cursor")
        symbol = ask.query.instrument
        wanted = self._markets.ids_of(symbol) if isinstance(symbol, str) else []
        page = await (self._open if ask.query.state == "open" else self._past)(ask, wanted, cursor)
        shown = [await self._reads.shown(order) for order in page.orders]
        next_cursor = shown[-1].order_id if page.more and shown else None
        return Reply(shapes.Orders(shown, next_cursor, page.sequence), page.sequence)

    async def _open(self, ask: Ask, wanted: Sequence[int], cursor: int) -> "_Page":
        """Open orders as the engine has them."""
        told = await self._reads.open_orders(ask.account, self._after(ask))
        query = ask.query
        orders = [
            order
            for order in reversed(told.orders)
            if (not wanted or order.instrument in wanted)
            and (not cursor or order.order_id < cursor)
            and query.from_us <= order.created_us
            and (not query.to_us or order.created_us < query.to_us)
        ]
        return _Page(orders[: query.limit], len(orders) > query.limit, told.sequence)

    async def _past(self, ask: Ask, wanted: Sequence[int], cursor: int) -> "_Page":
        """Orders in any state as history has them.

        A symbol with several instruments is asked for each; ids grow with time, so they merge.
        """
        query = ask.query
        state = ORDER_STATE_OF[query.state] if isinstance(query.state, str) else 0
        pages = [
            await self._reads.past_orders(
                history.ListOrdersRequest(
                    account=ask.account,
                    instrument=instrument,
                    state=types.OrderState.Name(state),
                    from_us=query.from_us,
                    to_us=query.to_us,
                    limit=query.limit,
                    cursor=cursor,
                    after_sequence=self._after(ask),
                )
            )
            for instrument in wanted or [0]
        ]
        orders = sorted((order for page in pages for order in page.orders), key=_newest)
        more = any(page.next_cursor for page in pages) or len(orders) > query.limit
        return _Page(orders[: query.limit], more, min(page.sequence for page in pages))

    async def _ask(self, ask: Ask, **kind: object) -> Answered:
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

    async def _gone(self, account: int, name: OrderName, after: int) -> Problem:
        """What is said of an order that is not open: 409 if it was the account's, else 404."""
        past = await self._reads.past_order(account, name, after)
        if past is None or past.state == "open":
            return Problem("order_unknown")
        return Problem("order_ended", f"The order is {past.state}.", order=past)

    def _taken(self, answer: Answered, market: Market) -> shapes.Order:
        """The order after a command that may have traded, with what it traded."""
        order = answer.outcome.order
        fills = translate.taken(answer.trades, market, order.side, answer.time_us)
        return translate.order(order, market, self._markets.asset(order.fee_asset), fills)

    def _after(self, ask: Ask) -> int:
        """Reads see your writes: after all that this gateway has answered, and what was named."""
        return max(ask.after, self._entry.answered_sequence)


def _named(ask: Ask) -> OrderName:
    """The order that the path names. Raises Problem."""
    client_order_id = ask.path.get("client_order_id")
    if client_order_id is None:
        return OrderName(number(ask.path["order_id"], "/order_id"))
    if not ids.is_client_order_id(client_order_id):
        raise invalid("/client_order_id", "It is not 1..36 of A-Z a-z 0-9 . _ : -.")
    return OrderName(0, client_order_id)


def _newest(order: types.Order) -> int:
    return -order.order_id
