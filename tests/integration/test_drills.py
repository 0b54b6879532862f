"""Two drills on real processes: a replica that differs from the others, and a core that fails.

docs/reliability.md tells operators what to do in both; here it is done, the one in shard 0, the
other in shard 1.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.cli.__main__ import app
from services.cli.bootstrap import use_rules
from services.cli.engine import open_session
from services.cli.terminal import Refused
from services.runtime.choice import Choice
from services.runtime.log import events_topic, open_log
from tests.integration.drilled import (
    BREAKS_AT,
    DIFFERS_AT,
    Drill,
    build_broken_core,
    drilling,
)

APPLIED = matching.BATCH_STATUS_APPLIED


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_broken_core(tmp_path_factory.mktemp("broken"))


async def bourse(drill: Drill, *words: str) -> tuple[int, dict[str, Any], str]:
    """An operator's command: its exit code, what it said to a script, and to a person."""
    arguments = [*words, "--data", str(drill.data), "--json"]
    arguments += ["--shard", str(drill.shard)] if drill.shard else []
    done = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    said = done.stdout.strip()
    return done.exit_code, json.loads(said) if said.startswith("{") else {}, done.output


async def begin(drill: Drill, name: str) -> None:
    """Rules 3, an asset, and a thousand of it."""
    asset = types.Asset(asset=1, code="USD", decimals=2)
    await ask(drill, name, use_rules(3), matching.Command(add_asset=matching.AddAsset(asset=asset)))
    assert (await drill.credit(name, 1_000)).status == APPLIED


