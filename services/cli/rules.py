"""`bourse rules`: the version of the rules that the core trades by, and the way to a newer one."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bourse.matching import v1 as matching
from services.cli.bootstrap import NEWEST_RULES, use_rules
from services.cli.engine import put_everywhere
from services.cli.rooms import PATIENCE_S, Rooms, open_rooms
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    goes_to_inner,
    perform,
    show,
)

BRINGS: Final = {
    2: "stop orders, icebergs, auctions, price bands and limits",
    3: "a halt of the whole shard where its replicas do not agree",
}
"""What each version of the rules is for."""

app = typer.Typer(help="The version of the rules that the core trades by.")


@app.callback(invoke_without_command=True)
def rules(context: typer.Context, data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Say which version of the rules is in force."""
    if not goes_to_inner(context):
        said = perform(_rules(data))
        show(said, as_json, f"Rules {said['rules']} are in force. {advice(said['rules'])}".rstrip())


async def _rules(data: Path) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        return {"rules": await rules_in_force(rooms), "newest": NEWEST_RULES}


async def rules_in_force(rooms: Rooms, shard: int = 0) -> int:
    """The version the core of a shard trades by now. Shard 0 has the one that all are to have."""
    request = matching.GetStatusRequest()
    return (await rooms.core(shard).GetStatus(request, timeout=PATIENCE_S)).rules


def advice(version: int) -> str:
    """How to come to the newest rules, in a sentence; empty if these are."""
    if version >= NEWEST_RULES:
        return ""
    brings = [what for rules, what in BRINGS.items() if rules > version]
    return f"`bourse rules use {NEWEST_RULES}` brings {'; '.join(brings)}. There is no way back."


@app.command()
def use(
    version: Annotated[int, typer.Argument(min=1, help="It is in the log for ever.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Raise the rules to a version. Orders stay as they are; there is no way back."""
    said = perform(_use(data, version))
    show(said, as_json, f"Rules {version} are in force.")


async def _use(data: Path, version: int) -> dict[str, Any]:
    # A version that the core does not know would stop it at this record, at every start.
    if version > NEWEST_RULES:
        raise Refused(f"This version of Bourse knows rules 1 to {NEWEST_RULES}.")
    async with open_rooms(data) as rooms:
        before = await rules_in_force(rooms)
        if version < before:
            raise Refused(f"Rules {before} are in force, and there is no way back.")
        await put_everywhere(rooms.cores, use_rules(version))
    return {"rules": version, "newest": NEWEST_RULES, "before": before}
