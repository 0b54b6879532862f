"""`bourse status`: what runs, how far each room has come, and where the log stands."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import grpc
from rich.markup import escape
from rich.table import Table

from bourse.ledger import v1 as ledger
from bourse.marketdata import v1 as marketdata
from bourse.matching import v1 as matching
from bourse.notifications import v1 as notifications
from bourse.orders import v1 as orders
from services.cli.folder import read_birth, read_state
from services.cli.rooms import Rooms, open_rooms
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    out,
    perform,
    print_json,
    print_table,
    table,
)
from services.runtime.config import ROOMS
from services.runtime.rpc import is_serving

ANSWER_S: Final = 2.0
COLOURS: Final = {"serving": "green", "starting": "yellow", "waiting": "red", "silent": "red"}
COLUMNS: Final = ("room", "state", ">pid", ">sequence", ">behind", ">behind ms", ">restarts", "")


class _Reader(Protocol):
    """What the status of every room that follows the log says."""

    sequence: int
    next_offset: int
    lag_records: int
    lag_ms: int


def status(data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Say what runs, how far each room is behind the log, and where the log stands."""
    said = perform(_read(data))
    if as_json:
        print_json(said)
        return
    print_table(COLUMNS, _rows(said))
    log = said["log"]
    out.print(
        f"\nlog        sequence {log.get('sequence', '?')}, next record"
        f" {log.get('next_offset', '?')}, {log.get('open_orders', '?')} open orders"
    )
    if said["url"]:
        out.print(f"address    {said['url']}")
    if said["demo"]["made_with_demo"]:
        out.print(
            f"demo       this folder was made with the demo; its bots: {said['demo']['state']}"
        )


async def _read(data: Path) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        return await read_status(rooms, data)


async def read_status(rooms: Rooms, data: Path) -> dict[str, Any]:
    """The object of `bourse status --json`: what the supervisor says, and what each room says."""
    state = read_state(data)
    kept = {room["name"]: room for room in state.get("rooms", [])}
    asked = await asyncio.gather(*(_ask(rooms, room) for room in ROOMS))
    birth = read_birth(data)
    demo = {"made_with_demo": birth is not None and birth.demo, "state": "off"}
    log = next(said for room, said in zip(ROOMS, asked, strict=True) if room == "matching")
    return {
        "url": state.get("url", ""),
        "rooms": [
            _room(room, kept.get(room, {}), said) for room, said in zip(ROOMS, asked, strict=True)
        ],
        "stores": state.get("stores", []),
        "demo": {**demo, **state.get("demo", {})},
        "log": log.get("log", {}),
    }


def _room(name: str, kept: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """One room: its process as the supervisor has it, its place in the log as it says itself.

    `silent` is a process that stands and does not answer.
    """
    state = kept.get("state", "serving" if said else "silent")
    if state == "serving" and not said:
        state = "silent"
    places = {key: value for key, value in said.items() if key != "log"}
    return {
        "name": name,
        "state": state,
        "pid": kept.get("pid"),
        "restarts": kept.get("restarts", 0),
        "lag_records": 0,
        "lag_ms": 0,
        **places,
    }


async def _ask(rooms: Rooms, room: str) -> dict[str, Any]:
    """What a room says of itself; empty if it does not answer."""
    try:
        return await _ASK[room](rooms)
    except grpc.aio.AioRpcError:
        return {}


async def _matching(rooms: Rooms) -> dict[str, Any]:
    said = await rooms.matching.GetStatus(matching.GetStatusRequest(), timeout=ANSWER_S)
    log = {
        "shard": said.shard,
        "sequence": said.sequence,
        "next_offset": said.next_offset,
        "clock_us": said.clock_us,
        "state_hash": f"{said.state_hash:016x}",
        "balance_hash": f"{said.balance_hash:016x}",
        "leader": said.leader,
        "epoch": said.epoch,
        "queued_batches": said.queued_batches,
        "retained_bytes": said.retained_bytes,
        "malformed_batches": said.malformed_batches,
        "open_orders": said.open_orders,
        "rules": said.rules,
        "snapshot_offset": said.snapshot_offset,
    }
    return {"sequence": said.sequence, "next_offset": said.next_offset, "log": log}


async def _ledger(rooms: Rooms) -> dict[str, Any]:
    said = await rooms.ledger.GetStatus(ledger.GetStatusRequest(), timeout=ANSWER_S)
    transfers = {"transfers_under_way": said.transfers_under_way, "stopped": said.stopped}
    return {**_place(said), **transfers}


async def _orders(rooms: Rooms) -> dict[str, Any]:
    return _place(await rooms.orders.GetStatus(orders.GetStatusRequest(), timeout=ANSWER_S))


async def _marketdata(rooms: Rooms) -> dict[str, Any]:
    request = marketdata.GetStatusRequest()
    return _place(await rooms.marketdata.GetStatus(request, timeout=ANSWER_S))


async def _notifications(rooms: Rooms) -> dict[str, Any]:
    request = notifications.GetStatusRequest()
    return _place(await rooms.notifications.GetStatus(request, timeout=ANSWER_S))


async def _accounts(rooms: Rooms) -> dict[str, Any]:
    return {"serving": True} if await is_serving(rooms.channel("accounts")) else {}


async def _gateway(rooms: Rooms) -> dict[str, Any]:
    return {"serving": True} if await is_serving(rooms.channel("gateway")) else {}


def _place(said: _Reader) -> dict[str, Any]:
    return {
        "sequence": said.sequence,
        "next_offset": said.next_offset,
        "lag_records": said.lag_records,
        "lag_ms": said.lag_ms,
    }


class _Ask(Protocol):
    def __call__(self, rooms: Rooms) -> Awaitable[dict[str, Any]]: ...


_ASK: Final[Mapping[str, _Ask]] = {
    "accounts": _accounts,
    "gateway": _gateway,
    "ledger": _ledger,
    "marketdata": _marketdata,
    "matching": _matching,
    "notifications": _notifications,
    "orders": _orders,
}


def status_table(said: Mapping[str, Any]) -> Table:
    """The rooms and stores as a table."""
    return table(COLUMNS, _rows(said))


def _rows(said: Mapping[str, Any]) -> list[Sequence[str]]:
    demo = said["demo"]
    bots = [{"name": "demo", **demo}] if demo["state"] != "off" else []
    return [_row(each) for each in (*said["rooms"], *said["stores"], *bots)]


def _row(kept: Mapping[str, Any]) -> Sequence[str]:
    follows = "next_offset" in kept
    state = str(kept["state"])
    return (
        str(kept["name"]),
        f"[{COLOURS.get(state, 'default')}]{state}[/]",
        str(kept.get("pid") or ""),
        str(kept.get("sequence", "")),
        str(kept.get("lag_records", "")) if follows else "",
        str(kept.get("lag_ms", "")) if follows else "",
        str(kept.get("restarts") or ""),
        f"[red]{escape(kept['stopped'])}[/]" if kept.get("stopped") else "",
    )
