"""What may not matter, does not: where batches end, a restart, which side is called buy, numbers.

The core alone, against itself: no model says here what is right, only what is the same.
"""

from collections.abc import Iterator
from random import Random

import pytest
from google.protobuf.message import Message

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.matching.core import Core
from tests.model.comparison import Given
from tests.model.engines import CoreEngine, ModelEngine
from tests.model.mirrors import Market, mirrored_event
from tests.model.worlds import SMALL
from tests.model.writer import Writer

SEEDS = range(6)
FEE_ACCOUNT = int(types.HOUSE_ACCOUNT_FEES)


def history(seed: int, records: int = 120, most_commands: int = 30) -> list[Given]:
    """Records of one batch each, in order, of everything that can be asked."""
    random = Random(seed)
    model = ModelEngine(0)
    writer = Writer(random, model.model, SMALL)
    given: list[Given] = []
    opening = writer.opening()
    for offset in range(records):
        if opening:
            record = opening.pop(0)
        else:
            count = random.randint(1, most_commands)
            commands = [writer.any_command() for _ in range(count)]
            record = writer.record_of(writer.next_batch(writer.gateways[0], commands))
        given.append(Given(writer.pass_time() if random.random() < 0.3 else writer.time_us, record))
        model.apply(offset, *given[-1])
    return given


def replay(given: list[Given]) -> Iterator[tuple[matching.EventRecord, list[matching.Outcome]]]:
    """What each record came to, whatever its parts and batches were."""
    core = CoreEngine(0)
    for offset, one in enumerate(given):
        events, answers = core.apply(offset, *one)
        events.ClearField("batches")
        yield events, [outcome for answer in answers for outcome in answer.outcomes]
    assert core.check() == ""


def split(given: Given, random: Random, numbers: dict[int, int]) -> Given:
    """The same commands in more batches."""
    record = matching.CommandRecord(shard=given.record.shard)
    for encoded in given.record.requests:
        batch = matching.SubmitRequest.FromString(encoded)
        commands = list(batch.commands)
        while commands:
            count = random.randint(1, len(commands)) if batch.session else len(commands)
            piece = matching.SubmitRequest(session=batch.session, commands=commands[:count])
            piece.source, piece.number = batch.source, batch.number
            if batch.session:
                numbers[batch.session] = piece.number = numbers.get(batch.session, 0) + 1
            record.requests.append(piece.SerializeToString())
            commands = commands[count:]
    return Given(given.time_us, record)


@pytest.mark.parametrize("seed", SEEDS)
def test_where_batches_end_changes_nothing(seed: int) -> None:
    given = history(seed)
    random, numbers = Random(seed), dict[int, int]()
    pieces = [split(one, random, numbers) for one in given]
    assert list(replay(pieces)) == list(replay(given))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restart_at_any_point_changes_nothing(seed: int) -> None:
    core, restarted = Core(0), Core(0)
    for offset, (time_us, record) in enumerate(history(seed)):
        encoded = record.SerializeToString()
        once = [part.events for part in core.apply(offset, time_us, encoded)]
        assert [part.events for part in restarted.apply(offset, time_us, encoded)] == once
        restarted = Core.restore(b"".join(restarted.snapshot()))
        assert restarted.facts() == core.facts()


def renamed(number: int) -> int:
    """Another number for an account; larger ones stay larger, which is the order of switches."""
    return number if number in (0, FEE_ACCOUNT) else 7 * number + 5


def rename(message: Message) -> None:
    """Give every account that a message speaks of its other number, in place."""
    for field, value in message.ListFields():
        if field.name in ("account", "taker_account", "maker_account"):
            setattr(message, field.name, renamed(value))
        elif field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                rename(inner)


def rename_record(given: Given) -> Given:
    record = matching.CommandRecord(shard=given.record.shard)
    for encoded in given.record.requests:
        batch = matching.SubmitRequest.FromString(encoded)
        rename(batch)
        record.requests.append(batch.SerializeToString())
    return Given(given.time_us, record)


@pytest.mark.parametrize("seed", SEEDS)
def test_other_numbers_of_accounts_change_nothing(seed: int) -> None:
    given = history(seed)
    others = replay([rename_record(one) for one in given])
    for (events, outcomes), (other_events, other_outcomes) in zip(
        replay(given), others, strict=True
    ):
        for message in (events, *outcomes):
            rename(message)
        for record in (events, other_events):
            record.ClearField("balance_hash")
        assert other_events == events
        assert other_outcomes == outcomes


@pytest.mark.parametrize("seed", SEEDS)
def test_buying_and_selling_are_mirror_images(seed: int) -> None:
    """All prices turned round their middle, all sides swapped: the same trades, turned round."""
    market = Market(Random(seed))
    here, there = CoreEngine(0), CoreEngine(0)
    trades = 0
    for offset in range(150):
        one, other = market.next_records()
        time_us = 1_000_000 * (offset + 1)
        events, answers = here.apply(offset, time_us, one)
        turned, turned_answers = there.apply(offset, time_us, other)
        expected = [mirrored_event(trade) for trade in events.trades]
        assert list(turned.trades) == expected
        for answer, turned_answer in zip(answers, turned_answers, strict=True):
            refusals = [outcome.refusal for outcome in answer.outcomes]
            assert [outcome.refusal for outcome in turned_answer.outcomes] == refusals
        assert sorted(o.order_id for o in here.orders()) == sorted(
            o.order_id for o in there.orders()
        )
        trades += len(events.trades)
    assert trades > 50
