"""The core in C is held against the model: the same random records, the same of everything.

`tools/soak core 5000000` does the same with other seeds for as long as one likes.
"""

from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.comparison import Comparison, Different, Given, Stride, run, shorten
from tests.model.engines import CoreEngine
from tests.model.features import ALL
from tests.model.reasons import TRAILING
from tests.model.tally import AT_EDGES, OF_ORDERS, REASONS, Tally
from tests.model.worlds import EDGES, LARGE, SMALL, World
from tests.model.writer import Writer
from tests.spec import words

COMMANDS_IN_CI = 200_000


def long_histories(world: World, examples: int) -> Tally:
    """Give so many to both; what they came to.

    Seeds are hypothesis's; a failure is made short by leaving batches out, not by shrinking.
    """
    tally = Tally()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.integers(0, 2**64 - 1))
    def histories(seed: int) -> None:
        try:
            tally.add(run(Random(seed), world, Stride(records=150, most_commands=20)).tally)
        except Different as why:
            raise shorten(why) from None

    histories()
    return tally


def test_long_histories_agree_and_everything_happens_in_them() -> None:
    tally = long_histories(SMALL, 60)
    assert tally.commands >= COMMANDS_IN_CI / 2
    assert tally.missing() == []


def test_long_histories_of_large_numbers_agree() -> None:
    tally = long_histories(LARGE, 60)
    assert tally.commands >= COMMANDS_IN_CI / 2
    assert tally.missing((kind, reason) for kind in OF_ORDERS for reason in REASONS[kind]) == []


def test_histories_at_the_edges_of_numbers_agree() -> None:
    """The longer run is `tools/soak core`."""
    assert long_histories(EDGES, 12).missing(AT_EDGES) == []


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(random=st.randoms(use_true_random=False), world=st.sampled_from([SMALL, LARGE, EDGES]))
def test_short_histories_agree(random: Random, world: World) -> None:
    """Every choice is hypothesis's, so a failure shrinks to few and small commands."""
    stride = Stride(records=8, most_commands=4, validate_every=1, look_every=3)
    run(random, world, stride)


def test_histories_of_long_records_agree() -> None:
    """Thousands of commands a record: parts end in the middle of whatever happens."""
    stride = Stride(records=16, most_commands=4096, validate_every=1, look_every=3)
    parts = [run(Random(seed), SMALL, stride).most_parts for seed in range(3)]
    assert max(parts) > 1


def test_sums_that_no_number_holds_agree() -> None:
    """An order amended again and again trades more than 2^63, always with the same money."""
    comparison = Comparison()
    writer = Writer(Random(1), comparison.model.model, LARGE)
    for record in writer.opening()[:2]:
        comparison.give(Given(writer.time_us, record))
    names = words.Names({"BTC-USD": 1024}, {"a1": 1024})
    moves = 0
    for line in EVER_MORE.strip().splitlines():
        made = words.command(line, names)
        if made.WhichOneof("kind") in ("credit", "debit"):
            moves += 1
            batch = writer.from_source(7, moves, [made])
        else:
            batch = writer.next_batch(writer.gateways[0], [made])
        comparison.give(Given(writer.time_us, writer.record_of(batch)))
    (order,) = comparison.core.orders()
    assert (order.filled_lots, order.filled_quote_minor) == (7, 2**63 - 1)
    comparison.restore()
    comparison.compare_state()


# Assets and market of the LARGE world: USD is the third asset there, BTC the first.
EVER_MORE = """
house fees maker 0 taker 0
alice credit 100 1
bob credit 2^62 3
alice sell 2 @ 2^61
bob buy 1 @ 2^61-1
alice amend a1 to 2 @ 2^61-1
alice debit 2^61-1 3
bob credit 2^61-1 3
bob buy 2 @ 2^61-2
alice amend a1 to 4 @ 2^60
alice debit 2^62-4 3
bob credit 2^62-4 3
bob buy 4 @ 2^60-1
alice amend a1 to 8 @ 2^59
"""


