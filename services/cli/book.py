"""`bourse book INSTRUMENT`: a live ladder of one book in the terminal."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bourse.marketdata import v1 as marketdata
from bourse.matching import v1 as matching
from services.cli.rooms import PATIENCE_S, Rooms, markets_in_reach, open_rooms
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    out,
    perform,
    print_json,
)
from services.domain.ids import shard_of
from services.domain.instruments import Market

BAR: Final = 24
"""Characters of the widest bar."""


class Ladder:
    """One book as market data tells it: prices in ticks to lots."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.sequence = 0
        self.last: marketdata.PublicTrade | None = None
        self.auction = marketdata.Auction()

    def take(self, said: marketdata.WatchResponse) -> bool:
        """Take in what happened; True if this book changed."""
        changed = False
        for depth in said.depths:
            if depth.instrument == self.market.id:
                self._put(depth)
                changed = True
        for trade in said.trades:
            if trade.instrument == self.market.id:
                self.last, changed = trade, True
        for auction in said.auctions:
            if auction.instrument == self.market.id:
                self.auction, changed = auction, True
        return changed

    def _put(self, depth: marketdata.Depth) -> None:
        if depth.snapshot:
            self.bids.clear()
            self.asks.clear()
        for side, levels in ((self.bids, depth.bids), (self.asks, depth.asks)):
            for level in levels:
                side[level.price_ticks] = level.lots
                if not level.lots:
                    del side[level.price_ticks]
        self.sequence = depth.sequence

    def best(self, rows: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The best bids and asks, best first: (ticks, lots)."""
        bids = sorted(self.bids.items(), reverse=True)[:rows]
        return bids, sorted(self.asks.items())[:rows]

    def drawn(self, rows: int) -> Table:
        """The ladder as it stands: asks above, bids below, the last trade between."""
        bids, asks = self.best(rows)
        most = max((lots for _, lots in [*bids, *asks]), default=1)
        made = Table(box=None, pad_edge=False, title=f"{self.market.symbol}  #{self.sequence}")
        made.add_column("quantity", justify="right")
        made.add_column("price", justify="right")
        made.add_column("", width=BAR)
        for ticks, lots in reversed(asks):
            made.add_row(*self._row(ticks, lots, most, "red"))
        made.add_row("", self._between(), "")
        for ticks, lots in bids:
            made.add_row(*self._row(ticks, lots, most, "green"))
        return made

    def _row(self, ticks: int, lots: int, most: int, colour: str) -> tuple[str, Text, Text]:
        bar = "█" * max(1, BAR * lots // most)
        price = Text(self.market.price_text(ticks), style=colour)
        return self.market.quantity_text(lots), price, Text(bar, style=colour)

    def _between(self) -> Text:
        if self.auction.volume_lots:
            price = self.market.price_text(self.auction.price_ticks)
            quantity = self.market.quantity_text(self.auction.volume_lots)
            return Text(f"auction {price} for {quantity}", style="bold yellow")
        if self.last is None:
            return Text("no trade yet", style="dim")
        return Text(self.market.price_text(self.last.price_ticks), style="bold")


def book(
    instrument: Annotated[str, typer.Argument(help="As in BTC-USD.")],
    data: DataFolder = DEFAULT_DATA,
    rows: Annotated[int, typer.Option(min=1, max=100, help="Levels of each side.")] = 12,
    once: Annotated[bool, typer.Option("--once", help="Print it once and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the book of an instrument, live until Ctrl-C; once where nobody watches."""
    try:
        perform(_book(data, instrument, rows, once or not out.is_terminal, as_json))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


async def _book(data: Path, instrument: str, rows: int, once: bool, as_json: bool) -> None:
    async with open_rooms(data) as rooms:
        ladder = Ladder((await markets_in_reach(rooms)).market(instrument))
        if as_json:
            print_json(_plain(ladder.market, await _depth(rooms, ladder.market), rows))
        elif once:
            async with asyncio.timeout(PATIENCE_S):
                await _watch(rooms, ladder, lambda: False)
            out.print(ladder.drawn(rows))
        else:
            with Live(ladder.drawn(rows), console=out, auto_refresh=False, screen=True) as live:

                def draw() -> bool:
                    live.update(ladder.drawn(rows), refresh=True)
                    return True

                await _watch(rooms, ladder, draw)


async def _watch(rooms: Rooms, ladder: Ladder, draw: Callable[[], bool]) -> None:
    """Follow the market until `draw` has seen enough."""
    shard = shard_of(ladder.market.id)
    call = rooms.marketdata.Watch(marketdata.WatchRequest(shard=shard))
    try:
        async for said in call:
            if ladder.take(said) and not draw():
                return
    finally:
        call.cancel()
    raise Refused("Market data has ended its stream. `bourse status` says why; try again.")


async def _depth(rooms: Rooms, market: Market) -> matching.GetDepthResponse:
    request = matching.GetDepthRequest(instrument=market.id)
    return await rooms.core(shard_of(market.id)).GetDepth(request, timeout=PATIENCE_S)


def _plain(market: Market, depth: matching.GetDepthResponse, rows: int) -> dict[str, Any]:
    def pairs(levels: list[matching.Level]) -> list[list[str]]:
        return [
            [market.price_text(level.price_ticks), market.quantity_text(level.lots)]
            for level in levels[:rows]
        ]

    return {
        "instrument": market.symbol,
        "sequence": depth.sequence,
        "bids": pairs(list(depth.bids)),
        "asks": pairs(list(depth.asks)),
    }
