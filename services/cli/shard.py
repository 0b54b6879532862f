"""`bourse shard`: the replicas of one, what it has of the house, and the way on from a Halt."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import grpc
import typer

from bourse.matching import v1 as matching
from services.cli.desk import Desk, Operator, named, open_desk
from services.cli.engine import Unanswered, open_session
from services.cli.replicas import ROOM
from services.cli.rooms import open_rooms
from services.cli.settle import settle
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    ShardNumber,
    out,
    perform,
    print_json,
    print_table,
    show,
)
from services.runtime.audit import NOT_RESUMED, PROVED, RESUME_UNKNOWN, RESUMED, Deed
from services.runtime.replicas import ReplicaRow

app = typer.Typer(help="The replicas of a shard, and the way on from a Halt.")

ANSWER_S: Final = 20.0
COLUMNS = ("replica", "host", ">sequence", "state", "at the Halt", "")


class Halt(NamedTuple):
    """The newest Halt of which a replica has kept its state."""

    offset: int
    """Its command record."""
    states: dict[str, str]
    """By replica: the hash of its state after that record."""


@app.command()
def status(
    shard: ShardNumber = 0, data: DataFolder = DEFAULT_DATA, as_json: AsJson = False
) -> None:
    """Say where each replica stands, and what state it had where the shard was halted."""
    said = perform(_status(data, shard))
    if as_json:
        print_json(said)
        return
    print_table(COLUMNS, [_row(replica) for replica in said["replicas"]])
    out.print(said["sentence"], markup=False)


async def _status(data: Path, shard: int) -> dict[str, Any]:
    async with open_desk(data, shard) as desk:
        halt = newest_halt(desk.config.data, shard)
        rows, states = await desk.replicas(), halt.states if halt else {}
        replicas = [_said(row, states.get(row.replica, "")) for row in rows]
        gone = set(states) - {row.replica for row in rows}
        replicas += [{"replica": name, "at_halt": states[name]} for name in sorted(gone)]
        published = await _published_hash(desk, halt.offset) if halt else ""
        tried = last_try(await desk.deeds(), halt.offset) if halt else ""
    return {
        "halt_offset": halt.offset if halt else None,
        "published": published,
        "replicas": replicas,
        "resumed": None if tried == RESUME_UNKNOWN else tried == RESUMED,
        "sentence": _sentence(halt, published, tried, desk.said("bourse shard prove")),
    }


def _said(row: ReplicaRow, at_halt: str) -> dict[str, Any]:
    return {**row._asdict(), "is_live": row.is_live, "at_halt": at_halt}


def _row(replica: dict[str, Any]) -> Sequence[str]:
    stopped = replica.get("stopped_offset")
    state = "lives" if replica.get("is_live") else "gone"
    if stopped is not None:
        state = f"stopped at {stopped}: {replica['stopped_why']}"
    sequence, host = str(replica.get("sequence", "")), str(replica.get("host", ""))
    now = str(replica.get("state_hash", ""))
    return replica["replica"][:12], host, sequence, now, replica["at_halt"], state


def last_try(done: Sequence[Deed], halt_offset: int) -> str:
    """What came of the last try to let the shard go on after the Halt in this record; empty if
    nobody has tried."""
    proofs = {d.number for d in done if d.detail.get("halt_offset") == halt_offset}
    tries = [d.action for d in done if d.action in _TRIES and d.detail["proof"] in proofs]
    return tries[-1] if tries else ""


_TRIES: Final = (RESUMED, NOT_RESUMED, RESUME_UNKNOWN)


def _sentence(halt: Halt | None, published: str, tried: str, prove: str) -> str:
    if halt is None:
        return "No replica has kept the state of a Halt here."
    said = f"Record {halt.offset} halted the shard"
    if tried == RESUMED:
        return f"{said}, and it was resumed."
    if tried == RESUME_UNKNOWN:
        return f"{said}, and whether it was resumed is not known; `bourse status` shows it."
    differ = " The states differ:" if len({*halt.states.values(), published} - {""}) > 1 else ""
    return (
        f"{said}.{differ} Published is {published or 'nothing yet'}; `{prove}` says who is right."
    )


def newest_halt(data: Path, shard: int = 0) -> Halt | None:
    """What a shard's replicas on this machine have kept of the newest Halt, if of any."""
    by_offset: dict[int, dict[str, str]] = {}
    for file in (data / "halted" / str(shard)).glob("*.json"):
        said = json.loads(file.read_text())
        by_offset.setdefault(said["offset"], {})[said["replica"]] = said["state_hash"]
    if not by_offset:
        return None
    offset = max(by_offset)
    return Halt(offset, by_offset[offset])


