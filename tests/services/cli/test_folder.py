"""Whose a data folder is, how old it is, what runs in it: each wrong case is a sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.folder import (
    FORMAT,
    ONE_SHARD_FORMAT,
    Birth,
    claimed,
    complete,
    is_claimed,
    open_folder,
    read_birth,
    read_state,
    write_state,
)
from services.cli.terminal import Refused

HOLD = """
import sys, pathlib
from services.cli.folder import claimed
with claimed(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_new_folder_is_marked_once(tmp_path: Path) -> None:
    made = Birth(ONE_SHARD_FORMAT, demo=False, complete=False)
    assert open_folder(tmp_path, with_demo=False) == made
    again = open_folder(tmp_path, with_demo=True)
    assert again.demo is False, "a folder made without the demo never gets one"
    assert complete(tmp_path, again).complete
    assert read_birth(tmp_path) == Birth(ONE_SHARD_FORMAT, demo=False, complete=True)


def test_a_folder_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    marked = {"format": FORMAT + 1, "demo": True, "complete": True, "unheard_of": 7}
    (tmp_path / "bourse.json").write_text(json.dumps(marked))
    with pytest.raises(Refused, match=rf"format {FORMAT + 1}.*newer.*--data"):
        read_birth(tmp_path)


@pytest.mark.parametrize("said", ["", "{", "[]", '{"format": "new"}', '{"format": 1}'])
def test_a_mark_that_cannot_be_read_is_not_written_over(tmp_path: Path, said: str) -> None:
    (tmp_path / "bourse.json").write_text(said)
    with pytest.raises(Refused, match="cannot be read"):
        open_folder(tmp_path, with_demo=True)
    assert (tmp_path / "bourse.json").read_text() == said


def test_a_second_house_in_a_folder_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        assert is_claimed(tmp_path)
        said = rf"already \(process {first.pid}\).*Ctrl-C"
        with pytest.raises(Refused, match=said), claimed(tmp_path):
            raise AssertionError("two houses in one folder")
        first.kill()
    assert not is_claimed(tmp_path), "a killed house leaves the folder to the next one"
    with claimed(tmp_path):
        assert (tmp_path / "up.lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot be written"), claimed(tmp_path / "file" / "var"):
        raise AssertionError("claimed what cannot be")


def test_what_runs_is_believed_only_while_it_runs(tmp_path: Path) -> None:
    with claimed(tmp_path):
        write_state(tmp_path, {"url": "http://127.0.0.1:1"})
        assert read_state(tmp_path) == {"url": "http://127.0.0.1:1"}
    assert read_state(tmp_path) == {}


def test_a_log_does_not_move(tmp_path: Path) -> None:
    assert open_folder(tmp_path, with_demo=False, log="kafka").log == "kafka"
    assert open_folder(tmp_path, with_demo=False).log == "kafka", "it is written down"
    with pytest.raises(Refused, match="made with its log in kafka, and a log does not move"):
        open_folder(tmp_path, with_demo=False, log="postgres")


def test_a_folder_of_before_there_was_a_choice_has_its_log_in_postgres(tmp_path: Path) -> None:
    said = {"format": FORMAT, "demo": True, "complete": True}
    (tmp_path / "bourse.json").write_text(json.dumps(said))
    assert open_folder(tmp_path, with_demo=True, log="postgres").log == "postgres"


def test_a_folder_may_get_more_shards_and_never_has_fewer(tmp_path: Path) -> None:
    said = {"format": ONE_SHARD_FORMAT, "demo": False, "complete": True}
    (tmp_path / "bourse.json").write_text(json.dumps(said))
    before = open_folder(tmp_path, with_demo=False)
    assert (before.shards, before.settled) == (1, 1), "one of before there could be several has one"
    raised = open_folder(tmp_path, with_demo=False, shards=3)
    assert (raised.shards, raised.settled) == (3, 1), "what they lack they are given"
    assert raised.format == FORMAT, "a Bourse that knows of one shard would run but one"
    assert open_folder(tmp_path, with_demo=False) == raised, "it is written down"
    with pytest.raises(Refused, match=r"has 3 shards, and 2 are asked for.*never fewer"):
        open_folder(tmp_path, with_demo=False, shards=2)
    assert complete(tmp_path, raised).settled == 3
    assert read_birth(tmp_path) == Birth(FORMAT, demo=False, complete=True, shards=3, settled=3)


def test_a_new_folder_has_as_many_shards_as_are_asked_for(tmp_path: Path) -> None:
    made = open_folder(tmp_path, with_demo=True, shards=2)
    assert (made.shards, complete(tmp_path, made).settled) == (2, 2)
