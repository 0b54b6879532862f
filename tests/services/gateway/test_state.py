"""The law of order entry, as tables: batches, numbers, answers, losses."""

import pytest

from bourse.matching import v1 as matching
from services.gateway.state import After, Answer, Answered, Asked, Desk, Undecided

NOT_TAKEN, UNKNOWN = Undecided.NOT_TAKEN, Undecided.UNKNOWN


class Story:
    """A desk with a session, and what became of those who asked, by name."""

    def __init__(self, capacity: int = 100) -> None:
        self.desk = Desk(capacity)
        self.ended: dict[str, Answer] = {}
        self.open(7)

    def open(self, session: int) -> None:
        assert self.desk.open_session(bytes(16)) is not None
        opened = matching.Outcome(created_id=session)
        self.desk.answer(response(0, 0, outcomes=[opened]))
        assert self.desk.session == session

    def ask(self, name: str, *, cancel: bool = False, valid_until_us: int = 0) -> bool:
        command = matching.Command(request_id=name.encode(), valid_until_us=valid_until_us)
        if cancel:
            command.cancel_order.order_id = 1
        else:
            command.place_order.quantity_lots = 1
        return self.desk.take(Asked(command, lambda answer: self.end(name, answer)))

    def end(self, name: str, answer: Answer) -> None:
        assert name not in self.ended, "nobody is settled twice"
        self.ended[name] = answer

    def send(self) -> tuple[int, list[str]]:
        """The next batch: its number and who is in it."""
        return content(self.desk.next_batch())


def content(encoded: bytes | None) -> tuple[int, list[str]]:
    assert encoded is not None
    batch = matching.SubmitRequest.FromString(encoded)
    assert batch.session == 7
    return batch.number, [command.request_id.decode() for command in batch.commands]


def response(
    session: int,
    number: int,
    status: "matching.BatchStatus" = matching.BATCH_STATUS_APPLIED,
    outcomes: list[matching.Outcome] | None = None,
) -> matching.SubmitResponse:
    return matching.SubmitResponse(
        session=session, number=number, status=status, first_sequence=100, outcomes=outcomes or []
    )


def applied(number: int, count: int) -> matching.SubmitResponse:
    return response(7, number, outcomes=[matching.Outcome()] * count)


def test_batches_are_numbered_and_two_are_under_way() -> None:
    story = Story()
    story.ask("a")
    assert story.send() == (1, ["a"])
    story.ask("b")
    assert story.send() == (2, ["b"])
    story.ask("c")
    story.ask("d")
    assert story.desk.next_batch() is None, "two are unanswered"
    assert story.desk.answer(applied(1, 1)) is After.GO_ON
    assert story.send() == (3, ["c", "d"])


def test_each_command_gets_its_own_part_of_an_answer() -> None:
    story = Story()
    for name in "abc":
        story.ask(name)
    story.send()
    answer = applied(1, 3)
    answer.outcomes[1].refusal = matching.REFUSAL_MARKET_NOT_OPEN
    answer.trades.add(command=2, trade_id=11)
    answer.cancelled.add(command=0, order_id=5)
    story.desk.answer(answer)
    a, b, c = (story.ended[name] for name in "abc")
    assert isinstance(a, Answered)
    assert isinstance(b, Answered)
    assert isinstance(c, Answered)
    assert (a.sequence, b.sequence, c.sequence) == (100, 101, 102)
    assert a.cancelled == (5,)
    assert b.outcome.refusal == matching.REFUSAL_MARKET_NOT_OPEN
    assert [trade.trade_id for trade in c.trades] == [11]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (matching.BATCH_STATUS_NEVER_APPLIED, NOT_TAKEN),
        (matching.BATCH_STATUS_MALFORMED, NOT_TAKEN),
        (matching.BATCH_STATUS_UNAVAILABLE, NOT_TAKEN),
        (matching.BATCH_STATUS_UNKNOWN, UNKNOWN),
        (matching.BATCH_STATUS_APPLIED, UNKNOWN),  # applied, but without a word on this command
    ],
)
def test_what_a_batch_without_outcomes_means(
    status: "matching.BatchStatus", answer: Answer
) -> None:
    story = Story()
    story.ask("a")
    story.send()
    assert story.desk.answer(response(7, 1, status)) is After.GO_ON
    assert story.ended == {"a": answer}


def test_an_answer_to_bytes_that_nobody_could_parse_names_no_batch() -> None:
    story = Story()
    story.ask("a")
    story.send()
    assert story.desk.answer(response(0, 0, matching.BATCH_STATUS_MALFORMED)) is After.GO_ON
    assert story.ended == {"a": NOT_TAKEN}


def test_what_is_unanswered_is_sent_again_before_anything_new() -> None:
    story = Story()
    sent = []
    for name in "ab":
        story.ask(name)
        sent.append(story.desk.next_batch())
    story.ask("c")
    assert story.desk.send_again() == sent, "the same bytes, in order"
    assert story.desk.next_batch() is None
    assert story.ended == {}
    repeated = matching.BATCH_STATUS_REPEATED
    assert story.desk.answer(response(7, 1, repeated, [matching.Outcome()])) is After.GO_ON
    assert isinstance(story.ended["a"], Answered)
    assert story.send() == (3, ["c"])


