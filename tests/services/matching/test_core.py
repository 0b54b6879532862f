"""The face of the core in Python: what goes in, what comes out, what is raised."""

import pytest

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.matching.core import (
    PART_BYTES,
    Batch,
    BrokenSnapshot,
    Core,
    ForeignRecord,
    Malformed,
    UnknownRules,
)
from tests.golden.flow import BTC, START_US, USD, Flow
from tests.golden.log import play

ID = bytes(16)


def record_of(*batches: matching.SubmitRequest, shard: int = 0) -> bytes:
    requests = [batch.SerializeToString() for batch in batches]
    return matching.CommandRecord(shard=shard, requests=requests).SerializeToString()


def opening() -> matching.SubmitRequest:
    command = matching.Command(request_id=ID, open_session=matching.OpenSession())
    return matching.SubmitRequest(commands=[command])


def in_session(number: int, *commands: matching.Command) -> matching.SubmitRequest:
    return matching.SubmitRequest(session=1, number=number, commands=commands)


@pytest.fixture(scope="module")
def played() -> tuple[Core, Flow]:
    """A core with something of everything in it."""
    flow, core = Flow(3), Core(0)
    for _ in play(flow, flow.records(200), core):
        pass
    for _ in play(flow, flow.crowd(500), core):
        pass
    return core, flow


def test_an_empty_core_has_no_facts_to_tell() -> None:
    facts = Core(7).facts()
    assert facts.shard == 7
    assert facts.rules == 1
    assert (facts.sequence, facts.next_offset, facts.clock_us, facts.open_orders) == (0, 0, 0, 0)
    assert facts.balance_hash == 0


def test_a_check_tells_what_a_batch_is() -> None:
    cancel = matching.Command(
        request_id=ID, account=1000, cancel_order=matching.CancelOrder(order_id=5)
    )
    batch = in_session(4, cancel, cancel).SerializeToString()
    assert Core.check(batch) == Batch(1, 4, 0, 2, True)
    assert Core.check(batch[:-1]) == Malformed(32)
    assert Core.check(b"") == Malformed(0)


def test_a_record_makes_a_part_and_an_answer_for_each_batch() -> None:
    core = Core(0)
    tick = matching.SubmitRequest(commands=[matching.Command(tick=matching.Tick())])
    (part,) = core.apply(0, START_US, record_of(opening(), tick))
    assert part.last
    events = matching.EventRecord.FromString(part.events)
    assert (events.command_offset, events.part, events.last) == (0, 0, True)
    assert events.state_hash == core.facts().state_hash
    assert [answer.batch for answer in part.answers] == [0, 1]
    assert all(answer.done for answer in part.answers)
    first = matching.SubmitResponse.FromString(part.answers[0].piece)
    assert first.outcomes[0].created_id == 1
    assert part.answers[0].status == matching.BATCH_STATUS_APPLIED


@pytest.mark.parametrize(
    "record", [b"\x08", b"\x12\x00", record_of(in_session(1)), record_of(opening(), shard=1)]
)
def test_a_foreign_record_is_raised_and_changes_nothing(record: bytes) -> None:
    core = Core(0)
    before = core.facts()
    with pytest.raises(ForeignRecord, match="record at offset 0"):
        list(core.apply(0, START_US, record))
    assert core.facts() == before
    list(core.apply(0, START_US, record_of(opening())))
    assert core.facts().sequence == 1


def test_a_record_out_of_turn_is_foreign() -> None:
    with pytest.raises(ForeignRecord):
        list(Core(0).apply(1, START_US, record_of(opening())))


def test_unknown_rules_stop_the_core_before_the_record() -> None:
    core = Core(0)
    list(core.apply(0, START_US, record_of(opening())))
    before = core.facts()
    rules = matching.Command(request_id=ID, use_rules=matching.UseRules(version=99))
    with pytest.raises(UnknownRules):
        list(core.apply(1, START_US, record_of(opening(), in_session(1, rules))))
    assert core.facts() == before


def test_no_part_is_larger_than_it_may_be() -> None:
    flow, core = Flow(5), Core(0)
    for _ in play(flow, flow.records(3), core):
        pass
    for time_us, body in flow.crowd(4000):
        parts = list(core.apply(core.facts().next_offset, time_us, body))
        batches = [answer for part in parts for answer in part.answers]
        flow.heard([matching.SubmitResponse.FromString(batches[0].piece)])
        assert all(len(part.events) <= PART_BYTES for part in parts)
        assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert len(parts) > 1


