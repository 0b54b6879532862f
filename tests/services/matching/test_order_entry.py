"""Stories of order entry: sessions, doubtful appends, a full queue, a log out of reach."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from bourse.matching import v1 as matching
from services.runtime.intake import MAX_BATCH_BYTES, Limits
from services.runtime.memory_log import Fault, MemoryLog
from tests.services.matching.conftest import OpenLog
from tests.services.matching.rig import (
    ALICE,
    BOB,
    COMMANDS,
    USD,
    amend,
    batch,
    buy,
    cancel_all,
    command,
    credit,
    events,
    open_market,
    published_keys,
    running,
    sell,
    tell,
)

APPLIED = matching.BATCH_STATUS_APPLIED
REPEATED = matching.BATCH_STATUS_REPEATED
NEVER_APPLIED = matching.BATCH_STATUS_NEVER_APPLIED
UNKNOWN = matching.BATCH_STATUS_UNKNOWN
MALFORMED = matching.BATCH_STATUS_MALFORMED
UNAVAILABLE = matching.BATCH_STATUS_UNAVAILABLE


def test_a_batch_is_applied_and_answered(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path) as shard:
            session = await open_market(shard)
            resting = await shard.one(batch(session, 2, sell(ALICE, 5, 100)))
            taking = await shard.one(batch(session, 3, buy(BOB, 3, 100)))
            assert (resting.status, taking.status) == (APPLIED, APPLIED)
            assert taking.first_sequence == resting.first_sequence + 1
            assert [(trade.lots, trade.price_ticks) for trade in taking.trades] == [(3, 100)]
            assert await log.end(COMMANDS) == taking.command_offset + 1

    tell(story())


def test_a_batch_sent_twice_is_applied_once_and_answered_alike(
    open_log: OpenLog, tmp_path: Path
) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path) as shard:
            session = await open_market(shard)
            await shard.one(batch(session, 2, sell(ALICE, 5, 100)))
            order = batch(session, 3, buy(BOB, 3, 100))
            first = await shard.one(order)
            await shard.publisher.flushed()
            again = await shard.one(order)
            assert (first.status, again.status) == (APPLIED, REPEATED)
            assert _same(first) == _same(again)
            assert again.command_offset == first.command_offset
            assert sum(len(record.trades) for record in await events(log)) == 1

    tell(story())


def test_a_batch_twice_in_one_record_is_applied_once(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path) as shard:
            session = await open_market(shard)
            order = batch(session, 2, sell(ALICE, 5, 100))
            first, again, last = await shard.ask(order, order, batch(session, 3, cancel_all(ALICE)))
            assert [first.status, again.status, last.status] == [APPLIED, REPEATED, APPLIED]
            assert _same(first) == _same(again)
            assert len(last.cancelled) == 1

    tell(story())


def test_a_number_that_was_passed_over_is_never_applied(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path) as shard:
            session = await open_market(shard)
            late, early = await shard.ask(
                batch(session, 3, sell(ALICE, 1, 100)), batch(session, 2, sell(ALICE, 2, 100))
            )
            assert (late.status, early.status) == (APPLIED, NEVER_APPLIED)
            assert not early.outcomes

    tell(story())


def test_an_amend_given_up_and_overtaken_does_nothing(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path) as shard:
            session = await open_market(shard)
            await shard.one(batch(session, 2, buy(ALICE, 5, 100, name="a")))
            given_up = batch(session, 3, amend(ALICE, "a", 90))
            later = await shard.one(batch(session, 4, amend(ALICE, "a", 80)))
            overtaken = await shard.one(given_up)
            assert later.outcomes[0].order.price_ticks == 80
            assert overtaken.status == NEVER_APPLIED
            found = matching.GetOrderResponse.FromString(
                shard.replica.core.get_order(ALICE, 0, "a")
            )
            assert found.order.price_ticks == 80

    tell(story())


def test_a_batch_sent_to_another_replica_is_applied_once(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            open_log() as log,
            open_log() as other_log,
            running(log, tmp_path / "one") as one,
            running(other_log, tmp_path / "other", leading=False) as other,
        ):
            session = await open_market(one)
            order = batch(session, 2, sell(ALICE, 5, 100))
            first = await one.one(order)
            again = await other.one(order)
            # The other may not have seen the first by then: then it learns both answers at once.
            assert first.status == APPLIED
            assert again.status in {APPLIED, REPEATED}
            assert _same(first) == _same(again)
            assert other.replica.facts.open_orders == 1

    tell(story())


@pytest.mark.parametrize("fault", [Fault.DONE, Fault.LOST, Fault.LATE])
def test_an_append_of_unknown_outcome_is_found_out(fault: Fault, tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path) as shard:
            session = await open_market(shard)
            await shard.publisher.flushed()
            log.faults.append(fault)
            answer = await shard.one(batch(session, 2, sell(ALICE, 5, 100)))
            later = await shard.one(batch(session, 3, buy(BOB, 9, 100)))
            assert (answer.status, later.status) == (APPLIED, APPLIED)
            assert [trade.lots for trade in later.trades] == [5]

    tell(story())


def test_a_command_past_its_deadline_is_refused(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path) as shard:
            session = await open_market(shard)
            past_us = shard.replica.facts.clock_us - 1
            answer = await shard.one(batch(session, 2, sell(ALICE, 5, 100, valid_until_us=past_us)))
            refusals = [outcome.refusal for outcome in answer.outcomes]
            assert refusals == [matching.REFUSAL_EXPIRED_IN_TRANSIT]

    tell(story())


def test_a_credit_sent_again_after_very_many_commands_is_passed_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(MemoryLog(), tmp_path) as shard:
            session = await open_market(shard)
            money = batch(0, 5, credit(ALICE, USD, 7), source=1)
            assert (await shard.one(money)).status == APPLIED
            # More batches than a session remembers, and more commands than are worth remembering.
            orders = [sell(ALICE, 1, 100), cancel_all(ALICE)] * 500
            await shard.ask(*(batch(session, number, *orders) for number in range(2, 302)))
            before = shard.replica.facts.balance_hash
            assert shard.replica.facts.sequence > 300_000
            again = await shard.one(money)
            assert (again.status, len(again.outcomes)) == (REPEATED, 0)
            assert shard.replica.facts.balance_hash == before

    tell(story())


def test_a_gap_in_a_source_names_the_number_that_is_missing(
    open_log: OpenLog, tmp_path: Path
) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path) as shard:
            await open_market(shard)
            answer = await shard.one(batch(0, 7, credit(ALICE, USD, 7), source=1))
            assert (answer.status, answer.expected) == (matching.BATCH_STATUS_SOURCE_GAP, 5)

    tell(story())


def test_garbage_is_refused_counted_and_never_logged(open_log: OpenLog, tmp_path: Path) -> None:
    async def story() -> None:
        async with open_log() as log, running(log, tmp_path) as shard:
            session = await open_market(shard)
            whole = batch(session, 2, sell(ALICE, 5, 100))
            before = await log.end(COMMANDS)
            answers = await shard.ask(whole[:-3], b"", b"\xff" * 40, bytes(MAX_BATCH_BYTES + 1))
            assert [answer.status for answer in answers] == [MALFORMED] * 4
            assert all(answer.detail for answer in answers)
            assert shard.sequencer.malformed == 4
            assert await log.end(COMMANDS) == before
            assert (await shard.one(whole)).status == APPLIED

    tell(story())


def test_a_full_queue_refuses_orders_at_once_and_still_takes_cancels(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path, limits=Limits(batches=10)) as shard:
            session = await open_market(shard)
            await shard.publisher.flushed()
            log.faults.extend([Fault.UNAVAILABLE] * 3)
            orders = [batch(session, number, sell(ALICE, 1, 100)) for number in range(2, 13)]
            answers = await shard.ask(*orders, batch(session, 13, cancel_all(ALICE)))
            statuses = [answer.status for answer in answers]
            assert statuses == [APPLIED] * 9 + [UNAVAILABLE] * 2 + [APPLIED]
            assert len(answers[-1].cancelled) == 9
            assert shard.sequencer.unavailable == 2

    tell(story())


def test_nothing_waits_for_ever_when_the_log_is_out_of_reach(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path, limits=Limits(patience_s=0.2)) as shard:
            session = await open_market(shard)
            await shard.publisher.flushed()
            log.faults.extend([Fault.UNAVAILABLE] * 12)
            refused = await shard.one(batch(session, 2, sell(ALICE, 1, 100)))
            log.faults.clear()
            taken = await shard.one(batch(session, 3, sell(ALICE, 1, 100)))
            assert (refused.status, taken.status) == (UNAVAILABLE, APPLIED)
            assert refused.detail == "The log did nothing, as it was told."

    tell(story())


def test_a_record_in_doubt_is_not_refused_and_nothing_passes_it(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path, limits=Limits(patience_s=0.2)) as shard:
            session = await open_market(shard)
            await shard.publisher.flushed()
            log.faults.extend([Fault.LOST] + [Fault.UNAVAILABLE] * 10)
            doubtful = batch(session, 2, sell(ALICE, 1, 100))
            assert (await shard.one(doubtful)).status == UNKNOWN
            later = await shard.one(batch(session, 3, cancel_all(ALICE)))
            while later.status == UNAVAILABLE:
                later = await shard.one(batch(session, 4, cancel_all(ALICE)))
            assert (await shard.one(doubtful)).status == REPEATED
            assert len(later.cancelled) == 1

    tell(story())


def test_what_a_lost_stream_has_queued_is_applied_all_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog()
        async with running(log, tmp_path) as shard:
            session = await open_market(shard)
            await shard.publisher.flushed()
            log.faults.append(Fault.UNAVAILABLE)
            order = batch(session, 2, sell(ALICE, 1, 100))
            lost = asyncio.create_task(shard.one(order))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not log.faults, "the first append has failed, and the second is to come"
            lost.cancel()
            await asyncio.gather(lost, return_exceptions=True)
            again = await shard.one(order)
            assert again.status == REPEATED
            assert len(again.outcomes) == 1

    tell(story())


def test_a_stream_whose_answers_are_not_read_is_not_read_either(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(MemoryLog(), tmp_path) as shard:
            taken = 0

            async def without_end() -> AsyncIterator[bytes]:
                nonlocal taken
                while True:
                    taken += 1
                    yield b""

            async with aclosing(shard.sequencer.submit(without_end())) as answers:
                await anext(answers)
                for _ in range(5000):
                    await asyncio.sleep(0)
                assert taken < 3000

    tell(story())


def test_a_closed_sequencer_answers_what_has_come_and_ends_its_streams(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(MemoryLog(), tmp_path) as shard:
            session = await open_market(shard)
            asked = asyncio.create_task(shard.one(batch(session, 2, sell(ALICE, 1, 100))))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await shard.sequencer.close("This replica is stopping.")
            assert (await asked).status == APPLIED
            late = shard.sequencer.offer(batch(session, 3, sell(ALICE, 1, 100)))
            refusal = matching.SubmitResponse.FromString(late.answer or b"")
            assert (refusal.status, refusal.detail) == (UNAVAILABLE, "This replica is stopping.")
            assert await shard.ask(batch(session, 4, sell(ALICE, 1, 100))) == []

    tell(story())


def test_a_log_with_another_clock_stops_the_replica(tmp_path: Path) -> None:
    async def story() -> None:
        log = MemoryLog(clock_us=lambda: 0)
        async with running(log, tmp_path, limits=Limits(patience_s=0.1)) as shard:
            answer = await shard.one(batch(0, 0, command(open_session=matching.OpenSession())))
            assert answer.status == UNAVAILABLE
            assert "Set the clocks of both" in answer.detail

    tell(story())


def test_a_full_memory_of_events_refuses_everything(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(MemoryLog(), tmp_path, leading=False, retained_bytes=2000) as shard:
            session = await open_market(shard)
            number, answer = 2, await shard.one(batch(session, 2, sell(ALICE, 1, 100)))
            while answer.status == APPLIED:
                number += 1
                answer = await shard.one(batch(session, number, sell(ALICE, 1, 100)))
            assert answer.status == UNAVAILABLE
            assert answer.detail == "Too many events wait to be published."
            cancel = await shard.one(batch(session, number, cancel_all(ALICE)))
            assert cancel.status == UNAVAILABLE
            shard.publisher.lead(True)
            await shard.publisher.flushed()
            assert (await shard.one(batch(session, number, cancel_all(ALICE)))).status == APPLIED
            assert len(await published_keys(shard.log)) > 0

    tell(story())


def _same(answer: matching.SubmitResponse) -> matching.SubmitResponse:
    """An answer without its status: what must be alike when it is given again."""
    copy = matching.SubmitResponse()
    copy.CopyFrom(answer)
    copy.ClearField("status")
    return copy
