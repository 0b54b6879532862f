"""When a record may be skipped, when a halted shard may go on, and what is kept of it for ever."""

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from services.cli import shard, skips
from services.cli.__main__ import app
from services.cli.desk import Desk, open_desk
from services.cli.folder import open_folder
from services.cli.terminal import Refused
from services.runtime.audit import NOT_RESUMED, PROVED, RESUME_UNKNOWN, RESUMED, SKIP_PROPOSED, Deed
from services.runtime.replicas import LIVE_US, ReplicaRow


def replica(
    name: str, *, lives: bool = True, applied: int = 6, stopped: int | None = None
) -> ReplicaRow:
    silent_us = 0 if lives else LIVE_US + 1
    return ReplicaRow(name, "here", "", 0, 0, silent_us, applied, 9, "", 0, stopped, "")


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([replica("a", stopped=7), replica("b", stopped=7)], ""),
        ([replica("a", lives=False, stopped=7)], ""),
        ([replica("a", stopped=7), replica("b", lives=False)], ""),
        ([], "No replica has stopped"),
        ([replica("a", lives=False)], "No replica has stopped"),
        ([replica("a", stopped=7), replica("b")], "lives and has not stopped"),
        ([replica("a", stopped=7), replica("b", stopped=6)], "lives and has not stopped"),
        ([replica("a", stopped=7), replica("b", lives=False, applied=7)], "may have answered"),
    ],
)
def test_a_record_is_skipped_only_where_everybody_failed(rows: list[ReplicaRow], why: str) -> None:
    said = skips.why_not(rows, 7)
    assert (why in said) if why else said == ""


def test_a_proposal_is_for_one_record_with_these_bytes() -> None:
    deeds = [
        Deed(1, 0, "ann", SKIP_PROPOSED, {"offset": 7, "sha256": "aa"}),
        Deed(2, 0, "bob", SKIP_PROPOSED, {"offset": 7, "sha256": "bb"}),
    ]
    assert skips.proposal(deeds, 7, "aa") == deeds[0]
    assert skips.proposal(deeds, 7, "cc") is None
    assert skips.proposal(deeds, 8, "aa") is None


@pytest.mark.parametrize(
    ("rows", "states", "published", "why"),
    [
        ([replica("a")], {"a": "r"}, "r", ""),
        ([replica("a")], {}, "r", ""),
        ([replica("a"), replica("b", stopped=7)], {"a": "r", "b": "w"}, "r", ""),
        ([replica("a"), replica("b", lives=False)], {"a": "r", "b": "w"}, "r", ""),
        ([replica("a"), replica("b")], {"a": "r", "b": "w"}, "r", "Stop it first"),
        ([replica("a")], {"a": "r"}, "w", "published is w"),
        ([replica("a")], {"a": "r"}, "", "published is nothing"),
        ([replica("a", stopped=7)], {"a": "r"}, "r", "No replica lives"),
    ],
)
def test_a_shard_goes_on_only_with_those_who_are_right(
    rows: list[ReplicaRow], states: dict[str, str], published: str, why: str
) -> None:
    said = shard.why_not(rows, states, "r", published)
    assert (why in said) if why else said == ""


def test_a_shard_was_resumed_if_the_last_try_was_taken() -> None:
    proof = Deed(1, 0, "ann", PROVED, {"halt_offset": 7, "halt_sequence": 3})
    asked = Deed(2, 0, "ann", RESUMED, {"proof": 1})
    assert shard.proof_of([proof, asked], 3) == proof
    assert shard.proof_of([proof, asked], 4) is None
    assert shard.last_try([proof, asked], 7) == RESUMED
    assert shard.last_try([proof, asked], 8) == ""
    for came in (NOT_RESUMED, RESUME_UNKNOWN):
        assert shard.last_try([proof, asked, Deed(3, 0, "ann", came, {"proof": 1})], 7) == came


def test_the_newest_halt_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "halted" / "0"
    folder.mkdir(parents=True)
    for offset, name in ((7, "a"), (9, "a"), (9, "b")):
        said = {"offset": offset, "replica": name, "state_hash": f"{name}{offset}"}
        (folder / f"{offset}-{name}.json").write_text(json.dumps(said))
    assert shard.newest_halt(tmp_path) == shard.Halt(9, {"a": "a9", "b": "b9"})
    assert shard.newest_halt(tmp_path / "nowhere") is None


def test_the_audit_of_a_house_that_sleeps_cannot_be_changed(tmp_path: Path) -> None:
    """The embedded Postgres is started for as long as it is needed."""
    open_folder(tmp_path, with_demo=False)

    async def story() -> None:
        async with open_desk(tmp_path) as desk:
            await desk.put_down("ann", PROVED, halt_sequence=3, halt_offset=7)
            await a_try_that_nobody_knew_of_is_put_down(desk)
            for change in ("update audit set who = 'bob'", "delete from audit", "truncate audit"):
                with pytest.raises(asyncpg.RaiseError, match="never changed"):
                    await desk.rows.execute(change)

    asyncio.run(story())
    said = CliRunner().invoke(app, ["log", "audit", "--data", str(tmp_path), "--json"])
    deeds = json.loads(said.stdout)["deeds"]
    assert [(deed["who"], deed["action"]) for deed in deeds] == [
        ("ann", PROVED),
        ("bob", RESUME_UNKNOWN),
        ("cid", RESUMED),
    ]
    assert deeds[0]["detail"] == {"halt_sequence": 3, "halt_offset": 7}


async def a_try_that_nobody_knew_of_is_put_down(desk: Desk) -> None:
    """Once the Halt does not hold any more; what was refused, or not tried, is not."""
    about = {"halt_sequence": 3, "proof": 1}
    with pytest.raises(Refused, match="The Halt of 3 does not hold"):
        await shard._is_over(desk, "bob", 7, about)
    await desk.put_down("bob", RESUME_UNKNOWN, **about)
    await shard._is_over(desk, "cid", 7, about)
    assert shard.last_try(await desk.deeds(), 7) == RESUMED
