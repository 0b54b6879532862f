"""`bourse log`: what stands on the logs, as text: commands as they came, and what they caused."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from google.protobuf import text_format
from google.protobuf.message import Message

from bourse.matching import v1 as matching
from services.cli import hold, skips
from services.cli.rooms import Rooms, account_named, open_rooms
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    ShardNumber,
    goes_to_inner,
    out,
    perform,
    was_typed,
)
from services.domain.ids import shard_of
from services.domain.outcomes import REFUSAL_CODES
from services.runtime.events import Position, follow
from services.runtime.log import Log, commands_topic, events_topic, open_log

EVENTS: Final = (
    "trades",
    "orders",
    "levels",
    "balances",
    "moves",
    "assets",
    "instruments",
    "accounts",
)
KINDS: Final = {
    number: name.removeprefix("COMMAND_KIND_").lower()
    for name, number in matching.CommandKind.items()
}


class Wanted(NamedTuple):
    """What to show. An empty field lets everything pass; a line shows what one of them names."""

    accounts: frozenset[int] = frozenset()
    order_id: int = 0
    request_id: bytes = b""

    def takes(self, envelope: matching.Command | matching.CommandMark, bodies: "Bodies") -> bool:
        """Does a command, with what it caused, concern what is asked for?"""
        if self.request_id and envelope.request_id != self.request_id:
            return False
        messages = [body for _, body in bodies]
        named = {envelope.account, *_values(messages, _ACCOUNTS)}
        if self.accounts and not self.accounts & named:
            return False
        if self.order_id and getattr(envelope, "order_id", 0) != self.order_id:
            return self.order_id in _values(messages, _ORDERS)
        return True


EVERYTHING: Final = Wanted()
_ACCOUNTS: Final = ("account", "taker_account", "maker_account")
_ORDERS: Final = ("order_id", "taker_order_id", "maker_order_id")
Bodies = list[tuple[str, Message]]


def _values(messages: list[Message], names: tuple[str, ...]) -> list[int]:
    """The values of fields of these names, in the messages and in the order inside one."""
    inner = [getattr(message, "order", message) for message in messages]
    return [
        getattr(message, name)
        for message in [*messages, *inner]
        for name in names
        if hasattr(message, name)
    ]


app = typer.Typer(help="Print command or event records as text; say who holds the logs.")
app.add_typer(hold.app, name="hold")
app.command()(skips.skip)
app.command()(skips.audit)


@app.callback(invoke_without_command=True)
def log(
    context: typer.Context,
    data: DataFolder = DEFAULT_DATA,
    commands: Annotated[
        bool, typer.Option("--commands", help="Show commands as they came, not what they caused.")
    ] = False,
    account: Annotated[str, typer.Option(help="Only what concerns this account.")] = "",
    order: Annotated[int, typer.Option(help="Only what concerns this order.")] = 0,
    request: Annotated[str, typer.Option(help="Only this correlation id, in hex.")] = "",
    start: Annotated[int, typer.Option("--from", help="Start at this offset of the topic.")] = 0,
    keep_on: Annotated[bool, typer.Option("--follow", help="Wait for more, until Ctrl-C.")] = False,
    shard: ShardNumber = 0,
    as_json: AsJson = False,
) -> None:
    """Print command or event records as text, a command a paragraph; filtered if asked."""
    if goes_to_inner(context):
        return
    try:
        request_id = bytes.fromhex(request)
    except ValueError:
        raise typer.BadParameter(
            "a correlation id is 32 hex digits", param_hint="--request"
        ) from None
    if order and not was_typed(context, "shard"):
        shard = shard_of(order)
    shown = _Shown(commands, start, keep_on, as_json, shard)
    try:
        perform(_log(data, account, Wanted(order_id=order, request_id=request_id), shown))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


class _Shown(NamedTuple):
    commands: bool
    start: int
    follow: bool
    as_json: bool
    shard: int


async def _log(data: Path, account: str, wanted: Wanted, shown: _Shown) -> None:
    async with open_rooms(data) as rooms:
        rooms.known(shown.shard)
        if account:
            wanted = wanted._replace(accounts=frozenset({await _number_of(rooms, account)}))
        log_of_shard = await open_log(rooms.config.log)
        try:
            await (_commands if shown.commands else _events)(log_of_shard, wanted, shown)
        finally:
            await log_of_shard.close()


async def _number_of(rooms: Rooms, account: str) -> int:
    """An account by its number or its name."""
    if account.isdecimal():
        return int(account)
    return (await account_named(rooms, account)).account


async def _span(log_of_shard: Log, topic: str, shown: _Shown) -> tuple[int, int]:
    """The offsets to show. Raises Refused if there is nothing at the start that was asked for."""
    oldest, end = await log_of_shard.start(topic), await log_of_shard.end(topic)
    first = max(shown.start, oldest) if not shown.start else shown.start
    if not oldest <= first <= end:
        cut = f" What stood below {oldest} has been cut." if oldest else ""
        raise Refused(f"{topic} has offsets {oldest} to {end - 1}.{cut}")
    return first, end


async def _commands(log_of_shard: Log, wanted: Wanted, shown: _Shown) -> None:
    topic = commands_topic(shown.shard)
    first, end = await _span(log_of_shard, topic, shown)
    if first >= end and not shown.follow:
        return
    async with aclosing(log_of_shard.read(topic, first)) as batches:
        async for batch in batches:
            for record in batch:
                for line in _command_lines(record.offset, record.time_us, record.body, wanted):
                    line.show(shown.as_json)
                if record.offset + 1 >= end and not shown.follow:
                    return


class Line(NamedTuple):
    """A command and what goes with it."""

    offset: int
    time_us: int
    title: str
    bodies: Bodies

    def show(self, as_json: bool) -> None:
        """Print it: a paragraph, or a JSON object on a line."""
        said = [f"{name} {_text(body)}".strip() for name, body in self.bodies]
        if as_json:
            line = {"offset": self.offset, "time_us": self.time_us, "command": self.title}
            typer.echo(json.dumps({**line, "events": said}))
            return
        moment = datetime.fromtimestamp(self.time_us // 1_000_000, UTC).strftime("%H:%M:%S")
        stamp = f"{moment}.{self.time_us % 1_000_000:06}"
        out.print(f"[dim]{self.offset:>8}  {stamp}[/]  [bold]{self.title}[/]")
        for text in said:
            out.print(f"          {text}", markup=False)


def _text(message: Message) -> str:
    return text_format.MessageToString(message, as_one_line=True)


def _command_lines(offset: int, time_us: int, body: bytes, wanted: Wanted) -> Iterator[Line]:
    for encoded in matching.CommandRecord.FromString(body).requests:
        batch = matching.SubmitRequest.FromString(encoded)
        origin = f"session {batch.session} batch {batch.number}" if batch.session else ""
        origin = f"source {batch.source} from {batch.number}" if batch.source else origin
        for command in batch.commands:
            kind = command.WhichOneof("kind") or "nothing"
            bodies: Bodies = [("", getattr(command, kind))] if kind != "nothing" else []
            if wanted.takes(command, bodies):
                title = f"{kind} account {command.account} {command.request_id.hex()} {origin}"
                yield Line(offset, time_us, title.rstrip(), bodies)


async def _events(log_of_shard: Log, wanted: Wanted, shown: _Shown) -> None:
    topic = events_topic(shown.shard)
    first, end = await _span(log_of_shard, topic, shown)
    if first >= end and not shown.follow:
        return
    async with aclosing(follow(log_of_shard, topic, Position(first, None))) as batches:
        while True:
            try:
                # Copies that a second publisher wrote may stand at the end, and are never given.
                async with asyncio.timeout(None if shown.follow else 1.0):
                    parts = await anext(batches)
            except TimeoutError:
                return
            for part in parts:
                offset = part.position.next_offset - 1
                for line in _event_lines(offset, part.record, wanted):
                    line.show(shown.as_json)
            if parts[-1].position.next_offset >= end and not shown.follow:
                return


def _event_lines(offset: int, record: matching.EventRecord, wanted: Wanted) -> Iterator[Line]:
    by_command: dict[int, Bodies] = {}
    for name in EVENTS:
        for event in getattr(record, name):
            by_command.setdefault(event.command, []).append((name.removesuffix("s"), event))
    for index, mark in enumerate(record.commands):
        bodies = by_command.get(index, [])
        if wanted.takes(mark, bodies):
            yield Line(offset, record.time_us, _title(record.first_sequence + index, mark), bodies)
    if wanted == EVERYTHING and record.auctions:
        # They come at the end of a record, under no command.
        auctions: Bodies = [("auction", auction) for auction in record.auctions]
        yield Line(offset, record.time_us, "auctions", auctions)


def _title(sequence: int, mark: matching.CommandMark) -> str:
    kind = KINDS.get(mark.kind, str(mark.kind))
    if mark.kind == matching.COMMAND_KIND_TIME:
        return f"#{sequence} {kind}"
    said = f"#{sequence} {kind} account {mark.account} {mark.request_id.hex()}"
    if mark.refusal:
        said += f" refused: {REFUSAL_CODES.get(mark.refusal, mark.refusal)}"
    return said + (" repeated" if mark.repeated else "")
