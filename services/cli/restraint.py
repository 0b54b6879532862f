"""What an operator holds an account to: its settings and limits, cancelling for it, and its end.

The commands are of the group `bourse account`, which lists them.
"""

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from grpc.aio import AioRpcError

from bourse.matching import v1 as matching
from services.cli.engine import put_at_once, put_everywhere
from services.cli.rooms import (
    PATIENCE_S,
    REACH_S,
    Rooms,
    account_named,
    markets_in_reach,
    open_rooms,
)
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    perform,
    sentence,
    show,
)
from services.domain.ids import shard_of
from services.runtime.choice import Choice

Name = Annotated[str, typer.Argument(help="The account's name.")]
Limit = Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="0: no limit of its own.")]

_SETTINGS: Final = (
    "fee_tier",
    "self_trade_prevention",
    "suspended",
    "max_open_orders",
    "max_commands_per_second",
    "pays_fee_asset",
)
"""What SetAccount puts, all of it at once."""

AT_A_TIME: Final = 64
"""Accounts that matching is asked about together."""


class Switch(Enum):
    """On or off."""

    ON = "on"
    OFF = "off"


def suspend(
    name: Name,
    lift: Annotated[bool, typer.Option("--lift", help="Let it trade again.")] = False,
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Let an account do nothing but cancel. Its open orders stay: see cancel-all and kill."""
    said = perform(_set(data, name, suspended=not lift))
    what = "may trade again" if lift else "may only cancel from now on"
    show(said, as_json, f"{name} {what}.")


def fee_tier(
    name: Name,
    tier: Annotated[int, typer.Argument(min=0, max=15, help="0 is the standard.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Put an account into a fee tier, from its next trade on."""
    said = perform(_set(data, name, fee_tier=tier))
    show(said, as_json, f"{name} is in fee tier {tier}.")


def fee_asset(
    name: Name,
    switch: Annotated[Switch, typer.Argument(help="Only where a market has a fee market.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Let an account pay its fees in a market's fee asset, or in what it receives."""
    said = perform(_set(data, name, pays_fee_asset=switch is Switch.ON))
    what = "in the fee asset where there is one" if switch is Switch.ON else "in what it receives"
    show(said, as_json, f"{name} pays its fees {what}.")


def limits(
    name: Name,
    open_orders: Limit = None,
    commands_per_second: Limit = None,
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Limit an account's open and waiting orders, and how fast it may place and change them."""
    wanted = {"max_open_orders": open_orders, "max_commands_per_second": commands_per_second}
    said = perform(_set(data, name, **wanted))
    show(
        said,
        as_json,
        f"{name}: {said['max_open_orders'] or 'as many as anybody'} open orders,"
        f" {said['max_commands_per_second'] or 'any number of'} commands a second.",
    )


async def _set(data: Path, name: str, **wanted: int | None) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        account = (await account_named(rooms, name)).account
        put = await put_settings(rooms, account, **wanted)
        return {"account_id": str(account), "name": name, **_plain(put)}


async def put_settings(rooms: Rooms, account: int, **wanted: int | None) -> matching.SetAccount:
    """Change settings of an account; those that are None stay as they are. Raises Refused.

    All of them travel together, so the others are read first, in every shard. A suspension waits
    for no shard that is away, and nothing but its own end lifts it.
    """
    is_urgent = bool(wanted.get("suspended"))
    put = await _as_they_are(rooms, account, is_urgent=is_urgent)
    for setting, value in wanted.items():
        if value is not None:
            setattr(put, setting, value)
    send = put_at_once if is_urgent else put_everywhere
    await send(rooms.cores, matching.Command(account=account, set_account=put))
    return put


async def _as_they_are(rooms: Rooms, account: int, *, is_urgent: bool) -> matching.SetAccount:
    """What puts the settings as shard 0 has them or, if it is urgent, the first that answers.

    Who is suspended in any shard is: shard 0 may have been away when somebody put it. So, unless it
    is urgent, each has to answer; Refused if one does not, and nothing is done.
    """
    patience_s = REACH_S if is_urgent else PATIENCE_S
    said = await asyncio.gather(
        *(_settings(rooms, account, shard, patience_s) for shard in rooms.shards),
        return_exceptions=True,
    )
    known = [each for each in said if isinstance(each, matching.GetAccountResponse)]
    for shard, each in enumerate(said):
        if isinstance(each, AioRpcError):
            if is_urgent and known:
                continue
            if len(said) > 1:
                raise Refused(f"Shard {shard}: {sentence(each)} Nothing was changed.") from each
        if isinstance(each, BaseException):
            raise each
    put = _put(known[0])
    put.suspended = any(each.suspended for each in known)
    return put


def _plain(said: matching.SetAccount | matching.GetAccountResponse) -> dict[str, Any]:
    """Settings as a script reads them."""
    shown = (name for name in _SETTINGS if name != "self_trade_prevention")
    return {name: getattr(said, name) for name in shown}


def _put(now: matching.GetAccountResponse) -> matching.SetAccount:
    """What puts the settings as they are."""
    return matching.SetAccount(**{setting: getattr(now, setting) for setting in _SETTINGS})


async def _settings(
    rooms: Rooms, account: int, shard: int, patience_s: float = PATIENCE_S
) -> matching.GetAccountResponse:
    request = matching.GetAccountRequest(account=account)
    return await rooms.core(shard).GetAccount(request, timeout=patience_s)


async def _everywhere(
    rooms: Rooms, account: int, shards: Sequence[int]
) -> list[matching.GetAccountResponse]:
    """The settings of an account in each of these shards."""
    return await asyncio.gather(*(_settings(rooms, account, shard) for shard in shards))


async def differing(
    rooms: Rooms, shard: int, accounts: Sequence[int]
) -> list[tuple[int, matching.Command]]:
    """What puts the settings of accounts in a shard as they are in shard 0, where they differ.

    With each command the shard it is for: any may have been away when an account was suspended
    elsewhere, so a suspension is carried to all that lack it, and none is lifted.
    """
    asked = (_everywhere(rooms, account, rooms.shards) for account in accounts)
    puts = []
    for account, said in zip(accounts, await asyncio.gather(*asked), strict=True):
        is_suspended = any(each.suspended for each in said)
        for at in reversed(rooms.shards):
            put = _put(said[0 if at == shard else at])
            put.suspended = is_suspended
            if put != _put(said[at]):
                puts.append((at, matching.Command(account=account, set_account=put)))
    return puts


async def settings_of(
    rooms: Rooms, accounts: Sequence[int], silent: Sequence[int] = ()
) -> dict[int, dict[str, Any]]:
    """The settings of accounts, by number, with when their dead man's switch is due.

    Shards that do not answer are not asked; one at least must be left.
    """
    shards = [shard for shard in rooms.shards if shard not in silent]
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(accounts), AT_A_TIME):
        some = accounts[start : start + AT_A_TIME]
        answers = await asyncio.gather(*(_in_all(rooms, account, shards) for account in some))
        found |= zip(some, answers, strict=True)
    return found


async def _in_all(rooms: Rooms, account: int, shards: Sequence[int]) -> dict[str, Any]:
    """The settings of an account as the first shard has them; suspended if any says so.

    In a house of several shards, `differing` names what they do not have alike.
    """
    first, *others = await _everywhere(rooms, account, shards)
    said = {**_plain(first), "dead_man_us": first.dead_man_us}
    if len(rooms.shards) == 1:
        return said
    unlike = [
        name for name in _SETTINGS if any(getattr(o, name) != getattr(first, name) for o in others)
    ]
    is_suspended = first.suspended or any(each.suspended for each in others)
    return {**said, "suspended": is_suspended, "differing": unlike}


_IN_WORDS: Final[dict[str, Callable[[Any], str]]] = {
    "suspended": lambda _: "suspended",
    "fee_tier": lambda tier: f"tier {tier}",
    "max_open_orders": lambda most: f"{most} orders",
    "max_commands_per_second": lambda most: f"{most}/s",
    "pays_fee_asset": lambda _: "fee asset",
    "dead_man_us": lambda _: "dead man's switch",
    "differing": lambda names: f"shards differ in {', '.join(names)}",
}


def summary(settings: dict[str, Any]) -> str:
    """Settings that are not the usual ones, in a few words."""
    return ", ".join(say(settings[name]) for name, say in _IN_WORDS.items() if settings.get(name))


def cancel_all(
    name: Name,
    instrument: Annotated[str, typer.Option(help="Only in this instrument.")] = "",
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """End all open orders of an account, as an operator."""
    said = perform(_cancel_all(data, name, instrument))
    show(said, as_json, f"{len(said['cancelled'])} orders of {name} are cancelled.")


async def _cancel_all(data: Path, name: str, symbol: str) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        instrument = (await markets_in_reach(rooms)).market(symbol).id if symbol else 0
        shards = [rooms.cores[shard_of(instrument)]] if symbol else rooms.cores
        every = matching.CancelAll(instrument=instrument, by_operator=True)
        return await _end(rooms, name, matching.Command(cancel_all=every), shards)


def kill(name: Name, data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Suspend an account and end all its orders, open and waiting, in one step."""
    said = perform(_kill(data, name))
    show(said, as_json, f"{name} may only cancel; {len(said['cancelled'])} orders are cancelled.")


async def _kill(data: Path, name: str) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        return await _end(rooms, name, matching.Command(kill=matching.Kill()), rooms.cores)


async def _end(
    rooms: Rooms, name: str, command: matching.Command, shards: Sequence[Choice]
) -> dict[str, Any]:
    """Send a command that ends orders of an account; says which it ended. Raises Refused."""
    command.account = (await account_named(rooms, name)).account
    answers = await put_at_once(shards, command)
    ended = [str(each.order_id) for answer in answers for each in answer.cancelled]
    return {"account_id": str(command.account), "cancelled": ended}
