"""The law of order entry: which batch is sent when, and what an answer means for those who wait.

    queue  --next_batch-->  unanswered (at most two)  --answer-->  settled

Commands wait in one queue, in the order they came. A batch has a number in the session and keeps
it: after a lost stream what is unanswered is sent again, in order, before anything new. Each who
waits is settled exactly once:

    Answered    the core decided; refused is decided too
    NOT_TAKEN   it did nothing and never will (503)
    UNKNOWN     it may have happened, or still happen until its deadline (504)

No clock, no wire: times arrive as arguments, bytes leave as results.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from bourse.matching import v1 as matching

IN_FLIGHT: Final = 2
"""While this many batches are unanswered, commands are gathered."""

BATCH_COMMANDS: Final = 1024
"""At most this many commands in a batch, so that a batch is always well below a record."""

GRACE_US: Final = 1_000_000
"""A command is decided at the latest this long after its valid_until, microseconds."""

CANCELS: Final = frozenset({"cancel_order", "cancel_all"})
"""Kinds of commands for which a tenth of the queue is kept."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The core's decision on one command, with what it traded or cancelled."""

    outcome: matching.Outcome
    sequence: int
    time_us: int
    trades: tuple[matching.TradeEvent, ...] = ()
    cancelled: tuple[int, ...] = ()


class Undecided(Enum):
    """What is known of a command that the core did not decide, as far as can be told."""

    NOT_TAKEN = "it did nothing and never will"
    UNKNOWN = "whether it happened is open until its deadline"


Answer = Answered | Undecided


@dataclass(eq=False, slots=True)
class Asked:
    """A command and the one who waits for it. `settle` is called once."""

    command: matching.Command
    settle: Callable[[Answer], None]
    settled: bool = False
    again: bool = False
    """It is a cancel of a batch that was refused as a whole, on its second way."""

    @property
    def cancels(self) -> bool:
        """Whether it may use the room that is kept for cancels."""
        return self.command.WhichOneof("kind") in CANCELS

    def end(self, answer: Answer) -> None:
        """Settle it, unless that has been done."""
        if not self.settled:
            self.settled = True
            self.settle(answer)


class Purpose(Enum):
    """What a batch is for."""

    OPEN = "opens a session"
    ORDERS = "carries what was asked"
    CLOSE = "closes the session"


@dataclass(eq=False, slots=True)
class Batch:
    """What was sent under one number, kept until it is answered."""

    purpose: Purpose
    session: int
    number: int
    encoded: bytes
    asked: list[Asked] = field(default_factory=list)
    attempts: int = 1

    @property
    def given_up(self) -> bool:
        """Nobody waits for it any more."""
        return all(asked.settled for asked in self.asked)


class After(Enum):
    """What the sender does next, once an answer has been taken in."""

    GO_ON = "nothing special"
    SEND_AGAIN = "begin a new stream and send what is unanswered again"
    DISCONNECT = "the other side does not keep the contract; begin a new stream"