async def _published_hash(desk: Desk, offset: int) -> str:
    """The state after a command record, as its events say; empty if they are not there."""
    parts = await desk.events_of(offset)
    last = matching.EventRecord.FromString(parts[-1]) if parts else matching.EventRecord()
    return f"{last.state_hash:016x}" if last.last else ""


# --- prove ----------------------------------------------------------------------------------------


@app.command()
def prove(
    operator: Operator,
    begin: Annotated[
        int | None,
        typer.Option("--from", help="Begin with the snapshot of this record; -1: with nothing."),
    ] = None,
    shard: ShardNumber = 0,
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Replay the log up to the Halt in a process of its own, and say which replica is right."""
    said = perform(_prove(data, shard, named_or_fail(operator), begin))
    show(said, as_json, *said["sentences"])


def named_or_fail(operator: str) -> str:
    """An operator's name; ends the command if there is none."""
    return perform(_named(operator))


async def _named(operator: str) -> str:
    return named(operator)


async def _prove(data: Path, shard: int, who: str, begin: int | None) -> dict[str, Any]:
    async with open_desk(data, shard) as desk:
        halt = _halt_of(desk)
        judged = await _judge(desk, halt.offset, begin)
        published = await _published_hash(desk, halt.offset)
        await desk.put_down(who, PROVED, **judged, published=published, states=halt.states)
    right = judged["state_hash"]
    wrong = sorted(name for name, said in halt.states.items() if said != right)
    verdicts = [
        f"{name[:12]} has {said} and is {'right' if said == right else 'wrong'}."
        for name, said in sorted(halt.states.items())
    ]
    if published == right:
        go_on = desk.said(f"bourse shard resume --sequence {judged['halt_sequence']}")
        end = f"What is published is right; `{go_on}` lets it trade again."
    else:
        end = (
            "What is published is wrong, or missing; see docs/reliability.md before anything else."
        )
    first = f"The replay, from {_from(judged['began'])}, comes to {right}."
    return {
        **judged,
        "published": published,
        "wrong": wrong,
        "sentences": [first, *verdicts, end],
    }


def _from(began: int) -> str:
    return "the beginning of the log" if began < 0 else f"the snapshot of record {began}"


def _halt_of(desk: Desk) -> Halt:
    halt = newest_halt(desk.config.data, desk.shard)
    if halt is None:
        raise Refused("No replica has kept the state of a Halt in this data folder.")
    return halt


async def _judge(desk: Desk, offset: int, begin: int | None) -> dict[str, Any]:
    """What the judging process says. Raises Refused with its last words."""
    command = ["-m", "services.matching.judge", "--data", str(desk.config.data)]
    command += ["--halt", str(offset), *([] if begin is None else ["--from", str(begin)])]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env={**os.environ, "BOURSE_MATCHING_SHARD": str(desk.shard)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, failed = await process.communicate()
    lines = [line for line in said.decode().splitlines() if line.startswith('{"halt_sequence"')]
    if process.returncode or not lines:
        words = (said + failed).decode("utf-8", "replace").strip().splitlines()
        raise Refused(f"The replay came to no end: {words[-1] if words else 'it said nothing'}")
    judged: dict[str, Any] = json.loads(lines[-1])
    return judged


# --- resume ---------------------------------------------------------------------------------------


@app.command()
def resume(
    sequence: Annotated[int, typer.Option(help="Of the Halt, as `bourse shard prove` says it.")],
    operator: Operator,
    shard: ShardNumber = 0,
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Let the shard trade again, once a replay has said who is right and only those are left."""
    perform(_resume(data, shard, named_or_fail(operator), sequence))
    show({"resumed": sequence}, as_json, f"The shard goes on after the Halt of {sequence}.")


async def _resume(data: Path, shard: int, who: str, sequence: int) -> None:
    async with open_desk(data, shard) as desk:
        proof = proof_of(await desk.deeds(), sequence)
        if proof is None:
            first = desk.said("bourse shard prove")
            raise Refused(f"Nobody has proven the Halt of {sequence}: `{first}` first.")
        offset, right = proof.detail["halt_offset"], proof.detail["state_hash"]
        published = await _published_hash(desk, offset)
        halt = newest_halt(desk.config.data, shard)
        states = halt.states if halt and halt.offset == offset else {}
        if why := why_not(await desk.replicas(), states, right, published):
            raise Refused(why)
        about = {"halt_sequence": sequence, "proof": proof.number}
        if await _halted_by(data, shard) != sequence:
            await _is_over(desk, who, offset, about)
            return
        # Before it happens, so that nothing happens that nobody has put down.
        await desk.put_down(who, RESUMED, **about)
        try:
            await _ask(data, shard, matching.Command(resume=matching.Resume(sequence=sequence)))
        except _OutcomeUnknown as unknown:
            await desk.put_down(who, RESUME_UNKNOWN, **about)
            raise Refused(
                f"Whether the shard goes on is not known. {unknown} In half a minute it is decided:"
                " `bourse status` shows then whether the shard is halted still. The same command"
                " again does no harm, and puts down what has come of this one."
            ) from unknown
        except Refused:
            await desk.put_down(who, NOT_RESUMED, **about)
            raise


class _OutcomeUnknown(Exception):
    """It was asked, and nobody has said what became of it."""


async def _halted_by(data: Path, shard: int) -> int:
    """The sequence of the Halt that holds; 0 if none does. Raises Refused if nobody says it."""
    request = matching.GetStatusRequest()
    async with open_rooms(data) as rooms:
        try:
            return (await rooms.core(shard).GetStatus(request, timeout=ANSWER_S)).halt_sequence
        except grpc.aio.AioRpcError as error:
            raise Refused(f"No replica of shard {shard} answers; nothing was asked.") from error


async def _is_over(desk: Desk, who: str, offset: int, about: dict[str, int]) -> None:
    """The Halt does not hold any more: what nobody knew of a try before is known now.

    Raises Refused if there is no such try.
    """
    if last_try(await desk.deeds(), offset) != RESUME_UNKNOWN:
        raise Refused(f"The Halt of {about['halt_sequence']} does not hold: nothing to resume.")
    await desk.put_down(who, RESUMED, **about)


async def _ask(data: Path, shard: int, command: matching.Command) -> None:
    async with open_rooms(data) as rooms, open_session(rooms.channel(ROOM, shard)) as session:
        try:
            await session.ask(command)
        except Unanswered as unanswered:
            # Of a session that could not be opened it is known: then nothing was asked.
            raise _OutcomeUnknown(str(unanswered)) from unanswered


def proof_of(done: Sequence[Deed], sequence: int) -> Deed | None:
    """The newest proof made of the Halt with this sequence."""
    found = [d for d in done if d.action == PROVED and d.detail["halt_sequence"] == sequence]
    return found[-1] if found else None


def why_not(rows: Sequence[ReplicaRow], states: dict[str, str], right: str, published: str) -> str:
    """Why the shard must not go on; empty if it may.

    A replica that started after the Halt has kept no state there. It follows what is published and
    stops where it differs, so that must be right.
    """
    if published != right:
        return f"The replay came to {right}, and published is {published or 'nothing'}."
    living = [row for row in rows if row.is_live and row.stopped_offset is None]
    for row in living:
        if states.get(row.replica, right) != right:
            return (
                f"Replica {row.replica} ({row.host}) lives and had {states[row.replica]} at the"
                f" Halt, where the replay came to {right}. Stop it first."
            )
    return "" if living else "No replica lives."


# --- settle ---------------------------------------------------------------------------------------


@app.command("settle")
def settle_one(
    shard: Annotated[int, typer.Option(min=1, help="The one that was added.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Give a shard the assets, rules and account settings of shard 0, as `bourse up` does."""
    perform(_settle(data, shard))
    said = f"Shard {shard} has the assets, rules and account settings of shard 0."
    show({"shard": shard}, as_json, said)


async def _settle(data: Path, shard: int) -> None:
    async with open_rooms(data) as rooms:
        await settle(rooms, [rooms.known(shard)])
