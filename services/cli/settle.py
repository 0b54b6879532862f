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


async def settle(rooms: Rooms, shards: Iterable[int]) -> None:
    """Bring shards to where shard 0 is. Needs matching and accounts. Raises Refused."""
    for shard in shards:
        # Until both say the same: an operator may put something else meanwhile.
        while missing := [each async for each in lacking(rooms, shard)]:
            for place in sorted({at for at, _ in missing}, reverse=True):
                await _give(rooms, place, [command for at, command in missing if at == place])


async def _give(rooms: Rooms, shard: int, commands: Sequence[matching.Command]) -> None:
    async with open_session(rooms.channel("matching", shard)) as session:
        for start in range(0, len(commands), AT_A_TIME):
            await session.ask(*commands[start : start + AT_A_TIME])


async def lacking(rooms: Rooms, shard: int) -> AsyncIterator[tuple[int, matching.Command]]:
    """What would bring a shard to where shard 0 is, nothing if it is there, each with the shard
    that it is for: a suspension that shard 0 lacks is brought to it."""
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
