"""What a batch was answered when it was applied, told once more from the events of its record.

A pure function of published facts: so a replica answers a repeated batch with what another
replica, long gone, has answered first.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from bourse.matching import v1 as matching
from bourse.types import v1 as types


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
                repeated=mark.repeated,
                created_id=mark.created_id,
                needed_minor=mark.needed_minor,
                available_minor=mark.available_minor,
            )

    def _order(self, sequence: int, order_id: int) -> types.Order | None:
        """The command's own order as it stood after it: its last word on it, if it said one."""
        if not order_id:
            return None
        own = [order for order in self.orders[sequence] if order.order_id == order_id]
        return own[-1] if own else types.Order(order_id=order_id)

    def trades_of_batch(self) -> Iterator[matching.TradeEvent]:
        """The trades, their commands counted from the batch's first."""
        first = min(self.marks)
        for sequence, trade in self.trades:
            again = matching.TradeEvent()
            again.CopyFrom(trade)
            again.command = sequence - first
            yield again

    def cancelled(self) -> Iterator[matching.CancelledOrder]:
        """Orders that its CancelAll commands ended."""
        first = min(self.marks)
        for sequence, mark in self.marks.items():
            if mark.kind == matching.COMMAND_KIND_CANCEL_ALL:
                for order in self.orders[sequence]:
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
