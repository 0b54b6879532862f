"""The naive model of a shard: docs/matching.md in Python, as short as it can be.

The core in C is held against it. It ignores parts: one event record for a command record. It knows
no state hash. What it is given must have the shape of a well-formed batch; it does not check that.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model import accounts, groups, moves, orders, settings
from tests.model.auctions import state_auctions
from tests.model.cascade import work_off
from tests.model.due import let_time_act
from tests.model.reasons import too_old
from tests.model.state import Session, State

RING: Final = 256
"""How many of its last numbers a session remembers."""
SESSION_US: Final = 600_000_000
"""A session without a batch for longer than this of log time is closed."""
KNOWN_RULES: Final = 3

Law = Callable[[State, matching.Command], matching.Outcome]

LAWS: Final[dict[str, Law]] = {
    "place_order": orders.place,
    "amend_order": orders.amend,
    "replace_order": groups.replace,
    "place_group": groups.place_group,
    "cancel_order": orders.cancel,
    "cancel_all": orders.cancel_all,
    "credit": settings.credit,
    "debit": settings.debit,
}
# Their deadline comes before everything else, and then whether the rules know them.
OPERATORS_LAWS: Final[dict[str, Law]] = {
    "add_asset": settings.add_asset,
    "add_instrument": settings.add_instrument,
    "set_phase": moves.set_phase,
    "set_limits": settings.set_limits,
    "set_fees": settings.set_fees,
    "set_account": accounts.set_account,
    "set_dead_man": accounts.set_dead_man,
    "kill": accounts.kill,
    "set_guards": settings.set_guards,
    "set_mark": settings.set_mark,
    "set_fee_market": settings.set_fee_market,
    "set_sizes": settings.set_sizes,
    "use_rules": settings.use_rules,
    "set_clock": settings.set_clock,
    "resume": settings.resume,
}


class UnknownRules(Exception):
    """The record asks for rules that nobody knows. Nothing of it was applied."""


class Model(State):
    """A shard. What it knows are its fields: orders, books, balances, accounts, and so on."""

    def apply(
        self, offset: int, time_us: int, record: matching.CommandRecord
    ) -> tuple[matching.EventRecord, list[matching.SubmitResponse]]:
        """What the record causes, as one part, and the answer of each of its batches."""
        return self._work(offset, time_us, record, is_skipped=False)

    def skip(
        self, offset: int, time_us: int, record: matching.CommandRecord
    ) -> tuple[matching.EventRecord, list[matching.SubmitResponse]]:
        """The same of a record that operators had to skip."""
        return self._work(offset, time_us, record, is_skipped=True)

    def _work(
        self, offset: int, time_us: int, record: matching.CommandRecord, *, is_skipped: bool
    ) -> tuple[matching.EventRecord, list[matching.SubmitResponse]]:
        requests = [matching.SubmitRequest.FromString(request) for request in record.requests]
        newest = max((c.use_rules.version for r in requests for c in r.commands), default=0)
        if newest > KNOWN_RULES and not is_skipped:
            raise UnknownRules
        self._pass_time(time_us)
        self.own = []
        self.is_skipped = is_skipped
        self.stands_still = is_skipped or self.halt_sequence != 0
        self.record = matching.EventRecord(
            shard=self.shard,
            command_offset=offset,
            time_us=self.clock_us,
            first_sequence=self.sequence + 1,
            last=True,
        )
        if not self.stands_still:
            let_time_act(self)
        answers = [self._batch(request) for request in requests]
        state_auctions(self)
        self._set_clock()
        if self.resume_sequence > self.halt_sequence:
            self.halt_sequence = 0
        self.record.rules = self.rules
        self.record.balance_hash = self.balance_hash()
        return self.record, answers

    def _pass_time(self, time_us: int) -> None:
        self.clock_us = max(self.clock_us, time_us)
        for session_id, session in list(self.sessions.items()):
            if session.last_us + SESSION_US < self.clock_us:
                del self.sessions[session_id]
        memory_us = self.sizes.client_order_id_memory_us
        for key, name in list(self.names.items()):
            if name.ended_us is not None and name.ended_us + memory_us < self.clock_us:
                del self.names[key]

    def _set_clock(self) -> None:
        """What would end later than the new time ends then."""
        if self.clock_to_set_us is None:
            return
        self.clock_us = self.clock_to_set_us
        self.clock_to_set_us = None
        for session in self.sessions.values():
            session.last_us = min(session.last_us, self.clock_us)
        for name in self.names.values():
            if name.ended_us is not None:
                name.ended_us = min(name.ended_us, self.clock_us)

    def _batch(self, request: matching.SubmitRequest) -> matching.SubmitResponse:
        answer = matching.SubmitResponse(
            session=request.session, number=request.number, source=request.source
        )
        commands = list(request.commands)
        if request.session:
            answer.status = self._in_session(request, answer)
        elif request.source:
            passed_over = self._from_source(request, answer)
            commands = commands[passed_over:]
        else:
            answer.status = matching.BATCH_STATUS_APPLIED
        if answer.status == matching.BATCH_STATUS_APPLIED:
            self._run(request, commands, answer)
        return answer

    def _in_session(
        self, request: matching.SubmitRequest, answer: matching.SubmitResponse
    ) -> matching.BatchStatus:
        session = self.sessions.get(request.session)
        if session is None:
            return matching.BATCH_STATUS_UNKNOWN
        if request.number > session.last_number:
            session.last_number = request.number
            session.last_us = self.clock_us
            session.offsets[request.number] = self.record.command_offset
            return matching.BATCH_STATUS_APPLIED
        if request.number <= session.last_number - RING:
            return matching.BATCH_STATUS_UNKNOWN
        if request.number not in session.offsets:
            return matching.BATCH_STATUS_NEVER_APPLIED
        answer.command_offset = session.offsets[request.number]
        return matching.BATCH_STATUS_REPEATED

    def _from_source(self, request: matching.SubmitRequest, answer: matching.SubmitResponse) -> int:
        """Decide the batch's status and take its numbers; how many of its commands are repeats."""
        last = self.sources.get(request.source, 0)
        passed_over = max(0, last + 1 - request.number)
        if request.number > last + 1:
            answer.status = matching.BATCH_STATUS_SOURCE_GAP
            answer.expected = last + 1
        elif passed_over >= len(request.commands):
            answer.status = matching.BATCH_STATUS_REPEATED
        elif self.halt_sequence:
            answer.status = matching.BATCH_STATUS_HALTED
            answer.expected = last + 1
        else:
            answer.status = matching.BATCH_STATUS_APPLIED
            self.sources[request.source] = request.number + len(request.commands) - 1
        return passed_over

    def _run(
        self,
        request: matching.SubmitRequest,
        commands: Sequence[matching.Command],
        answer: matching.SubmitResponse,
    ) -> None:
        """Apply the commands and answer them."""
        answer.time_us = self.clock_us
        answer.command_offset = self.record.command_offset
        index = self.command
        number = request.number + len(request.commands) - len(commands)
        for command in commands:
            kind = command.WhichOneof("kind")
            if kind == "tick":
                return
            self.sequence += 1
            if request.source:
                self._state_move(request.source, number, command)
                number += 1
            before, trades = len(self.record.orders), len(self.record.trades)
            outcome = self._carry_out(kind, request, command)
            answer.outcomes.append(outcome)
            answer.trades.extend(self._own_trades(trades, index))
            for ended in self.record.orders[before:] if kind in ("cancel_all", "kill") else ():
                if ended.order.state == types.ORDER_STATE_CANCELLED:
                    answer.cancelled.add(
                        command=self.command - index, order_id=ended.order.order_id
                    )
            self.record.commands.append(mark_of(command, outcome))
        self.record.batches.add(
            session=request.session,
            number=request.number,
            source=request.source,
            first_command=index,
            commands=len(commands),
        )
        answer.first_sequence = self.sequence + 1 - len(commands)

    def _carry_out(
        self, kind: str, request: matching.SubmitRequest, command: matching.Command
    ) -> matching.Outcome:
        """Decide it, and let it set going what it will; its orders as they were stated last."""
        self.own = []
        before = len(self.record.orders)
        outcome = self._decide(kind, request, command)
        work_off(self)
        last = {event.order.order_id: event.order for event in self.record.orders[before:]}
        for order, told in zip(self.own, [outcome.order, *outcome.others], strict=False):
            told.CopyFrom(last[order.order_id])
        return outcome

    def _own_trades(self, first: int, first_command: int) -> Iterator[matching.TradeEvent]:
        """Trades of the command's orders, their commands counted from the batch's first."""
        own = {order.order_id for order in self.own}
        for trade in self.record.trades[first:]:
            if own & {trade.taker_order_id, trade.maker_order_id}:
                copy = matching.TradeEvent()
                copy.CopyFrom(trade)
                copy.command -= first_command
                yield copy

    def _decide(
        self, kind: str, request: matching.SubmitRequest, command: matching.Command
    ) -> matching.Outcome:
        if self.is_skipped:
            return matching.Outcome(refusal=matching.REFUSAL_ENGINE_REFUSED)
        if kind == "open_session":
            if len(self.sessions) >= self.sizes.sessions:
                return matching.Outcome(refusal=matching.REFUSAL_CAPACITY_FULL)
            self.sessions[self.sequence] = Session(self.clock_us)
            return matching.Outcome(created_id=self.sequence)
        if kind == "close_session":
            del self.sessions[request.session]
            return matching.Outcome()
        if kind == "halt":
            return settings.halt(self, command)
        if kind in LAWS:
            return LAWS[kind](self, command)
        if self.halt_sequence and kind != "resume":
            return matching.Outcome(refusal=matching.REFUSAL_SHARD_HALTED)
        if self.expired(command):
            return matching.Outcome(refusal=matching.REFUSAL_EXPIRED_IN_TRANSIT)
        if too_old(self, command):
            return matching.Outcome(refusal=matching.REFUSAL_RULES_TOO_OLD)
        return OPERATORS_LAWS[kind](self, command)

    def _state_move(self, source: int, number: int, command: matching.Command) -> None:
        amount = command.credit.amount_minor or -command.debit.amount_minor
        asset = command.credit.asset or command.debit.asset
        self.record.moves.add(
            command=self.command,
            source=source,
            number=number,
            account=command.account,
            asset=asset,
            amount_minor=amount,
        )


def mark_of(command: matching.Command, outcome: matching.Outcome) -> matching.CommandMark:
    """A command's envelope and how it was answered."""
    kind = command.WhichOneof("kind") or "unspecified"
    return matching.CommandMark(
        request_id=command.request_id,
        causation=command.causation,
        trace=command.trace,
        account=command.account,
        valid_until_us=command.valid_until_us,
        kind=f"COMMAND_KIND_{kind.upper()}",
        refusal=outcome.refusal,
        order_id=outcome.order.order_id,
        created_id=outcome.created_id,
        repeated=outcome.repeated,
        needed_minor=outcome.needed_minor,
        available_minor=outcome.available_minor,
        member=outcome.member,
    )
