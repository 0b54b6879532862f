"""The beginning of a new exchange: its assets, its first market, and a funded treasury.

Every step may be done twice, so a start that was cut short is simply gone through again.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.cli.engine import open_session, put_everywhere
from services.cli.rooms import PATIENCE_S, Markets, Rooms, read_markets
from services.cli.terminal import Refused
from services.domain import money
from services.domain.instruments import Misfit, amount_minor
from services.domain.money import Plain

NEWEST_RULES: Final = 3
"""The newest version of the rules that the core knows; docs/matching.md has what it brings."""

HOUSE_DECIMALS: Final = 8
ASSETS: Final = (
    types.Asset(asset=1, code="USD", decimals=HOUSE_DECIMALS),
    types.Asset(asset=2, code="BTC", decimals=HOUSE_DECIMALS),
    types.Asset(asset=3, code="ETH", decimals=HOUSE_DECIMALS),
)

TREASURY: Final = "1000000000"
"""Units of each asset that the treasury begins with."""

PROTECTION_PPM: Final = 50_000
MAKER_FEE_PPM: Final = 1000
TAKER_FEE_PPM: Final = 2000


class NewMarket(NamedTuple):
    """A market as a person states it: all in units of its assets, as decimals."""

    symbol: str
    base: str
    quote: str
    tick: str
    lot: str
    min_quantity: str
    max_quantity: str
    min_notional: str
    max_notional: str
    market_protection_ppm: int = PROTECTION_PPM
    maker_fee_ppm: int = MAKER_FEE_PPM
    taker_fee_ppm: int = TAKER_FEE_PPM


FIRST_MARKET: Final = NewMarket(
    "BTC-USD", "BTC", "USD", "0.01", "0.0001", "0.0001", "1000000", "0.1", "100000000"
)


async def bootstrap(rooms: Rooms) -> None:
    """Bring a new exchange to where it can trade. Needs matching and the ledger."""
    beginning = (use_rules(NEWEST_RULES), *(add_asset(asset) for asset in ASSETS))
    await put_everywhere(rooms.cores, *beginning)
    await add_missing_markets(rooms, [FIRST_MARKET])
    for request in funding(ASSETS):
        await rooms.ledger.FundTreasury(request, timeout=PATIENCE_S)


async def add_missing_markets(rooms: Rooms, wanted: Sequence[NewMarket], shard: int = 0) -> None:
    """Open those markets that are not there, in a shard. A symbol that is there stays as it is."""
    markets = await read_markets(rooms)
    missing = [add_market(each, markets) for each in wanted if each.symbol not in markets.markets]
    if missing:
        async with open_session(rooms.channel("matching", shard)) as session:
            await session.ask(*missing)


def use_rules(version: int) -> matching.Command:
    """The command that brings the core to a version of the rules, from the next command on."""
    return matching.Command(use_rules=matching.UseRules(version=version))


def add_asset(asset: types.Asset) -> matching.Command:
    """The command that makes an asset known; known already, it changes nothing."""
    return matching.Command(add_asset=matching.AddAsset(asset=asset))


def add_market(new: NewMarket, markets: Markets) -> matching.Command:
    """The command that opens a market in `continuous`. Raises Refused for what does not fit."""
    base, quote = markets.asset(new.base), markets.asset(new.quote)
    tick = _decimal(new.tick, "The tick size")
    lot_minor = _minor(base, new.lot, "The lot size")
    instrument = types.Instrument(
        symbol=new.symbol.upper(),
        base_asset=base.asset,
        quote_asset=quote.asset,
        lot_minor=lot_minor,
        tick_units=tick.digits,
        tick_scale=tick.scale,
        phase=types.PHASE_CONTINUOUS,
        min_quantity_lots=_lots(base, lot_minor, new.min_quantity, "The smallest quantity"),
        max_quantity_lots=_lots(base, lot_minor, new.max_quantity, "The largest quantity"),
        min_notional_minor=_minor(quote, new.min_notional, "The smallest notional"),
        max_notional_minor=_minor(quote, new.max_notional, "The largest notional"),
        market_protection_ppm=new.market_protection_ppm,
        fees=[types.FeeRate(maker_fee_ppm=new.maker_fee_ppm, taker_fee_ppm=new.taker_fee_ppm)],
    )
    return matching.Command(add_instrument=matching.AddInstrument(instrument=instrument))


def funding(assets: Sequence[types.Asset]) -> list[ledger.FundTreasuryRequest]:
    """What the treasury begins with; the ids follow from the assets, so it is posted once."""
    return [
        ledger.FundTreasuryRequest(
            request_id=request_id(f"treasury {asset.code}"),
            asset=asset.asset,
            amount_minor=_minor(asset, TREASURY, "The treasury"),
        )
        for asset in assets
    ]


def request_id(of: str) -> bytes:
    """The 16 bytes that stand for one deed of the house: the same deed, the same id, for ever."""
    return hashlib.sha256(f"bourse {of}".encode()).digest()[:16]


def _decimal(text: str, what: str) -> Plain:
    value = money.read(text)
    if value is None or value.digits == 0 or value.digits > money.TOP:
        raise Refused(f"{what} is to be a positive decimal in plain notation, not {text}.")
    return value


def _minor(asset: types.Asset, text: str, what: str) -> int:
    counted = amount_minor(asset, _decimal(text, what))
    if isinstance(counted, Misfit):
        raise Refused(
            f"{what}, {text} {asset.code}, {counted.value}: {asset.code} has {asset.decimals}"
            " decimals."
        )
    return counted


def _lots(base: types.Asset, lot_minor: int, text: str, what: str) -> int:
    lots, rest = divmod(_minor(base, text, what), lot_minor)
    if rest:
        raise Refused(f"{what}, {text} {base.code}, is not a whole number of lots.")
    return lots
