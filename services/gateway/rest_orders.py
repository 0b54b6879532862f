"""The routes of orders: place, amend, cancel, look."""

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec import UNSET

from bourse.matching import v1 as matching
from bourse.orders import v1 as history
from bourse.types import v1 as types
from services.domain.instruments import Market
from services.domain.words import ORDER_STATE_OF
from services.gateway import problems, shapes, shaping, translate
from services.gateway.commands import EVERY, GONE, PLACING, Commands, all_done, default_id, named
from services.gateway.markets import Markets
from services.gateway.pages import Page, Place, newest, place_of, read_cursor, write_cursor
from services.gateway.problems import Problem
from services.gateway.reading import Reader
from services.gateway.reads import OrderName, Reads
from services.gateway.rest import PREFIX, Ask, Reply, Route
from services.gateway.shards import Shard, Shards, as_shown, heard, spoken

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


class Orders:
    """What can be asked of orders."""

    def __init__(self, shards: Shards, commands: Commands, markets: Markets, reads: Reads) -> None:
        self._shards = shards
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
        answer = await self._commands.order(ask, market, [placed.side], place_order=placed)
        outcome, at = answer.outcome, self._commands.at(market.id, answer)
        if outcome.refusal:
            raise problems.refused(outcome, market, placed.side)
        if outcome.repeated:
            name = OrderName(outcome.order.order_id)
            return Reply(await self._reads.order(ask.account, name, at), at)
        return Reply(self._commands.taken(answer, market), at, status=201)

    async def amend(self, ask: Ask) -> Reply:
        """Change an open order."""
        name = named(ask)
        decimals = shaping.check_amendment(ask.body)
        known = await self._reads.known(ask.account, name, self._commands.after(ask))
        now = known.standing
        if now is None:
            raise await self._commands.gone(ask.account, name, known.at)
        market = await self._markets.wait_for(now.instrument)
        amended = translate.amend_order(market, now.order_id, decimals.price, decimals.quantity)
        if isinstance(amended, list):
            raise shaping.misfit(amended)
        answer = await self._commands.order(ask, market, [now.side], amend_order=amended)
        at = self._commands.at(market.id, answer)
        if answer.outcome.refusal in GONE:
            raise await self._commands.gone(ask.account, OrderName(now.order_id), at)
        if answer.outcome.refusal:
            raise _not_amended(answer.outcome, market, now)
        return Reply(self._commands.taken(answer, market), at)

    async def cancel(self, ask: Ask) -> Reply:
        """End an open order."""
        outcome, at = await self._commands.cancel(ask, named(ask))
        return Reply(await self._reads.shown(outcome.order), at)

    async def cancel_all(self, ask: Ask) -> Reply:
        """End all open orders. A symbol may stand for several instruments: all but one are old."""
        symbol = ask.query.instrument
        wanted = [(shard, 0) for shard in self._shards]
        if isinstance(symbol, str):
            numbers = self._markets.ids_of(symbol)
            wanted = [(self._shards.of(number), number) for number in numbers]
        asked = (
            self._commands.ask(ask, shard, cancel_all=matching.CancelAll(instrument=number))
            for shard, number in wanted
        )
        answers = await all_done(asked)
        cancelled = [str(order_id) for answer in answers for order_id in answer.cancelled]
        told = zip(wanted, answers, strict=True)
        at = {shard.number: answer.sequence for (shard, _), answer in told}
        return Reply(shapes.Cancelled(cancelled), at)

    async def get(self, ask: Ask) -> Reply:
        """One order with all its fills."""
        order = await self._reads.order(ask.account, named(ask), self._commands.after(ask))
        return Reply(order, self._shards.at(int(order.order_id), order.sequence))

    async def find(self, ask: Ask) -> Reply:
        """Orders, newest first: those that stand from the engines, all others from history."""
        query = ask.query
        below = read_cursor(query.cursor)
        symbol = query.instrument
        wanted = self._markets.ids_of(symbol) if isinstance(symbol, str) else []
        listed = self._open if query.state in _OF_STANDING else self._past
        page = await listed(ask, wanted, below)
        shown = [await self._reads.shown(order) for order in page.orders]
        last = place_of(page.orders[-1]) if page.more and page.orders else None
        named = self._shards.of(self._markets.find(symbol).id).number if wanted else 0
        orders = shapes.Orders(
            shown,
            write_cursor(last) if last else None,
            page.at[named],
            as_shown(page.at) if self._shards.is_several else UNSET,
        )
        return Reply(orders, page.at)

    async def _open(self, ask: Ask, wanted: Sequence[int], below: Place | None) -> Page:
        """Orders that stand as the engines have them; or those of them that wait."""
        after, of_whom = self._commands.after(ask), ask.account
        asked = self._where(wanted)
        reading = (self._reads.open_orders(shard, of_whom, after) for shard in asked)
        told = await asyncio.gather(*reading)
        query = ask.query
        orders = [
            order
            for each in told
            for order in each.orders
            if (query.state == "open" or order.state == types.ORDER_STATE_WAITING)
            and (not wanted or order.instrument in wanted)
            and (below is None or place_of(order) < below)
            and query.from_us <= order.created_us
            and (not query.to_us or order.created_us < query.to_us)
        ]
        at = {shard.number: each.sequence for shard, each in zip(asked, told, strict=True)}
        return newest(orders, query.limit, at, more=False)

    def _where(self, instruments: Sequence[int]) -> list[Shard]:
        """The shards of some instruments, or all."""
        numbers = {self._shards.of(instrument).number for instrument in instruments}
        return [shard for shard in self._shards if not numbers or shard.number in numbers]

    async def _past(self, ask: Ask, wanted: Sequence[int], below: Place | None) -> Page:
        """Orders in any state as history has them.

        A symbol with several instruments is asked for each, and their lists merge.
        """
        query, after = ask.query, self._commands.after(ask)
        asked = {shard.number: after[shard.number] for shard in self._where(wanted)}
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
                    page=write_cursor(below) if below else "",
                    after=spoken(asked),
                )
            )
            for instrument in wanted or [0]
        ]
        told = [heard(page.at) for page in pages]
        at = {number: min(each[number] for each in told) for number in asked}
        orders = (order for page in pages for order in page.orders)
        more = any(page.next_page for page in pages)
        return newest(orders, query.limit, at, more=more)


def _not_amended(outcome: matching.Outcome, market: Market, order: types.Order) -> Problem:
    """What is said of an amend that was refused: of an order that waits it always is."""
    waits = order.state == types.ORDER_STATE_WAITING
    if waits and outcome.refusal == matching.REFUSAL_MARKET_NOT_OPEN:
        return Problem("market_not_open", "An order that waits is not amended: replace it.")
    return problems.refused(outcome, market, order.side)
