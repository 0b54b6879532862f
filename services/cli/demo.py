"""`bourse demo`: a market that lives. Demo accounts trade three instruments with each other.

`bourse up` runs this by itself in a folder that was made with the demo.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc

from bourse.accounts import v1 as accounts
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.cli.bootstrap import ASSETS, FIRST_MARKET, NewMarket, add_missing_markets, request_id
from services.cli.edge import Credentials, ask, until_known
from services.cli.folder import DEMO_READY, read_birth
from services.cli.quotes import Scale, Walk
from services.cli.rooms import PATIENCE_S, Rooms, open_rooms, read_markets
from services.cli.terminal import DEFAULT_DATA, DataFolder, Refused, out, perform, sentence
from services.cli.transfers import transfer_money
from services.domain import money
from services.domain.ids import shard_of
from services.domain.money import Plain

MAKERS: Final = ("demo-maker-1", "demo-maker-2")
TAKERS: Final = ("demo-taker-1", "demo-taker-2")
SHIFTS_PPM: Final = (0, 90)
"""How much further out each maker stands than the keenest."""

MARKETS: Final = (
    FIRST_MARKET,
    NewMarket("ETH-USD", "ETH", "USD", "0.01", "0.001", "0.001", "1000000", "0.1", "100000000"),
    NewMarket("ETH-BTC", "ETH", "BTC", "0.00001", "0.001", "0.001", "1000000", "0.00001", "10000"),
)
ELSEWHERE: Final = "ETH-USD"
"""Lives in the last shard, so that where there are several it is seen how two of them trade."""

HOMES: Final = {"BTC-USD": "60000", "ETH-USD": "3000"}
"""Where prices begin. That of ETH-BTC follows from them."""

MAKER_LOTS: Final = {
    "BTC-USD": range(300, 1500),
    "ETH-USD": range(500, 3000),
    "ETH-BTC": range(500, 3000),
}
TAKER_LOTS: Final = {
    "BTC-USD": range(5, 60),
    "ETH-USD": range(10, 120),
    "ETH-BTC": range(10, 120),
}
PURSE: Final = {"USD": 1_000_000, "BTC": 20, "ETH": 400}
"""Units a demo account begins with, and is brought back to when it has spent two thirds."""

TOP_UP_EVERY_S: Final = 30.0
GATEWAY_LOOK_S: Final = 0.1


class Person(NamedTuple):
    """A demo account with its key."""

    account: int
    credentials: Credentials


def demo(data: DataFolder = DEFAULT_DATA) -> None:
    """Let the demo's accounts trade until Ctrl-C. Only in a folder that was made with the demo."""
    perform(_demo(data.expanduser().resolve()))


async def _demo(data: Path) -> None:
    # Here, since no other command needs what it loads.
    from services.cli.bots import Stall, trade
    from services.runtime.main import run
    from services.runtime.telemetry import start_telemetry

    refuse_without_demo(data)
    with _alone(data):
        async with open_rooms(data) as rooms:
            telemetry = start_telemetry("demo", rooms.config.telemetry)
            scales = await _open_markets(rooms)
            shards = await _shards(rooms)
            names = (*MAKERS, *TAKERS)
            people = await asyncio.gather(*(_person(rooms, name, shards) for name in names))
            walks = await _walks(rooms, scales)
            stalls = [
                Stall(symbol, scale, price, MAKER_LOTS[symbol], TAKER_LOTS[symbol])
                for (symbol, scale), price in zip(
                    scales.items(), _prices(walks, scales), strict=True
                )
            ]
            credentials = [person.credentials for person in people]
            makers = list(zip(credentials[: len(MAKERS)], SHIFTS_PPM, strict=True))
            write_ready(data)
            trading = trade(rooms.url, makers, credentials[len(MAKERS) :], stalls, walks.values())
            await run(trading, _top_up(rooms, people, shards), telemetry=telemetry)


def refuse_without_demo(data: Path) -> None:
    """Raise Refused unless the folder was made with the demo."""
    birth = read_birth(data)
    if birth is not None and not birth.demo:
        raise Refused(
            f"The exchange in {data} was made with --no-demo and never has a demo. Make another"
            " with --data."
        )


