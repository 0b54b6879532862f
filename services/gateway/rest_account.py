"""The routes of an account: fills, balances, settings."""

from collections.abc import Sequence
from typing import Final, cast

from msgspec import UNSET

from bourse.matching import v1 as matching
from bourse.orders import v1 as history
from services.gateway import shapes, translate
from services.gateway.commands import EVERY, Commands, all_done
from services.gateway.funds import Funds
from services.gateway.markets import Markets
from services.gateway.problems import Problem, invalid
from services.gateway.reading import Reader
from services.gateway.reads import Reads
from services.gateway.rest import PREFIX, Ask, Reply, Route, number
from services.gateway.shards import Shards, as_shown, heard, spoken

_LEAST_MS: Final = 1000
"""The shortest time that a dead man's switch waits."""


class AccountRoutes:
    """What an account can ask of itself, orders aside."""

    def __init__(
        self, shards: Shards, commands: Commands, markets: Markets, reads: Reads, funds: Funds
    ) -> None:
        self._shards = shards
        self._commands = commands
        self._markets = markets
        self._reads = reads
        self._funds = funds

    def routes(self) -> Sequence[Route]:
        """The lines of the public API that are served here."""
        fills = Reader(shapes.FillsQuery)
        codes = ("instrument_unknown",)
        switching = (*EVERY, "account_suspended", "capacity_full")
        return (
            Route("GET", f"{PREFIX}/fills", self.fills, "Fills, newest first", shapes.Fills,
                  "read", query=fills, codes=codes),
            Route("GET", f"{PREFIX}/balances", self.balances, "What the account has",
                  shapes.Balances, "read"),
            Route("GET", f"{PREFIX}/account", self.account, "The account of the key",
                  shapes.Account, "read"),
            Route("PUT", f"{PREFIX}/dead-man", self.dead_man,
                  "Cancel everything unless this is asked again in time", shapes.Switch, "trade",
                  body=Reader(shapes.DeadMan), codes=switching),
        )  # fmt: skip

    async def fills(self, ask: Ask) -> Reply:
        """Fills, newest first, from history once it has passed what was answered."""
        query = ask.query
        order_id = number(query.order_id, "/order_id")
        symbol = query.instrument
        wanted = self._markets.ids_of(symbol) if isinstance(symbol, str) else []
        after = self._commands.after(ask)
        of = order_id or (self._markets.find(symbol).id if isinstance(symbol, str) else 0)
        shards = {self._shards.of(named).number for named in [order_id, *wanted] if named}
        asked = {shard: after[shard] for shard in shards or after}
        told = await self._reads.fills(
            history.ListFillsRequest(
                account=ask.account,
                instrument=wanted[0] if len(wanted) == 1 else 0,
                order_id=order_id,
                from_us=query.from_us,
                to_us=query.to_us,
                limit=query.limit,
                cursor=query.cursor,
                after=spoken(asked),
            )
        )
        # A symbol of several instruments has no single place to go on from, so its pages are
        # picked from those of all instruments and may be short.
        picked = [fill for fill in told.fills if not wanted or fill.instrument in wanted]
        shown = [await self._reads.shown_fill(fill) for fill in picked]
        at = {n: sequence for n, sequence in heard(told.at).items() if n in asked}
        fills = shapes.Fills(
            shown,
            told.next_cursor or None,
            at[self._shards.of(of).number],
            as_shown(at) if self._shards.is_several else UNSET,
        )
        return Reply(fills, at)

    async def balances(self, ask: Ask) -> Reply:
        """Balances as the engines have them, all shards together."""
        cut = await self._funds.everywhere(ask.account, self._commands.after(ask))
        shown = []
        for of, has in cut.has.items():
            asset = self._markets.asset(of)
            if asset is None:
                raise Problem("lagging", "An asset was just added. Try again.")
            shown.append(translate.balance(asset, *has))
        return Reply(shapes.Balances(shown, as_shown(cut.at)), cut.at)

    async def account(self, ask: Ask) -> Reply:
        """The account's settings, which are the same in all shards, and what it pays."""
        assert ask.caller is not None, "the route is private"
        first = self._shards[0]
        after = self._commands.after(ask)
        told = await self._reads.settings(first, ask.account, after)
        rates = [(m.symbol, m.fees_of_tier(told.fee_tier)) for m in self._markets.trading]
        key = ask.caller.key
        scopes = cast("list[shapes.Scope]", [s for s in shapes.SCOPES if s in key.scopes])
        account = shapes.Account(
            account_id=str(key.account),
            name=key.account_name,
            fee_tier=told.fee_tier,
            fees=[shapes.Fees(name, fee.maker_fee_ppm, fee.taker_fee_ppm) for name, fee in rates],
            self_trade_prevention=translate.prevention(told.self_trade_prevention),
            scopes=scopes,
            max_open_orders=told.max_open_orders or None,
            max_commands_per_second=told.max_commands_per_second or None,
            pays_fee_asset=told.pays_fee_asset,
            dead_man_us=told.dead_man_us or None,
        )
        return Reply(account, {first.number: told.sequence})

    async def dead_man(self, ask: Ask) -> Reply:
        """Set the dead man's switch, renew it, or take it off."""
        timeout_ms = ask.body.timeout_ms
        if 0 < timeout_ms < _LEAST_MS:
            raise invalid("/timeout_ms", "It is 0, or 1000 to 86400000.")
        switch = matching.SetDeadMan(timeout_us=timeout_ms * 1000)
        shards = list(self._shards)
        asked = (self._commands.ask(ask, shard, set_dead_man=switch) for shard in shards)
        answers = await all_done(asked)
        # Each shard counts by its own clock; the first to cancel is told.
        due_us = min(answer.time_us for answer in answers) + switch.timeout_us
        at = {shard.number: each.sequence for shard, each in zip(shards, answers, strict=True)}
        return Reply(shapes.Switch(due_us if timeout_ms else None), at)
