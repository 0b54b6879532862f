"""A repeated batch is answered from events with what it was answered at first."""

import pytest

from bourse.matching import v1 as matching
from services.matching.answers import answers_from_events
from services.matching.core import Core
from tests.golden.flow import Flow
from tests.golden.log import answers_of


class Told:
    """Plays a flow and holds each answer of a session's batch against what its events say."""

    def __init__(self, seed: int) -> None:
        self.flow, self.core = Flow(seed), Core(0)
        self.compared = 0
        self.several_parts = 0

    def play(self, count: int, crowd: int) -> None:
        for time_us, body in self.flow.records(count):
            self._record(time_us, body)
        for time_us, body in self.flow.crowd(crowd):
            self._record(time_us, body)

    def _record(self, time_us: int, body: bytes) -> None:
        parts = list(self.core.apply(self.core.facts().next_offset, time_us, body))
        requests = matching.CommandRecord.FromString(body).requests
        answers = [
            matching.SubmitResponse.FromString(answer)
            for answer in answers_of(parts, len(requests))
        ]
        self.flow.heard(answers)
        events = [part.events for part in parts]
        for answer in answers:
            if answer.session and answer.status == matching.BATCH_STATUS_APPLIED:
                self._compare(answer, events)

    def _compare(self, answer: matching.SubmitResponse, events: list[bytes]) -> None:
        answer.status = matching.BATCH_STATUS_REPEATED
        again = answers_from_events(events, answer.session, answer.number)
        assert matching.SubmitResponse.FromString(again) == answer
        self.compared += 1
        self.several_parts += len(events) > 1


@pytest.mark.parametrize("seed", range(6))
def test_what_was_answered_can_be_told_from_events_alone(seed: int) -> None:
    told = Told(seed)
    told.play(300, crowd=0)
    assert told.compared > 300


def test_an_answer_that_took_several_parts_can_be_told_too() -> None:
    told = Told(20)
    told.play(10, crowd=3500)
    assert told.several_parts > 0


def test_a_batch_that_is_not_there_is_an_error() -> None:
    part = matching.EventRecord(first_sequence=1, last=True)
    part.batches.add(session=4, number=1, commands=1)
    part.commands.add(kind=matching.COMMAND_KIND_CLOSE_SESSION)
    with pytest.raises(LookupError):
        answers_from_events([part.SerializeToString()], 4, 2)
