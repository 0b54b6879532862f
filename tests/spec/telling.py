"""What an engine said, in the words of a table."""

from collections import Counter

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.engines import Engine
from tests.spec.words import ACCOUNTS, ASSETS, Names, enum_word

PEOPLE = {account: who for who, account in ACCOUNTS.items()}
CODES = {number: code for code, number in ASSETS.items()}


class Telling:
    """Gives orders their labels as they are accepted, and speaks of them by these."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.labels: dict[int, str] = {}
        self.lines: dict[int, int] = {}
        self.counts: Counter[int] = Counter()

    def answer(
        self,
        request: matching.SubmitRequest,
        answer: matching.SubmitResponse,
        record: matching.EventRecord,
        offset: int,
        line: int,
    ) -> str:
        """What became of a batch; `offset` and `line` are where it stands."""
        status = matching.BatchStatus.Name(answer.status)
        if answer.status == matching.BATCH_STATUS_REPEATED and request.session:
            return f"repeated, as on line {self.lines[answer.command_offset]}"
        if answer.status == matching.BATCH_STATUS_SOURCE_GAP:
            return f"source_gap, expected {answer.expected}"
        if answer.status != matching.BATCH_STATUS_APPLIED:
            return enum_word(status, "BATCH_STATUS")
        self.lines[offset] = line
        passed_over = ["repeated"] * (len(request.commands) - len(answer.outcomes))
        said = [self._outcome(index, answer, record) for index in range(len(answer.outcomes))]
        return "; ".join(passed_over + said)

    def refusal(self, outcome: matching.Outcome) -> str:
        if not outcome.refusal:
            return ""
        said = "refused " + enum_word(matching.Refusal.Name(outcome.refusal), "REFUSAL")
        if outcome.needed_minor:
            said += f", needs {outcome.needed_minor:_} has {outcome.available_minor:_}"
        return said

    def book(self, engine: Engine) -> list[str]:
        """Sells from the worst to the best, then buys from the best; orders by age."""
        said = []
        for symbol, instrument in self.names.instruments.items():
            where = "" if symbol == "BTC-USD" else f" in {symbol}"
            for side, word in ((types.SIDE_SELL, "sell"), (types.SIDE_BUY, "buy")):
                orders = [
                    o for o in engine.orders() if (o.instrument, o.side) == (instrument, side)
                ]
                levels = engine.depth(instrument, side)
                for price, lots in levels if word == "buy" else levels[::-1]:
                    here = [o for o in orders if o.price_ticks == price]
                    assert lots == sum(o.remaining_lots for o in here), "depth and orders agree"
                    queue = ", ".join(f"{self._label(o)} {o.remaining_lots}" for o in here)
                    said.append(f"{word} {price}{where} | {queue}")
        return said

    def events(self, record: matching.EventRecord) -> list[str]:
        """The events of a record, a line a kind, in the order of what happened."""
        orders = [self._standing(e.order) for e in record.orders]
        trades = [f"{e.lots} @ {e.price_ticks}" for e in record.trades]
        levels = [f"{_side(e.side)} {e.price_ticks} is {e.lots}" for e in record.levels]
        balances = [
            f"{PEOPLE[e.account]} {e.available_minor} {CODES[e.asset]} + {e.held_minor}"
            for e in record.balances
        ]
        moves = [
            f"{PEOPLE[e.account]} {e.amount_minor} {CODES.get(e.asset, e.asset)}"
            for e in record.moves
        ]
        instruments = [
            f"{e.instrument.symbol} {enum_word(types.Phase.Name(e.instrument.phase), 'PHASE')}"
            for e in record.instruments
        ]
        assets = [e.asset.code for e in record.assets]
        accounts = [f"{PEOPLE[e.account]} tier {e.fee_tier}" for e in record.accounts]
        kinds = {
            "trades": trades,
            "orders": orders,
            "levels": levels,
            "balances": balances,
            "moves": moves,
            "assets": assets,
            "instruments": instruments,
            "accounts": accounts,
        }
        return [f"{kind}: {', '.join(said)}" for kind, said in kinds.items() if said]

    # --- One command ---

    def _outcome(
        self, index: int, answer: matching.SubmitResponse, record: matching.EventRecord
    ) -> str:
        outcome = answer.outcomes[index]
        if refusal := self.refusal(outcome):
            return refusal
        if outcome.repeated:
            return f"repeated {self._label(outcome.order)}"
        if outcome.created_id:
            return f"done, {outcome.created_id}"
        if outcome.HasField("order"):
            met = self._met(index, outcome.order, answer, record)
            return ", ".join([*met, self._standing(outcome.order)])
        ended = [c for c in answer.cancelled if c.command == index]
        return "cancelled " + ", ".join(self.labels[c.order_id] for c in ended) if ended else "done"

    def _met(
        self,
        index: int,
        order: types.Order,
        answer: matching.SubmitResponse,
        record: matching.EventRecord,
    ) -> list[str]:
        """What happened to the orders it met, trades and self-trade prevention, in order."""
        said = []
        trades = [trade for trade in answer.trades if trade.command == index]
        here = [e.order for e in record.orders if e.command == index]
        for met in here:
            if met.order_id == order.order_id:
                continue
            if trades and trades[0].maker_order_id == met.order_id:
                said.append(self._trade(trades.pop(0)))
            elif met.state == types.ORDER_STATE_OPEN:
                said.append(f"{self._label(met)} reduced to {met.quantity_lots}")
            else:
                said.append(f"{self._label(met)} cancelled")
        return said

    def _trade(self, trade: matching.TradeEvent) -> str:
        said = f"trade {self.labels[trade.maker_order_id]} {trade.lots} @ {trade.price_ticks}"
        if trade.maker_fee_minor or trade.taker_fee_minor:
            said += f" (fees {trade.maker_fee_minor} / {trade.taker_fee_minor})"
        return said

    def _standing(self, order: types.Order) -> str:
        """`open a1 5`, `filled a1`, `expired a1 ioc_remainder, 3 left`."""
        state = enum_word(types.OrderState.Name(order.state), "ORDER_STATE")
        said = f"{state} {self._label(order)}"
        if order.state == types.ORDER_STATE_OPEN:
            return f"{said} {order.remaining_lots}"
        if order.reason:
            said += f" {enum_word(types.EndReason.Name(order.reason), 'END_REASON')}"
        return said + (f" with {order.remaining_lots} left" if order.remaining_lots else "")

    def _label(self, order: types.Order) -> str:
        if order.order_id not in self.labels:
            self.counts[order.account] += 1
            label = f"{PEOPLE[order.account][0]}{self.counts[order.account]}"
            self.labels[order.order_id] = label
            self.names.orders[label] = order.order_id
        return self.labels[order.order_id]


def _side(side: types.Side) -> str:
    return enum_word(types.Side.Name(side), "SIDE")
