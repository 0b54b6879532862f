"""The way from the command line to the rooms of a house that runs."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc

from bourse.accounts import v1 as accounts
from bourse.accounts.v1.rpc import AccountsServiceStub
from bourse.ledger.v1.rpc import LedgerServiceStub
from bourse.marketdata.v1.rpc import MarketdataServiceStub
from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import MatchingServiceStub
from bourse.notifications.v1.rpc import NotificationsServiceStub
from bourse.orders.v1.rpc import OrdersServiceStub
from bourse.types import v1 as types
from services.cli.folder import read_birth, read_state
from services.cli.terminal import Refused, out
from services.domain.instruments import Market
from services.runtime.choice import Choice
from services.runtime.config import ROOMS, Settings, load

T = TypeVar("T")

PATIENCE_S: Final = 15.0
"""How long a room may take to answer a person."""

REACH_S: Final = 5.0
"""So long a shard is waited for where another one may be all that is needed."""

DEFAULT_URL: Final = "http://127.0.0.1:8080"


class Rooms:
    """Channels to the rooms, each opened when it is first used."""

    def __init__(self, config: Settings, url: str = DEFAULT_URL) -> None:
        self.config = config
        self.url = url
        """Of the public API, without a slash at its end."""
        self._channels: dict[tuple[str, int], Choice] = {}

    @property
    def shards(self) -> range:
        """The numbers of the house's shards."""
        return range(self.config.shards)

    def channel(self, room: str, shard: int = 0) -> Choice:
        """The way to a room, matching's by shard; to a replica that serves if there are several."""
        if (room, shard) not in self._channels:
            self._channels[room, shard] = Choice(self.config.address_of(room, shard))
        return self._channels[room, shard]

    def known(self, shard: int) -> int:
        """A shard that somebody named. Raises Refused if the house has none of that number."""
        return known_shard(shard, self.config.shards)

    def core(self, shard: int) -> MatchingServiceStub:
        """What a shard can be asked."""
        return MatchingServiceStub(self.channel("matching", shard))

    @property
    def cores(self) -> list[Choice]:
        """The way to each shard."""
        return [self.channel("matching", shard) for shard in self.shards]

    async def close(self) -> None:
        """Close all channels."""
        for channel in self._channels.values():
            await channel.close()

    @property
    def accounts(self) -> AccountsServiceStub:
        """Accounts and keys."""
        return AccountsServiceStub(self.channel("accounts"))

    @property
    def ledger(self) -> LedgerServiceStub:
        """The books, and the door for money."""
        return LedgerServiceStub(self.channel("ledger"))

    @property
    def marketdata(self) -> MarketdataServiceStub:
        """What the public sees."""
        return MarketdataServiceStub(self.channel("marketdata"))

    @property
    def notifications(self) -> NotificationsServiceStub:
        """The private streams."""
        return NotificationsServiceStub(self.channel("notifications"))

    @property
    def orders(self) -> OrdersServiceStub:
        """History."""
        return OrdersServiceStub(self.channel("orders"))


@asynccontextmanager
async def open_rooms(data: Path) -> AsyncIterator[Rooms]:
    """The rooms of the house that runs on a data folder. Raises Refused if none does."""
    state = read_state(data)
    if not state and not is_elsewhere():
        raise Refused(absent(data))
    config = load(Settings, ["--data", str(data)])
    # Where its replicas listen, the house that runs has decided.
    addresses = {**state.get("addresses", {}), **config.addresses}
    rooms = Rooms(config.model_copy(update={"addresses": addresses}), state.get("url", DEFAULT_URL))
    try:
        yield rooms
    finally:
        await rooms.close()


def is_elsewhere() -> bool:
    """Whether somebody else runs the rooms, and told us where they are."""
    return any(f"BOURSE_{room.upper()}_ADDRESS" in os.environ for room in ROOMS)


def known_shard(shard: int, shards: int) -> int:
    """A shard that somebody named, of so many. Raises Refused if there is none of that number."""
    if shard >= shards:
        have = "one shard, shard 0" if shards == 1 else f"the shards 0 to {shards - 1}"
        raise Refused(f"There is no shard {shard}: this house has {have}.")
    return shard


def absent(data: Path) -> str:
    """Why there is nothing to talk to, and what to do about it."""
    if read_birth(data) is None:
        return f"There is no exchange in {data}. Start one with `bourse up --data {data}`."
    return f"The exchange in {data} does not run. Start it with `bourse up --data {data}`."


