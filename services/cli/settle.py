"""What a shard that was added to a house is given: the house's rules, assets, account settings.

All of it is read from shard 0. Every step may be done twice, so what was cut short is simply gone
through again.
"""

from collections.abc import Iterable, Sequence

from services.cli.account import all_accounts
from services.cli.bootstrap import add_asset, use_rules
from services.cli.engine import Session, open_session
from services.cli.restraint import AT_A_TIME, differing
from services.cli.rooms import Rooms, read_markets
from services.cli.rules import rules_in_force


async def settle(rooms: Rooms, shards: Iterable[int]) -> None:
    """Bring shards to where shard 0 is. Needs matching and accounts. Raises Refused."""
    version = await rules_in_force(rooms)
    assets = (await read_markets(rooms)).assets.values()
    people = [each.account for each in await all_accounts(rooms)]
    for shard in shards:
        async with open_session(rooms.channel("matching", shard)) as session:
            await session.ask(use_rules(version), *(add_asset(asset) for asset in assets))
            for start in range(0, len(people), AT_A_TIME):
                await _copy_settings(rooms, session, shard, people[start : start + AT_A_TIME])


async def _copy_settings(
    rooms: Rooms, session: Session, shard: int, accounts: Sequence[int]
) -> None:
    """Until both shards say the same: an operator may put others meanwhile."""
    while missing := await differing(rooms, shard, accounts):
        await session.ask(*missing)
