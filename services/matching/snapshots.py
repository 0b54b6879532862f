"""What becomes of snapshots once they are taken: each is proven by a process that did not write it.

Only a proven one counts: older ones are removed because of it, and the logs are cut below it. The
proving process is started by a replica that did not take the snapshot, or by the one that did where
no other lives; it restores what nobody has seen yet, so it is never a replica itself.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from services.matching.reader import Replica
from services.matching.store import SnapshotStore, to_prove
from services.runtime.crash import VARIABLE
from services.runtime.postgres import PostgresError
from services.runtime.postgres_wake import GONE
from services.runtime.publisher import Publisher
from services.runtime.storage import StorageError

LOOK_S: Final = 5.0
"""How often a replica looks at what snapshots there are, and when it has taken one."""

OTHERS_US: Final = 30_000_000
"""So long whoever took a snapshot leaves its proof to others that live."""

PROVING_S: Final = 900.0
"""A process that takes longer is ended, and another one tries later."""

AGAIN_US: Final = 60_000_000
"""After a try that has found out nothing."""

_log = structlog.get_logger("snapshots")


class Snapshots:
    """Sees to the snapshots of a shard, beside the replica that takes some of them."""

    def __init__(
        self,
        replica: Replica,
        store: SnapshotStore,
        publisher: Publisher,
        data: Path,
        others_live: Callable[[], Awaitable[bool]],
    ) -> None:
        self._replica = replica
        self._store = store
        self._publisher = publisher
        self._data = data
        self._others_live = others_live
        self._tried_at_us: dict[int, int] = {}
        self.proven_offset = -1
        """Of the newest snapshot that is known to hold; -1: none is."""

    async def run(self) -> None:
        """Look, have the next one proven, remove what that makes superfluous, without end."""
        while True:
            try:
                await self.look()
            except StorageError as error:
                _log.error("snapshots_out_of_reach", why=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._replica.snapshot_taken.wait()

    async def look(self) -> None:
        """Do once what there is to do. Raises StorageError."""
        self._replica.snapshot_taken.clear()
        kept = await self._replica.see_snapshots()
        for offset in to_prove(kept):
            if await self._is_ours(offset):
                self._tried_at_us[offset] = self._replica.stopwatch()
                await prove_in_a_process(self._data, offset)
                await self._store.prune(self._publisher.last_key.command_offset)
                kept = await self._replica.see_snapshots()
                break
        open_ = to_prove(kept)
        self._tried_at_us = {one: at for one, at in self._tried_at_us.items() if one in open_}
        self.proven_offset = max((one.offset for one in kept if one.is_proven), default=-1)

    async def _is_ours(self, offset: int) -> bool:
        """Whether this replica is to have it proven, and now."""
        now_us = self._replica.stopwatch()
        if now_us - self._tried_at_us.get(offset, now_us - AGAIN_US) < AGAIN_US:
            return False
        taken_at_us = self._replica.taken_at_us.get(offset, now_us - OTHERS_US)
        if now_us - taken_at_us >= OTHERS_US:
            return True
        try:
            return not await self._others_live()
        except (*GONE, PostgresError, TimeoutError):
            return False


async def prove_in_a_process(data: Path, offset: int) -> None:
    """Have another process find out whether a snapshot holds; what it found stands beside it."""
    command = ("-m", "services.matching.prove", "--data", str(data), str(offset))
    # A place where a test kills this process is not one for its child.
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    try:
        process = await asyncio.create_subprocess_exec(sys.executable, *command, env=environment)
    except OSError as error:
        # A machine without room for one more process; this replica is no worse for it.
        _log.warning("snapshot_not_judged", offset=offset, why=str(error))
        return
    try:
        async with asyncio.timeout(PROVING_S):
            code = await process.wait()
        if code:
            _log.warning("snapshot_not_judged", offset=offset, exit_code=code)
    except TimeoutError:
        _log.warning("snapshot_not_judged", offset=offset, waited_s=PROVING_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
