"""`bourse log hold`: who needs how much of the logs, and the way to go on without somebody."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.rooms import Rooms, open_rooms
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
from services.runtime.holds import COMMAND_READERS, EVENT_READERS, Hold, Holds, floor_of
from services.runtime.log import Log, TopicUnknown, commands_topic, events_topic, open_log

app = typer.Typer(help="Who needs how much of the logs.", no_args_is_help=True)

COLUMNS = ("topic", "reader", ">needs from", ">silent s", "")


@app.command("list")
def list_holds(data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Say what each topic has, and from where on each of its readers needs it."""
    said = perform(_list(data))
    if as_json:
        print_json(said)
        return
    print_table(COLUMNS, [_row(hold) for topic in said["topics"] for hold in topic["holds"]])
    for topic in said["topics"]:
        out.print(_sentence(topic), markup=False)


@app.command()
def release(
    reader: Annotated[str, typer.Argument(help="As `bourse log hold list` names it.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Take its hold from a reader: the logs are cut without it, until it speaks again."""
    topics = perform(_release(data, reader))
    names = ", ".join(topics)
    show(
        {"reader": reader, "topics": topics},
        as_json,
        f"{reader} no longer holds {names}. Should it come back and find its place cut away, it"
        " stops; then it has to be restored.",
    )


async def _list(data: Path) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        return {"topics": await read_topics(rooms)}


async def read_topics(rooms: Rooms) -> list[dict[str, Any]]:
    """Of both topics of each shard: what they have, who holds them, below what they may be cut."""
    log, holds = await open_log(rooms.config.log), Holds(rooms.config.postgres)
    try:
        return [
            await _topic(log, holds, topic, readers)
            for shard in rooms.shards
            for topic, readers in (
                (commands_topic(shard), COMMAND_READERS),
                (events_topic(shard), EVENT_READERS),
            )
        ]
    finally:
        holds.close()
        await log.close()


async def _topic(log: Log, holds: Holds, topic: str, readers: Sequence[str]) -> dict[str, Any]:
    try:
        start, end = await log.start(topic), await log.end(topic)
    except TopicUnknown:
        start = end = 0
    held = await holds.all(topic)
    below = floor_of(held, readers)
    return {
        "topic": topic,
        "start": start,
        "end": end,
        "cut_below": None if isinstance(below, str) else below,
        "not_cut": below if isinstance(below, str) else "",
        "holds": [hold._asdict() for hold in held],
    }


def _row(hold: dict[str, Any]) -> Sequence[str]:
    state = "[red]lost its hold[/]" if hold["is_lost"] else ""
    silent = f"{hold['silent_us'] / 1e6:.0f}"
    return hold["topic"], hold["reader"], str(hold["next_offset"]), silent, state


def _sentence(topic: dict[str, Any]) -> str:
    has = f"{topic['topic']} has {topic['end'] - topic['start']} records, from {topic['start']} on"
    if topic["not_cut"]:
        return f"{has}; it is not cut: {topic['not_cut']}."
    return f"{has}; it is cut by whole partitions below {topic['cut_below']}."


async def _release(data: Path, reader: str) -> list[str]:
    async with open_rooms(data) as rooms:
        holds = Holds(rooms.config.postgres)
        try:
            found = [hold.topic for hold in await holds.all() if hold.reader == reader]
            if reader in EVENT_READERS:
                # Where it has never spoken it holds the log as well.
                found = sorted({*found, *(events_topic(shard) for shard in rooms.shards)})
            if not found or reader in COMMAND_READERS:
                raise Refused(_unknown(await holds.all(), reader))
            for topic in found:
                await holds.release(topic, reader)
            return found
        finally:
            holds.close()


def _unknown(holds: Sequence[Hold], reader: str) -> str:
    if reader in COMMAND_READERS:
        return "Without its snapshots a shard could not start: their hold is not released."
    known = ", ".join(sorted({hold.reader for hold in holds} - set(COMMAND_READERS)))
    return f"There is no reader {reader}. Known: {known or 'none'}."
