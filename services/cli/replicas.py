"""The replicas of matching in one house: matching, matching-2, … each with a socket of its own.

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
from services.runtime.config import run_folder

ROOM: Final = "matching"
VARIABLE: Final = "BOURSE_MATCHING_ADDRESS"

MOST: Final = 9

ANSWER_S: Final = 2.0


class Place(NamedTuple):
    """A replica of this house, or of another one that works with it."""

    name: str
    address: str


def places(addresses: str) -> list[Place]:
    """The replicas at some addresses, named in their order."""
    return [
        Place(ROOM if number == 1 else f"{ROOM}-{number}", address.strip())
        for number, address in enumerate(addresses.split(","), start=1)
    ]


def room_of(name: str) -> str:
    """The room of a process: matching for matching-2."""
    return name.partition("-")[0]


def place_replicas(data: Path, wanted: int | None) -> None:
    """Give so many replicas their addresses, for all processes that are started from here.

    None: as many as the environment names, or one. Raises Refused if it names another number.
    """
    named = os.environ.get(VARIABLE)
    if named is None and wanted is not None:
        sockets = [f"{place.name}.sock" for place in places("," * (wanted - 1))]
        os.environ[VARIABLE] = ",".join(f"unix:{run_folder(data) / name}" for name in sockets)
    elif named is not None and wanted not in (None, len(places(named))):
        raise Refused(
            f"{VARIABLE} names {len(places(named))} replicas, and --replicas asks for {wanted}."
            " Leave one of them out."
        )


async def ask_replicas(replicas: Choice, addresses: str) -> dict[str, dict[str, Any]]:
    """What each replica says of itself, by name; nothing of one that does not answer."""
    names = [place.name for place in places(addresses)]
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
            "log": _log(each),
        }
        if each is not None
        else {}
        for each in said
    ]


def shard_of(replicas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
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
        "snapshot_offset": said.snapshot_offset,
    }
