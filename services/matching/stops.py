"""What a replica does before it ends for good, and what all of them keep where a shard was halted.

    DATA/halted/<shard>/<offset>-<state hash>.snapshot   the state after the record with the Halt
    DATA/halted/<shard>/<offset>-<replica>.json          which replica had which
    DATA/stopped/<shard>/<offset>/record.bin             the command record that broke the core
    DATA/stopped/<shard>/<offset>/<replica>.json         at what, and what is known of it

Nothing here is ever pruned: it is for people, who remove it when they are done.
"""

import asyncio
import hashlib
import json
import os
import platform
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import structlog

from bourse.matching import v1 as matching
from services.domain.clock import Clock
from services.matching.reader import FellBehind, RecordFailed, Replica, ReplicaStopped
from services.matching.store import SnapshotStore, head_of
from services.runtime.log import CutAway, Log, LogUnavailable, OutcomeUnknown, commands_topic
from services.runtime.publisher import PublishedOtherwise
from services.runtime.sequencer import wrap
from services.runtime.storage import FolderStorage, StorageError

HALT_RULES: Final = 3
"""From this version of the rules on a shard can be halted."""

PATIENCE_S: Final = 10.0
"""So long one that differs tries to halt the shard, and to come to that record itself."""

_PAUSE_S: Final = 0.1

_log = structlog.get_logger("matching")

Marked = Callable[[int, str], Awaitable[None]]
"""Say in the registry at which command record this replica has stopped, and why."""


class Stops:
    """Sees to the last things of one replica."""

    def __init__(
        self,
        log: Log,
        clock: Clock,
        replica: Replica,
        store: SnapshotStore,
        data: Path,
        name: str,
        marked: Marked,
    ) -> None:
        self._log = log
        self._clock = clock
        self._replica = replica
        self._store = store
        self._data = data
        self._name = name
        self._marked = marked
        self._shard = replica.facts.shard
        self.kept = asyncio.Event()
        """The state at the newest Halt is kept, or cannot be."""
        self._ending = asyncio.Lock()

    async def watch(self, part: Awaitable[None]) -> None:
        """Run a part of the replica. What ends it for good is put down before it is passed on."""
        try:
            await part
        except RecordFailed as failed:
            async with self._ending:
                await self._leave_failed(failed)
        except PublishedOtherwise as other:
            async with self._ending:
                await self._halt(other)
            raise
        except CutAway as error:
            # It has slept through a cut, and a new start begins further on.
            raise FellBehind(str(error)) from error

    async def keep_halted(self) -> None:
        """Keep the state wherever the shard is halted, without end."""
        while True:
            await self._replica.at_halt.wait()
            self._replica.at_halt.clear()
            self.kept.clear()
            try:
                await self._keep_halted()
            except StorageError as error:
                _log.error("halted_state_not_kept", why=str(error))
            self.kept.set()

    async def _keep_halted(self) -> None:
        halted = self._replica.halted
        if halted is None:
            return
        snapshot, storage = halted.snapshot, FolderStorage(self._folder("halted"))
        state_hash = f"{snapshot.state_hash:016x}"
        name = f"{snapshot.offset:020}-{state_hash}.snapshot"
        await storage.write(name, [head_of(snapshot, halted.pieces), *halted.pieces])
        said = {
            **self._who(),
            "offset": snapshot.offset,
            "sequence": snapshot.sequence,
            "state_hash": state_hash,
        }
        await storage.write(f"{snapshot.offset:020}-{self._name}.json", [_text(said)])
        # As large as all there is: on the disk it is enough.
        if self._replica.halted is halted:
            self._replica.halted = None

    def _folder(self, kind: str) -> Path:
        return self._data / kind / str(self._shard)

    def _who(self) -> dict[str, Any]:
        host = socket.gethostname()
        return {"replica": self._name, "host": host, "process": os.getpid(), **_versions()}

    def _named(self) -> str:
        """How a command names this shard."""
        return f" --shard {self._shard}" if self._shard else ""

    # --- where the core broke a rule of its own ---------------------------------------------

    async def _leave_failed(self, failed: RecordFailed) -> None:
        """Put down what is known, and raise the sentence to end with."""
        offset, broke = failed.record.offset, failed.core_failed
        self._replica.over = "The core of this replica has failed."
        folder = self._folder("stopped") / f"{offset:020}"
        await self._marked(offset, f"broke {broke.rule} ({broke.file}:{broke.line})")
        try:
            await self._write_failed(folder, failed)
            where = f"What is known stands in {folder}."
        except StorageError as error:
            where = f"What is known could not be kept: {error}"
        raise ReplicaStopped(
            f"{broke} Nothing of the record was published or answered. {where} Start again with a"
            " version of Bourse that has this mended; or, if every replica stops here, let two"
            f" operators skip the record: `bourse log skip {offset}{self._named()}`, see"
            " docs/reliability.md."
        ) from failed

    async def _write_failed(self, folder: Path, failed: RecordFailed) -> None:
        record, broke = failed.record, failed.core_failed
        kept = await self._store.kept()
        before = [one.offset for one in kept if one.offset < record.offset and not one.is_refuted]
        said = {
            **self._who(),
            "offset": record.offset,
            "time_us": record.time_us,
            "sha256": hashlib.sha256(record.body).hexdigest(),
            "broken": {"rule": broke.rule, "file": broke.file, "line": broke.line},
            "before": {
                "sequence": self._replica.facts.sequence,
                "state_hash": f"{self._replica.facts.state_hash:016x}",
                "snapshot": max(before, default=None),
                "how": "The core stands between two states and says nothing any more. The state"
                " before the record is that snapshot (null: nothing), and the command log from"
                " the record after it up to this one.",
            },
        }
        storage = FolderStorage(folder)
        await storage.write("record.bin", [record.body])
        await storage.write(f"{self._name}.json", [_text(said)])

    # --- where what is published is not what this replica made ------------------------------

    async def _halt(self, other: PublishedOtherwise) -> None:
        """Halt the shard, come to that record, keep the state there, and say so."""
        self._replica.over = "This replica made something else than what is published."
        facts = self._replica.facts
        _log.error("differs", why=str(other), state_hash=f"{facts.state_hash:016x}")
        if facts.rules >= HALT_RULES:
            halt = matching.Halt(
                sequence=facts.sequence,
                state_hash=facts.state_hash,
                command_offset=other.command_offset,
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    if not facts.halt_sequence:
                        # What was kept at a Halt of long ago is not what is waited for.
                        self.kept.clear()
                        await self._append(halt)
                    await self.kept.wait()
        await self._marked(other.command_offset, str(other))

    async def _append(self, halt: matching.Halt) -> None:
        """Have it in the log. Twice does no harm, so an outcome that is unknown is no matter."""
        command = matching.Command(request_id=os.urandom(16), halt=halt)
        batch = matching.SubmitRequest(commands=[command]).SerializeToString()
        topic, body = commands_topic(self._shard), wrap(self._shard, [batch])
        while True:
            try:
                await self._log.append(topic, [body], clock_us=self._clock.now_us())
            except (LogUnavailable, OutcomeUnknown) as error:
                _log.warning("halt_again", why=str(error))
                await asyncio.sleep(_PAUSE_S)
            else:
                return


def _versions() -> dict[str, str]:
    try:
        bourse = metadata.version("bourse-exchange")
    except metadata.PackageNotFoundError:
        bourse = "unknown"
    return {"bourse": bourse, "python": platform.python_version(), "machine": platform.platform()}


def _text(said: dict[str, Any]) -> bytes:
    return json.dumps(said, indent=1).encode() + b"\n"
