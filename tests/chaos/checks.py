"""What must hold at the end, whatever was done: each promise by name, and what broke it."""

from contextlib import aclosing
from typing import TYPE_CHECKING

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from services.cli.rooms import Rooms
from services.runtime.events import BEGINNING, Position, follow
from services.runtime.log import events_topic, open_log
from tests.integration.holding import history, hold_to

if TYPE_CHECKING:
    from tests.chaos.house import House
    from tests.chaos.story import Clients, Report


async def hold(house: "House", clients: "Clients", report: "Report") -> None:
    """Look at everything, straight and not by the wires. Raises AssertionError for what broke."""
    rooms = house.rooms()
    try:
        _count(clients, report)
        await _agrees(rooms, clients, report)
        await _deposits(rooms, clients, report)
        await _rest_orders(rooms, clients, report)
        await _events(rooms, report)
    finally:
        await rooms.close()


def _count(clients: "Clients", report: "Report") -> None:
    journal = clients.traders.journal
    report.orders, report.unknown = len(journal.accepted), len(journal.unknown)
    report.not_taken = len(journal.nothing)
    report.rest_orders, report.rest_repeats = len(clients.rest.accepted), clients.rest.repeats
    report.deposits = clients.deposits.count


async def _agrees(rooms: Rooms, clients: "Clients", report: "Report") -> None:
    await hold_to(rooms, clients.traders)
    report.checked += [
        "every acknowledged order is in history, once, under the id it was given",
        "no order that was refused or not taken is anywhere",
        "all checks of `bourse verify` hold",
    ]


async def _deposits(rooms: Rooms, clients: "Clients", report: "Report") -> None:
    saved = clients.deposits
    asked = matching.GetBalancesRequest(account=saved.account)
    core = await rooms.matching.GetBalances(asked)
    books = await rooms.ledger.ListBalances(ledger.ListBalancesRequest(account=saved.account))
    in_core = sum(each.available_minor + each.held_minor for each in core.balances)
    in_books = sum(each.posted_minor for each in books.balances)
    assert (in_core, in_books) == (saved.done_minor,) * 2, "deposits: asked, in core, in the books"
    report.checked.append("every deposit is in core and books exactly once")


async def _rest_orders(rooms: Rooms, clients: "Clients", report: "Report") -> None:
    told = clients.rest
    found = await history(rooms, [clients.rest_account], 0)
    assert all(len(ids) == 1 for ids in found.values()), "an id by REST became two orders"
    wrong = [name for name, order_id in told.accepted.items() if [int(order_id)] != found.get(name)]
    assert wrong == [], "orders by REST that are not in history as they were answered"
    assert not found.keys() & told.refused, "orders by REST that were refused"
    report.checked.append("orders by REST, repeated until decided, are in history once")


async def _events(rooms: Rooms, report: "Report") -> None:
    """Read the event log from its beginning: `follow` itself stops at a gap."""
    log, topic = await open_log(rooms.config.log), events_topic(0)
    placed: dict[tuple[int, str], set[int]] = {}
    try:
        start, end = await log.start(topic), await log.end(topic)
        begin = BEGINNING if start == 0 else Position(start, None)
        async with aclosing(follow(log, topic, begin)) as batches:
            async for batch in batches:
                for event in (event for part in batch for event in part.record.orders):
                    named = (event.order.account, event.order.client_order_id)
                    placed.setdefault(named, set()).add(event.order.order_id)
                if batch[-1].position.next_offset >= end:
                    break
    finally:
        await log.close()
    twice = [name for (_, name), ids in placed.items() if name and len(ids) > 1]
    assert twice == [], "ids that became two orders on the log"
    report.checked.append("the event log has no gap, and no order twice")
