"""`bourse account show`: what an account has, over all shards and between them, at one cut."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.cli import restraint
from services.cli.restraint import Name
from services.cli.rooms import (
    PATIENCE_S,
    Rooms,
    account_named,
    markets_in_reach,
    note_silent,
    open_rooms,
    told_silent,
)
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    out,
    perform,
    print_json,
    print_table,
)
from services.domain.instruments import amount_text

READS: Final = 3
"""So often the shards are read until what they say is one cut."""


class Cut(NamedTuple):
    """What an account has of each asset, in minor units, where the shards stood at these places."""

    shards: dict[int, dict[int, matching.Balance]]
    """By shard, then by asset; of those that answered."""
    in_transit: dict[int, int] | None
    """Between the shards; None: that cannot be known, for not all of them answered."""
    at: list[types.ShardSequence]

    @property
    def assets(self) -> list[int]:
        """Those it has, or had, anywhere."""
        there = (asset for shard in self.shards.values() for asset in shard)
        return sorted({*(self.in_transit or ()), *there})


def show(name: Name, data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Say what an account has, where it is, and what the account may do."""
    said = perform(_show(data, name))
    if as_json:
        print_json(said)
        return
    titles = (">total", ">available", ">held", *_places(said))
    print_table(("asset", *titles), [_row(each) for each in said["balances"]])
    note_silent(said, "what is there, and between the shards, is in no total.")
    if summary := restraint.summary(said["settings"]):
        out.print(summary)


def _places(said: dict[str, Any]) -> list[str]:
    """Where money is, in the order of a row; nothing in a house of one shard."""
    if "silent" not in said:
        return []
    places = [f">shard {place['shard']}" for place in said["sequences"]]
    return places if said["silent"] else [*places, ">in transit"]


def _row(said: dict[str, Any]) -> list[str]:
    row = [said[each] for each in ("asset", "amount", "available", "held")]
    if "shards" in said:
        row += [each["amount"] for each in said["shards"]]
        row += [said["in_transit"]] if "in_transit" in said else []
    return row


async def _show(data: Path, name: str) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        markets = await markets_in_reach(rooms)
        account = (await account_named(rooms, name)).account
        cut = await read_cut(rooms, account, markets.silent)
        settings = await restraint.settings_of(rooms, [account], markets.silent)
    return {
        "account_id": str(account),
        "name": name,
        "balances": [
            described(cut, markets.asset_numbered(asset), len(rooms.shards)) for asset in cut.assets
        ],
        "sequences": [{"shard": each.shard, "sequence": each.sequence} for each in cut.at],
        "settings": settings[account],
        **told_silent(rooms, markets),
    }


def described(cut: Cut, asset: types.Asset, shards: int) -> dict[str, Any]:
    """What there is of an asset; shard by shard in a house of several."""
    slices = {n: has.get(asset.asset, matching.Balance()) for n, has in cut.shards.items()}
    available = sum(each.available_minor for each in slices.values())
    held = sum(each.held_minor for each in slices.values())
    between = (cut.in_transit or {}).get(asset.asset, 0)
    said: dict[str, Any] = {
        "asset": asset.code,
        "amount": amount_text(asset, available + held + between),
        "available": amount_text(asset, available),
        "held": amount_text(asset, held),
    }
    if shards > 1:
        if cut.in_transit is not None:
            said["in_transit"] = amount_text(asset, between)
        said["shards"] = [_slice(asset, shard, each) for shard, each in slices.items()]
    return said


def _slice(asset: types.Asset, shard: int, balance: matching.Balance) -> dict[str, Any]:
    return {
        "shard": shard,
        "amount": amount_text(asset, balance.available_minor + balance.held_minor),
        "available": amount_text(asset, balance.available_minor),
        "held": amount_text(asset, balance.held_minor),
    }


async def read_cut(rooms: Rooms, account: int, silent: Sequence[int] = ()) -> Cut:
    """What an account has in all shards that are not silent, and between them. Raises Refused."""
    shards = [shard for shard in rooms.shards if shard not in silent]
    said: dict[int, matching.GetBalancesResponse] = {}
    again = dict.fromkeys(shards, 0)
    for _ in range(READS):
        answers = await asyncio.gather(
            *(_balances(rooms, account, *each) for each in again.items())
        )
        said |= zip(again, answers, strict=True)
        at = [types.ShardSequence(shard=shard, sequence=said[shard].sequence) for shard in shards]
        has = {n: {each.asset: each for each in said[n].balances} for n in shards}
        if silent:
            return Cut(has, None, at)
        transit = await _transit(rooms, account, at)
        if not transit.read_again:
            return Cut(has, _amounts(transit), at)
        again = {each.shard: each.sequence for each in transit.read_again}
    raise Refused("Money goes between the shards faster than they are read. Try again.")


async def _balances(
    rooms: Rooms, account: int, shard: int, after_sequence: int
) -> matching.GetBalancesResponse:
    request = matching.GetBalancesRequest(account=account, after_sequence=after_sequence)
    return await rooms.core(shard).GetBalances(request, timeout=PATIENCE_S)


async def _transit(
    rooms: Rooms, account: int, at: list[types.ShardSequence]
) -> ledger.GetTransitResponse:
    """What is between the shards of a cut; nothing where there is but one."""
    if len(at) == 1:
        return ledger.GetTransitResponse()
    request = ledger.GetTransitRequest(account=account, at=at)
    return await rooms.ledger.GetTransit(request, timeout=PATIENCE_S)


def _amounts(transit: ledger.GetTransitResponse) -> dict[int, int]:
    found: dict[int, int] = defaultdict(int)
    for each in transit.amounts:
        found[each.asset] += each.amount_minor
    return dict(found)
