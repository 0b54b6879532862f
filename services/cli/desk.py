"""An operator's desk at a shard whose rooms may be gone: its log, its replicas' rows, the audit.

Where the stores are embedded and no house runs, Postgres is started for as long as the desk stands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from services.cli.folder import is_claimed, read_birth, read_state
from services.cli.rooms import absent, is_elsewhere, known_shard
from services.cli.stores import needs_postgres
from services.cli.terminal import Refused
from services.runtime.audit import Deed, deeds, put_down
from services.runtime.config import Settings, load
from services.runtime.embedded import EmbeddedError, start_postgres, stop_postgres
from services.runtime.log import Log, LogUnavailable, commands_topic, events_topic, open_log
from services.runtime.postgres import PostgresError
from services.runtime.postgres_wake import GONE, Opened
from services.runtime.publisher import published
from services.runtime.replicas import ReplicaRow, list_replicas, open_registry

Operator = Annotated[str, typer.Option("--operator", help="Who you are. It is kept for ever.")]


class Desk(NamedTuple):
    """What an operator may look at, and write in."""

    config: Settings
    log: Log
    rows: Opened
    """Where the replicas' rows and the audit are."""
    shard: int

    async def replicas(self) -> list[ReplicaRow]:
        """All known replicas, the dead ones too."""
        return await list_replicas(self.rows, self.shard)

    async def deeds(self) -> list[Deed]:
        """What operators have done, the oldest first."""
        return await deeds(self.rows, self.shard)

    async def put_down(self, who: str, action: str, **detail: object) -> None:
        """Say in the audit what is done."""
        await put_down(self.rows, self.shard, who, action, **detail)

    async def events_of(self, offset: int) -> list[bytes]:
        """What is published of a command record, part by part."""
        topic = events_topic(self.shard)
        end = await self.log.end(topic)
        return [body for _offset, body in await published(self.log, topic, offset, end)]

    @property
    def commands(self) -> str:
        """The topic of the commands."""
        return commands_topic(self.shard)

    def said(self, command: str) -> str:
        """A command as it is to be typed to be about this shard."""
        return f"{command} --shard {self.shard}" if self.shard else command


@asynccontextmanager
async def open_desk(data: Path, shard: int = 0) -> AsyncIterator[Desk]:
    """A desk at a shard of a data folder. Raises Refused if its stores cannot be reached."""
    birth = read_birth(data)
    if birth is None and not is_elsewhere():
        raise Refused(absent(data))
    config = load(Settings, ["--data", str(data)])
    known_shard(shard, max(config.shards, birth.shards if birth else 1))
    starts = _is_asleep(config.data)
    try:
        if starts:
            await asyncio.to_thread(start_postgres, config.data)
        log = await open_log(config.log)
        try:
            rows = await open_registry(config.postgres)
            try:
                yield Desk(config, log, rows, shard)
            finally:
                await rows.close()
        finally:
            await log.close()
    except (EmbeddedError, LogUnavailable, PostgresError, *GONE) as error:
        raise Refused(f"The stores cannot be reached, or refuse: {error}") from error
    finally:
        # A house that has begun meanwhile has taken it over.
        if starts and not is_claimed(config.data):
            await asyncio.to_thread(stop_postgres, config.data)


def named(operator: str) -> str:
    """An operator's name. Raises Refused if there is none."""
    if not operator.strip():
        raise Refused("Say who you are: --operator NAME.")
    return operator.strip()


def _is_asleep(data: Path) -> bool:
    """Whether the Postgres of this data folder has to be started."""
    return needs_postgres() and not read_state(data) and read_birth(data) is not None
