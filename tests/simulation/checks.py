"""The promises, held against everything that is seen. Whatever is cheap is judged as it happens.

Oracle    applies the command log, as it lands, to a core of its own; so it knows at once what
          each batch is answered, what must be published, and what state belongs to what offset
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final, NamedTuple

from bourse.matching import v1 as matching
from services.gateway.state import Answer, Answered, Undecided
from services.matching.core import Core
from services.runtime.events import EventKey
from services.runtime.log import Record, commands_topic, events_topic
from services.runtime.publisher import NOTHING, key_of
from tests.services.matching.rig import BTC, USD
from tests.simulation.genesis import ACCOUNTS, FUNDS_MINOR, genesis
from tests.simulation.world import World

COMMANDS, EVENTS = commands_topic(0), events_topic(0)

TAKEN: Final = (matching.BATCH_STATUS_APPLIED, matching.BATCH_STATUS_REPEATED)


class Decided(NamedTuple):
    """What the log has made of a command."""

    sequence: int
    session: int
    number: int
    outcome: matching.Outcome


@dataclass(eq=False)
class Request:
    """A command that somebody sent to a gateway, and what they were told."""

    command: matching.Command
    gateway: str
    place: int
    """Its place among all that this life of the gateway was asked."""
    answer: Answer | None = None
    is_lost: bool = False
    """The gateway died with it: whoever asked knows nothing."""
    is_gone: bool = False
    """A read after its deadline has said that there is nothing."""

    @property
    def id(self) -> bytes:
        return self.command.request_id


class Oracle:
    """Knows what is true, and says where anybody says otherwise."""

    def __init__(self, world: World) -> None:
        past = genesis()
        self._world = world
        self.core = Core.restore(past.state)
        self.decided: dict[bytes, Decided] = {}
        self.requests: dict[bytes, Request] = {}
        self.hash_at = {past.snapshot.offset + 1: past.snapshot.state_hash}
        """State hash by the next offset."""
        self.parts: dict[EventKey, bytes] = {}
        self.batches: dict[tuple[int, int], bytes] = {}
        """The one batch that was ever sent under a session and number."""
        self.answers: dict[tuple[int, int], bytes] = {}
        """What a batch was answered when it was applied, status and all that differs put aside."""
        self.credited: defaultdict[tuple[int, int], int] = defaultdict(int)
        """By account and asset, minor units of credits that the log has applied."""
        self.next_credit = past.next_credit
        self.last_key = key_of(past.events[-1].body)
        self._expected_last = self.last_key
        world.topics.records[COMMANDS].extend(past.commands)
        world.topics.records[EVENTS].extend(past.events)
        world.topics.landed = self._landed

    # --- the log ----------------------------------------------------------------------------

    def _landed(self, topic: str, record: Record) -> None:
        if topic == COMMANDS:
            self._command(record)
        else:
            self._event(record)

    def _command(self, record: Record) -> None:
        pieces: defaultdict[int, list[bytes]] = defaultdict(list)
        for number, part in enumerate(self.core.apply(record.offset, record.time_us, record.body)):
            self._expected_last = EventKey(record.offset, number)
            self.parts[self._expected_last] = part.events
            for piece in part.answers:
                pieces[piece.batch].append(piece.piece)
        facts = self.core.facts()
        self.hash_at[facts.next_offset] = facts.state_hash
        requests = matching.CommandRecord.FromString(record.body).requests
        self._world.note("log", f"record {record.offset}", f"{len(requests)} batches")
        for index, encoded in enumerate(requests):
            answer = matching.SubmitResponse.FromString(b"".join(pieces[index]))
            self._batch(matching.SubmitRequest.FromString(encoded), answer)

    def _batch(self, batch: matching.SubmitRequest, answer: matching.SubmitResponse) -> None:
        status = matching.BatchStatus.Name(answer.status).removeprefix("BATCH_STATUS_")
        self._world.note("  batch", batch.session, batch.number, batch.source or "", status)
        if answer.status != matching.BATCH_STATUS_APPLIED or not (batch.session or batch.source):
            # Of ticks and of sessions opened twice nobody has promised anything.
            return
        if batch.session:
            self.answers[batch.session, batch.number] = _comparable(answer)
        # Of a source's batch only what is new is applied, and that stands at its end.
        old = len(batch.commands) - len(answer.outcomes)
        for place, outcome in enumerate(answer.outcomes):
            command, sequence = batch.commands[old + place], answer.first_sequence + place
            self._decide(command, Decided(sequence, batch.session, batch.number, outcome))
            if batch.source:
                self._credit(command, batch.number + old + place, outcome)

    def _decide(self, command: matching.Command, decided: Decided) -> None:
        if before := self.decided.get(command.request_id):
            self._world.fail(f"applied twice: at {before.sequence} and {decided.sequence}")
        self.decided[command.request_id] = decided
        request = self.requests.get(command.request_id)
        if request is None:
            return
        if request.answer is Undecided.NOT_TAKEN:
            self._world.fail(f"applied at {decided.sequence} what was answered 503")
        if request.is_gone and _has_placed(decided.outcome):
            self._world.fail(f"applied at {decided.sequence} after a final 404")

    def _credit(self, command: matching.Command, number: int, outcome: matching.Outcome) -> None:
        if number != self.next_credit:
            self._world.fail(f"credit {number} applied where {self.next_credit} comes next")
        self.next_credit = number + 1
        if not outcome.refusal:
            credit = command.credit
            self.credited[command.account, credit.asset] += credit.amount_minor

    def _event(self, record: Record) -> None:
        key = key_of(record.body)
        if record.body != self.parts.get(key, record.body if self._is_past(key) else None):
            self._world.fail(f"published at {record.offset}: {key} is not what follows from it")
        if key > self.last_key and key != self._after(self.last_key):
            self._world.fail(f"published at {record.offset}: {key} after {self.last_key}")
        self._world.note("log", f"event {record.offset}", tuple(key))
        self.last_key = max(key, self.last_key)

    @staticmethod
    def _is_past(key: EventKey) -> bool:
        return key.command_offset <= genesis().snapshot.offset

    def _after(self, key: EventKey) -> EventKey:
        """The key that follows on another."""
        next_part = EventKey(key.command_offset, key.part + 1)
        return next_part if next_part in self.parts else EventKey(key.command_offset + 1, 0)

    @property
    def all_is_published(self) -> bool:
        return self.last_key == self._expected_last

    # --- the wires --------------------------------------------------------------------------

    def saw_request(self, encoded: bytes) -> None:
        """Somebody sends a batch: under a number that was given once there is one batch."""
        batch = matching.SubmitRequest.FromString(encoded)
        if not batch.session:
            return
        first = self.batches.setdefault((batch.session, batch.number), encoded)
        if first != encoded:
            self._world.fail(f"two batches {batch.number} in session {batch.session}")

    def saw_answer(self, encoded: bytes) -> None:
        """Somebody is answered: always the same, and nothing that is not in the log."""
        answer = matching.SubmitResponse.FromString(encoded)
        where = (answer.session, answer.number)
        if not answer.session or answer.status not in TAKEN:
            return
        if self.answers.get(where) != _comparable(answer):
            self._world.fail(f"batch {where} was answered what the log does not say: {answer}")

    # --- those who ask ----------------------------------------------------------------------

    def asked(self, request: Request) -> None:
        self.requests[request.id] = request

    def told(self, request: Request, answer: Answer) -> None:
        """Somebody was told what became of a command."""
        if request.answer is not None:
            self._world.fail("somebody was answered twice")
        request.answer = answer
        decided = self.decided.get(request.id)
        if isinstance(answer, Answered):
            if decided is None:
                self._world.fail(f"answered at {answer.sequence}, and not in the log")
            elif (decided.sequence, decided.outcome) != (answer.sequence, answer.outcome):
                self._world.fail(f"answered {answer}, and the log says {decided}")
        elif answer is Undecided.NOT_TAKEN and decided is not None:
            self._world.fail(f"answered 503, and applied at {decided.sequence}")

    def read_late(self, request: Request) -> None:
        """A read said after its deadline that an order is not there, which is final."""
        request.is_gone = True
        decided = self.decided.get(request.id)
        if decided is not None and _has_placed(decided.outcome):
            self._world.fail(f"a final 404 for what was placed at {decided}")

    # --- replicas ---------------------------------------------------------------------------

    def compare(self, name: str, next_offset: int, state_hash: int) -> None:
        """What a replica holds at some offset."""
        if self.hash_at.get(next_offset, state_hash) != state_hash:
            self._world.fail(f"{name} holds another state at offset {next_offset}")

    # --- at the end -------------------------------------------------------------------------

    def judge(self) -> None:
        """What can be said only when all is quiet."""
        self._judge_order()
        self._judge_money()
        self._judge_events()
        if line := self.core.validate():
            self._world.fail(f"the core breaks its rule in line {line}")

    def _judge_order(self) -> None:
        """What one life of a gateway sent in a session was applied in the order it was asked.

        But for cancels: those of a batch that was refused as a whole travel a second time.
        """
        last: dict[tuple[str, int], tuple[int, int]] = {}
        told = sorted(
            (self.decided[request.id].sequence, request)
            for request in self.requests.values()
            if request.id in self.decided and request.command.WhichOneof("kind") == "place_order"
        )
        for sequence, request in told:
            lane = (request.gateway, self.decided[request.id].session)
            before = last.get(lane, (0, -1))
            if before[1] > request.place:
                self._world.fail(f"sequence {sequence} was asked before sequence {before[0]}")
            last[lane] = (sequence, request.place)

    def _judge_money(self) -> None:
        """No trade makes or takes money but for fees, which stay in the shard's own account."""
        totals: defaultdict[int, int] = defaultdict(int)
        for account in (*ACCOUNTS, *range(1, 4), 0):
            held = matching.GetBalancesResponse.FromString(self.core.get_balances(account))
            for balance in held.balances:
                totals[balance.asset] += balance.available_minor + balance.held_minor
        for asset in (USD, BTC):
            credited = sum(minor for (_, of), minor in self.credited.items() if of == asset)
            if totals[asset] != FUNDS_MINOR * len(ACCOUNTS) + credited:
                self._world.fail(f"asset {asset}: {totals[asset]} is not what was credited")

    def _judge_events(self) -> None:
        """The whole event log, repeats taken out, is what a fresh core makes of the command log."""
        last, kept = NOTHING, []
        for record in self._world.topics.records[EVENTS]:
            if (key := key_of(record.body)) > last:
                kept.append(record.body)
                last = key
        past = [event.body for event in genesis().events]
        due = [self.parts[key] for key in sorted(self.parts) if key <= self.last_key]
        if kept != past + due:
            self._world.fail("the event log is not the function of the command log")

    def judge_from_nothing(self) -> None:
        """Apply the whole log to a core that is empty."""
        core, made = Core(0), []
        for record in self._world.topics.records[COMMANDS]:
            made += [part.events for part in core.apply(*record)]
        if made[len(genesis().events) :] != [self.parts[key] for key in sorted(self.parts)]:
            self._world.fail("a core from nothing makes other events of the same log")


def _has_placed(outcome: matching.Outcome) -> bool:
    """Whether this command made an order; a repeat only meets the one of another command."""
    return not outcome.refusal and not outcome.repeated


def _comparable(answer: matching.SubmitResponse) -> bytes:
    """An answer without what differs between the first and a repeated one."""
    answer.ClearField("status")
    answer.ClearField("detail")
    return answer.SerializeToString()
