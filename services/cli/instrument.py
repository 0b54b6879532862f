"""`bourse instrument …`: the markets there are, new ones, and what they take."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli import supervision
from services.cli.bootstrap import (
    MAKER_FEE_PPM,
    PROTECTION_PPM,
    TAKER_FEE_PPM,
    NewMarket,
    add_market,
)
from services.cli.engine import open_session
from services.cli.rooms import (
    Markets,
    known_shard,
    markets_in_reach,
    note_silent,
    open_rooms,
    read_markets,
    told_silent,
)
from services.cli.supervision import Symbol
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    out,
    perform,
    print_json,
    print_table,
    show,
)
from services.domain.ids import shard_of
from services.domain.instruments import STANDARD_TIER, Market
from services.domain.money import write
from services.domain.words import PHASES

Home = Annotated[
    int | None,
    typer.Option(
        min=0, help="Where it lives for good. Default: where the name is, or fewest markets are."
    ),
]

app = typer.Typer(no_args_is_help=True, help="Markets: what there is, new ones, their phase.")


@app.command("list")
def list_(data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """List assets and instruments, with limits and standard fees."""
    said = perform(_list(data))
    if as_json:
        print_json(said)
        return
    names = ("instrument", "phase", "tick_size", "lot_size", "min_quantity", "max_quantity")
    ppm = ("maker_fee_ppm", "taker_fee_ppm", "static_band_ppm", "dynamic_band_ppm")
    last = ("fee_market", "shard") if said["shards"] > 1 else ("fee_market",)
    rows = [[str(each[name]) for name in (*names, *ppm, *last)] for each in said["instruments"]]
    titles = ("instrument", "phase", ">tick", ">lot", ">min", ">max")
    in_ppm = (">maker ppm", ">taker ppm", ">static ppm", ">dynamic ppm")
    print_table((*titles, *in_ppm, "fee market", ">shard")[: len(names + ppm + last)], rows)
    out.print()
    print_table(("asset", ">decimals"), _assets(said))
    note_silent(said, "its instruments are not listed.")


def _assets(said: dict[str, Any]) -> list[list[str]]:
    return [[each["asset"], str(each["decimals"])] for each in said["assets"]]


async def _list(data: Path) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        markets = await markets_in_reach(rooms)
        return {
            "instruments": [_described(market, markets) for market in markets.by_id.values()],
            "assets": [
                {"asset": asset.code, "number": asset.asset, "decimals": asset.decimals}
                for asset in markets.assets.values()
            ],
            "shards": len(rooms.shards),
            **told_silent(rooms, markets),
        }


def _described(market: Market, markets: Markets) -> dict[str, Any]:
    """An instrument as the public API shows it, with its number: an older one may be listed."""
    instrument = market.instrument
    fees = market.fees_of_tier(STANDARD_TIER)
    return {
        "instrument": instrument.symbol,
        "instrument_id": str(instrument.instrument),
        "base": market.base.code,
        "quote": market.quote.code,
        "phase": PHASES.get(instrument.phase, "unknown"),
        "tick_size": write(instrument.tick_units, instrument.tick_scale),
        "lot_size": market.quantity_text(1),
        "min_quantity": market.quantity_text(instrument.min_quantity_lots),
        "max_quantity": market.quantity_text(instrument.max_quantity_lots),
        "min_notional": market.quote_text(instrument.min_notional_minor),
        "max_notional": market.quote_text(instrument.max_notional_minor),
        "market_protection_ppm": instrument.market_protection_ppm,
        "maker_fee_ppm": fees.maker_fee_ppm,
        "taker_fee_ppm": fees.taker_fee_ppm,
        "phase_until_us": instrument.phase_until_us,
        "shard": shard_of(market.id),
        **_guarded(market, markets),
    }


def _guarded(market: Market, markets: Markets) -> dict[str, Any]:
    """Its bands, and the prices and the market that they and its fees look at; empty for none."""
    instrument = market.instrument
    fee_market = markets.by_id.get(instrument.fee_market)
    prices = {
        "mark_price": instrument.mark_price_ticks,
        "reference_price": instrument.reference_ticks,
    }
    return {
        **{name: market.price_text(ticks) if ticks else "" for name, ticks in prices.items()},
        "static_band_ppm": instrument.static_band_ppm,
        "dynamic_band_ppm": instrument.dynamic_band_ppm,
        "volatility_auction_us": instrument.volatility_auction_us,
        "fee_market": fee_market.symbol if fee_market else "",
        "fee_discount_ppm": instrument.fee_discount_ppm,
    }


@app.command()
def add(
    symbol: Symbol,
    tick: Annotated[str, typer.Option(help="Smallest step of the price, in quote.")],
    lot: Annotated[str, typer.Option(help="Smallest step of the quantity, in base.")],
    base: Annotated[str, typer.Option(help="Default: what stands before the dash.")] = "",
    quote: Annotated[str, typer.Option(help="Default: what stands after the dash.")] = "",
    min_quantity: Annotated[str, typer.Option(help="Smallest order, base; default a lot.")] = "",
    max_quantity: Annotated[str, typer.Option(help="Largest order, base.")] = "1000000",
    min_notional: Annotated[str, typer.Option(help="Smallest order, quote.")] = "0.1",
    max_notional: Annotated[str, typer.Option(help="Largest order, quote.")] = "100000000",
    protection_ppm: Annotated[
        int, typer.Option(help="How far from the touch a market order may trade.")
    ] = PROTECTION_PPM,
    maker_fee_ppm: Annotated[int, typer.Option(help="Negative is a rebate.")] = MAKER_FEE_PPM,
    taker_fee_ppm: Annotated[int, typer.Option()] = TAKER_FEE_PPM,
    shard: Home = None,
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Open a market in `continuous`. An older one of the same name goes to cancel-only."""
    before, _, after = symbol.partition("-")
    new = NewMarket(
        symbol,
        base or before,
        quote or after,
        tick,
        lot,
        min_quantity or lot,
        max_quantity,
        min_notional,
        max_notional,
        protection_ppm,
        maker_fee_ppm,
        taker_fee_ppm,
    )
    said = perform(_add(data, new, shard))
    show(said, as_json, f"{said['instrument']} is open, with number {said['instrument_id']}.")


async def _add(data: Path, new: NewMarket, wanted: int | None) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        markets = await read_markets(rooms)
        command = add_market(new, markets)
        shard = shard_for(new.symbol.upper(), markets, len(rooms.shards), wanted)
        async with open_session(rooms.channel("matching", shard)) as session:
            [outcome] = await session.ask(command)
        return {
            "instrument": new.symbol.upper(),
            "instrument_id": str(outcome.created_id),
            "shard": shard_of(outcome.created_id),
        }


def shard_for(symbol: str, markets: Markets, shards: int, wanted: int | None) -> int:
    """Where a new instrument goes: where its symbol is, or as is wanted, or where fewest are.

    Raises Refused for a shard there is not, or where the symbol lives in another one.
    """
    if wanted is not None:
        known_shard(wanted, shards)
    if symbol in markets.markets:
        lives = shard_of(markets.market(symbol).id)
        if wanted not in (None, lives):
            raise Refused(
                f"{symbol} lives in shard {lives}, and a market does not move: leave out --shard,"
                " or choose another name."
            )
        return lives
    has = Counter(shard_of(number) for number in markets.by_id)
    return min(range(shards), key=lambda shard: has[shard]) if wanted is None else wanted


app.command("phase")(supervision.phase)
app.command("guards")(supervision.guards)
app.command("mark")(supervision.mark)
app.command("fee-market")(supervision.fee_market)
app.command("kill")(supervision.kill)