def test_the_questions_are_answered_with_messages(played: tuple[Core, Flow]) -> None:
    core, _ = played
    facts = core.facts()
    verified = matching.VerifyResponse.FromString(b"".join(core.verify()))
    assert verified.broken == ""
    assert verified.balance_hash == facts.balance_hash
    assert len(verified.orders) == facts.open_orders > 0
    order = verified.orders[0]
    found = matching.GetOrderResponse.FromString(core.get_order(order.account, order.order_id, ""))
    assert (found.found, found.order) == (True, order)
    assert (found.sequence, found.clock_us) == (facts.sequence, facts.clock_us)
    listed = matching.ListOpenOrdersResponse.FromString(core.list_open_orders(order.account, 0))
    own = [one for one in verified.orders if one.account == order.account]
    assert [*listed.orders] == own
    here = matching.ListOpenOrdersResponse.FromString(
        core.list_open_orders(order.account, order.instrument)
    )
    assert [*here.orders] == [one for one in own if one.instrument == order.instrument]
    balances = matching.GetBalancesResponse.FromString(core.get_balances(order.account))
    assert [*balances.balances] == [
        one for one in verified.balances if one.account == order.account
    ]
    assert {USD, BTC} <= {one.asset for one in balances.balances}


def test_depth_is_the_sum_of_the_orders(played: tuple[Core, Flow]) -> None:
    core, flow = played
    orders = matching.VerifyResponse.FromString(b"".join(core.verify())).orders
    for instrument in flow.instruments:
        depth = matching.GetDepthResponse.FromString(core.get_depth(instrument))
        assert depth.found
        assert depth.command_offset == core.facts().next_offset - 1
        for side, levels in ((types.SIDE_BUY, depth.bids), (types.SIDE_SELL, depth.asks)):
            resting: dict[int, int] = {}
            for order in orders:
                if (order.instrument, order.side) == (instrument, side):
                    lots = resting.get(order.price_ticks, 0)
                    resting[order.price_ticks] = lots + order.remaining_lots
            best_first = sorted(resting.items(), reverse=side == types.SIDE_BUY)
            assert [(level.price_ticks, level.lots) for level in levels] == best_first
    assert not matching.GetDepthResponse.FromString(core.get_depth(5)).found


def test_markets_and_accounts_are_told(played: tuple[Core, Flow]) -> None:
    core, flow = played
    markets = matching.WatchMarketsResponse.FromString(core.list_markets())
    assert [asset.code for asset in markets.assets][:3] == ["USD", "BTC", "ETH"]
    assert [one.instrument for one in markets.instruments][:2] == flow.instruments
    assert markets.client_order_id_memory_us == core.facts().client_order_id_memory_us
    settings = matching.GetAccountResponse.FromString(core.get_account(999_999))
    assert settings.self_trade_prevention == types.SELF_TRADE_PREVENTION_CANCEL_TAKER
    assert settings.sequence == core.facts().sequence


def test_nothing_is_known_of_a_stranger(played: tuple[Core, Flow]) -> None:
    core, _ = played
    assert not matching.GetOrderResponse.FromString(core.get_order(999_999, 1024, "")).found
    assert not matching.GetOrderResponse.FromString(core.get_order(1000, 0, "nobody")).found
    assert not matching.GetOrderResponse.FromString(core.get_order(1000, 0, "n" * 5000)).found
    stranger = matching.GetBalancesResponse.FromString(core.get_balances(999_999))
    assert not stranger.balances


def test_a_snapshot_makes_an_equal_core(played: tuple[Core, Flow]) -> None:
    core, _ = played
    data = b"".join(core.snapshot())
    again = Core.restore(data)
    assert again.facts() == core.facts()
    assert again.validate() == 0
    assert b"".join(again.snapshot()) == data
    assert [*again.verify()] == [*core.verify()]


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_snapshot_cut_short_is_broken(played: tuple[Core, Flow], length: int) -> None:
    data = b"".join(played[0].snapshot())
    with pytest.raises(BrokenSnapshot):
        Core.restore(data[:length])
