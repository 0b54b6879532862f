"""What clients were told, held against what the house has in the end."""

from bourse.orders import v1 as orders
from services.cli.rooms import Rooms
from services.cli.verify import Core, all_checks
from tests.integration.trading import Journal, Traders


async def hold_to(rooms: Rooms, traders: Traders) -> None:
    """Every acknowledgement against history, and every invariant of their shard."""
    journal = traders.journal
    found = await history(rooms, traders.accounts, journal.last_sequence, traders.shard)
    missing = journal.accepted.keys() - found.keys()
    assert missing == set(), f"{len(missing)} acknowledged orders are not in history"
    extra = found.keys() & (journal.nothing | journal.refused)
    assert extra == set(), "what was refused, or not taken, did nothing"
    _compare(journal, found)
    broken = [check async for check in all_checks(rooms, Core(traders.shard)) if not check.ok]
    assert broken == [], f"checks that do not hold: {broken}"


def _compare(journal: Journal, found: dict[str, list[int]]) -> None:
    """The order of an acknowledgement is the only one of its name."""
    for name, ids in found.items():
        assert len(ids) == 1, f"{name} became {len(ids)} orders"
    wrong = [n for n, out in journal.accepted.items() if out.order.order_id != found[n][0]]
    assert wrong == [], f"{len(wrong)} orders are in history under other ids"


async def history(
    rooms: Rooms, accounts: list[int], after_sequence: int, shard: int = 0
) -> dict[str, list[int]]:
    """Client order id to order ids of everything history has, once it has come so far."""
    found: dict[str, list[int]] = {}
    for account in accounts:
        page, first = "", True
        while first or page:
            request = orders.ListOrdersRequest(account=account, limit=1000, page=page)
            request.after.add(shard=shard, sequence=after_sequence)
            told = await rooms.orders.ListOrders(request)
            for order in told.orders:
                found.setdefault(order.client_order_id, []).append(order.order_id)
            page, first = told.next_page, False
    return found
