"""The shards of matching in one house and their replicas, each with a name and a socket of its own:

    matching     matching-2      …    shard 0
    matching-s1  matching-s1-2   …    shard 1

What each of them says of itself is put side by side: who leads, how far it is behind the others.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc

from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import MatchingServiceStub
from services.cli.terminal import Refused
from services.runtime.choice import Choice
from services.runtime.config import places_of_shards, run_folder, shard_name

ROOM: Final = "matching"
VARIABLE: Final = "BOURSE_MATCHING_ADDRESS"

MOST: Final = 9
"""Replicas of a shard."""

MOST_SHARDS: Final = 16

ANSWER_S: Final = 2.0


class Replica(NamedTuple):
    """A replica of this house, or of another one that works with it."""

    name: str
    address: str
    shard: int = 0


def replicas_at(addresses: str, shard: int = 0) -> list[Replica]:
    """The replicas of a shard at some addresses, named in their order."""
    first = shard_name(shard)
    return [
        Replica(first if number == 1 else f"{first}-{number}", address.strip(), shard)
        for number, address in enumerate(addresses.split(","), start=1)
    ]


def room_of(name: str) -> str:
    """The room of a process: matching for matching-s1-2."""
    return name.partition("-")[0]


def shards_asked_for(shards: int | None) -> int | None:
    """How many shards the command line or the environment names; None: neither does.

    Raises Refused if they name different numbers, ConfigError if a place is empty.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return shards
    there = len(places_of_shards(named))
    if shards not in (None, there):
        raise Refused(
            f"{VARIABLE} names {there} shards, and --shards asks for {shards}. Leave one of them"
            " out."
        )
    return there


def place_shards(data: Path, shards: int, replicas: int | None) -> None:
    """Give so many replicas of so many shards their addresses, for all processes started from here.

    Where the environment names addresses they stay. None: as many replicas as it names, or one.
    Raises Refused if it names another number of them, or of shards.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        if shards > 1 or replicas is not None:
            os.environ[VARIABLE] = _sockets(data, shards, replicas or 1)
        return
    groups = places_of_shards(named)
    if len(groups) != shards:
        raise Refused(f"{VARIABLE} names {len(groups)} shards, and {data} has {shards}.")
    for group in groups:
        there = len(replicas_at(group))
        if replicas not in (None, there):
            raise Refused(
                f"{VARIABLE} names {there} replicas, and --replicas asks for {replicas}. Leave one"
                " of them out."
            )


def _sockets(data: Path, shards: int, replicas: int) -> str:
    folder = run_folder(data)
    groups = [replicas_at("," * (replicas - 1), shard) for shard in range(shards)]
    return ";".join(",".join(f"unix:{folder / one.name}.sock" for one in group) for group in groups)


async def ask_replicas(
    replicas: Choice, addresses: str, shard: int = 0
) -> dict[str, dict[str, Any]]:
    """What each replica of a shard says of itself, by name; nothing of one that does not answer."""
    names = [replica.name for replica in replicas_at(addresses, shard)]
    said = await asyncio.gather(*(_ask(channel) for channel in replicas.replicas))
    return dict(zip(names, side_by_side(said), strict=True))


async def _ask(replica: grpc.aio.Channel) -> matching.GetStatusResponse | None:
    request = matching.GetStatusRequest()
    try:
        return await MatchingServiceStub(replica).GetStatus(request, timeout=ANSWER_S)
    except grpc.aio.AioRpcError:
        return None


def side_by_side(
    said: Sequence[matching.GetStatusResponse | None],
) -> list[dict[str, Any]]:
    """Each replica's own words, and how far it is behind the one that has come farthest."""
    answers = [each for each in said if each is not None]
    end = max((each.next_offset for each in answers), default=0)
    clock_us = max((each.clock_us for each in answers), default=0)
    return [
        {
            "sequence": each.sequence,
            "next_offset": each.next_offset,
            "lag_records": end - each.next_offset,
            "lag_ms": (clock_us - each.clock_us) // 1000,
            "leader": each.leader,
            "epoch": each.epoch,
            "state_hash": f"{each.state_hash:016x}",
            "shard": each.shard,
            "log": _log(each),
        }
        if each is not None
        else {}
        for each in said
    ]


def log_of(replicas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The shard as its leader has it, or who has come farthest; empty if nobody answers."""
    answers = [said["log"] for said in replicas.values() if said]
    return max(answers, key=lambda log: (log["leader"], log["next_offset"]), default={})


def _log(said: matching.GetStatusResponse) -> dict[str, Any]:
    return {
        "shard": said.shard,
        "sequence": said.sequence,
        "next_offset": said.next_offset,
        "clock_us": said.clock_us,
        "state_hash": f"{said.state_hash:016x}",
        "balance_hash": f"{said.balance_hash:016x}",
        "leader": said.leader,
        "epoch": said.epoch,
        "queued_batches": said.queued_batches,
        "retained_bytes": said.retained_bytes,
        "malformed_batches": said.malformed_batches,
        "open_orders": said.open_orders,
        "rules": said.rules,
        "halt_sequence": said.halt_sequence,
        "snapshot_offset": said.snapshot_offset,
    }
