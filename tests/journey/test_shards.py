"""A house that gets a second shard: money and markets in both, a backup, and what is restored."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bourse.matching import v1 as matching
from services.cli.__main__ import app
from services.cli.engine import open_session
from services.cli.rooms import open_rooms
from services.cli.settle import lacking
from services.runtime.embedded import stop_postgres
from tests.journey.house import House

Bourse = Callable[..., dict[str, Any]]


def owner_of(data: Path) -> Bourse:
    """The commands of its owner. In our process: to start one for each takes longer than to ask."""

    def bourse(*arguments: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*arguments, "--data", str(data), "--json"])
        assert done.exit_code == 0, f"bourse {' '.join(arguments)}: {done.output}"
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    return bourse


def refused(data: Path, *arguments: str) -> str:
    """Why a command is refused."""
    done = CliRunner().invoke(app, [*arguments, "--data", str(data)])
    assert done.exit_code == 1
    return done.stderr


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A data folder and the one it is restored into; what is left in them is ended."""
    yield tmp_path / "var", tmp_path / "restored"
    for data in (tmp_path / "var", tmp_path / "restored"):
        stop_postgres(data, "immediate")


@contextmanager
def house(data: Path, *arguments: str) -> Iterator[tuple[House, Bourse]]:
    """A house that is up, and its owner's commands; it is stopped whatever happens."""
    started = House(data, *arguments)
    try:
        started.until_said(" up after ")
        yield started, owner_of(data)
        assert started.stop() == 0, started.all_said()
    finally:
        started.stop()


@pytest.mark.timeout(300)
def test_a_house_gets_a_second_shard_and_is_whole_in_both(folders: tuple[Path, Path]) -> None:
    data, restored = folders
    with house(data, "--no-demo") as (_, bourse):
        bourse("account", "create", "alice")
        bourse("account", "fee-tier", "alice", "3")
        bourse("account", "deposit", "alice", "USD", "100")
        assert "sequences" not in bourse("verify"), "one shard is told as ever"

    with house(data, "--shards", "2") as (started, bourse):
        started.until_said("gave assets, rules and account settings to shard 1")
        _trade_in_both(data, bourse)
        bourse("backup", str(data.parent / "backup"))
    assert "has 2 shards, and 1 are asked for" in refused(
        data, "up", "--shards", "1", "--port", "0"
    )

    sequences = owner_of(restored)("restore", str(data.parent / "backup"))["sequences"]
    assert [each["shard"] for each in sequences] == [0, 1]
    with house(restored) as (_, bourse):
        assert bourse("account", "show", "alice")["balances"][0]["amount"] == "20"
        _whole(bourse)


def _trade_in_both(data: Path, bourse: Bourse) -> None:
    """A market in the new shard, money in both, and a withdrawal that needs all of it."""
    grid = ("--tick", "0.01", "--lot", "0.001")
    made = bourse("instrument", "add", "ETH-USD", *grid)
    assert (made["shard"], int(made["instrument_id"]) % 1024) == (1, 1), "there are none there yet"
    again = refused(data, "instrument", "add", "ETH-USD", *grid, "--shard", "0")
    assert "ETH-USD lives in shard 1" in again
    listed = bourse("instrument", "list")["instruments"]
    assert {each["instrument"]: each["shard"] for each in listed} == {"BTC-USD": 0, "ETH-USD": 1}
    bourse("instrument", "phase", "ETH-USD", "post_only")
    assert bourse("account", "suspend", "alice")["fee_tier"] == 3
    account = int(bourse("account", "show", "alice")["account_id"])
    other = matching.SetAccount(fee_tier=7)
    assert asyncio.run(_lacks_after_a_put_cut_short(data, account, other)) == [1]
    assert bourse("shard", "settle", "--shard", "1") == {"shard": 1}
    bourse("account", "suspend", "alice", "--lift")
    kept = matching.SetAccount(fee_tier=3, suspended=True)
    assert asyncio.run(_lacks_after_a_put_cut_short(data, account, kept)) == [0]
    [alice] = bourse("account", "list")["accounts"]
    assert (alice["settings"]["suspended"], alice["settings"]["differing"]) == (True, ["suspended"])
    bourse("shard", "settle", "--shard", "1")
    settings = bourse("account", "show", "alice")["settings"]
    assert (settings["suspended"], settings["differing"]) == (True, [])
    bourse("account", "deposit", "alice", "USD", "50", "--shard", "1")
    [before] = bourse("account", "show", "alice")["balances"]
    assert [each["amount"] for each in before["shards"]] == ["100", "50"]
    left = bourse("account", "withdraw", "alice", "USD", "130", "--shard", "1")
    [moved] = left["moved"]
    assert (moved["from_shard"], moved["amount"]) == (0, "80")
    assert moved["credit_sequence"] < left["sequence"]
    assert moved["debit_sequence"] > 0
    [after] = bourse("account", "show", "alice")["balances"]
    assert (after["amount"], after["in_transit"]) == ("20", "0")
    assert [each["amount"] for each in after["shards"]] == ["20", "0"], "just what was missing came"
    _explained(bourse)
    assert "insufficient_balance" in refused(data, "account", "withdraw", "alice", "USD", "21")
    _whole(bourse)


def _explained(bourse: Bourse) -> None:
    """What the books have of it, page by page, the newest first."""
    rows, below = [], "0"
    while below != "None":
        page = bourse("account", "postings", "alice", "--limit", "2", "--below", below)
        rows += [(each["kind"], each["amount"], each["shard"]) for each in page["postings"]]
        below = str(page["next_below"])
    assert rows == [
        ("withdrawal", "-130", 1),
        ("move", "80", 1),
        ("move", "-80", 0),
        ("deposit", "50", 1),
        ("deposit", "100", 0),
    ]
    assert bourse("account", "postings", "alice", "--asset", "btc")["postings"] == []


async def _lacks_after_a_put_cut_short(
    data: Path, account: int, other: matching.SetAccount
) -> list[int]:
    """What has come to shard 1 only: which shards lack something then."""
    async with open_rooms(data) as rooms:
        assert [each async for each in lacking(rooms, 1)] == []
        async with open_session(rooms.channel("matching", 1)) as session:
            await session.ask(matching.Command(account=account, set_account=other))
        return [shard async for shard, _ in lacking(rooms, 1)]


def _whole(bourse: Bourse) -> None:
    """Every room follows both shards, and everything that is checked holds in both."""
    said = bourse("status")
    rooms = {room["name"]: room for room in said["rooms"]}
    assert {room["state"] for room in rooms.values()} == {"serving"}
    assert [rooms[name]["shard"] for name in ("matching", "matching-s1")] == [0, 1]
    for name in ("ledger", "orders", "marketdata", "notifications"):
        assert [place["shard"] for place in rooms[name]["places"]] == [0, 1], name
    assert [log["rules"] for log in said["shards"]] == [3, 3]
    assert {topic["topic"] for topic in said["topics"]} == {
        f"bourse.{kind}.{shard}" for kind in ("commands", "events") for shard in (0, 1)
    }
    found = bourse("verify")
    assert [each for each in found["checks"] if not each["ok"]] == []
    assert {each["name"].partition(":")[0] for each in found["checks"]} == {"shard 0", "shard 1"}
    assert [each["shard"] for each in found["sequences"]] == [0, 1]
