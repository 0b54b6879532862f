"""Every command says what is wrong in a sentence, with exit code 1, before it does anything."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from bourse.types import v1 as types
from services.cli.__main__ import app
from services.cli.account import read_amount
from services.cli.doctor import examine
from services.cli.folder import FORMAT, claimed, open_folder, read_birth
from services.cli.probes import any_free_port
from services.cli.supervision import read_moment
from services.cli.terminal import Refused, perform
from services.domain.money import TOP
from services.runtime.log import LogUnavailable

USD = types.Asset(asset=1, code="USD", decimals=8)


def bourse(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    "asked",
    [
        ("status",),
        ("account", "create", "alice"),
        ("account", "list"),
        ("account", "postings", "alice"),
        ("account", "deposit", "alice", "USD", "1"),
        ("key", "list"),
        ("instrument", "phase", "BTC-USD", "halt", "--until", "+90"),
        ("instrument", "guards", "BTC-USD", "--static-band-ppm", "50000"),
        ("instrument", "mark", "BTC-USD", "100"),
        ("instrument", "fee-market", "BTC-USD", "none"),
        ("instrument", "kill", "BTC-USD"),
        ("account", "limits", "alice", "--open-orders", "5"),
        ("account", "fee-asset", "alice", "on"),
        ("account", "kill", "alice"),
        ("rules",),
        ("rules", "use", "2"),
        ("shard", "status"),
        ("shard", "prove", "--operator", "ann"),
        ("shard", "resume", "--operator", "ann", "--sequence", "7"),
        ("log", "skip", "7", "--operator", "ann"),
        ("log", "audit"),
    ],
    ids=" ".join,
)
def test_without_an_exchange_every_command_says_how_to_start_one(
    asked: tuple[str, ...], tmp_path: Path
) -> None:
    answer = bourse(*asked, "--data", tmp_path)
    assert answer.exit_code == 1
    assert answer.stderr == (
        f"There is no exchange in {tmp_path}. Start one with `bourse up --data {tmp_path}`.\n"
    )
    assert answer.stdout == ""


def test_an_exchange_that_does_not_run_is_told_from_none(tmp_path: Path) -> None:
    open_folder(tmp_path, with_demo=True)
    answer = bourse("status", "--json", "--data", tmp_path)
    assert answer.exit_code == 1
    assert "does not run" in answer.stderr


def test_a_port_in_use_is_said_before_anything_starts(taken_port: int, tmp_path: Path) -> None:
    answer = bourse("up", "--data", tmp_path, "--port", str(taken_port))
    assert answer.exit_code == 1
    assert f"Port {taken_port} on 127.0.0.1 is in use." in answer.stderr
    assert f"bourse up --port {taken_port + 1}" in answer.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"up.lock"}


def test_a_host_that_is_not_ours_is_said(tmp_path: Path) -> None:
    answer = bourse("up", "--data", tmp_path, "--host", "256.0.0.1")
    assert answer.exit_code == 1
    assert "256.0.0.1 is no address of this machine" in answer.stderr


def test_a_folder_of_a_newer_version_is_said(tmp_path: Path) -> None:
    marked = {"format": FORMAT + 1, "demo": True, "complete": True}
    (tmp_path / "bourse.json").write_text(json.dumps(marked))
    answer = bourse("up", "--data", tmp_path, "--port", "0")
    assert answer.exit_code == 1
    assert "written by a newer one" in answer.stderr
    assert "--data" in answer.stderr


def test_a_folder_gets_no_shards_by_a_start_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_folder(tmp_path, with_demo=False)
    monkeypatch.setenv("BOURSE_MATCHING_ADDRESS", "unix:/a.sock;unix:/b.sock")
    answer = bourse("up", "--data", tmp_path, "--port", "0", "--replicas", "2")
    assert answer.exit_code == 1
    assert "names 1 replicas, and --replicas asks for 2" in answer.stderr
    assert read_birth(tmp_path) == before


def test_a_second_up_is_said(tmp_path: Path) -> None:
    with claimed(tmp_path):
        answer = bourse("up", "--data", tmp_path, "--port", "0")
    assert answer.exit_code == 1
    assert f"`bourse up` runs on {tmp_path} already (process " in answer.stderr


def test_a_folder_without_a_demo_never_gets_one(tmp_path: Path) -> None:
    open_folder(tmp_path, with_demo=False)
    answer = bourse("demo", "--data", tmp_path)
    assert answer.exit_code == 1
    assert "was made with --no-demo and never has a demo" in answer.stderr


@pytest.mark.parametrize("asked", [("up", "--port", "65536"), ("account", "fee-tier", "a", "16")])
def test_what_cannot_be_typed_is_a_usage_error(asked: tuple[str, ...]) -> None:
    assert bourse(*asked).exit_code == 2


@pytest.mark.parametrize(
    ("text", "minor"),
    [("1", 10**8), ("0.00000001", 1), ("1000000.50", 100_000_050_000_000), ("007", 7 * 10**8)],
)
def test_an_amount_is_read_in_units_of_its_asset(text: str, minor: int) -> None:
    assert read_amount(USD, text) == minor


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "not a positive decimal"),
        ("-1", "not a positive decimal"),
        ("1e3", "not a positive decimal"),
        ("", "not a positive decimal"),
        ("0.000000001", "USD has 8 decimals"),
        (str(TOP), "more than an exchange can hold"),
        ("46116860184.27387905", "more than an exchange can hold"),
    ],
)
def test_an_amount_that_cannot_be_is_refused(text: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        read_amount(USD, text)


def test_the_doctor_finds_what_this_machine_has(tmp_path: Path) -> None:
    found = {each.name: each for each in examine(tmp_path, any_free_port("127.0.0.1"))}
    assert found["data folder"].ok
    assert found["python headers"].ok
    assert found["port"].ok
    assert all(each.fix for each in found.values() if not each.ok)


def test_the_doctor_says_how_to_mend_what_is_wrong(taken_port: int, tmp_path: Path) -> None:
    (tmp_path / "bourse.json").write_text("{")
    found = {each.name: each for each in examine(tmp_path, taken_port)}
    assert (found["port"].ok, found["data version"].ok) == (False, False)
    assert f"bourse up --port {taken_port + 1}" in found["port"].fix


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("rules", "--data", "x", "use", "2"), "behind the inner command"),
        (("log", "--shard", "1", "audit"), "behind the inner command"),
        (("rules", "use", "99"), "knows rules 1 to 3"),
        (("instrument", "phase", "BTC-USD", "lunch"), "There is no phase lunch"),
        (("instrument", "phase", "BTC-USD", "halt", "--until", "noon"), "is no moment"),
        (("instrument", "phase", "BTC-USD", "halt", "--until", "2030-01-31T09:00"), "no moment"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_asked_is_said_before_anybody_is(asked: tuple[str, ...], said: str) -> None:
    answer = bourse(*asked)
    assert answer.exit_code != 0
    assert said in " ".join(answer.stderr.replace("│", " ").split())


def test_a_moment_is_a_time_of_a_zone() -> None:
    assert read_moment("2030-01-31T09:00:00Z") == 1_896_080_400_000_000
    assert read_moment("2030-01-31T10:00:00.000001+01:00") == 1_896_080_400_000_001


def test_what_was_foreseen_is_a_sentence_and_what_was_not_is_the_whole_story(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def fails(error: Exception) -> None:
        raise error

    with pytest.raises(typer.Exit):
        perform(fails(LogUnavailable("The log cannot be reached.")))
    assert capsys.readouterr().err == "The log cannot be reached.\n"
    with pytest.raises(KeyError):
        perform(fails(KeyError("a mistake")))