def test_an_earlier_attempt_makes_unavailable_no_answer() -> None:
    story = Story()
    story.ask("a")
    story.send()
    story.desk.send_again()
    unavailable = response(7, 1, matching.BATCH_STATUS_UNAVAILABLE)
    assert story.desk.answer(unavailable) is After.SEND_AGAIN
    assert story.ended == {}
    assert [content(again) for again in story.desk.send_again()] == [(1, ["a"])]


def test_a_batch_for_which_nobody_waits_is_left_behind() -> None:
    story = Story()
    story.ask("a", valid_until_us=1_000_000)
    story.send()
    story.desk.expire(2_000_000)
    assert story.ended == {}, "one second more, for it may be decided until then"
    story.desk.expire(2_000_001)
    assert story.ended == {"a": UNKNOWN}
    story.ask("b")
    story.send()
    assert [content(again) for again in story.desk.send_again()] == [(2, ["b"])]


def test_what_was_never_sent_ends_at_its_deadline_as_not_taken() -> None:
    story = Story()
    for name in "ab":
        story.ask(name)
        story.send()
    story.ask("c", valid_until_us=1_000_000)
    story.ask("d", valid_until_us=9_000_000)
    story.desk.expire(1_000_001)
    assert story.ended == {"c": NOT_TAKEN}
    story.desk.answer(applied(1, 1))
    assert story.send() == (3, ["d"])


def test_a_tenth_of_the_room_is_kept_for_cancels() -> None:
    story = Story(capacity=10)
    assert [story.ask(str(n)) for n in range(10)] == [True] * 9 + [False]
    assert story.ask("c1", cancel=True)
    assert not story.ask("c2", cancel=True)
    story.send()
    assert not story.ask("late"), "what is under way takes room too"


def test_cancels_of_a_refused_batch_go_alone_and_first() -> None:
    story = Story()
    story.ask("a")
    story.ask("x", cancel=True)
    story.ask("b")
    story.ask("y", cancel=True)
    story.send()
    story.ask("c")
    story.desk.answer(response(7, 1, matching.BATCH_STATUS_UNAVAILABLE))
    assert story.ended == {"a": NOT_TAKEN, "b": NOT_TAKEN}
    assert story.send() == (2, ["x", "y"])
    assert story.send() == (3, ["c"])
    story.desk.answer(response(7, 2, matching.BATCH_STATUS_UNAVAILABLE))
    assert story.ended["x"] == story.ended["y"] == NOT_TAKEN, "no third way"


def test_an_unknown_session_is_replaced_once_its_batches_are_answered() -> None:
    story = Story()
    for name in "ab":
        story.ask(name)
        story.send()
    story.ask("c")
    unknown = matching.BATCH_STATUS_UNKNOWN
    story.desk.answer(response(7, 1, unknown))
    assert story.desk.next_batch() is None, "nothing new travels in a session that is gone"
    assert story.desk.open_session(bytes(16)) is None
    story.desk.answer(response(7, 2, unknown))
    assert story.ended == {"a": UNKNOWN, "b": UNKNOWN}
    story.open(7)
    assert story.send() == (1, ["c"])


def test_a_session_is_closed_when_nothing_is_under_way() -> None:
    story = Story()
    story.ask("a")
    assert story.desk.close_session(bytes(16)) is None
    story.send()
    assert story.desk.close_session(bytes(16)) is None
    story.desk.answer(applied(1, 1))
    encoded = story.desk.close_session(bytes(16))
    assert encoded is not None
    batch = matching.SubmitRequest.FromString(encoded)
    assert (batch.number, batch.commands[0].WhichOneof("kind")) == (2, "close_session")
    story.ask("b")
    assert story.desk.next_batch() is None, "nothing follows it in the session"
    story.desk.answer(applied(2, 1))
    assert story.desk.session == 0
    story.open(7)
    assert story.send() == (1, ["b"])


@pytest.mark.parametrize("lost", ["open", "close"])
def test_a_session_command_that_is_lost_is_not_repeated(lost: str) -> None:
    story = Story()
    assert story.desk.close_session(bytes(16)) is not None
    if lost == "open":
        story.desk.answer(applied(1, 1))
        assert story.desk.open_session(bytes(16)) is not None
    assert story.desk.send_again() == []
    assert story.desk.session == 0
    assert story.desk.open_session(bytes(16)) is not None


def test_an_answer_out_of_order_breaks_the_stream() -> None:
    story = Story()
    story.ask("a")
    story.send()
    assert story.desk.answer(applied(2, 1)) is After.DISCONNECT
    assert Story().desk.answer(applied(1, 1)) is After.DISCONNECT
    assert story.ended == {}


def test_a_refused_opening_is_tried_again() -> None:
    desk = Desk(10)
    assert desk.open_session(bytes(16)) is not None
    refused = matching.Outcome(refusal=matching.REFUSAL_CAPACITY_FULL)
    assert desk.answer(response(0, 0, outcomes=[refused])) is After.SEND_AGAIN
    assert desk.session == 0


def test_at_the_end_everybody_is_settled() -> None:
    story = Story()
    story.ask("a")
    story.send()
    story.ask("b")
    story.desk.abandon()
    assert story.ended == {"a": UNKNOWN, "b": NOT_TAKEN}
