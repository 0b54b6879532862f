"""A shard that is halted, as a replica halts it that differs, and operators at their commands."""

import asyncio
import json
import secrets
from typing import Any

import pytest
from typer.testing import CliRunner

from bourse.matching import v1 as matching
from services.cli.__main__ import app
from services.runtime.clock import SystemClock
from services.runtime.config import Settings, load
from services.runtime.log import commands_topic, open_log
from services.runtime.sequencer import wrap
from tests.integration.rooms import House


async def halt(house: House, shard: int) -> None:
    """Put a Halt into a shard's log; whether a replica lives does not matter."""
    command = matching.Command(request_id=secrets.token_bytes(16), halt=matching.Halt(sequence=1))
    batch = matching.SubmitRequest(commands=[command]).SerializeToString()
    log = await open_log(load(Settings, ["--data", str(house.data)]).log)
    clock_us = SystemClock().now_us()
    await log.append(commands_topic(shard), [wrap(shard, [batch])], clock_us=clock_us)
    await log.close()


class Operator:
    """Somebody who types `bourse`."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def bourse(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """A command: its exit code, what it said to a script, and to a person."""
        arguments = [*words, "--data", str(self._house.data), "--json"]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._house.settings.items():
                patch.setenv(name, value)
            done = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        said = done.stdout.strip()
        return done.exit_code, json.loads(said) if said.startswith("{") else {}, done.output

    async def lets_it_go_on(self, shard: int) -> None:
        """Find out who is right, and resume. Nothing goes on that nobody has proven."""
        of_it = ("--shard", str(shard))
        code, status, _ = await self.bourse("shard", "status", *of_it)
        assert (code, len(status["replicas"]), status["resumed"]) == (0, 1, False)
        _, said, _ = await self.bourse("status")
        sequence = said["shards"][shard]["halt_sequence"]
        resume = ("shard", "resume", "--sequence", str(sequence), "--operator", "ann", *of_it)
        code, _, why = await self.bourse(*resume)
        assert (code, f"`bourse shard prove --shard {shard}` first" in why) == (1, True), why
        code, proof, why = await self.bourse("shard", "prove", "--operator", "ann", *of_it)
        assert (code, proof["wrong"]) == (0, []), why
        assert proof["published"] == proof["state_hash"]
        code, _, why = await self.bourse(*resume)
        assert code == 0, why
        _, audit, _ = await self.bourse("log", "audit", *of_it)
        assert [deed["action"] for deed in audit["deeds"]] == ["prove", "resume"]
