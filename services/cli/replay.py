"""`bourse replay FILE`: recorded order flow through the exchange, and how its trades compare.

It trades on assets, an instrument and accounts of its own, in shard 0 and without fees; nothing
else is touched.
Orders keep the file's names as client order ids; takers rebuilt from trades are called T1, T2, ...
"""

import asyncio
import itertools
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bourse.accounts import v1 as accounts
from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.cli.bootstrap import add_asset
from services.cli.engine import Session, open_session, put_everywhere
from services.cli.flow import Fill, Flow, Step, read_flow
from services.cli.rooms import PATIENCE_S, Rooms, open_rooms, read_markets
from services.cli.terminal import DEFAULT_DATA, AsJson, DataFolder, errors, out, perform, print_json
from services.domain.outcomes import REFUSAL_CODES

ACCOUNTS: Final = 16
"""Traders that the orders are dealt out to: one alone may not have so many open."""

BATCH: Final = 256
EXAMPLES: Final = 10
_PURSE_MINOR: Final = 2**57
"""What each account gets of both assets; sixteen of them stay below what an asset may have."""


class Market(NamedTuple):
    """What a replay trades on."""

    instrument: int
    symbol: str
    accounts: tuple[int, ...]


@dataclass
class Result:
    """What came out."""

    market: Market
    flow: Flow
    fills: dict[str, list[Fill]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    sequence: int = 0


def replay(
    file: Annotated[Path, typer.Argument(help="A Databento .dbn.zst or a Bitstamp .csv.xz.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Run recorded order flow through the exchange and compare its trades with the file's."""
    flow = read_flow(file)
    result = perform(_replay(data, flow))
    report = compare(result)
    if as_json:
        print_json(report)
        return
    _print(report)


async def _replay(data: Path, flow: Flow) -> Result:
    async with open_rooms(data) as rooms:
        market = await _prepare(rooms, flow)
        result = Result(market, flow)
        async with open_session(rooms.channel("matching")) as session:
            await _drive(session, result)
            await _clear(session, result)
        return result


# --- A market of its own --------------------------------------------------------------------


async def _prepare(rooms: Rooms, flow: Flow) -> Market:
    """Two assets, an instrument between them and funded accounts, all with a new number."""
    known = await read_markets(rooms)
    number = next(n for n in itertools.count(1) if f"REPLAY-{n}" not in known.markets)
    first = max((asset.asset for asset in known.assets.values()), default=0) + 1
    base = types.Asset(asset=first, code=f"RB{number}", decimals=flow.base_decimals)
    quote = types.Asset(asset=first + 1, code=f"RQ{number}", decimals=flow.quote_decimals)
    await put_everywhere(rooms.cores, add_asset(base), add_asset(quote))
    async with open_session(rooms.channel("matching")) as session:
        instrument = _instrument(f"REPLAY-{number}", base, quote, flow)
        outcomes = await session.ask(matching.Command(add_instrument=instrument))
    traders = [await _trader(rooms, f"replay-{number}-{n}") for n in range(ACCOUNTS)]
    for asset in (base, quote):
        await _fund(rooms, asset.asset, traders)
    return Market(outcomes[-1].created_id, f"REPLAY-{number}", tuple(traders))


def _instrument(
    symbol: str, base: types.Asset, quote: types.Asset, flow: Flow
) -> matching.AddInstrument:
    """Wide limits and no fees: the file's venue had its own, and they are in its flow already."""
    return matching.AddInstrument(
        instrument=types.Instrument(
            symbol=symbol,
            base_asset=base.asset,
            quote_asset=quote.asset,
            lot_minor=1,
            tick_units=flow.tick_units,
            tick_scale=flow.tick_scale,
            phase=types.PHASE_CONTINUOUS,
            min_quantity_lots=1,
            max_quantity_lots=2**50,
            max_notional_minor=2**60,
            market_protection_ppm=1_000_000,
            fees=[types.FeeRate()],
        )
    )


async def _trader(rooms: Rooms, name: str) -> int:
    request = accounts.CreateAccountRequest(request_id=secrets.token_bytes(16), name=name)
    return (await rooms.accounts.CreateAccount(request, timeout=PATIENCE_S)).account.account


async def _fund(rooms: Rooms, asset: int, traders: Sequence[int]) -> None:
    """The new asset into the treasury, and from there to everybody."""
    whole = ledger.FundTreasuryRequest(
        request_id=secrets.token_bytes(16), asset=asset, amount_minor=_PURSE_MINOR * len(traders)
    )
    await rooms.ledger.FundTreasury(whole, timeout=PATIENCE_S)
    transfers = (
        ledger.CreateTransferRequest(
            request_id=secrets.token_bytes(16),
            account=trader,
            asset=asset,
            amount_minor=_PURSE_MINOR,
        )
        for trader in traders
    )
    await asyncio.gather(
        *(rooms.ledger.CreateTransfer(one, timeout=PATIENCE_S) for one in transfers)
    )


# --- The steps ------------------------------------------------------------------------------


async def _drive(session: Session, result: Result) -> None:
    """Send all steps in their order, a batch at a time, and gather what traded."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}/s"),
        TimeRemainingColumn(),
    )
    steps = result.flow.steps
    started = time.monotonic()
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task(result.flow.title, total=len(steps), rate="0")
        for sent in range(0, len(steps), BATCH):
            batch = steps[sent : sent + BATCH]
            commands = [_command(step, result.market) for step in batch]
            _gather(await session.submit(*commands), batch, result)
            rate = f"{sent / max(time.monotonic() - started, 1e-3):,.0f}"
            progress.update(task, advance=len(batch), rate=rate)
    result.seconds = time.monotonic() - started


def _command(step: Step, market: Market) -> matching.Command:
    """A step as a command of the account that has the order."""
    owner = market.accounts[hash_of(step.name) % len(market.accounts)]
    command = matching.Command(account=owner)
    if step.kind == "cancel":
        command.cancel_order.client_order_id = step.name
    elif step.kind == "amend":
        amend = command.amend_order
        amend.client_order_id, amend.price_ticks = step.name, step.price_ticks
        amend.quantity_lots = step.lots
    else:
        place = command.place_order
        place.instrument, place.client_order_id = market.instrument, step.name
        place.side = types.SIDE_BUY if step.is_buy else types.SIDE_SELL
        place.type, place.price_ticks = types.ORDER_TYPE_LIMIT, step.price_ticks
        place.quantity_lots = step.lots
        # The file's traders met whomever they met; here two of them may be one account.
        place.self_trade_prevention = types.SELF_TRADE_PREVENTION_NONE
        is_take = step.kind == "take"
        place.time_in_force = types.TIME_IN_FORCE_IOC if is_take else types.TIME_IN_FORCE_GTC
    return command


def hash_of(name: str) -> int:
    """A number that deals names out evenly, the same in every run."""
    return sum(map(ord, name)) * 31 + len(name)


def _gather(answer: matching.SubmitResponse, batch: Sequence[Step], result: Result) -> None:
    for step, outcome in zip(batch, answer.outcomes, strict=True):
        if outcome.refusal:
            result.refused[f"{step.kind}: {REFUSAL_CODES[outcome.refusal]}"] += 1
    for trade in answer.trades:
        fill = Fill(trade.maker_client_order_id, trade.price_ticks, trade.lots)
        result.fills[trade.taker_client_order_id].append(fill)
    result.sequence = answer.first_sequence + len(answer.outcomes) - 1


async def _clear(session: Session, result: Result) -> None:
    """Leave no order behind."""
    for account in result.market.accounts:
        command = matching.Command(account=account)
        command.cancel_all.instrument = result.market.instrument
        answer = await session.submit(command)
        result.sequence = answer.first_sequence


# --- The report -----------------------------------------------------------------------------


def compare(result: Result) -> dict[str, Any]:
    """The object of `bourse replay --json`: counts, and the first differences by their reason."""
    ours, theirs = result.fills, result.flow.fills
    differences = list(_differences(result))
    matched = sum(
        (Counter(fills) & Counter(ours.get(taker, ()))).total() for taker, fills in theirs.items()
    )
    trades_in_file = sum(map(len, theirs.values()))
    return {
        "file": result.flow.title,
        "instrument": result.market.symbol,
        "events": result.flow.events,
        "commands": len(result.flow.steps),
        "trades_out": sum(map(len, ours.values())),
        "trades_in_file": trades_in_file,
        "matched": matched,
        "matched_percent": f"{100 * matched / max(trades_in_file, 1):.2f}",
        "seconds": round(result.seconds, 3),
        "commands_per_second": round(len(result.flow.steps) / max(result.seconds, 1e-3)),
        "sequence": result.sequence,
        "left_out": result.flow.left_out,
        "refused": dict(result.refused),
        "differences": dict(Counter(why for why, _ in differences)),
        "examples": [{"why": why, **said} for why, said in differences[:EXAMPLES]],
    }


def _differences(result: Result) -> Iterator[tuple[str, dict[str, Any]]]:
    """(reason, both sides) of every taker whose fills are not the file's."""
    ours, theirs = result.fills, result.flow.fills
    for taker in sorted(ours.keys() | theirs.keys()):
        here, there = ours.get(taker, []), theirs.get(taker, [])
        if here != there:
            why = _why(here, there)
            if taker in result.flow.hidden:
                why = "a maker had more than the file shows of it (an iceberg)"
            yield why, {"taker": taker, "here": here, "file": there}


def _why(here: Sequence[Fill], there: Sequence[Fill]) -> str:
    if not there:
        return "traded here only"
    if not here:
        return "traded in the file only"
    if sorted(here) == sorted(there):
        return "the same fills in another order"
    if sum(fill.lots for fill in here) != sum(fill.lots for fill in there):
        return "another quantity"
    prices = [{fill.price_ticks for fill in fills} for fills in (here, there)]
    return "other makers at the same prices" if prices[0] == prices[1] else "other prices"


def _print(report: dict[str, Any]) -> None:
    out.print(
        f"{report['file']} on {report['instrument']}: {report['commands']:,} commands from"
        f" {report['events']:,} events in {report['seconds']} s"
        f" ({report['commands_per_second']:,}/s)"
    )
    out.print(
        f"trades: {report['trades_out']:,} here, {report['trades_in_file']:,} in the file,"
        f" [bold]{report['matched']:,} the same[/] ({report['matched_percent']} %)"
    )
    for title in ("left_out", "refused", "differences"):
        for why, count in report[title].items():
            out.print(f"{title.replace('_', ' '):>12}  {count:>7,}  {why}", markup=False)
    for example in report["examples"]:
        out.print(f"     example  {example}", markup=False)
