"""What follows from one command, beside the model: in more parts than one, or much later."""

from random import Random

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.comparison import Comparison, Given
from tests.model.features import ALL
from tests.model.worlds import SMALL
from tests.model.writer import Writer

MANY = 600
MARKET = 2048
SELLER, BUYER = 1000, 1001


class House:
    """A comparison under rules 2, and two people with money enough."""

    def __init__(self) -> None:
        self.comparison = Comparison()
        self.writer = Writer(Random(1), self.comparison.model.model, SMALL, ALL)
        for record in self.writer.opening():
            self.comparison.give(Given(self.writer.pass_time(), record))
        rules = matching.Command()
        rules.use_rules.version = 2
        self.give(rules)
        money = [self.writer.credit(account) for account in (SELLER, BUYER) for _ in range(3)]
        for index, command in enumerate(money):
            command.credit.asset, command.credit.amount_minor = index % 3 + 1, 10**9
        batch = self.writer.from_source(7, 1, money)
        self.comparison.give(Given(self.writer.time_us, self.writer.record_of(batch)))

    def give(self, *commands: matching.Command) -> matching.SubmitResponse:
        for command in commands:
            command.request_id = bytes(16)
        batch = self.writer.next_batch(self.writer.gateways[0], list(commands))
        given = Given(self.writer.time_us, self.writer.record_of(batch))
        return self.comparison.give(given)[0]

    def parts(self) -> int:
        return len(self.comparison.core.parts)


def order(side: types.Side, price: int, lots: int = 1, **fields: int | str) -> matching.PlaceOrder:
    made = matching.PlaceOrder(
        instrument=MARKET,
        side=side,
        type=types.ORDER_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_GTC,
        price_ticks=price,
        quantity_lots=lots,
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def stop(side: types.Side, trigger: int, lots: int = 1, name: str = "") -> matching.PlaceOrder:
    return matching.PlaceOrder(
        instrument=MARKET,
        side=side,
        type=types.ORDER_TYPE_STOP,
        time_in_force=types.TIME_IN_FORCE_IOC,
        trigger_ticks=trigger,
        quantity_lots=lots,
        client_order_id=name,
    )


def placed(account: int, body: matching.PlaceOrder) -> matching.Command:
    return matching.Command(account=account, place_order=body)


def group(account: int, kind: types.GroupKind, *bodies: matching.PlaceOrder) -> matching.Command:
    members = dict(zip(("first", "second", "third"), bodies, strict=False))
    return matching.Command(account=account, place_group=matching.PlaceGroup(kind=kind, **members))


def long_name(word: str, index: int) -> str:
    return f"{word:.<32}{index:04}"


def test_a_trade_triggers_hundreds_of_stops() -> None:
    house = House()
    bids = [
        order(types.SIDE_BUY, 100 - i % 3, client_order_id=long_name("bid", i))
        for i in range(3 * MANY + 10)
    ]
    stops = [stop(types.SIDE_SELL, 100, 3, long_name("stop", i)) for i in range(MANY)]
    house.give(*[placed(BUYER, body) for body in bids])
    house.give(*[placed(SELLER, body) for body in stops])
    house.comparison.restore()
    answer = house.give(placed(SELLER, order(types.SIDE_SELL, 100)))
    assert house.parts() > 1
    assert len(answer.trades) == 1, "the others are no trades of the command's own order"
    assert len(house.comparison.model.model.orders) == 9, "all stops found somebody"
    house.comparison.compare_state()


def test_hundreds_of_linked_orders_end_by_one_command() -> None:
    house = House()
    pairs = [
        group(
            SELLER,
            types.GROUP_KIND_OCO,
            order(types.SIDE_SELL, 105, post_only=True, client_order_id=long_name("rests", i)),
            stop(types.SIDE_SELL, 95, 1, long_name("waits", i)),
        )
        for i in range(4 * MANY)
    ]
    house.give(*pairs)
    house.comparison.restore()
    everything = matching.Command(account=SELLER)
    everything.cancel_all.SetInParent()
    answer = house.give(everything)
    assert house.parts() > 1
    assert len(answer.cancelled) == 8 * MANY
    house.comparison.compare_state()


def test_hundreds_of_exits_come_out_at_once() -> None:
    """Two sweeps fill entries, whose exits arrive and wait; a kill then ends them all."""
    house = House()
    brackets = [
        group(
            BUYER,
            types.GROUP_KIND_BRACKET,
            order(types.SIDE_BUY, 100, client_order_id=long_name("entry", i)),
            order(types.SIDE_SELL, 104, 0, client_order_id=long_name("take", i)),
            stop(types.SIDE_SELL, 96, 0, long_name("stop", i)),
        )
        for i in range(1_200)
    ]
    house.give(*brackets)
    house.comparison.restore()
    sweeps = [order(types.SIDE_SELL, 100, lots) for lots in (1_000, 200)]
    house.give(*[placed(SELLER, sweep) for sweep in sweeps])
    assert house.parts() > 1
    house.comparison.restore()
    house.comparison.compare_state()
    kill = matching.Command()
    kill.kill.instrument = MARKET
    answer = house.give(kill)
    assert len(answer.cancelled) == 2_400
    house.comparison.compare_state()


def test_an_exit_whose_market_is_halted_is_kept_in_its_place() -> None:
    """Behind the exits of an older entry, before those of a younger one."""
    house = House()
    for price in (99, 101, 98):
        entry = order(types.SIDE_BUY, price, 2)
        exits = order(types.SIDE_SELL, 104, 0), stop(types.SIDE_SELL, 90, 0)
        house.give(group(BUYER, types.GROUP_KIND_BRACKET, entry, *exits))
    house.give(placed(SELLER, order(types.SIDE_SELL, 101)))
    phase = matching.SetPhase(instrument=MARKET, phase=types.PHASE_HALT)
    house.give(matching.Command(set_phase=phase))
    half = next(o for o in house.comparison.model.model.orders.values() if o.filled_lots)
    cancel = matching.CancelOrder(order_id=half.order_id)
    house.give(matching.Command(account=BUYER, cancel_order=cancel))
    house.comparison.restore()
    house.comparison.compare_state()
    phase.phase = types.PHASE_CONTINUOUS
    house.give(matching.Command(set_phase=phase))
    asks = house.comparison.core.depth(MARKET, types.SIDE_SELL)
    assert asks == [(104, 1)], "the exit has arrived"
    house.comparison.compare_state()
