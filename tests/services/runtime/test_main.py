"""A process stops in order at a signal, and at its first failure with a sentence and a code."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import asyncio, sys
from services.runtime.config import Settings, TelemetryConfig, load
from services.runtime.main import launch, run
from services.runtime.postgres import SchemaNewer
from services.runtime.rpc import AddressError
from services.runtime.telemetry import start_telemetry

async def part(name, fails=None, ends=False):
    print(name, "runs", flush=True)
    try:
        if fails:
            await asyncio.sleep(0.05)
            raise fails
        if not ends:
            await asyncio.Event().wait()
    finally:
        print(name, "ends", flush=True)

async def main():
    telemetry = start_telemetry("trial", TelemetryConfig(form="json"))
"""


def process(body: str) -> "subprocess.Popen[str]":
    """A process whose main goes on with `body`."""
    script = HEAD + "".join(f"    {line}\n" for line in body.splitlines()) + "launch(main)\n"
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_parts_in_order_and_is_no_failure(number: signal.Signals) -> None:
    with process("await run(part('server'), part('reader'), telemetry=telemetry)") as one:
        assert one.stdout is not None
        assert [one.stdout.readline().strip() for _ in range(2)] == ["server runs", "reader runs"]
        one.send_signal(number)
        output, lines = one.communicate(timeout=20)
    assert output.split("\n")[:2] == ["server ends", "reader ends"]
    assert one.returncode == 0
    assert [json.loads(line)["event"] for line in lines.splitlines()] == ["started", "stopped"]


def test_the_first_failure_stops_the_process_with_its_sentence() -> None:
    fails = "AddressError('The port is taken.')"
    with process(f"await run(part('server'), part('reader', {fails}))") as one:
        output, lines = one.communicate(timeout=20)
    assert output.splitlines()[2:] == ["reader ends", "server ends"]
    assert one.returncode == 1
    last = json.loads(lines.splitlines()[-1])
    assert (last["event"], last["why"], last["room"]) == ("failed", "The port is taken.", "trial")
    assert "exception" not in last, "what was foreseen needs no trace"


def told_by(body: str) -> list[dict[str, str]]:
    """The lines of a process that fails."""
    with process(body) as one:
        _, lines = one.communicate(timeout=20)
    assert one.returncode == 1
    return [json.loads(line) for line in lines.splitlines()]


AT_ONCE = """
async def falls(error):
    raise error
fails = AddressError('The port is taken.')
""".lstrip()


def test_what_fails_at_once_with_the_first_failure_is_said_once() -> None:
    said = told_by(AT_ONCE + "await run(part('server'), falls(fails), falls(KeyError('x')))")
    assert [line["event"] for line in said] == ["started", "failed_too", "failed"]
    assert (said[1]["part"], said[1]["why"]) == ("main.<locals>.falls", "KeyError('x')")
    assert said[2]["why"] == "The port is taken."


def test_a_failure_that_two_parts_share_is_said_once() -> None:
    said = told_by(AT_ONCE + "await run(falls(fails), falls(fails))")
    assert [line["event"] for line in said] == ["started", "failed"]


def test_what_fails_while_another_part_stops_is_said_too() -> None:
    body = """
stopping, fallen = asyncio.Event(), asyncio.Event()
async def slow():
    try:
        await asyncio.Event().wait()
    finally:
        stopping.set()
        await fallen.wait()
async def late():
    await stopping.wait()
    fallen.set()
    raise KeyError("x")
await run(slow(), late(), part('reader', AddressError('The port is taken.')))
""".strip()
    said = told_by(body)
    assert [line["event"] for line in said] == ["started", "failed_too", "failed"]
    assert said[1]["why"] == "KeyError('x')"


def test_what_nobody_foresaw_tells_its_whole_story() -> None:
    with process("await run(part('reader', KeyError('x')))") as one:
        _, lines = one.communicate(timeout=20)
    assert one.returncode == 1
    assert "Traceback" in json.loads(lines.splitlines()[-1])["exception"]


def test_a_process_whose_parts_have_all_ended_ends() -> None:
    with process("await run(part('once', ends=True))") as one:
        one.communicate(timeout=20)
    assert one.returncode == 0


def test_a_wrong_setting_is_a_sentence_and_code_2() -> None:
    body = "import os; os.environ['BOURSE_TELEMETRY_LEVEL'] = 'loud'\nload(Settings, [])"
    with process(body) as one:
        _, lines = one.communicate(timeout=20)
    assert one.returncode == 2
    assert lines.startswith("The configuration is wrong. BOURSE_TELEMETRY_LEVEL: Input should be")


@pytest.mark.parametrize("place", ["at its start", "while it runs"])
def test_what_a_new_start_would_not_mend_is_a_sentence_and_code_2(place: str) -> None:
    fails = "SchemaNewer('It was written by a newer one.')"
    body = f"raise {fails}" if place == "at its start" else f"await run(part('reader', {fails}))"
    with process(body) as one:
        _, lines = one.communicate(timeout=20)
    assert one.returncode == 2
    last = json.loads(lines.splitlines()[-1])
    assert (last["event"], last["why"]) == ("failed", "It was written by a newer one.")


def test_lines_of_libraries_look_like_ours_and_counts_are_read_when_asked() -> None:
    body = """
import logging
logging.getLogger("asyncio").warning("slow %s", "task")
logging.getLogger("asyncio").info("chatter")
counted = [0]
telemetry.count("records_applied", lambda: counted[0])
counted[0] += 5
assert telemetry.read() == {"records_applied": 5}
""".strip()
    with process(body) as one:
        _, lines = one.communicate(timeout=20)
    assert one.returncode == 0, lines
    (line,) = [json.loads(line) for line in lines.splitlines()]
    assert (line["event"], line["level"], line["room"]) == ("slow task", "warning", "trial")
