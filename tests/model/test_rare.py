"""What random commands hardly ever come to, asked for on purpose."""

from random import Random

import pytest

from bourse.matching import v1 as matching
from tests.model.comparison import Comparison, Given
from tests.model.worlds import SMALL, market
from tests.model.writer import Writer
from tests.spec import words

MOST_ASSETS = 4_096


@pytest.fixture
def pair() -> tuple[Comparison, Writer]:
    """Both after the opening of the small world, by rules 2."""
    comparison = Comparison()
    writer = Writer(Random(1), comparison.model.model, SMALL)
    for record in writer.opening():
        comparison.give(Given(writer.time_us, record))
    give(comparison, writer, "house rules 2")
    return comparison, writer


def give(
    comparison: Comparison, writer: Writer, text: str, *more: matching.Command
) -> list[matching.Outcome]:
    """Give the lines of a text and more commands; how they were answered."""
    names = words.Names({"BTC-USD": 1024})
    made = [words.command(line, names) for line in text.strip().splitlines()]
    outcomes: list[matching.Outcome] = []
    for command in (*made, *more):
        batch = writer.next_batch(writer.gateways[0], [command])
        if command.WhichOneof("kind") == "credit":
            last = comparison.model.model.sources.get(7, 0)
            batch = writer.from_source(7, last + 1, [command])
            writer.gateways[0].number -= 1
        answers = comparison.give(Given(writer.time_us, writer.record_of(batch)))
        outcomes += answers[0].outcomes
    return outcomes


def test_an_order_that_paid_in_one_fee_asset_pays_in_no_other(
    pair: tuple[Comparison, Writer],
) -> None:
    """Assets of the small world: A, B and C are 1, 2 and 3; its markets A-C, B-C and B-A."""
    new = matching.AddInstrument(instrument=market("D-C", 4, 3))
    give(*pair, "house asset 4 D", matching.Command(request_id=bytes(16), add_instrument=new))
    give(*pair, BEFORE)
    give(*pair, "bob sell 10 @ 100")
    (order,) = (o for o in pair[0].core.orders() if o.quantity_lots == 20)
    assert (order.other_fee_asset, order.fee_minor) == (2, 0)
    give(*pair, "house fee-market 4096\nbob sell 5 @ 100")
    (order,) = (o for o in pair[0].core.orders() if o.quantity_lots == 20)
    assert order.other_fee_asset == 2
    assert order.fee_minor > 0, "in what it receives"
    pair[0].restore()
    pair[0].compare_state()


BEFORE = """
alice credit 100_000 1
alice credit 100_000 2
alice credit 100_000 3
alice credit 100_000 4
bob credit 100_000 1
bob credit 100_000 2
bob credit 100_000 4
carol credit 100_000 3
bob sell 1 @ 100 in 2048
carol buy 1 @ 100 in 2048
bob sell 1 @ 100 in 4096
carol buy 1 @ 100 in 4096
alice settings tier 2 pays-fee-asset
house fee-market 2048
alice buy 20 @ 100
"""


def test_there_are_at_most_so_many_assets(pair: tuple[Comparison, Writer]) -> None:
    """The core alone: the model takes a second for each thousand."""
    comparison, writer = pair
    commands = [words.command(f"house asset {n} N{n}", words.Names()) for n in range(4, 4_098)]
    record = writer.record_of(writer.next_batch(writer.gateways[0], commands))
    _, (answer,) = comparison.core.apply(len(comparison.history), writer.time_us, record)
    refusals = [outcome.refusal for outcome in answer.outcomes]
    assert refusals == [0] * (MOST_ASSETS - 3) + [matching.REFUSAL_CAPACITY_FULL]
    assert comparison.core.check() == ""