class Desk:
    """Everything order entry knows about one shard: who waits, what is under way, which session.

    `capacity` bounds all who wait, sent or not; the last tenth is for cancels alone.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._queue: deque[Asked] = deque()
        self._sent: deque[Batch] = deque()
        self._retired = False
        self._number = 0
        self.session = 0

    @property
    def waiting(self) -> int:
        """How many commands are queued or under way."""
        return len(self._queue) + sum(len(batch.asked) for batch in self._sent)

    @property
    def idle(self) -> bool:
        """Nothing is queued and nothing is under way."""
        return not self._queue and not self._sent

    @property
    def unanswered(self) -> int:
        """Batches under way."""
        return len(self._sent)

    def take(self, asked: Asked) -> bool:
        """Queue a command; False if there is no room for it."""
        room = self._capacity if asked.cancels else self._capacity - self._capacity // 10
        if self.waiting >= room:
            return False
        self._queue.append(asked)
        return True

    def next_batch(self) -> bytes | None:
        """What to send now, if anything; it counts as sent."""
        if self.session == 0 or self._retired or len(self._sent) >= IN_FLIGHT:
            return None
        asked = self._gather()
        return self._send(Purpose.ORDERS, asked) if asked else None

    def _gather(self) -> list[Asked]:
        """The head of the queue. Cancels on their second way travel without anything else."""
        gathered: list[Asked] = []
        while self._queue and len(gathered) < BATCH_COMMANDS:
            if gathered and self._queue[0].again != gathered[0].again:
                break
            gathered.append(self._queue.popleft())
        return gathered

    def open_session(self, request_id: bytes) -> bytes | None:
        """The batch that opens a session, if there is none and nothing is under way."""
        if self.session or self._sent:
            return None
        command = matching.Command(request_id=request_id, open_session=matching.OpenSession())
        return self._send(Purpose.OPEN, [Asked(command, _nobody)])

    def close_session(self, request_id: bytes) -> bytes | None:
        """The batch that closes the session, if there is one and nothing is under way."""
        if self.session == 0 or self._retired or not self.idle:
            return None
        # What comes after it in the same session would be refused as unknown.
        self._retired = True
        command = matching.Command(request_id=request_id, close_session=matching.CloseSession())
        return self._send(Purpose.CLOSE, [Asked(command, _nobody)])

    def _send(self, purpose: Purpose, asked: list[Asked]) -> bytes:
        self._number = 0 if purpose is Purpose.OPEN else self._number + 1
        encoded = matching.SubmitRequest(
            session=self.session, number=self._number, commands=[one.command for one in asked]
        ).SerializeToString()
        self._sent.append(Batch(purpose, self.session, self._number, encoded, asked))
        return encoded

    def send_again(self) -> list[bytes]:
        """The stream was lost: what goes first on the next one, in order.

        A batch for which nobody waits is left out: it is dead once a later number is applied. An
        opening is not repeated; a session that nobody uses closes itself.
        """
        wanted = [b for b in self._sent if b.purpose is Purpose.ORDERS and not b.given_up]
        if any(batch.purpose is Purpose.CLOSE for batch in self._sent):
            self._forget_session()
        self._sent = deque(wanted)
        for batch in wanted:
            batch.attempts += 1
        if self._retired and not wanted:
            self._forget_session()
        return [batch.encoded for batch in wanted]

    def answer(self, response: matching.SubmitResponse) -> After:
        """Take in the answer to the oldest batch under way."""
        head = self._sent[0] if self._sent else None
        if head is None or not _is_about(head, response):
            return After.DISCONNECT
        if response.status == matching.BATCH_STATUS_UNAVAILABLE and head.attempts > 1:
            # An earlier attempt of it may have reached the log, so "not now" is no answer.
            return After.SEND_AGAIN
        self._sent.popleft()
        after = _AFTER[head.purpose](self, head, response)
        if self._retired and not self._sent:
            self._forget_session()
        return after

    def _opened(self, batch: Batch, response: matching.SubmitResponse) -> After:
        outcome = response.outcomes[0] if response.outcomes else matching.Outcome()
        if response.status != matching.BATCH_STATUS_APPLIED or outcome.refusal:
            return After.SEND_AGAIN
        self.session = outcome.created_id
        self._number = 0
        return After.GO_ON

    def _closed(self, batch: Batch, response: matching.SubmitResponse) -> After:
        self._forget_session()
        return After.GO_ON

    def _ordered(self, batch: Batch, response: matching.SubmitResponse) -> After:
        match response.status:
            case matching.BATCH_STATUS_APPLIED | matching.BATCH_STATUS_REPEATED:
                _give(batch.asked, response)
            case matching.BATCH_STATUS_NEVER_APPLIED | matching.BATCH_STATUS_MALFORMED:
                _end(batch.asked, Undecided.NOT_TAKEN)
            case matching.BATCH_STATUS_UNAVAILABLE:
                self._refused(batch)
            case matching.BATCH_STATUS_UNKNOWN:
                _end(batch.asked, Undecided.UNKNOWN)
                self._retired = True
            case _:
                _end(batch.asked, Undecided.UNKNOWN)
                return After.DISCONNECT
        return After.GO_ON

    def _refused(self, batch: Batch) -> None:
        """The batch never reached the log. Its cancels get the room that only cancels may use."""
        cancels = [one for one in batch.asked if one.cancels and not one.settled]
        if len(cancels) == len(batch.asked):
            return _end(batch.asked, Undecided.NOT_TAKEN)
        _end((one for one in batch.asked if not one.cancels), Undecided.NOT_TAKEN)
        for one in reversed(cancels):
            one.again = True
            self._queue.appendleft(one)
        return None

    def _forget_session(self) -> None:
        self.session = 0
        self._retired = False

    def expire(self, now_us: int) -> None:
        """Settle whom time has overtaken: not yet sent, at valid_until; sent, a second later."""
        for batch in self._sent:
            late = (one for one in batch.asked if _is_late(one, now_us - GRACE_US))
            _end(late, Undecided.UNKNOWN)
        if any(_is_late(one, now_us) for one in self._queue):
            _end((one for one in self._queue if _is_late(one, now_us)), Undecided.NOT_TAKEN)
            self._queue = deque(one for one in self._queue if not one.settled)

    def turn_away(self) -> None:
        """Settle all that was never sent: the core is out of reach, and this is known."""
        _end(self._queue, Undecided.NOT_TAKEN)
        self._queue.clear()

    def abandon(self) -> None:
        """Settle everybody: there will be no more answers."""
        self.turn_away()
        for batch in self._sent:
            _end(batch.asked, Undecided.UNKNOWN)


_AFTER: Final[dict[Purpose, Callable[[Desk, Batch, matching.SubmitResponse], After]]] = {
    Purpose.OPEN: Desk._opened,
    Purpose.ORDERS: Desk._ordered,
    Purpose.CLOSE: Desk._closed,
}


def _is_about(batch: Batch, response: matching.SubmitResponse) -> bool:
    """Whether an answer is about this batch. Of bytes that do not parse nobody can tell a number:
    that answer stands in its place alone.
    """
    if response.status == matching.BATCH_STATUS_MALFORMED and not response.session:
        return True
    return (response.session, response.number) == (batch.session, batch.number)


def _nobody(answer: Answer) -> None:
    """Commands of the session itself have nobody who waits for them."""


def _is_late(asked: Asked, now_us: int) -> bool:
    return 0 < asked.command.valid_until_us < now_us


def _end(asked: Iterable[Asked], answer: Answer) -> None:
    for one in asked:
        one.end(answer)


def _give(asked: list[Asked], response: matching.SubmitResponse) -> None:
    """Hand each command its part of an answer."""
    trades: dict[int, list[matching.TradeEvent]] = {}
    for trade in response.trades:
        trades.setdefault(trade.command, []).append(trade)
    cancelled: dict[int, list[int]] = {}
    for ended in response.cancelled:
        cancelled.setdefault(ended.command, []).append(ended.order_id)
    for index, (one, outcome) in enumerate(zip(asked, response.outcomes, strict=False)):
        sequence = response.first_sequence + index
        ended_ids = tuple(cancelled.get(index, ()))
        traded = tuple(trades.get(index, ()))
        one.end(Answered(outcome, sequence, response.time_us, traded, ended_ids))
    # An answer that is too short says nothing of those it leaves out.
    _end(asked, Undecided.UNKNOWN)
