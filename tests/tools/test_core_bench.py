"""The bench of the core works from end to end, and measures what it says: one market, everywhere.

Every program is compiled and run for a moment. What it measures then means nothing.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.house.tree import ROOT
from tools.benches import core, instructions
from tools.benches.instructions import Place
from tools.benches.programs import BOOK, Programs, compiled, flags
from tools.benches.shape import aim, table

# Over all reports of 20,000 messages of each market from seed 1. It is the same on every machine
# and with every compiler; it changes when a market or the rules of the book do.
DIGESTS = {"static": "b2ba2f4ce84cf3e8", "flash-crash": "3c07351d874e2af0"}


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "tools" / "bench"), "core", "--quick", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    with compiled([BOOK]) as made:
        yield made


def test_the_book_meets_the_same_market_everywhere(figures: dict[str, Any]) -> None:
    found = {name: market["digest"] for name, market in figures["book"].items()}
    assert found == DIGESTS


def test_a_market_is_what_it_is_named_after(programs: Programs) -> None:
    crash = programs.run(BOOK, "time", "flash-crash", 1, 100_000, 1, 65_536)
    assert crash["highest_ticks"] - crash["lowest_ticks"] > 5_000, "the price falls and comes back"
    assert 100 < crash["resting"] < 400
    assert crash["messages"] == crash["placed"] + crash["amended"] + crash["cancelled"]


def test_single_messages_are_timed_and_instructions_counted(figures: dict[str, Any]) -> None:
    market = figures["book"]["static"]
    assert 0 < market["p50_ns"] <= market["p99_ns"] <= market["max_ns"]
    assert sum(fate["share"] for fate in market["fates"].values()) == pytest.approx(1, abs=0.001)
    if instructions.can_count():
        assert market["nothing_instructions"] < market["instructions"]
    else:
        assert market["instructions"] is None


def test_the_core_is_measured_with_and_without_a_codec(figures: dict[str, Any]) -> None:
    for market in figures["core"].values():
        assert market["protobuf"]["state_hash"] == market["structs"]["state_hash"]
        assert market["protobuf"]["messages_per_s"] > 0
    assert figures["python"]["orders_per_s"] > 0


def test_limits_are_looked_at(figures: dict[str, Any]) -> None:
    assert figures["memory"]["resident_kb"] > 0
    assert {name: one["orders"] for name, one in figures["long"].items()} == {
        "sweep": 500,
        "level": 500,
        "cancel-all": 500,
    }
    for rows in (figures["book_by_depth"], figures["core_by_depth"]):
        assert [row["layout"] for row in rows] == ["wide", "narrow"]


def test_sentences_name_the_aims(figures: dict[str, Any]) -> None:
    said = "\n".join(core.say(figures))
    for words in ("aim: at most 40", "at least 5,000,000", "at most 256 MB: met", "flash-crash"):
        assert words in said


def test_programs_are_compiled_as_the_extension_is() -> None:
    given = flags()
    assert given.index("-UNDEBUG") > given.index("-DNDEBUG"), "asserts stay on"
    assert given[-1] == "-Werror"
    assert "-fno-wrapv" in given


def test_instructions_are_read_by_place() -> None:
    lines = ["events: Ir", "fl=/a/book.c", "fn=book_place", "10 5", "11 7", "fl=/a/hash.h"]
    lines += ["fn=book_place", "+3 9", "summary: 21"]
    assert instructions.read(lines) == {
        Place("book.c", "book_place"): 12,
        Place("hash.h", "book_place"): 9,
    }


def test_columns_stand_under_each_other() -> None:
    assert table(["", "ns"], [["static", "7"]]) == ["        ns", "static   7"]
    assert aim(True, "at most 40") == "(aim: at most 40: met)"