async def account_named(rooms: Rooms, name: str) -> accounts.Account:
    """The account of a name. What the room answers if there is none is a sentence."""
    request = accounts.GetAccountRequest(name=name)
    return (await rooms.accounts.GetAccount(request, timeout=PATIENCE_S)).account


class Markets:
    """Assets and instruments as the shards state them, by name. All have the same assets."""

    def __init__(
        self, first: matching.WatchMarketsResponse, *others: matching.WatchMarketsResponse
    ):
        self.assets = {asset.code: asset for asset in first.assets}
        self._by_number = {asset.asset: asset for asset in first.assets}
        # Ascending by number, so the newest instrument of a symbol is the one that stays.
        known = [each for shard in (first, *others) for each in shard.instruments]
        known.sort(key=lambda each: each.instrument)
        self.markets = {each.symbol: self._market(each) for each in known}
        self.by_id = {each.instrument: self._market(each) for each in known}
        self.silent: list[int] = []
        """Shards that did not say what they know."""

    def _market(self, instrument: types.Instrument) -> Market:
        base, quote = instrument.base_asset, instrument.quote_asset
        return Market(instrument, self._by_number[base], self._by_number[quote])

    def asset(self, code: str) -> types.Asset:
        """The asset of a code. Raises Refused."""
        return _known(self.assets, code.upper(), "asset")

    def market(self, symbol: str) -> Market:
        """The market of a symbol, the newest if there are several. Raises Refused."""
        return _known(self.markets, symbol.upper(), "instrument", self.silent)

    def asset_numbered(self, number: int) -> types.Asset:
        """The asset of a number. One nobody knows is shown by its number, in its smallest unit."""
        return self._by_number.get(number) or types.Asset(asset=number, code=str(number))


def _known(by_name: Mapping[str, T], name: str, what: str, silent: Sequence[int] = ()) -> T:
    if name not in by_name:
        names = ", ".join(sorted(by_name)) or "none"
        but = "".join(f" Shard {number} does not answer." for number in silent)
        raise Refused(f"There is no {what} {name}. Known: {names}.{but}")
    return by_name[name]


async def read_markets(rooms: Rooms, timeout_s: float = PATIENCE_S) -> Markets:
    """What the cores of all shards know now."""
    known = await asyncio.gather(*(_markets_of(rooms, shard, timeout_s) for shard in rooms.shards))
    return Markets(*known)


async def markets_in_reach(rooms: Rooms) -> Markets:
    """What the cores of those shards know that answer, for what can do without the others.

    Raises what the first one says if none does.
    """
    patience_s = REACH_S if len(rooms.shards) > 1 else PATIENCE_S
    said = await asyncio.gather(
        *(_markets_of(rooms, shard, patience_s) for shard in rooms.shards), return_exceptions=True
    )
    known = [each for each in said if isinstance(each, matching.WatchMarketsResponse)]
    for each in said:
        is_away = isinstance(each, grpc.aio.AioRpcError | Refused)
        if isinstance(each, BaseException) and not (known and is_away):
            raise each
    markets = Markets(*known)
    markets.silent = [shard for shard in rooms.shards if isinstance(said[shard], BaseException)]
    return markets


def told_silent(rooms: Rooms, markets: Markets) -> dict[str, Any]:
    """What a script is told of shards that did not answer, in a house of several."""
    return {"silent": markets.silent} if len(rooms.shards) > 1 else {}


def note_silent(said: Mapping[str, Any], what: str) -> None:
    """Tell a person which shards did not answer, and what is not shown therefore."""
    for shard in said.get("silent", ()):
        out.print(f"Shard {shard} does not answer: {what}", style="yellow", markup=False)


async def read_assets(rooms: Rooms, shard: int) -> list[types.Asset]:
    """The assets that a shard knows now."""
    return list((await _markets_of(rooms, shard, PATIENCE_S)).assets)


async def _markets_of(rooms: Rooms, shard: int, timeout_s: float) -> matching.WatchMarketsResponse:
    call = rooms.core(shard).WatchMarkets(matching.WatchMarketsRequest(), timeout=timeout_s)
    try:
        async for known in call:
            return known
    finally:
        call.cancel()
    raise Refused("Matching does not say which markets there are. Try again in a moment.")
