"""`bourse verify`: every invariant of the house, across core, log, ledger, history and market data.

The core is read once, at one sequence; every other room is asked to come at least that far and to
compare. So it holds while the market trades.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bourse.ledger import v1 as ledger
from bourse.marketdata import v1 as marketdata
from bourse.matching import v1 as matching
from bourse.orders import v1 as orders
from services.cli.rooms import Rooms, open_rooms
from services.cli.terminal import DEFAULT_DATA, AsJson, DataFolder, errors, out, perform, print_json
from services.domain.hashes import balance_hash, total_hash
from services.runtime.events import BEGINNING, EventsError, Position, follow
from services.runtime.log import Log, LogError, events_topic, open_log

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
    out.print(f"{len(found['checks'])} checks at sequence {found['sequence']}: {said}")


async def _verify(data: Path) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        core = await rooms.matching.Verify(matching.VerifyRequest(), timeout=PATIENCE_S)
        checks = [check async for check in _shown(all_checks(rooms, core))]
    return {
        "ok": all(check.ok for check in checks),
        "sequence": core.sequence,
        "checks": [check._asdict() for check in checks],
    }


async def _shown(checks: AsyncIterator[Check]) -> AsyncIterator[Check]:
    """Pass checks on, with a line on a terminal that says what has been done."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("core")
        async for check in checks:
            progress.update(task, description=check.name)
            yield check


async def all_checks(rooms: Rooms, core: matching.VerifyResponse) -> AsyncIterator[Check]:
    """Every check of the house against what the core said of itself, one after the other."""
    for check in _core_checks(core):
        yield check
    books = await rooms.ledger.Verify(_totals(core), timeout=PATIENCE_S)
    for check in _passed_on("ledger", books.checks):
        yield check
    request = orders.VerifyRequest(open_orders=core.orders, sequence=core.sequence)
    history = await rooms.orders.Verify(request, timeout=PATIENCE_S)
    for check in _passed_on("orders", history.checks):
        yield check
    tape = await rooms.marketdata.Verify(
        marketdata.VerifyRequest(sequence=core.sequence), timeout=PATIENCE_S
    )
    for check in _passed_on("marketdata", tape.checks):
        yield check
    yield _equal("history and market data have the same trades", history.trades, tape.trades)
    log = await open_log(rooms.config.log)
    try:
        yield await _log_check(log, core)
    finally:
        await log.close()


def _core_checks(core: matching.VerifyResponse) -> Iterable[Check]:
    yield Check("core: its own invariants", not core.broken, core.broken)
    hashes = [
        total_hash(one.account, one.asset, one.available_minor + one.held_minor)
        for one in core.balances
    ]
    total = balance_hash(0, *hashes)
    yield _equal("core: the balance hash is that of its balances", core.balance_hash, total)


def _totals(core: matching.VerifyResponse) -> ledger.VerifyRequest:
    request = ledger.VerifyRequest(sequence=core.sequence, command_offset=core.command_offset)
    for one in core.balances:
        total = one.available_minor + one.held_minor
        request.totals.add(account=one.account, asset=one.asset, total_minor=total)
    return request


def _passed_on(room: str, checks: Iterable[_Said]) -> list[Check]:
    return [Check(f"{room}: {check.name}", check.ok, check.detail) for check in checks]


def _equal(name: str, left: int, right: int) -> Check:
    return Check(name, left == right, "" if left == right else f"{left} and {right}")


async def _log_check(log: Log, core: matching.VerifyResponse) -> Check:
    """Read the event log from its start to where the core stood."""
    name = "log: every command record has its events once, and sequences have no gaps"
    topic = events_topic(0)
    try:
        start = await log.start(topic)
        position = BEGINNING if start == 0 else Position(start, None)
        async with asyncio.timeout(PATIENCE_S):
            detail = await _walk(log, topic, position, core.command_offset)
    except (EventsError, LogError) as error:
        detail = str(error)
    except TimeoutError:
        detail = f"the events of command record {core.command_offset} have not been published"
    return Check(name, not detail, detail)


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
