"""The routes of orders: place, amend, cancel, look."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from bourse.matching import v1 as matching
from bourse.orders import v1 as history
from bourse.types import v1 as types
from services.domain.instruments import Market
from services.domain.words import ORDER_STATE_OF
from services.gateway import problems, shapes, shaping, translate
from services.gateway.commands import EVERY, GONE, PLACING, Commands, default_id, named
from services.gateway.markets import Markets
from services.gateway.problems import Problem
from services.gateway.reading import Reader
from services.gateway.reads import STANDING, OrderName, Reads
from services.gateway.rest import PREFIX, Ask, Reply, Route, number

_NO_AMEND: Final = (
    "instrument_unknown",
    "client_order_id_reused",
    "expiry_passed",
    "would_trigger",
    "too_many_open_orders",
)
"""What places an order may be refused for, and an amend may not."""

_OF_STANDING: Final = ("open", "waiting")
"""States that the engine lists; all others are history's."""


class _Page(NamedTuple):
    """Some orders, whether there are more, and what they were true at."""

    orders: Sequence[types.Order]
    more: bool
    sequence: int


class Orders:
    """What can be asked of orders."""

    def __init__(self, commands: Commands, markets: Markets, reads: Reads) -> None:
        self._commands = commands
        self._markets = markets
        self._reads = reads

    def routes(self) -> Sequence[Route]:
        """The lines of the public API that are served here."""
        orders, one = f"{PREFIX}/orders", f"{PREFIX}/orders/{{order_id}}"
        named = f"{PREFIX}/orders/by-client-id/{{client_order_id}}"
        order, query, amendment = shapes.Order, Reader(shapes.OrdersQuery), Reader(shapes.Amendment)
        looking, lists = ("order_unknown", "lagging"), ("instrument_unknown", "lagging")
        ending = (*looking, "order_ended", *EVERY)
        amending = (*ending, "quantity_below_filled", *(c for c in PLACING if c not in _NO_AMEND))
        mass = ("instrument_unknown", *EVERY)
        return (
            Route("POST", orders, self.place, "Place an order; asking twice is one order", order,
                  "trade", body=Reader(shapes.NewOrder), codes=PLACING, statuses=(201, 200)),
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
        decimals = shaping.check_order(ask.body)
        market = self._markets.find(ask.body.instrument)
        words = shaping.order_words(ask.body, decimals, market, default_id(ask))
        placed = translate.place_order(words)
        if isinstance(placed, list):
            raise shaping.misfit(placed)
        answer = await self._commands.ask(ask, place_order=placed)
        outcome = answer.outcome
        if outcome.refusal:
            raise problems.refused(outcome, market, placed.side)
        if outcome.repeated:
            name = OrderName(outcome.order.order_id)
            order = await self._reads.order(ask.account, name, answer.sequence)
            return Reply(order, answer.sequence)
        return Reply(self._commands.taken(answer, market), answer.sequence, status=201)

    async def amend(self, ask: Ask) -> Reply:
        """Change an open order."""
        name = named(ask)
        decimals = shaping.check_amendment(ask.body)
        now = await self._reads.engine_order(ask.account, name, self._commands.after(ask))
        if not now.found or now.order.state not in STANDING:
            raise await self._commands.gone(ask.account, name, now.sequence)
        market = await self._markets.wait_for(now.order.instrument)
        amended = translate.amend_order(
            market, now.order.order_id, decimals.price, decimals.quantity
        )
        if isinstance(amended, list):
            raise shaping.misfit(amended)
        answer = await self._commands.ask(ask, amend_order=amended)
        if answer.outcome.refusal in GONE:
            raise await self._commands.gone(ask.account, name, answer.sequence)
        if answer.outcome.refusal:
            raise _not_amended(answer.outcome, market, now.order)
        return Reply(self._commands.taken(answer, market), answer.sequence)

    async def cancel(self, ask: Ask) -> Reply:
        """End an open order."""
        name = named(ask)
        answer = await self._commands.ask(ask, cancel_order=matching.CancelOrder(**name._asdict()))
        if answer.outcome.refusal in GONE:
            raise await self._commands.gone(ask.account, name, answer.sequence)
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
            answer = await self._commands.ask(ask, cancel_all=command)
            if answer.outcome.refusal:
                raise problems.refused(answer.outcome, None)
            cancelled += map(str, answer.cancelled)
            sequence = answer.sequence
        return Reply(shapes.Cancelled(cancelled), sequence)

    async def get(self, ask: Ask) -> Reply:
        """One order with all its fills."""
        order = await self._reads.order(ask.account, named(ask), self._commands.after(ask))
        return Reply(order, order.sequence)

    async def find(self, ask: Ask) -> Reply:
        """Orders, newest first: those that stand from the engine, all others from history."""
        cursor = number(ask.query.cursor, "/cursor")
        symbol = ask.query.instrument
        wanted = self._markets.ids_of(symbol) if isinstance(symbol, str) else []
        listed = self._open if ask.query.state in _OF_STANDING else self._past
        page = await listed(ask, wanted, cursor)
        shown = [await self._reads.shown(order) for order in page.orders]
        next_cursor = shown[-1].order_id if page.more and shown else None
        return Reply(shapes.Orders(shown, next_cursor, page.sequence), page.sequence)

    async def _open(self, ask: Ask, wanted: Sequence[int], cursor: int) -> "_Page":
        """Orders that stand as the engine has them; or those of them that wait."""
        told = await self._reads.open_orders(ask.account, self._commands.after(ask))
        query = ask.query
        orders = [
            order
            for order in reversed(told.orders)
            if (query.state == "open" or order.state == types.ORDER_STATE_WAITING)
            and (not wanted or order.instrument in wanted)
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
                    after_sequence=self._commands.after(ask),
                )
            )
            for instrument in wanted or [0]
        ]
        orders = sorted((order for page in pages for order in page.orders), key=_newest)
        more = any(page.next_cursor for page in pages) or len(orders) > query.limit
        return _Page(orders[: query.limit], more, min(page.sequence for page in pages))


def _not_amended(outcome: matching.Outcome, market: Market, order: types.Order) -> Problem:
    """What is said of an amend that was refused: of an order that waits it always is."""
    waits = order.state == types.ORDER_STATE_WAITING
    if waits and outcome.refusal == matching.REFUSAL_MARKET_NOT_OPEN:
        return Problem("market_not_open", "An order that waits is not amended: replace it.")
    return problems.refused(outcome, market, order.side)


def _newest(order: types.Order) -> int:
    return -order.order_id
