"""`bourse status`: what runs, how far each room has come, and where the log stands."""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import grpc
from rich.markup import escape
from rich.table import Table

from bourse.ledger import v1 as ledger
from bourse.marketdata import v1 as marketdata
from bourse.notifications import v1 as notifications
from bourse.orders import v1 as orders
from bourse.types import v1 as types
from services.cli.folder import read_birth, read_state
from services.cli.hold import read_topics
from services.cli.replicas import ROOM, ask_replicas, log_of, room_of
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
from services.runtime.log import LogError
from services.runtime.postgres import PostgresError
from services.runtime.postgres_wake import GONE
from services.runtime.rpc import is_serving

ANSWER_S: Final = 2.0
COLOURS: Final = {"serving": "green", "starting": "yellow", "waiting": "red", "silent": "red"}
COLUMNS: Final = ("room", "state", ">pid", ">sequence", ">behind", ">behind ms", ">restarts", "")
SHARD: Final = ">shard"
"""The column behind the room, where there are several shards."""


def status(data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Say what runs, how far each room is behind the log, and where the log stands."""
    said = perform(_read(data))
    if as_json:
        print_json(said)
        return
    print_table(_columns(said), _rows(said))
    out.print()
    for line in _logs(said):
        out.print(line)
    for line in _holds(said["topics"]):
        out.print(line)
    if said["url"]:
        out.print(f"address    {said['url']}")
    if said["demo"]["made_with_demo"]:
        out.print(
            f"demo       this folder was made with the demo; its bots: {said['demo']['state']}"
        )


def _logs(said: Mapping[str, Any]) -> Iterator[str]:
    """Where the log of each shard stands."""
    for shard, log in enumerate(said["shards"]):
        what = f"shard {shard}" if len(said["shards"]) > 1 else "log"
        yield (
            f"{what:<10} sequence {log.get('sequence', '?')}, next record"
            f" {log.get('next_offset', '?')}, {log.get('open_orders', '?')} open orders"
        )
        if log.get("halt_sequence"):
            yield f"           [bold red]halted[/]: `bourse shard status --shard {shard}`"


def _holds(topics: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What each topic keeps and because of whom; in red, whoever has lost its hold."""
    for topic in topics:
        holding = [hold for hold in topic["holds"] if not hold["is_lost"]]
        last = min(holding, key=lambda hold: hold["next_offset"], default=None)
        held = f", held by {last['reader']} at {last['next_offset']}" if last else ""
        records = topic["end"] - topic["start"]
        yield f"keeps      {records} records of {topic['topic']} from {topic['start']} on{held}"
        lost = ", ".join(hold["reader"] for hold in topic["holds"] if hold["is_lost"])
        if lost:
            yield f"           [bold red]{lost} lost its hold: `bourse log hold list`[/]"


async def _read(data: Path) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        said = await read_status(rooms, data)
        try:
            async with asyncio.timeout(ANSWER_S):
                return {**said, "topics": await read_topics(rooms)}
        except (*GONE, PostgresError, LogError, TimeoutError):
            # Then the rooms above say so too.
            return {**said, "topics": []}


async def read_status(rooms: Rooms, data: Path) -> dict[str, Any]:
    """The object of `bourse status --json`: what the supervisor says, and what each room says."""
    state = read_state(data)
    kept = {room["name"]: room for room in state.get("rooms", [])}
    others = [room for room in ROOMS if room != ROOM]
    replicas, answers = await asyncio.gather(
        asyncio.gather(*(_ask_shard(rooms, shard) for shard in rooms.shards)),
        asyncio.gather(*(_ask(rooms, room) for room in others)),
    )
    asked = dict(zip(others, answers, strict=True))
    for shard in replicas:
        asked |= shard
    names = [name for room in ROOMS for name in asked if room_of(name) == room]
    birth = read_birth(data)
    demo = {"made_with_demo": birth is not None and birth.demo, "state": "off"}
    return {
        "url": state.get("url", ""),
        "rooms": [_room(name, kept.get(name, {}), asked[name]) for name in names],
        "stores": state.get("stores", []),
        "demo": {**demo, **state.get("demo", {})},
        "log": log_of(replicas[0]),
        "shards": [log_of(shard) for shard in replicas],
    }


async def _ask_shard(rooms: Rooms, shard: int) -> dict[str, dict[str, Any]]:
    """What each replica of a shard says of itself, by name."""
    addresses = rooms.config.address_of(ROOM, shard)
    return await ask_replicas(rooms.channel(ROOM, shard), addresses, shard)


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
        **({"stopped": kept["stopped"]} if "stopped" in kept else {}),
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


async def _ledger(rooms: Rooms) -> dict[str, Any]:
    said = await rooms.ledger.GetStatus(ledger.GetStatusRequest(), timeout=ANSWER_S)
    return {
        **placed([each.place for each in said.shards]),
        "transfers_under_way": said.transfers_under_way,
        "moves_under_way": said.moves_under_way,
    }


async def _orders(rooms: Rooms) -> dict[str, Any]:
    request = orders.GetStatusRequest()
    return placed((await rooms.orders.GetStatus(request, timeout=ANSWER_S)).places)


async def _marketdata(rooms: Rooms) -> dict[str, Any]:
    request = marketdata.GetStatusRequest()
    return placed((await rooms.marketdata.GetStatus(request, timeout=ANSWER_S)).places)


async def _notifications(rooms: Rooms) -> dict[str, Any]:
    request = notifications.GetStatusRequest()
    return placed((await rooms.notifications.GetStatus(request, timeout=ANSWER_S)).places)


async def _accounts(rooms: Rooms) -> dict[str, Any]:
    return {"serving": True} if await is_serving(rooms.channel("accounts")) else {}


async def _gateway(rooms: Rooms) -> dict[str, Any]:
    return {"serving": True} if await is_serving(rooms.channel("gateway")) else {}


def placed(places: Sequence[types.ReaderPlace]) -> dict[str, Any]:
    """Where a room is in shard 0, and in each; and why, of the shards it follows no further."""
    stopped = [
        f"shard {each.shard}: {each.stopped}" if len(places) > 1 else each.stopped
        for each in places
        if each.stopped
    ]
    return {
        **_figures(places[0]),
        "stopped": "; ".join(stopped),
        "places": [
            {"shard": each.shard, **_figures(each), "stopped": each.stopped} for each in places
        ],
    }


def _figures(place: types.ReaderPlace) -> dict[str, Any]:
    return {
        "sequence": place.sequence,
        "next_offset": place.next_offset,
        "lag_records": place.lag_records,
        "lag_ms": place.lag_ms,
        "lag_unknown": place.lag_unknown,
    }


class _Ask(Protocol):
    def __call__(self, rooms: Rooms) -> Awaitable[dict[str, Any]]: ...


_ASK: Final[Mapping[str, _Ask]] = {
    "accounts": _accounts,
    "gateway": _gateway,
    "ledger": _ledger,
    "marketdata": _marketdata,
    "notifications": _notifications,
    "orders": _orders,
}


def status_table(said: Mapping[str, Any]) -> Table:
    """The rooms and stores as a table."""
    return table(_columns(said), _rows(said))


def _is_several(said: Mapping[str, Any]) -> bool:
    return len(said.get("shards", ())) > 1


def _columns(said: Mapping[str, Any]) -> Sequence[str]:
    return (COLUMNS[0], SHARD, *COLUMNS[1:]) if _is_several(said) else COLUMNS


def _rows(said: Mapping[str, Any]) -> list[Sequence[str]]:
    demo = said["demo"]
    bots = [{"name": "demo", **demo}] if demo["state"] != "off" else []
    all_of_them = (*said["rooms"], *said["stores"], *bots)
    if not _is_several(said):
        return [_row(each) for each in all_of_them]
    return [row for each in all_of_them for row in _rows_by_shard(each)]


def _rows_by_shard(kept: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """A row for each shard that it follows; the first has what it is itself.

    Why one has stopped stands in the row of that shard.
    """
    places = kept.get("places") or [{}]
    for number, place in enumerate(places):
        name, state, pid, *figures, restarts, remark = _row({**kept, **place})
        shard = str({**kept, **place}.get("shard", ""))
        if number:
            yield "", shard, "", "", *figures, "", remark
        else:
            yield name, shard, state, pid, *figures, restarts, remark


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
        _remark(kept),
    )


def _remark(kept: Mapping[str, Any]) -> str:
    """Why it has stopped, or cannot go on for now; of a replica who leads, and its last record."""
    if kept.get("stopped"):
        return f"[red]{escape(kept['stopped'])}[/]"
    if kept.get("lag_unknown"):
        return "[red]its log does not answer[/]"
    if "leader" not in kept:
        return ""
    leads = f"leads (epoch {kept['epoch']}), " if kept["leader"] else ""
    return f"{leads}record {kept['next_offset'] - 1}"
