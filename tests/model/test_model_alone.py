"""The model by itself, over all of rules 2: it must keep its own invariants.

What it decides is held against the core elsewhere; here it is seen that it decides at all, that
nothing is lost or made on the way, and that random commands come to every corner.
"""

from collections import Counter
from random import Random

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.features import ALL
from tests.model.invariants import broken
from tests.model.model import Model
from tests.model.worlds import LARGE, SMALL, World
from tests.model.writer import Writer

COMMANDS = 20_000


class Seen:
    """What there was: refusals by name, reasons of ends, phases, and so on."""

    def __init__(self) -> None:
        self.refusals: Counter[int] = Counter()
        self.kinds: Counter[int] = Counter()
        self.reasons: Counter[int] = Counter()
        self.phases: Counter[int] = Counter()
        self.auction_trades = self.other_fees = self.auctions = 0

    def note(self, record: matching.EventRecord) -> None:
        self.kinds.update(mark.kind for mark in record.commands)
        self.refusals.update(mark.refusal for mark in record.commands)
        self.reasons.update(event.order.reason for event in record.orders)
        self.phases.update(event.instrument.phase for event in record.instruments)
        self.auction_trades += sum(trade.auction for trade in record.trades)
        self.other_fees += sum(bool(trade.taker_fee_asset) for trade in record.trades)
        self.auctions += sum(auction.volume_lots > 0 for auction in record.auctions)


def drive(seed: int, world: World, records: int, seen: Seen) -> int:
    """Records of random commands; how many commands were seen so far."""
    model = Model(seed % 2)
    writer = Writer(Random(seed), model, world, ALL)
    opening = writer.opening()
    for offset in range(records):
        record = opening.pop(0) if opening else writer.record(12)
        owned = {asset: model.owned(asset) for asset in model.assets}
        events, _ = model.apply(offset, writer.pass_time(), record)
        seen.note(events)
        moved = moved_in(events)
        for asset, before in owned.items():
            assert model.owned(asset) == before + moved[asset], "money comes and goes by moves"
        assert (broken(model), seed, offset) == ("", seed, offset)
    return sum(seen.kinds.values())


def moved_in(events: matching.EventRecord) -> Counter[int]:
    moved: Counter[int] = Counter()
    for move in events.moves:
        if not events.commands[move.command].refusal:
            moved[move.asset] += move.amount_minor
    return moved


def test_random_commands_break_nothing_and_come_everywhere() -> None:
    seen, done, seed = Seen(), 0, 0
    while done < COMMANDS:
        seed += 1
        done = drive(seed, (SMALL, SMALL, LARGE)[seed % 3], 120, seen)
    never = {matching.REFUSAL_ENGINE_REFUSED, matching.REFUSAL_SHARD_HALTED}
    assert set(seen.refusals) == set(matching.Refusal.values()) - never
    assert set(seen.reasons) == set(types.EndReason.values())
    assert set(seen.phases) == set(types.Phase.values()) - {types.PHASE_UNSPECIFIED}
    of_rules_3 = {matching.COMMAND_KIND_HALT, matching.COMMAND_KIND_RESUME}
    assert set(seen.kinds) == set(matching.CommandKind.values()) - {0} - of_rules_3
    assert min(seen.auction_trades, seen.other_fees, seen.auctions) > 0
