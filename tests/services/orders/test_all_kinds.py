"""History behind every kind of command there is, and what it keeps of the newer kinds of orders."""

from pathlib import Path

import pytest

from bourse.matching import v1 as matching
from bourse.orders import v1 as orders
from bourse.types import v1 as types
from services.orders.state import difference
from tests.services.orders.test_history import Room, broken, one, tell
from tests.services.shard import ALICE, BOB, BTC_USD, Shard, command, in_parts, put
from tests.services.wandering import Wandering


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_history_follows_every_kind_of_command(postgres: str, tmp_path: Path, seed: int) -> None:
    async def story(running: Room, _: Shard) -> None:
        shard = Wandering(seed)
        shard.wander(400)
        await put(running.log, *in_parts(shard.records))
        assert await running.reader.passed(shard.sequence, 30)
        assert await broken(running, shard) == []
        last = {event.order.order_id: event.order for r in shard.records for event in r.orders}
        for order_id in sorted(last):
            assert (await one(running, last[order_id].account, order_id)).order == last[order_id]

    tell(postgres, tmp_path, story)


def test_orders_that_wait_are_kept_and_listed_as_such(postgres: str, tmp_path: Path) -> None:
    async def story(running: Room, _: Shard) -> None:
        shard = Shard(rules=2)
        shard.trade(1, 10_000)
        stop = shard.run(_stop(ALICE, 9_900))[0].order
        tip = shard.sell(BOB, 50, 10_010, display_lots=5)
        await running.hear(shard)
        waiting = await _ids(running, ALICE, types.ORDER_STATE_WAITING)
        assert waiting == [stop.order_id]
        found = (await one(running, ALICE, stop.order_id)).order
        assert (found.trigger_ticks, found.trigger_by) == (9_900, types.TRIGGER_BY_LAST_PRICE)
        assert (await one(running, BOB, tip.order_id)).order.display_lots == 5
        assert await broken(running, shard) == []
        shard.buy(ALICE, 10, 9_850)
        shard.sell(BOB, 10, 9_850, client_order_id="falls")
        await running.hear(shard)
        assert await _ids(running, ALICE, types.ORDER_STATE_WAITING) == []
        fired = (await one(running, ALICE, stop.order_id)).order
        assert fired.triggered_us == shard.time_us
        assert await broken(running, shard) == []

    tell(postgres, tmp_path, story)


def test_an_order_that_ends_in_a_later_part_of_its_command_has_ended(
    postgres: str, tmp_path: Path
) -> None:
    """An iceberg may be stated several times under one command, on both sides of a part's end."""

    async def story(running: Room, _: Shard) -> None:
        shard = Shard(rules=2)
        tip = shard.sell(BOB, 4, 10_000, display_lots=1)
        shard.buy(ALICE, 4, 10_000)
        await put(running.log, *in_parts(shard.records[:-1]))
        first, second = _halves(shard.records[-1])
        await put(running.log, first.SerializeToString())
        assert await running.reader.passed(shard.sequence - 1, 10)
        state = (await one(running, BOB, tip.order_id)).order.state
        assert state == types.ORDER_STATE_OPEN
        await put(running.log, second.SerializeToString())
        assert await running.reader.passed(shard.sequence, 10)
        assert await broken(running, shard) == []

    tell(postgres, tmp_path, story)


def test_what_follows_the_price_unstated_is_no_difference() -> None:
    ours = types.Order(order_id=1024, state=types.ORDER_STATE_WAITING, trail_ticks=5, sequence=3)
    theirs = types.Order()
    theirs.CopyFrom(ours)
    theirs.peak_ticks, theirs.trigger_ticks = 105, 100
    assert difference(ours, theirs, 9) is None
    theirs.trail_ticks = 6
    assert "trail_ticks" in (difference(ours, theirs, 9) or "")
    assert "open in history" in (difference(ours, None, 9) or "")


def _stop(account: int, trigger_ticks: int) -> matching.Command:
    order = matching.PlaceOrder(
        instrument=BTC_USD,
        side=types.SIDE_SELL,
        type=types.ORDER_TYPE_STOP,
        time_in_force=types.TIME_IN_FORCE_IOC,
        quantity_lots=3,
        trigger_ticks=trigger_ticks,
    )
    return command(account, place_order=order)


async def _ids(running: Room, account: int, state: types.OrderState) -> list[int]:
    request = orders.ListOrdersRequest(account=account, state=state, limit=10)
    return [order.order_id for order in (await running.ask.ListOrders(request)).orders]


def _halves(record: matching.EventRecord) -> list[matching.EventRecord]:
    """A record of one command in two parts, its trades and orders half in each."""
    halves = [matching.EventRecord(), matching.EventRecord()]
    for part, half in enumerate(halves):
        half.CopyFrom(record)
        half.part, half.last = part, bool(part)
        for events in (half.trades, half.orders):
            middle = len(events) // 2
            del events[slice(0, middle) if part else slice(middle, None)]
    return halves
