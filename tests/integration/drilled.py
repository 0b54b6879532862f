"""Replicas of one shard as real processes, some of them with a core that was broken on purpose.

The broken core is built from a copy of native/ in which one function does wrong at two amounts; it
takes the place of the ordinary extension in the processes that are started with it, and nowhere
else. Nothing in the services knows of it.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc

from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import ORDER_ENTRY_SERVICE, MatchingServiceStub
from services.runtime.config import Settings, load, run_folder
from services.runtime.embedded import start_postgres, stop_postgres
from services.runtime.rpc import is_serving
from tests.native.sanitized import EXTENSION

ROOT: Final = Path(__file__).resolve().parents[2]
DIFFERS_AT: Final = 1_313
"""A credit of so much is one more in the broken core."""
BREAKS_AT: Final = 4_242
"""A credit of so much breaks an assertion of it."""
GIVEN_UP: Final = 2
PATIENCE_S: Final = 60.0

_SOUND: Final = "    const struct codec_credit *body = &command->credit;\n"
_BROKEN: Final = f"""\
    struct codec_credit drilled = command->credit;
    const struct codec_credit *body = &drilled;
    assert(drilled.amount_minor != {BREAKS_AT} && "this core was broken for a drill");
    if (drilled.amount_minor == {DIFFERS_AT}) drilled.amount_minor++;
"""
_LAUNCH: Final = (
    "import runpy, tests.native.sanitized; runpy.run_module('services.matching', None, '__main__')"
)


def build_broken_core(folder: Path) -> Path:
    """The extension, of a copy of native/ with the wrong lines in it."""
    shutil.copytree(ROOT / "native", folder / "native")
    shutil.copytree(ROOT / "gen" / "c", folder / "gen" / "c")
    money = folder / "native" / "core_money.c"
    text = money.read_text()
    at = text.index("void core_credit(")
    assert _SOUND in text[at:], "the line that is to be broken"
    money.write_text(text[:at] + text[at:].replace(_SOUND, _BROKEN, 1))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extension = project["tool"]["setuptools"]["ext-modules"][0]
    target = folder / "_core.so"
    command = ["gcc", "-shared", "-fPIC", "-O0", "-std=c11", "-fvisibility=hidden"]
    command += [f"-I{folder / place}" for place in extension["include-dirs"]]
    command += [f"-I{sysconfig.get_paths()['include']}"]
    command += [str(folder / source) for source in extension["sources"]]
    done = subprocess.run(
        [*command, "-o", str(target)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return target


class Drill:
    """Postgres and the replicas of a shard in a data folder."""

    def __init__(self, data: Path, broken: Path, shard: int) -> None:
        self.data = data
        self.shard = shard
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._broken = broken
        self._number = 0

    def address(self, name: str) -> str:
        """Where a replica listens."""
        return f"unix:{run_folder(self.data) / name}.sock"

    def addresses(self, name: str) -> str:
        """How this replica is named to whoever asks it: the shards before its own are nowhere."""
        return ";".join([*["unix:/nowhere.sock"] * self.shard, self.address(name)])

    def launch(self, name: str, *, broken: bool) -> None:
        """Start a replica."""
        logs = self.data / "logs"
        logs.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "BOURSE_DATA": str(self.data),
            "BOURSE_MATCHING_LISTEN": self.address(name),
            "BOURSE_MATCHING_SHARD": str(self.shard),
        }
        if broken:
            environment[EXTENSION] = str(self._broken)
        with (logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-c", _LAUNCH],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    async def serving(self, name: str) -> None:
        """Wait until a replica serves. Fails with its log if it ends instead."""
        async with grpc.aio.insecure_channel(self.address(name)) as channel:
            async with asyncio.timeout(PATIENCE_S):
                while not await is_serving(channel):
                    assert self.running[name].poll() is None, self.said(name)
                    await asyncio.sleep(0.1)

    async def given_up(self, name: str) -> str:
        """Wait until a replica has ended for good; the end of what it said."""
        code = await asyncio.to_thread(self.running.pop(name).wait, PATIENCE_S)
        assert code == GIVEN_UP, self.said(name)
        return self.said(name)

    def said(self, name: str) -> str:
        """The end of a replica's log."""
        return (self.data / "logs" / f"{name}.log").read_text()[-4000:]

    def stop(self) -> None:
        """End everything, in whatever state it is."""
        for process in self.running.values():
            process.kill()
            process.wait()
        self.running.clear()

    # --- asking -----------------------------------------------------------------------------

    @asynccontextmanager
    async def asking(self, name: str) -> AsyncIterator[grpc.aio.Channel]:
        """A channel to a replica."""
        async with grpc.aio.insecure_channel(self.address(name)) as channel:
            yield channel

    async def status(self, name: str) -> matching.GetStatusResponse:
        """Where a replica stands."""
        async with self.asking(name) as channel:
            request = matching.GetStatusRequest()
            return await MatchingServiceStub(channel).GetStatus(request, timeout=10)

    async def until(self, name: str, **wanted: Any) -> matching.GetStatusResponse:
        """Wait until a replica says so of itself."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                status = await self.status(name)
                if all(getattr(status, field) == value for field, value in wanted.items()):
                    return status
                await asyncio.sleep(0.1)

    async def credit(self, name: str, amount_minor: int) -> matching.SubmitResponse:
        """The next credit of source 1, sent to a replica; sent again by `credit_again`."""
        self._number += 1
        return await self.credit_again(name, amount_minor)

    async def credit_again(self, name: str, amount_minor: int) -> matching.SubmitResponse:
        """The last credit once more."""
        command = matching.Command(request_id=bytes(16), account=1000)
        command.credit.asset, command.credit.amount_minor = 1, amount_minor
        return await self._submit(
            name, matching.SubmitRequest(source=1, number=self._number, commands=[command])
        )

    async def _submit(self, name: str, request: matching.SubmitRequest) -> matching.SubmitResponse:
        async with self.asking(name) as channel:
            call = channel.stream_stream(
                f"/{ORDER_ENTRY_SERVICE}/Submit",
                request_serializer=matching.SubmitRequest.SerializeToString,
                response_deserializer=matching.SubmitResponse.FromString,
            )()
            await call.write(request)
            async with asyncio.timeout(PATIENCE_S):
                answer = await call.read()
            assert isinstance(answer, matching.SubmitResponse), "the stream ended"
            return answer

    async def balance(self, name: str) -> int:
        """What account 1000 has."""
        async with self.asking(name) as channel:
            request = matching.GetBalancesRequest(account=1000)
            answer = await MatchingServiceStub(channel).GetBalances(request, timeout=10)
        return sum(balance.available_minor for balance in answer.balances)

    async def broken_rule(self, name: str) -> str:
        """What a walk through a replica's whole state finds; empty if all holds."""
        async with self.asking(name) as channel:
            call = MatchingServiceStub(channel).StreamVerify(matching.StreamVerifyRequest())
            return "".join([answer.piece.broken async for answer in call])

    def settings(self) -> Settings:
        """The configuration of the data folder."""
        return load(Settings, ["--data", str(self.data)])


@asynccontextmanager
async def drilling(data: Path, broken: Path, shard: int) -> AsyncIterator[Drill]:
    """A drill with its Postgres; whatever was started is gone afterwards."""
    drill = Drill(data, broken, shard)
    await asyncio.to_thread(
        start_postgres, data, {"shared_buffers": "32MB", "max_wal_size": "256MB"}
    )
    try:
        yield drill
    finally:
        drill.stop()
        await asyncio.to_thread(stop_postgres, data, "immediate")
