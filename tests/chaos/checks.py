"""What must hold at the end, whatever was done: each promise by name, and what broke it."""

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from bourse.ledger import v1 as ledger
from bourse.marketdata import v1 as marketdata
from bourse.matching import v1 as matching
from bourse.notifications import v1 as notifications
from bourse.orders import v1 as orders
from services.cli.rooms import Rooms
from services.cli.verify import settled_check
from services.runtime.events import BEGINNING, follow
from services.runtime.log import events_topic, open_log
from tests.chaos.journals import answered
from tests.chaos.money import REST_S, Told, at_rest, hold_money
from tests.integration.holding import history, hold_to

if TYPE_CHECKING:
    from tests.chaos.house import House
    from tests.chaos.story import Clients, Report


async def hold(house: "House", clients: "Clients", report: "Report") -> None:
    """Look at everything, straight and not by the wires. Raises AssertionError for what broke."""
    rooms = house.rooms()
    try:
        _count(clients, report)
        await _all_follow(rooms)
        await at_rest(rooms)
        await _agrees(rooms, clients, report)
        await _savings(rooms, clients, report)
        await _rest_orders(rooms, clients, report)
        told = [await _events(rooms, shard) for shard in rooms.shards]
        report.checked.append("the event logs have no gap, and no order twice")
        report.moves = sum(each.left for each in told)
        await hold_money(rooms, clients, told)
        report.checked.append(
            "all money is what was deposited and traded, in the cores and in GET /balances, and"
            " none is between shards"
        )
    finally:
        await rooms.close()


def _count(clients: "Clients", report: "Report") -> None:
    journals = [traders.journal for traders in clients.traders]
    report.orders = sum(len(each.accepted) for each in journals)
    report.unknown = sum(len(each.unknown) for each in journals)
    report.not_taken = sum(len(each.nothing) for each in journals)
    rest, savings, looks = clients.rest, clients.savings, clients.looks
    report.rest_orders, report.rest_repeats = len(rest.accepted), rest.repeats
    report.rest_short = rest.short
    report.deposits, report.asked_moves = savings.deposits, dict(savings.moves.most_common())
    report.looks, report.looks_in_transit = looks.count, looks.in_transit


async def _all_follow(rooms: Rooms) -> None:
    """No room has given a shard up. Raises AssertionError with what it says of it."""
    books = await rooms.ledger.GetStatus(ledger.GetStatusRequest())
    history = await rooms.orders.GetStatus(orders.GetStatusRequest())
    tape = await rooms.marketdata.GetStatus(marketdata.GetStatusRequest())
    streams = await rooms.notifications.GetStatus(notifications.GetStatusRequest())
    posted = [each.place for each in books.shards]
    places = [*posted, *history.places, *tape.places, *streams.places]
    stopped = [each.stopped for each in places if each.stopped]
    assert stopped == [], "readers that have stopped"


async def _agrees(rooms: Rooms, clients: "Clients", report: "Report") -> None:
    for traders in clients.traders:
        await hold_to(rooms, traders)
    settled = [await settled_check(rooms, shard) for shard in rooms.shards[1:]]
    broken = [check for check in settled if not check.ok]
    assert broken == [], f"checks that do not hold: {broken}"
    report.checked += [
        "every acknowledged order is in history, once, under the id it was given",
        "no order that was refused or not taken is anywhere",
        "all checks of `bourse verify` hold",
    ]


async def _savings(rooms: Rooms, clients: "Clients", report: "Report") -> None:
    saved = clients.savings
    asked = matching.GetBalancesRequest(account=saved.account)
    books = await rooms.ledger.ListBalances(ledger.ListBalancesRequest(account=saved.account))
    for shard, slice_minor in enumerate(saved.slices_minor):
        core = await answered(partial(rooms.core(shard).GetBalances, asked), REST_S)
        in_core = sum(each.available_minor + each.held_minor for each in core.balances)
        in_books = sum(each.posted_minor for each in books.balances if each.shard == shard)
        found = (in_core, in_books)
        assert found == (slice_minor,) * 2, f"savings in shard {shard}: {found}, not {slice_minor}"
    assert clients.looks.wrong == [], "balances that were shown while money came and moved"
    report.checked += [
        "every deposit, and every move asked for, is in core and books exactly once",
        "balances that were read while money came and moved added up each time",
    ]


async def _rest_orders(rooms: Rooms, clients: "Clients", report: "Report") -> None:
    told = clients.rest
    found = await history(rooms, [clients.rest_account], 0)
    assert all(len(ids) == 1 for ids in found.values()), "an id by REST became two orders"
    wrong = [name for name, order_id in told.accepted.items() if [int(order_id)] != found.get(name)]
    assert wrong == [], "orders by REST that are not in history as they were answered"
    assert found.keys() == told.accepted.keys(), "orders by REST that nobody was told of"
    assert told.refused == {}, "orders by REST that were refused, with nothing wrong about them"
    report.checked.append("orders by REST, repeated until decided, are in history once")


async def _events(rooms: Rooms, shard: int) -> Told:
    """Read an event log from its beginning: `follow` itself stops at a gap."""
    log, topic = await open_log(rooms.config.log), events_topic(shard)
    told = Told()
    try:
        assert await log.start(topic) == 0, "the run was longer than what is kept"
        end = await log.end(topic)
        async with aclosing(follow(log, topic, BEGINNING)) as batches:
            async for batch in batches:
                for part in batch:
                    told.hear(part.record)
                if batch[-1].position.next_offset >= end:
                    break
    finally:
        await log.close()
    twice = [name for (_, name), ids in told.placed.items() if name and len(ids) > 1]
    assert twice == [], "ids that became two orders on the log"
    return told