def test_a_replica_that_differs_halts_all_until_it_is_known_who_was_right(
    tmp_path: Path, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with drilling(tmp_path, broken, shard=0) as drill:
            monkeypatch.setenv("BOURSE_MATCHING_ADDRESS", drill.addresses("right"))
            drill.launch("right", broken=False)
            await drill.serving("right")
            await drill.until("right", leader=True)
            drill.launch("wrong", broken=True)
            await begin(drill, "right")
            await drill.serving("wrong")
            assert (await drill.credit("right", DIFFERS_AT)).status == APPLIED
            assert "is not what this replica made" in await drill.given_up("wrong")
            await everything_stands_still(drill)
            await operators_find_out(drill)
            await it_goes_on(drill)

    asyncio.run(story())


async def everything_stands_still(drill: Drill) -> None:
    status = await drill.status("right")
    assert status.halt_sequence == status.sequence
    refused = await drill.credit("right", 5)
    assert (refused.status, refused.expected) == (matching.BATCH_STATUS_HALTED, 3)
    with pytest.raises(Refused, match="shard_halted"):
        await ask(drill, "right", matching.Command(set_clock=matching.SetClock(time_us=1)))
    assert await drill.balance("right") == 1_000 + DIFFERS_AT, "questions are answered"


async def ask(drill: Drill, name: str, *commands: matching.Command) -> None:
    """In a session of its own. Raises Refused."""
    async with Choice(drill.address(name)) as replica, open_session(replica) as session:
        await session.ask(*commands)


async def operators_find_out(drill: Drill) -> None:
    halt = (await drill.status("right")).halt_sequence
    code, status, _ = await bourse(drill, "shard", "status")
    assert (code, len(status["replicas"])) == (0, 2)
    assert len({replica["at_halt"] for replica in status["replicas"]} - {""}) == 2
    resume = ("shard", "resume", "--sequence", str(halt), "--operator", "ann")
    code, _, why = await bourse(drill, *resume)
    assert (code, "Nobody has proven" in why) == (1, True)
    code, proof, why = await bourse(drill, "shard", "prove", "--operator", "ann")
    assert code == 0, why
    assert proof["published"] == proof["state_hash"]
    (wrong,) = (r for r in status["replicas"] if r["stopped_offset"] is not None)
    assert proof["wrong"] == [wrong["replica"]]
    code, _, why = await bourse(drill, *resume)
    assert code == 0, why
    _, audit, _ = await bourse(drill, "log", "audit")
    assert [(deed["who"], deed["action"]) for deed in audit["deeds"]] == [
        ("ann", "prove"),
        ("ann", "resume"),
    ]


async def it_goes_on(drill: Drill) -> None:
    assert (await drill.credit_again("right", 5)).status == APPLIED
    assert await drill.balance("right") == 1_005 + DIFFERS_AT
    drill.launch("wrong", broken=False)
    await drill.serving("wrong")
    status = await drill.status("right")
    await drill.until("wrong", sequence=status.sequence, balance_hash=status.balance_hash)
    assert [await drill.broken_rule(name) for name in ("right", "wrong")] == ["", ""]


def test_a_record_that_breaks_the_core_is_skipped_by_two_operators(
    tmp_path: Path, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with drilling(tmp_path, broken, shard=1) as drill:
            monkeypatch.setenv("BOURSE_MATCHING_ADDRESS", drill.addresses("one"))
            for name in ("one", "two"):
                drill.launch(name, broken=True)
                await drill.serving(name)
            await begin(drill, "one")
            offset = await both_stop(drill)
            await two_operators_skip_it(drill, offset)
            await they_start_again(drill, offset)

    asyncio.run(story())


async def both_stop(drill: Drill) -> int:
    """Nothing of the record is answered or published; what is known is in a folder. Its offset."""
    with pytest.raises((AssertionError, grpc.aio.AioRpcError)):
        await drill.credit("one", BREAKS_AT)
    for name in ("one", "two"):
        assert "bourse log skip" in await drill.given_up(name)
    (folder,) = (drill.data / "stopped" / str(drill.shard)).iterdir()
    offset = int(folder.name)
    about = [json.loads(file.read_text()) for file in folder.glob("*.json")]
    assert len(about) == 2
    assert {said["broken"]["file"].rpartition("/")[2] for said in about} == {"core_money.c"}
    record = matching.CommandRecord.FromString((folder / "record.bin").read_bytes())
    assert matching.SubmitRequest.FromString(record.requests[0]).number == 2
    assert await refusals_of(drill, offset) == []
    return offset


async def two_operators_skip_it(drill: Drill, offset: int) -> None:
    skip = ("log", "skip", str(offset), "--operator")
    code, _, why = await bourse(drill, "log", "skip", str(offset - 1), "--operator", "ann")
    assert (code, "are published" in why) == (1, True)
    for who in ("ann", "Ann"):
        code, said, why = await bourse(drill, *skip, who, "--reason", "It breaks the core.")
        assert (code, said["skipped"]) == (0, False), why
    code, said, why = await bourse(drill, *skip, "bob")
    assert (code, said["skipped"]) == (0, True), why
    code, _, why = await bourse(drill, *skip, "bob")
    assert (code, "already" in why) == (1, True)
    _, audit, _ = await bourse(drill, "log", "audit")
    assert [deed["who"] for deed in audit["deeds"]] == ["ann", "Ann", "bob"]


async def they_start_again(drill: Drill, offset: int) -> None:
    """With the core that fails: what is skipped never comes to where it fails."""
    for name, is_broken in (("one", True), ("two", False)):
        drill.launch(name, broken=is_broken)
        await drill.serving(name)
    again = await drill.credit_again("one", BREAKS_AT)
    assert again.status == matching.BATCH_STATUS_REPEATED
    assert (await drill.credit("one", 7)).status == APPLIED
    assert await drill.balance("one") == 1_007
    assert await refusals_of(drill, offset) == [matching.REFUSAL_ENGINE_REFUSED]
    status = await drill.status("one")
    await drill.until("two", sequence=status.sequence, balance_hash=status.balance_hash)
    assert [await drill.broken_rule(name) for name in ("one", "two")] == ["", ""]


async def refusals_of(drill: Drill, offset: int) -> list[int]:
    """How the commands of a record were answered, as its events say."""
    log = await open_log(drill.settings().log)
    try:
        topic, refusals = events_topic(drill.shard), []
        for at in range(await log.start(topic), await log.end(topic)):
            record = await log.one(topic, at)
            event = matching.EventRecord.FromString(record.body if record else b"")
            if event.command_offset == offset:
                refusals += [int(mark.refusal) for mark in event.commands]
        return refusals
    finally:
        await log.close()
