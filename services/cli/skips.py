"""`bourse log skip`, `bourse log audit`: two people leave out a record that breaks the core."""

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bourse.matching import v1 as matching
from services.cli.desk import Desk, Operator, named, open_desk
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    ShardNumber,
    perform,
    print_json,
    print_table,
    show,
)
from services.runtime.audit import SKIP_PROPOSED, SKIPPED, Deed
from services.runtime.log import OutcomeUnknown
from services.runtime.replicas import ReplicaRow
from services.runtime.skips import append_skip, read_skips

COLUMNS = (">no", "when", "who", "what", "of what")


def skip(
    offset: Annotated[int, typer.Argument(min=0, help="The command record the core fails at.")],
    operator: Operator,
    reason: Annotated[str, typer.Option(help="Why, in a sentence.")] = "",
    shard: ShardNumber = 0,
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Leave out a record at which every replica has stopped. One operator proposes, another agrees.

    Its commands end as engine_refused; there is no way back.
    """
    said = perform(_skip(data, shard, offset, operator, reason))
    show(said, as_json, said["sentence"])


async def _skip(data: Path, shard: int, offset: int, operator: str, reason: str) -> dict[str, Any]:
    who = named(operator)
    async with open_desk(data, shard) as desk:
        digest = await _may_be_skipped(desk, offset)
        first = proposal(await desk.deeds(), offset, digest)
        if first is None or _same(first.who, who):
            return await _propose(desk, offset, digest, who, reason)
        await _agree(desk, offset, digest, first, who, reason)
        late = [row for row in await desk.replicas() if row.is_live and row.stopped_offset is None]
    sentence = f"Record {offset} is skipped, as {first.who} and {who} have agreed."
    if late:
        sentence += f" Replica {late[0].replica} began meanwhile: end it before anything else."
    sentence += " Start the replicas again: `bourse up`."
    return {"offset": offset, "skipped": True, "sentence": sentence}


async def _propose(desk: Desk, offset: int, digest: str, who: str, reason: str) -> dict[str, Any]:
    if not reason.strip():
        raise Refused("Say why: --reason SENTENCE. Whoever is to agree reads it.")
    await desk.put_down(who, SKIP_PROPOSED, offset=offset, sha256=digest, reason=reason.strip())
    sentence = (
        f"{who} proposes to skip record {offset} ({digest[:16]}…). Nothing is skipped yet: another"
        f" operator agrees with `{desk.said(f'bourse log skip {offset}')} --operator NAME`."
    )
    return {"offset": offset, "skipped": False, "sentence": sentence}


async def _agree(desk: Desk, offset: int, digest: str, first: Deed, who: str, reason: str) -> None:
    why = reason.strip() or first.detail["reason"]
    row = matching.SkippedRecord(
        shard=desk.shard,
        offset=offset,
        sha256=bytes.fromhex(digest),
        proposed_by=first.who,
        confirmed_by=who,
        reason=why,
        time_us=time.time_ns() // 1000,
    )
    # Before the row, so that there is never a row that nobody has put down.
    await desk.put_down(
        who, SKIPPED, offset=offset, sha256=digest, proposed_by=first.who, reason=why
    )
    try:
        await append_skip(desk.log, row)
    except OutcomeUnknown as error:
        raise Refused(f"Whether it is skipped is not known ({error}). Agree once more.") from error


async def _may_be_skipped(desk: Desk, offset: int) -> str:
    """The SHA-256 of the record, if nobody has done anything by it. Raises Refused."""
    record = await desk.log.one(desk.commands, offset)
    if record is None:
        raise Refused(f"There is no record {offset} in {desk.commands}.")
    if offset in await read_skips(desk.log, desk.shard):
        raise Refused(f"Record {offset} is skipped already.")
    if await desk.events_of(offset):
        raise Refused(
            f"Events of record {offset} are published: it has happened, and cannot be skipped."
        )
    if why := why_not(await desk.replicas(), offset):
        raise Refused(why)
    return hashlib.sha256(record.body).hexdigest()


def why_not(rows: Sequence[ReplicaRow], offset: int) -> str:
    """Why the replicas stand against skipping a record; empty if they do not."""
    stopped = [row for row in rows if row.stopped_offset == offset]
    for row in rows:
        if row in stopped:
            continue
        if row.is_live:
            return (
                f"Replica {row.replica} ({row.host}) lives and has not stopped at record {offset}:"
                " a record is skipped only where every replica has failed at it."
            )
        if row.applied_offset >= offset:
            return (
                f"Replica {row.replica} ({row.host}) had applied record {offset} before it died,"
                " and may have answered it. Start it again: what it publishes counts."
            )
    if not stopped:
        return f"No replica has stopped at record {offset}."
    return ""


def proposal(done: Sequence[Deed], offset: int, digest: str) -> Deed | None:
    """The newest proposal to skip this very record."""
    found = [
        deed
        for deed in done
        if deed.action == SKIP_PROPOSED
        and (deed.detail["offset"], deed.detail["sha256"]) == (offset, digest)
    ]
    return found[-1] if found else None


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def audit(shard: ShardNumber = 0, data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """List what operators have done by hand: proofs, resumptions, skipped records."""
    done = perform(_audit(data, shard))
    if as_json:
        print_json({"deeds": [deed._asdict() for deed in done]})
        return
    print_table(COLUMNS, [_row(deed) for deed in done])


async def _audit(data: Path, shard: int) -> list[Deed]:
    async with open_desk(data, shard) as desk:
        return await desk.deeds()


def _row(deed: Deed) -> Sequence[str]:
    at = datetime.fromtimestamp(deed.at_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    detail = ", ".join(f"{name} {value}" for name, value in deed.detail.items())
    return str(deed.number), at, deed.who, deed.action, detail
