"""What a batch was answered when it was applied, told once more from the events of its record.

A pure function of published facts: so a replica answers a repeated batch with what another
replica, long gone, has answered first.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types

_ALL: Final = (matching.COMMAND_KIND_CANCEL_ALL, matching.COMMAND_KIND_KILL)


class _Told:
    """What the parts of a record say of one batch. Commands are known by their sequence."""

    def __init__(self) -> None:
        self.marks: dict[int, matching.CommandMark] = {}
        self.orders: defaultdict[int, list[types.Order]] = defaultdict(list)
        self.trades: list[tuple[int, matching.TradeEvent]] = []

    def read(self, part: matching.EventRecord, batch: matching.BatchMark) -> None:
        """Take what a part says of the batch. A command that goes on is in both parts alike."""
        indexes = range(batch.first_command, batch.first_command + batch.commands)
        first = part.first_sequence
        for index in indexes:
            self.marks[first + index] = part.commands[index]
        for event in part.orders:
            if event.command in indexes:
                self.orders[first + event.command].append(event.order)
        for trade in part.trades:
            if trade.command in indexes:
                self.trades.append((first + trade.command, trade))

    def outcomes(self) -> Iterator[matching.Outcome]:
        """One for each command, in order."""
        for sequence, mark in self.marks.items():
            yield matching.Outcome(
                refusal=mark.refusal,
                order=self._order(sequence, mark.order_id),
                others=[self._last(sequence, other) for other in self._others(sequence, mark)],
                member=mark.member,
                repeated=mark.repeated,
                created_id=mark.created_id,
                needed_minor=mark.needed_minor,
                available_minor=mark.available_minor,
            )

    def _order(self, sequence: int, order_id: int) -> types.Order | None:
        """The command's own order as it stood after it: its last word on it, if it said one."""
        if not order_id:
            return None
        return self._last(sequence, order_id)

    def _last(self, sequence: int, order_id: int) -> types.Order:
        found = [order for order in self.orders[sequence] if order.order_id == order_id]
        return found[-1] if found else types.Order(order_id=order_id)

    def _others(self, sequence: int, mark: matching.CommandMark) -> list[int]:
        """The rest of the group that the command placed, or the order that it replaced."""
        if mark.repeated or not mark.order_id:
            return []
        if mark.kind == matching.COMMAND_KIND_PLACE_GROUP:
            stated = {o.order_id for o in self.orders[sequence] if o.group == mark.order_id}
            return sorted(stated - {mark.order_id})
        gone = types.END_REASON_REPLACED
        return [order.order_id for order in self.orders[sequence] if order.reason == gone]

    def trades_of_batch(self) -> Iterator[matching.TradeEvent]:
        """Those of the commands' own orders, their commands counted from the batch's first."""
        first = min(self.marks)
        own = {sequence: self._own(sequence, mark) for sequence, mark in self.marks.items()}
        for sequence, trade in self.trades:
            if not own[sequence] & {trade.taker_order_id, trade.maker_order_id}:
                continue
            again = matching.TradeEvent()
            again.CopyFrom(trade)
            again.command = sequence - first
            yield again

    def _own(self, sequence: int, mark: matching.CommandMark) -> set[int]:
        return {mark.order_id, *self._others(sequence, mark)} - {0}

    def cancelled(self) -> Iterator[matching.CancelledOrder]:
        """Orders that ended cancelled in its CancelAll and Kill commands."""
        first = min(self.marks)
        for sequence, mark in self.marks.items():
            for order in self.orders[sequence] if mark.kind in _ALL else ():
                if order.state == types.ORDER_STATE_CANCELLED:
                    yield matching.CancelledOrder(command=sequence - first, order_id=order.order_id)


def answers_from_events(parts: Sequence[bytes], session: int, number: int) -> bytes:
    """The SubmitResponse of a batch that was applied before, status REPEATED.

    `parts` are all event records of the command record it was applied in, in order, encoded. Raises
    LookupError if the batch does not stand there.
    """
    told = _Told()
    answer = matching.SubmitResponse(session=session, number=number)
    for encoded in parts:
        part = matching.EventRecord.FromString(encoded)
        answer.time_us, answer.command_offset = part.time_us, part.command_offset
        for batch in part.batches:
            if (batch.session, batch.number) == (session, number):
                told.read(part, batch)
    if not told.marks:
        raise LookupError(f"Batch {number} of session {session} is not in these event records.")
    answer.status = matching.BATCH_STATUS_REPEATED
    answer.first_sequence = min(told.marks)
    answer.outcomes.extend(told.outcomes())
    answer.trades.extend(told.trades_of_batch())
    answer.cancelled.extend(told.cancelled())
    return answer.SerializeToString()
