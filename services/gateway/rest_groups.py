"""The routes of orders that come together: groups, and one in the place of another."""

from collections.abc import Sequence
from typing import Final

from bourse.matching import v1 as matching
from services.domain.ids import SHARDS
from services.domain.instruments import Market, Misfit
from services.domain.words import GROUP_KIND_OF
from services.gateway import groups, problems, shapes, shaping, translate
from services.gateway.commands import GONE, PLACING, Commands, default_id, named
from services.gateway.markets import Markets
from services.gateway.problems import Problem
from services.gateway.reading import Reader
from services.gateway.reads import OrderName, Reads
from services.gateway.rest import PREFIX, Ask, Reply, Route
from services.gateway.shards import Sequences, Shards
from services.gateway.state import Answered
from services.gateway.translate import MOST_TICKS, Flaw

_THE_OLD: Final = 1
"""What a refusal calls the order that was to be cancelled."""
_THE_NEW: Final = 2
"""What it calls the order in its place."""

_CREATED: Final = (201, 200)


class Together:
    """What can be asked of several orders at once: all or nothing."""

    def __init__(self, shards: Shards, commands: Commands, markets: Markets, reads: Reads) -> None:
        self._shards = shards
        self._commands = commands
        self._markets = markets
        self._reads = reads

    def routes(self) -> Sequence[Route]:
        """The lines of the public API that are served here."""
        orders, replace = f"{PREFIX}/orders", "Put a new order in the place of one, or do neither"
        one, named = f"{orders}/{{order_id}}", f"{orders}/by-client-id/{{client_order_id}}"
        order = Reader(shapes.NewOrder)
        codes = (*PLACING, "order_unknown", "order_ended", "replacement_differs", "lagging")
        return (
            Route("POST", f"{orders}/groups", self.place, "Place orders that belong together",
                  shapes.Group, "trade", body=groups.GroupReader(), codes=PLACING,
                  statuses=_CREATED),
            Route("POST", f"{one}/replace", self.replace, replace, shapes.Replaced,
                  "trade", body=order, codes=codes, statuses=_CREATED),
            Route("POST", f"{named}/replace", self.replace, f"{replace}, by name", shapes.Replaced,
                  "trade", body=order, codes=codes, statuses=_CREATED),
        )  # fmt: skip

    async def place(self, ask: Ask) -> Reply:
        """Place a group: 201, or 200 with its orders as they stand if it was asked before."""
        members = groups.check_group(ask.body)
        market = self._markets.find(ask.body.orders[0].instrument)
        placed = self._members(ask, members, market)
        group = matching.PlaceGroup(
            kind=GROUP_KIND_OF[ask.body.kind],  # type: ignore[arg-type]  # of the enum's numbers
            first=placed[0],
            second=placed[1],
            third=placed[2] if len(placed) > 2 else None,
        )
        sides = [one.side for one in placed]
        answer = await self._commands.order(ask, market, sides, place_group=group)
        outcome, at = answer.outcome, self._commands.at(market.id, answer)
        if outcome.refusal:
            raise problems.refused(outcome, market, sides[max(outcome.member, 1) - 1])
        if outcome.repeated:
            stand = [await self._stands(ask, answer, index) for index in range(len(placed))]
            return Reply(shapes.Group(stand), at)
        taken = [
            self._commands.taken(answer, market, order)
            for order in (outcome.order, *outcome.others)
        ]
        return Reply(shapes.Group(taken), at, status=201)

    def _members(
        self, ask: Ask, members: Sequence[shaping.Decimals], market: Market
    ) -> list[matching.PlaceOrder]:
        """The orders of a group. Raises Problem for those that do not fit: a 400 goes first."""
        placed: list[matching.PlaceOrder] = []
        misfits: list[Problem] = []
        for index, (order, decimals) in enumerate(zip(ask.body.orders, members, strict=True)):
            # The group is known by its first order; the others need no name.
            name = "" if index else default_id(ask)
            one = translate.place_order(shaping.order_words(order, decimals, market, name))
            if not isinstance(one, list) and not one.quantity_lots and one.price_ticks > MOST_TICKS:
                one = [Flaw("price", Misfit.TOO_LARGE)]
            if isinstance(one, list):
                misfits.append(shaping.misfit(one, f"/orders/{index}", index + 1))
            else:
                placed.append(one)
        if misfits:
            raise min(misfits, key=lambda problem: problem.kind.status)
        return placed

    async def _stands(self, ask: Ask, answer: Answered, index: int) -> shapes.Order:
        """An order of a group that was placed before; their ids follow each other."""
        name = OrderName(answer.outcome.order.order_id + index * SHARDS)
        at = self._commands.at(name.order_id, answer)
        return await self._reads.order(ask.account, name, at)

    async def replace(self, ask: Ask) -> Reply:
        """Cancel one order and place another, or do neither."""
        name = named(ask)
        decimals = shaping.check_order(ask.body)
        market = self._markets.find(ask.body.instrument)
        words = shaping.order_words(ask.body, decimals, market, default_id(ask))
        placed = translate.place_order(words)
        if isinstance(placed, list):
            raise shaping.misfit(placed)
        command = matching.ReplaceOrder(**name._asdict(), order=placed)
        sides = [placed.side] * _THE_NEW
        answer = await self._commands.order(ask, market, sides, replace_order=command)
        outcome, at = answer.outcome, self._commands.at(market.id, answer)
        if outcome.refusal in GONE:
            raise await self._not_there(ask, name, market, at)
        if outcome.refusal:
            raise problems.refused(outcome, market, placed.side)
        if outcome.repeated:
            old = await self._reads.order(ask.account, name, at)
            return Reply(shapes.Replaced(old, await self._stands(ask, answer, 0)), at)
        old = await self._reads.shown(outcome.others[0])
        taken = self._commands.taken(answer, market)
        return Reply(shapes.Replaced(old, taken), at, status=201)

    async def _not_there(self, ask: Ask, name: OrderName, market: Market, at: Sequences) -> Problem:
        """Why the shard of the new order did not find the old one: it may stand in another."""
        if self._shards.is_several:
            known = await self._reads.known(ask.account, name, self._commands.after(ask))
            old = known.standing
            if old is not None and self._shards.of(old.order_id) != self._shards.of(market.id):
                return Problem("replacement_differs", member=_THE_NEW)
            at = known.at
        return await self._commands.gone(ask.account, name, at, _THE_OLD)
