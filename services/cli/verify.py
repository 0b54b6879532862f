"""`bourse verify`: every invariant of the house, across core, log, ledger, history and market data.

Each shard's core is read once, at one sequence; every other room is asked to come at least that far
and to compare. So it holds while the market trades.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import grpc
import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bourse.ledger import v1 as ledger
from bourse.marketdata import v1 as marketdata
from bourse.matching import v1 as matching
from bourse.orders import v1 as orders
from services.cli.rooms import Rooms, open_rooms
from services.cli.settle import lacking
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    errors,
    out,
    perform,
    print_json,
    sentence,
)
from services.domain.hashes import balance_hash, total_hash
from services.runtime.events import BEGINNING, EventsError, Position, follow
from services.runtime.final import ShardNeedsMending
from services.runtime.log import Log, LogError, events_topic, open_log

SETTLE_S: Final = 2.0
"""What is under way to all shards has come to all of them by then."""

PATIENCE_S: Final = 600.0
"""How long a room may take: it reads everything it has."""


class Check(NamedTuple):
    """One invariant: whether it holds, and where it first does not."""

    name: str
    ok: bool
    detail: str = ""


class _Said(Protocol):
    """A check as the rooms answer it; each has a message of its own."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def detail(self) -> str: ...


def verify(data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Check that core, log, ledger, history and market data say the same; name what differs."""
    found = perform(_verify(data))
    if as_json:
        print_json(found)
    else:
        _print(found)
    if not found["ok"]:
        raise typer.Exit(1)


def _print(found: dict[str, Any]) -> None:
    for check in found["checks"]:
        mark = "[green]holds[/]" if check["ok"] else "[bold red]BROKEN[/]"
        out.print(f"{mark:>15}  {check['name']}")
        if check["detail"]:
            out.print(f"         {check['detail']}", markup=False)
    broken = sum(not check["ok"] for check in found["checks"])
    said = f"[bold red]{broken} do not hold[/]" if broken else "[green]all hold[/]"
    at = ", ".join(str(each["sequence"]) for each in found.get("sequences", ()))
    where = f"sequences {at}" if at else f"sequence {found['sequence']}"
    out.print(f"{len(found['checks'])} checks at {where}: {said}")


async def _verify(data: Path) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        cores = [Core(shard) for shard in rooms.shards]
        checks = [check async for check in _shown(_of_all_shards(rooms, cores))]
    at = [{"shard": core.shard, "sequence": core.sequence} for core in cores]
    return {
        "ok": all(check.ok for check in checks),
        "sequence": cores[0].sequence,
        **({"sequences": at} if len(cores) > 1 else {}),
        "checks": [check._asdict() for check in checks],
    }


async def _of_all_shards(rooms: Rooms, cores: "Sequence[Core]") -> AsyncIterator[Check]:
    """The checks of one shard after the other; where there are several each is named with its."""
    if len(cores) == 1:
        async for check in all_checks(rooms, cores[0]):
            yield check
        return
    for core in cores:
        async for check in of_one_of_several(core.shard, _of_shard(rooms, core)):
            yield check


async def of_one_of_several(shard: int, checks: AsyncIterator[Check]) -> AsyncIterator[Check]:
    """The checks of one shard. If one cannot be made, those of the other shards still are."""
    try:
        async for check in checks:
            yield check
    except (grpc.aio.AioRpcError, Refused, LogError, ShardNeedsMending) as error:
        why = sentence(error) if isinstance(error, grpc.aio.AioRpcError) else str(error)
        yield Check(f"shard {shard}: every check can be made", ok=False, detail=why)


async def _of_shard(rooms: Rooms, core: "Core") -> AsyncIterator[Check]:
    async for check in all_checks(rooms, core):
        yield check._replace(name=f"shard {core.shard}: {check.name}")
    if core.shard:
        yield await settled_check(rooms, core.shard)


async def settled_check(rooms: Rooms, shard: int) -> Check:
    """What an operator changes for all shards comes to shard 0 last, so it is looked at twice."""
    name = f"shard {shard}: it has the rules, assets and account settings of shard 0"
    lacks = await _unlike(rooms, shard)
    if lacks:
        await asyncio.sleep(SETTLE_S)
        lacks = await _unlike(rooms, shard)
    if not lacks:
        return Check(name, ok=True)
    kinds = Counter((at, str(command.WhichOneof("kind"))) for at, command in lacks)
    counts = sorted(kinds.items(), reverse=True)
    what = ", ".join(f"shard {at} lacks {count} {kind}" for (at, kind), count in counts)
    return Check(name, ok=False, detail=f"{what}: `bourse shard settle --shard {shard}`")


async def _unlike(rooms: Rooms, shard: int) -> list[tuple[int, matching.Command]]:
    """What it and shard 0 lack. What other shards do is said of them."""
    return [each async for each in lacking(rooms, shard) if each[0] in (0, shard)]


async def _shown(checks: AsyncIterator[Check]) -> AsyncIterator[Check]:
    """Pass checks on, with a line on a terminal that says what has been done."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("core")
        async for check in checks:
            progress.update(task, description=check.name)
            yield check


class Core:
    """What a shard's core said of itself, as far as it came. Of its lists only sums are kept."""

    def __init__(self, shard: int = 0) -> None:
        self.shard = shard
        self.broken = ""
        self.sequence = 0
        self.command_offset = 0
        self.balance_hash = 0
        self.computed_hash = 0
        """Of the balances that came."""
        self._has_begun = False

    def hear(self, piece: matching.VerifyResponse) -> None:
        """Take in the next piece; the first says what is no list."""
        if not self._has_begun:
            self._has_begun = True
            self.broken, self.balance_hash = piece.broken, piece.balance_hash
            self.sequence, self.command_offset = piece.sequence, piece.command_offset
        hashes = [
            total_hash(one.account, one.asset, one.available_minor + one.held_minor)
            for one in piece.balances
        ]
        self.computed_hash = balance_hash(self.computed_hash, *hashes)


async def all_checks(rooms: Rooms, core: Core) -> AsyncIterator[Check]:
    """Every check of a shard against what its core says of itself, one after the other.

    What the core says is passed on as it comes: nobody on the way has all of it at once.
    """
    books = rooms.ledger.StreamVerify(timeout=PATIENCE_S)
    history = rooms.orders.StreamVerify(timeout=PATIENCE_S)
    try:
        asked = matching.StreamVerifyRequest()
        said = rooms.core(core.shard).StreamVerify(asked, timeout=PATIENCE_S)
        async for response in said:
            core.hear(response.piece)
            await _tell(books, _totals(response.piece, core.shard))
            await _tell(history, _open_orders(response.piece, core.shard))
        async for check in _compared(rooms, core, books, history):
            yield check
    finally:
        books.cancel()
        history.cancel()


async def _compared(
    rooms: Rooms, core: Core, books: "_Books", history: "_History"
) -> AsyncIterator[Check]:
    """What the other rooms find, now that they have been told all."""
    await _end(books)
    await _end(history)
    for check in _core_checks(core):
        yield check
    for check in _passed_on("ledger", (await books).checks):
        yield check
    traded = await history
    for check in _passed_on("orders", traded.checks):
        yield check
    request = marketdata.VerifyRequest(sequence=core.sequence, shard=core.shard)
    tape = await rooms.marketdata.Verify(request, timeout=PATIENCE_S)
    for check in _passed_on("marketdata", tape.checks):
        yield check
    log = await open_log(rooms.config.log)
    try:
        topic = events_topic(core.shard)
        yield await _trades_check(log, topic, traded.trades, tape.trades)
        yield await _log_check(log, core)
    finally:
        await log.close()


_Books: TypeAlias = (
    "grpc.aio.StreamUnaryCall[ledger.StreamVerifyRequest, ledger.StreamVerifyResponse]"
)
_History: TypeAlias = (
    "grpc.aio.StreamUnaryCall[orders.StreamVerifyRequest, orders.StreamVerifyResponse]"
)


async def _tell(call: "grpc.aio.StreamUnaryCall[Any, Any]", request: Any) -> None:
    """Pass a piece on. A call that has ended says why when its answer is asked for."""
    with contextlib.suppress(asyncio.InvalidStateError):
        await call.write(request)


async def _end(call: "grpc.aio.StreamUnaryCall[Any, Any]") -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        await call.done_writing()


def _core_checks(core: Core) -> Iterable[Check]:
    yield Check("core: its own invariants", not core.broken, core.broken)
    name = "core: the balance hash is that of its balances"
    yield _equal(name, core.balance_hash, core.computed_hash)


def _totals(piece: matching.VerifyResponse, shard: int = 0) -> ledger.StreamVerifyRequest:
    request = ledger.StreamVerifyRequest(
        sequence=piece.sequence, command_offset=piece.command_offset, shard=shard
    )
    for one in piece.balances:
        total = one.available_minor + one.held_minor
        request.totals.add(account=one.account, asset=one.asset, total_minor=total)
    return request


def _open_orders(piece: matching.VerifyResponse, shard: int = 0) -> orders.StreamVerifyRequest:
    return orders.StreamVerifyRequest(
        open_orders=piece.orders, sequence=piece.sequence, shard=shard
    )


def _passed_on(room: str, checks: Iterable[_Said]) -> list[Check]:
    return [Check(f"{room}: {check.name}", check.ok, check.detail) for check in checks]


def _equal(name: str, left: int, right: int) -> Check:
    return Check(name, left == right, "" if left == right else f"{left} and {right}")


async def _trades_check(log: Log, topic: str, in_history: int, on_tape: int) -> Check:
    name = "history and market data have the same trades"
    if on_tape == 0 and await log.start(topic):
        return Check(name, ok=True, detail="market data begins after the last of them")
    return _equal(name, in_history, on_tape)


async def _log_check(log: Log, core: Core) -> Check:
    """Read the event log from its start to where the core stood."""
    name = "log: every command record has its events once, and sequences have no gaps"
    topic = events_topic(core.shard)
    try:
        start = await log.start(topic)
        position = BEGINNING if start == 0 else Position(start, None)
        async with asyncio.timeout(PATIENCE_S):
            detail = await _walk(log, topic, position, core.command_offset)
        if start and not detail:
            return Check(name, ok=True, detail=_CUT.format(topic=topic, start=start))
    except (EventsError, LogError) as error:
        detail = str(error)
    except TimeoutError:
        detail = f"the events of command record {core.command_offset} have not been published"
    return Check(name, not detail, detail)


_CUT: Final = (
    "from offset {start} of {topic} on. What stood before has been cut: the books, history and the"
    " tape, which were made of it, are compared with each other as above"
)


async def _walk(log: Log, topic: str, position: Position, last_record: int) -> str:
    """What is wrong with the events up to a command record; empty if nothing is."""
    expected = 0
    async with aclosing(follow(log, topic, position)) as batches:
        async for parts in batches:
            for part in parts:
                if part.key.command_offset > last_record:
                    return ""
                wrong = _sequences(part.record, expected)
                if wrong:
                    return wrong
                expected = part.record.first_sequence + len(part.record.commands)
                if part.record.last and part.key.command_offset == last_record:
                    return ""
    return ""


def _sequences(record: matching.EventRecord, expected: int) -> str:
    """A part begins with the next sequence, or with the command that the one before it left."""
    allowed: Sequence[int] = (expected, expected - 1) if record.part else (expected,)
    if expected and record.first_sequence not in allowed:
        return (
            f"command record {record.command_offset}, part {record.part}, begins with sequence"
            f" {record.first_sequence} where {expected} belongs"
        )
    return ""
