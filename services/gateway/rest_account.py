"""The routes of an account: fills, balances, settings."""

from collections.abc import Sequence
from typing import cast

from bourse.orders import v1 as history
from services.gateway import shapes, translate
from services.gateway.entry import OrderEntry
from services.gateway.markets import Markets
from services.gateway.problems import Problem
from services.gateway.reading import Reader
from services.gateway.reads import Reads
from services.gateway.rest import PREFIX, Ask, Reply, Route, number


class AccountRoutes:
    """What an account can ask of itself, orders aside."""

    def __init__(self, entry: OrderEntry, markets: Markets, reads: Reads) -> None:
        self._entry = entry
        self._markets = markets
        self._reads = reads

    def routes(self) -> Sequence[Route]:
        """The lines of the public API that are served here."""
        fills = Reader(shapes.FillsQuery)
        codes = ("instrument_unknown",)
        return (
            Route("GET", f"{PREFIX}/fills", self.fills, "Fills, newest first", shapes.Fills,
                  "read", query=fills, codes=codes),
            Route("GET", f"{PREFIX}/balances", self.balances, "What the account has",
                  shapes.Balances, "read"),
            Route("GET", f"{PREFIX}/account", self.account, "The account of the key",
                  shapes.Account, "read"),
        )  # fmt: skip

    async def fills(self, ask: Ask) -> Reply:
        """Fills, newest first, from history once it has passed what was answered."""
        query = ask.query
        order_id = number(query.order_id, "/order_id")
        symbol = query.instrument
        wanted = self._markets.ids_of(symbol) if isinstance(symbol, str) else []
        told = await self._reads.fills(
            history.ListFillsRequest(
                account=ask.account,
                instrument=wanted[0] if len(wanted) == 1 else 0,
                order_id=order_id,
                from_us=query.from_us,
                to_us=query.to_us,
                limit=query.limit,
                cursor=query.cursor,
                after_sequence=self._after(ask),
            )
        )
        # A symbol of several instruments has no single place to go on from, so its pages are
        # picked from those of all instruments and may be short.
        picked = [fill for fill in told.fills if not wanted or fill.instrument in wanted]
        shown = [await self._reads.shown_fill(fill) for fill in picked]
        fills = shapes.Fills(shown, told.next_cursor or None, told.sequence)
        return Reply(fills, told.sequence)

    async def balances(self, ask: Ask) -> Reply:
        """Balances as the engine has them."""
        told = await self._reads.balances(ask.account, self._after(ask))
        shown = []
        for balance in told.balances:
            asset = self._markets.asset(balance.asset)
            if asset is None:
                raise Problem("lagging", "An asset was just added. Try again.")
            shown.append(translate.balance(asset, balance.available_minor, balance.held_minor))
        at = [shapes.ShardSequence(self._markets.shard, told.sequence)]
        return Reply(shapes.Balances(shown, at), told.sequence)

    async def account(self, ask: Ask) -> Reply:
        """The account's settings and what it pays."""
        assert ask.caller is not None, "the route is private"
        told = await self._reads.settings(ask.account, self._after(ask))
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
        )
        return Reply(account, told.sequence)

    def _after(self, ask: Ask) -> int:
        return max(ask.after, self._entry.answered_sequence)
