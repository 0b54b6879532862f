"""What an operator puts a market under: its phase, bands, mark price, fee market, and its end.

The commands are of the group `bourse instrument`, which lists them.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bourse.matching import v1 as matching
from services.cli.engine import open_session, refusal_sentence
from services.cli.rooms import Markets, markets_in_reach, open_rooms
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    perform,
    show,
)
from services.domain import money
from services.domain.ids import shard_of
from services.domain.instruments import Market, Misfit
from services.domain.words import PHASE_OF

Symbol = Annotated[str, typer.Argument(metavar="INSTRUMENT", help="Such as BTC-USD.")]
Ppm = Annotated[int | None, typer.Option(min=0, max=1_000_000, help="0: none. Default: as it is.")]

SECOND_US: Final = 1_000_000
LONGEST_AUCTION_S: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FROM_NOW: Final = re.compile(r"\+([0-9]{1,9})", re.ASCII)


def phase(
    symbol: Symbol,
    phase: Annotated[str, typer.Argument(help=", ".join(PHASE_OF))],
    until: Annotated[
        str,
        typer.Option(
            help="When it goes on by itself: 2030-01-31T09:00:00Z, or +90 for seconds from now."
        ),
    ] = "",
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Change what a market takes. Where it begins to trade, what was gathered is uncrossed."""
    wanted = phase.lower().replace("-", "_")
    until_us = read_moment(until) if until else 0

    said = perform(_put_phase(data, symbol, wanted, until_us))
    show(said, as_json, f"{said['instrument']} is in {wanted} from now on.")


async def _put_phase(data: Path, symbol: str, phase: str, until_us: int) -> dict[str, Any]:
    if phase not in PHASE_OF:
        raise Refused(f"There is no phase {phase}. Known: {', '.join(PHASE_OF)}.")

    def command(market: Market, _: Markets) -> matching.Command:
        put = matching.SetPhase(instrument=market.id, until_us=until_us)
        put.phase = PHASE_OF[phase]  # type: ignore[assignment]  # a number of the contract's enum
        return matching.Command(set_phase=put)

    return await _put(data, symbol, command) | {"phase": phase, "until_us": until_us or None}


def read_moment(text: str) -> int:
    """A moment a person typed, microseconds since 1970. Raises BadParameter."""
    if from_now := _FROM_NOW.fullmatch(text):
        return time.time_ns() // 1000 + int(from_now[1]) * SECOND_US
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(
            f"{text} is no moment such as 2030-01-31T09:00:00Z, nor seconds from now such as +90."
        )
    return (moment - _EPOCH) // timedelta(microseconds=1)


def guards(
    symbol: Symbol,
    static_band_ppm: Ppm = None,
    dynamic_band_ppm: Ppm = None,
    volatility_auction: Annotated[
        int | None,
        typer.Option(min=0, max=LONGEST_AUCTION_S, help="Seconds; 0: none. Default: as it is."),
    ] = None,
    reference: Annotated[str, typer.Option(help="The static band's middle, in quote.")] = "",
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Put the price bands of a market; what is not named stays as it is."""
    put = matching.SetGuards()

    def command(market: Market, _: Markets) -> matching.Command:
        now = market.instrument
        put.instrument = market.id
        put.reference_ticks = read_ticks(market, reference) if reference else 0
        put.static_band_ppm = _given(static_band_ppm, now.static_band_ppm)
        put.dynamic_band_ppm = _given(dynamic_band_ppm, now.dynamic_band_ppm)
        seconds = volatility_auction
        given_us = None if seconds is None else seconds * SECOND_US
        put.volatility_auction_us = _given(given_us, now.volatility_auction_us)
        return matching.Command(set_guards=put)

    said = perform(_put(data, symbol, command)) | {
        "static_band_ppm": put.static_band_ppm,
        "dynamic_band_ppm": put.dynamic_band_ppm,
        "volatility_auction_us": put.volatility_auction_us,
    }
    show(
        said,
        as_json,
        f"{said['instrument']}: static band {put.static_band_ppm} ppm, dynamic band"
        f" {put.dynamic_band_ppm} ppm, volatility auction of"
        f" {put.volatility_auction_us // SECOND_US} s.",
    )


def _given(wanted: int | None, now: int) -> int:
    return now if wanted is None else wanted


def read_ticks(market: Market, text: str) -> int:
    """A price a person typed, in ticks of a market. Raises Refused."""
    price = money.read(text)
    ticks = Misfit.OFF_GRID if price is None or not price.digits else market.ticks(price)
    if isinstance(ticks, Misfit):
        raise Refused(
            f"{text} is no price of {market.symbol}: a positive decimal in steps of"
            f" {market.price_text(1)}."
        )
    return ticks


def mark(
    symbol: Symbol,
    price: Annotated[str, typer.Argument(help="In quote for one unit of base.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Put the mark price of a market. Orders that watch it and are met are triggered."""

    def command(market: Market, _: Markets) -> matching.Command:
        put = matching.SetMark(instrument=market.id, price_ticks=read_ticks(market, price))
        return matching.Command(set_mark=put)

    said = perform(_put(data, symbol, command)) | {"mark_price": price}
    show(said, as_json, f"The mark price of {said['instrument']} is {price}.")


def fee_market(
    symbol: Symbol,
    market: Annotated[str, typer.Argument(help="Whose base fees may be paid in; none: nobody's.")],
    discount_ppm: Annotated[int, typer.Option(min=0, max=1_000_000, help="Taken off.")] = 0,
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Let accounts that chose so pay a market's fees in another asset, at a discount."""
    of = "" if market.lower() == "none" else market

    def command(traded: Market, markets: Markets) -> matching.Command:
        other = markets.market(of).id if of else 0
        if other and shard_of(other) != shard_of(traded.id):
            raise Refused(
                f"{of.upper()} lives in shard {shard_of(other)} and {traded.symbol} in shard"
                f" {shard_of(traded.id)}: a fee market lives where its market does."
            )
        put = matching.SetFeeMarket(
            instrument=traded.id, fee_market=other, discount_ppm=discount_ppm
        )
        return matching.Command(set_fee_market=put)

    named = {"fee_market": of.upper(), "fee_discount_ppm": discount_ppm}
    said = perform(_put(data, symbol, command)) | named
    what = f"may be paid by way of {of.upper()}, {discount_ppm} ppm off" if of else "are as traded"
    show(said, as_json, f"Fees of {said['instrument']} {what}.")


def kill(symbol: Symbol, data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Halt a market at once and end everything in it: its book, and what waits."""

    def command(market: Market, _: Markets) -> matching.Command:
        return matching.Command(kill=matching.Kill(instrument=market.id))

    said = perform(_put(data, symbol, command))
    ended = len(said["cancelled"])
    show(said, as_json, f"{said['instrument']} is halted; {ended} orders are cancelled.")


async def _put(
    data: Path, symbol: str, command: Callable[[Market, Markets], matching.Command]
) -> dict[str, Any]:
    """Send a command about a market, which is made of the markets as they are."""
    async with open_rooms(data) as rooms:
        markets = await markets_in_reach(rooms)
        market = markets.market(symbol)
        wanted = command(market, markets)
        async with open_session(rooms.channel("matching", shard_of(market.id))) as session:
            answer = await session.submit(wanted)
    for outcome in answer.outcomes:
        if outcome.refusal:
            raise Refused(refusal_sentence(outcome.refusal))
    said: dict[str, Any] = {"instrument": market.symbol}
    if wanted.HasField("kill"):
        said["cancelled"] = [str(each.order_id) for each in answer.cancelled]
    return said
