"""Recorded order flow through the whole house, then a backup of it, restored somewhere else."""

import json
import os
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.journey.house import House, command

# Taken out of the environment: `bourse` reads the same name as its own data folder.
FLOW = Path(os.environ.pop("BOURSE_DATA", "") or ROOT.parent / "shared" / "data")
FUTURES = FLOW / "esh4-20231225.mbo.dbn.zst"
BITCOIN = FLOW / "bitstamp-btcusd-20150501.orders.csv.xz"


@pytest.mark.skipif(
    not FUTURES.exists(),
    reason=f"recorded flow is not part of the repository: put {FUTURES.name} and {BITCOIN.name}"
    " into ../shared/data, or name their folder in BOURSE_DATA",
)
@pytest.mark.timeout(600)
def test_real_order_flow_is_replayed_verified_backed_up_and_restored(data_folder: Path) -> None:
    first = House(data_folder / "var", "--no-demo")
    try:
        first.until_said(" up after ")
        futures = first.bourse("replay", str(FUTURES))
        assert futures["refused"] == {}, "every id the file refers to is known"
        assert futures["trades_out"] == futures["trades_in_file"] == 6229
        assert futures["matched"] >= 6202
        bitcoin = first.bourse("replay", str(BITCOIN))
        assert bitcoin["matched"] >= 341
        _looked_at(first)
        before = first.bourse("verify")
        assert before["ok"], before
        saved = first.bourse("backup", str(data_folder / "saved"))
        assert saved["sequence"] >= before["sequence"]
        again = command("backup", str(data_folder / "saved"), "--data", str(first.data))
        assert (again.returncode, "is not empty" in again.stderr) == (1, True)
    finally:
        first.stop()
    _restored(data_folder, saved["sequence"])


def _looked_at(house: House) -> None:
    """What an operator sees of it: an empty book, and the logs as text."""
    book = house.bourse("book", "REPLAY-1")
    assert (book["bids"], book["asks"]) == ([], []), "a replay leaves no order behind"
    data = ("--data", str(house.data))
    trader = str(
        next(
            one["account_id"]
            for one in house.bourse("account", "list")["accounts"]
            if one["name"] == "replay-1-3"
        )
    )
    events = command("log", "--account", "replay-1-3", *data)
    assert f"credit account {trader} " in events.stdout
    lines = [line for line in events.stdout.splitlines() if "  #" in line]
    assert len(lines) > 1_000
    assert "          move " in events.stdout
    request = next(line for line in lines if "credit account" in line).split()[-1]
    one = command("log", "--commands", "--request", request, "--json", *data)
    # A busy machine may send it more than once; it is applied once all the same.
    assert request in json.loads(one.stdout.splitlines()[0])["command"]
    unknown = command("log", "--from", "999999999", *data)
    assert (unknown.returncode, "has offsets" in unknown.stderr) == (1, True)


def _restored(folder: Path, sequence: int) -> None:
    data = folder / "restored"
    made = command("restore", str(folder / "saved"), "--data", str(data))
    assert made.returncode == 0, made.stderr
    second = House(data)
    try:
        second.until_said(" up after ")
        found = second.bourse("verify")
        assert found["ok"], found
        assert found["sequence"] >= sequence
    finally:
        second.stop()