def test_a_record_of_many_parts_agrees() -> None:
    """Thousands of orders placed, swept by one order, and cancelled by one command."""
    comparison = Comparison()
    writer = Writer(Random(1), comparison.model.model, SMALL)
    for record in writer.opening():
        comparison.give(Given(writer.pass_time(), record))
    money = [writer.credit(account) for account in (1000, 1001) for _ in range(3)]
    for index, command in enumerate(money):
        command.credit.asset, command.credit.amount_minor = index % 3 + 1, 10**9
    comparison.give(Given(writer.time_us, writer.record_of(writer.from_source(7, 1, money))))

    def parts_of(*commands: matching.Command) -> int:
        batch = writer.next_batch(writer.gateways[0], list(commands))
        comparison.give(Given(writer.time_us, writer.record_of(batch)))
        return len(comparison.core.parts)

    def many(word: str) -> list[matching.Command]:
        """As many as a batch takes, with the longest names: what happens to them fills parts."""
        orders = [_order(1000, 100 + index % 7, 1) for index in range(4096)]
        for index, order in enumerate(orders):
            order.place_order.client_order_id = f"{word:.<32}{index:04}"
        return orders

    everything = matching.Command(account=1000, request_id=bytes(16))
    everything.cancel_all.SetInParent()
    assert parts_of(*many("first")) > 1
    comparison.restore()
    sweep = _order(1001, 106, 1_000, types.SIDE_BUY)
    assert parts_of(sweep, sweep, everything, sweep) > 1, "a part ends in the cancel-all"
    parts_of(*many("second"))
    assert parts_of(sweep, sweep, sweep, everything) > 1, "a part ends in a sweep"
    comparison.compare_state()


def test_as_many_trailing_stops_wait_as_may() -> None:
    """And all of them follow, are triggered by one price, and find the same book."""
    comparison = Comparison()
    writer = Writer(Random(1), comparison.model.model, SMALL, ALL)
    for record in writer.opening():
        comparison.give(Given(writer.pass_time(), record))

    def give(*commands: matching.Command) -> matching.SubmitResponse:
        batch = writer.next_batch(writer.gateways[0], list(commands))
        given = Given(writer.time_us, writer.record_of(batch))
        return comparison.give(given)[0]

    rules = matching.Command(request_id=bytes(16))
    rules.use_rules.version = 2
    give(rules)
    stop = matching.Command(account=1000, request_id=bytes(16))
    stop.place_order.CopyFrom(
        matching.PlaceOrder(
            instrument=2048,
            side=types.SIDE_SELL,
            type=types.ORDER_TYPE_TRAILING_STOP,
            time_in_force=types.TIME_IN_FORCE_IOC,
            trigger_by=types.TRIGGER_BY_MARK_PRICE,
            trail_ticks=3,
            quantity_lots=1,
        )
    )
    answer = give(*[stop] * (TRAILING + 1))
    refusals = [outcome.refusal for outcome in answer.outcomes]
    assert refusals == [0] * TRAILING + [matching.REFUSAL_CAPACITY_FULL]
    marks = [matching.Command(request_id=bytes(16)) for _ in range(3)]
    for command, price_ticks in zip(marks, (100, 110, 107), strict=True):
        command.set_mark.CopyFrom(matching.SetMark(instrument=2048, price_ticks=price_ticks))
    give(*marks)
    assert comparison.core.orders() == []
    comparison.restore()
    comparison.compare_state()


def _order(
    account: int, price: int, lots: int, side: types.Side = types.SIDE_SELL
) -> matching.Command:
    command = matching.Command(account=account, request_id=bytes(16))
    command.place_order.CopyFrom(
        matching.PlaceOrder(
            instrument=2048,
            side=side,
            type=types.ORDER_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            price_ticks=price,
            quantity_lots=lots,
        )
    )
    return command


def test_a_difference_is_found_and_made_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison itself: a core that lies about one kind of event is caught, briefly."""
    honest = CoreEngine.apply

    def lying(
        self: CoreEngine, offset: int, time_us: int, record: matching.CommandRecord
    ) -> tuple[matching.EventRecord, list[matching.SubmitResponse]]:
        events, answers = honest(self, offset, time_us, record)
        for trade in events.trades:
            trade.lots += 1
        return events, answers

    monkeypatch.setattr(CoreEngine, "apply", lying)
    with pytest.raises(Different, match="lots: ") as caught:
        _run_some()
    long, short = str(caught.value), str(shorten(caught.value))
    assert short.count("place_order {") * 2 < long.count("place_order {")


def _run_some() -> None:
    """Not every history has a trade, but of some in a row one has."""
    for seed in range(20):
        run(Random(seed), SMALL, Stride(records=60))