def write_ready(data: Path) -> None:
    """Say that the bots trade, and which process they are: an older one may have said so."""
    (data / DEMO_READY).write_text(str(os.getpid()))


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Two sets of bots would quote against each other with the same accounts."""
    with (data / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("The demo runs already; `bourse up` has started it.") from None
        yield


async def _open_markets(rooms: Rooms) -> dict[str, Scale]:
    """Have all markets of the demo open, and wait until the gateway knows them."""
    elsewhere = [market for market in MARKETS if market.symbol == ELSEWHERE]
    await add_missing_markets(rooms, elsewhere, rooms.shards[-1])
    await add_missing_markets(rooms, MARKETS)
    wanted = [market.symbol for market in MARKETS]
    while True:
        answer = await ask(rooms.url, "GET", "/api/v1/instruments")
        known = {each["instrument"]: each for each in (answer.body or {}).get("instruments", [])}
        if answer.status == 200 and known.keys() >= set(wanted):
            return {symbol: _scale(known[symbol]) for symbol in wanted}
        await asyncio.sleep(GATEWAY_LOOK_S)


def _scale(instrument: dict[str, Any]) -> Scale:
    return Scale(_plain(instrument["tick_size"]), _plain(instrument["lot_size"]))


def _plain(text: str) -> Plain:
    value = money.read(text)
    if value is None or not value.digits:
        raise Refused(f"The exchange states {text} for a tick or a lot.")
    return value


async def _person(rooms: Rooms, name: str, shards: Sequence[int]) -> Person:
    """A demo account with money and a key, the same ones at every start."""
    request = accounts.CreateAccountRequest(
        request_id=request_id(f"demo account {name}"), name=name, demo=True
    )
    account = (await rooms.accounts.CreateAccount(request, timeout=PATIENCE_S)).account.account
    await asyncio.gather(
        *(_purse(rooms, account, name, asset, shard) for asset in ASSETS for shard in shards)
    )
    credentials = await _key(rooms, account, name)
    await until_known(rooms.url, credentials)
    return Person(account, credentials)


async def _shards(rooms: Rooms) -> list[int]:
    """Where the demo trades, and so where its accounts have a purse each."""
    markets = await read_markets(rooms)
    return sorted({shard_of(markets.market(each.symbol).id) for each in MARKETS})


async def _purse(rooms: Rooms, account: int, name: str, asset: types.Asset, shard: int) -> None:
    """What it begins with, once: the same request is the same transfer at every start."""
    place = f" in shard {shard}" if shard else ""
    deed = request_id(f"demo purse {name} {asset.code}{place}")
    minor = PURSE[asset.code] * 10**asset.decimals
    await transfer_money(rooms, account, asset.asset, minor, deed, shard)


async def _key(rooms: Rooms, account: int, name: str) -> Credentials:
    """Its key. Asked for again at each start, so that no secret lies about; a new one if an
    operator has revoked it."""
    generation = 0
    while True:
        request = accounts.CreateKeyRequest(
            request_id=request_id(f"demo key {name} {generation}"),
            account=account,
            scopes=[accounts.SCOPE_READ, accounts.SCOPE_TRADE],
        )
        made = await rooms.accounts.CreateKey(request, timeout=PATIENCE_S)
        if not made.key.revoked_us:
            return Credentials(made.key.key, made.secret)
        generation += 1


async def _walks(rooms: Rooms, scales: Mapping[str, Scale]) -> dict[str, Walk]:
    """Prices that wander from where they were last."""
    walks = {}
    for symbol, home in HOMES.items():
        scale = scales[symbol]
        walks[symbol] = Walk(scale.ticks(home), scale.ticks(home))
        answer = await ask(rooms.url, "GET", f"/api/v1/ticker/{symbol}")
        last = answer.body.get("last") if answer.status == 200 else None
        if last:
            walks[symbol].begin_at(scale.ticks(last))
    return walks


def _prices(walks: Mapping[str, Walk], scales: Mapping[str, Scale]) -> Iterator[Callable[[], int]]:
    """How to ask for the price of each market, in ticks; the third follows from the others."""
    btc, eth = walks["BTC-USD"], walks["ETH-USD"]
    yield lambda: btc.ticks
    yield lambda: eth.ticks
    btc_tick, eth_tick, tick = (scales[market.symbol].tick for market in MARKETS)
    over = eth_tick.digits * 10 ** (btc_tick.scale + tick.scale)
    under = btc_tick.digits * tick.digits * 10**eth_tick.scale
    yield lambda: max(eth.ticks * over // (btc.ticks * under), 1)


async def _top_up(rooms: Rooms, people: Sequence[Person], shards: Sequence[int]) -> None:
    """Fees and bad luck empty purses; fill those that are down to a third, for ever."""
    while True:
        await asyncio.sleep(TOP_UP_EVERY_S)
        try:
            for person, shard in product(people, shards):
                await _fill(rooms, person.account, shard)
        except (grpc.aio.AioRpcError, Refused) as error:
            why = sentence(error) if isinstance(error, grpc.aio.AioRpcError) else str(error)
            out.print(f"A purse could not be filled: {why}", markup=False)


async def _fill(rooms: Rooms, account: int, shard: int) -> None:
    request = matching.GetBalancesRequest(account=account)
    said = await rooms.core(shard).GetBalances(request, timeout=PATIENCE_S)
    has = {each.asset: each.available_minor + each.held_minor for each in said.balances}
    for asset in ASSETS:
        full = PURSE[asset.code] * 10**asset.decimals
        missing = full - has.get(asset.asset, 0)
        if missing * 3 > full * 2:
            await transfer_money(rooms, account, asset.asset, missing, shard=shard)
