"""What all shards have alike: the house's rules, its assets, the settings of accounts.

Shard 0 is the one that knows: what a shard lacks of it is found here, and given to it, as when it
is added to the house. Only who is suspended in any shard is so in all, whichever was away when it
was said. Every step may be done twice, so what was cut short is simply gone through again.
"""

from collections.abc import AsyncIterator, Iterable, Sequence

from bourse.matching import v1 as matching
from services.cli.account import all_accounts
from services.cli.bootstrap import add_asset, use_rules
from services.cli.engine import open_session
from services.cli.restraint import AT_A_TIME, differing
from services.cli.rooms import Rooms, read_assets
from services.cli.rules import rules_in_force
from services.cli.terminal import Refused


async def settle(rooms: Rooms, shards: Iterable[int], *, only_them: bool = False) -> None:
    """Bring shards to where shard 0 is, and to all shards the suspensions they lack.

    With `only_them` no other shard is given any: one that is halted would not take it. Needs
    accounts, and matching in every shard. Raises Refused.
    """
    for shard in shards:
        # Until all say the same: an operator may put something else meanwhile.
        while missing := [
            (at, command)
            async for at, command in lacking(rooms, shard)
            if at == shard or not only_them
        ]:
            # What one of the others refuses does not keep the shard itself from it.
            for place in sorted({at for at, _ in missing}, key=lambda at: (at != shard, at)):
                await _give(rooms, place, [command for at, command in missing if at == place])


async def _give(rooms: Rooms, shard: int, commands: Sequence[matching.Command]) -> None:
    try:
        async with open_session(rooms.channel("matching", shard)) as session:
            for start in range(0, len(commands), AT_A_TIME):
                await session.ask(*commands[start : start + AT_A_TIME])
    except Refused as error:
        raise Refused(f"Shard {shard}: {error}") from error


async def lacking(rooms: Rooms, shard: int) -> AsyncIterator[tuple[int, matching.Command]]:
    """What would bring a shard to where shard 0 is, nothing if it is there, each with the shard
    that it is for: a suspension is brought to all that lack it."""
    version = await rules_in_force(rooms)
    if await rules_in_force(rooms, shard) < version:
        yield shard, use_rules(version)
    there = {asset.asset for asset in await read_assets(rooms, shard)}
    for asset in await read_assets(rooms, 0):
        if asset.asset not in there:
            yield shard, add_asset(asset)
    people = [each.account for each in await all_accounts(rooms)]
    for start in range(0, len(people), AT_A_TIME):
        for each in await differing(rooms, shard, people[start : start + AT_A_TIME]):
            yield each
