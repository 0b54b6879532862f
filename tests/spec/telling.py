"""What an engine said, in the words of a table."""

from collections import Counter

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.engines import Engine
from tests.spec.words import ACCOUNTS, ASSETS, START_US, Names, enum_word

PEOPLE = {account: who for who, account in ACCOUNTS.items()}
CODES = {number: code for code, number in ASSETS.items()}


class Telling:
    """Gives orders their labels as they are accepted, and speaks of them by these."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.labels: dict[int, str] = {}
        self.lines: dict[int, int] = {}
        self.counts: Counter[int] = Counter()
        self.known: dict[int, types.Order] = {}
        """Orders as they were stated last."""

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
        if answer.status == matching.BATCH_STATUS_HALTED:
            return f"halted, expected {answer.expected}"
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
        if outcome.member:
            said += f" of {outcome.member}"
        if outcome.needed_minor:
            said += f", needs {outcome.needed_minor:_} has {outcome.available_minor:_}"
        return said

    def book(self, engine: Engine) -> list[str]:
        """Sells from the worst to the best, then buys from the best; orders by age."""
        said = []
        for symbol, instrument in self.names.instruments.items():
            where = "" if symbol == "BTC-USD" else f" in {symbol}"
            for side, word in ((types.SIDE_SELL, "sell"), (types.SIDE_BUY, "buy")):
                orders = [o for o in engine.orders() if o.state == types.ORDER_STATE_OPEN]
                orders = [o for o in orders if (o.instrument, o.side) == (instrument, side)]
                levels = engine.depth(instrument, side)
                for price, lots in levels if word == "buy" else levels[::-1]:
                    here = [o for o in orders if o.price_ticks == price]
                    hidden = sum(o.remaining_lots for o in here) - lots
                    shown = f" shows {lots}" if hidden else ""
                    assert hidden == 0 or any(o.display_lots for o in here), (
                        "depth and orders agree"
                    )
                    queue = ", ".join(f"{self._label(o)} {o.remaining_lots}" for o in here)
                    said.append(f"{word} {price}{where}{shown} | {queue}")
        return said

    def waiting(self, engine: Engine) -> list[str]:
        """Orders that wait, by age."""
        waiting = [o for o in engine.orders() if o.state == types.ORDER_STATE_WAITING]
        return [self._standing(order) for order in waiting]

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
        instruments = [_market(e.instrument) for e in record.instruments]
        assets = [e.asset.code for e in record.assets]
        accounts = [_account(event) for event in record.accounts]
        auctions = [
            f"{e.volume_lots} @ {e.price_ticks} surplus {e.surplus_lots}" for e in record.auctions
        ]
        kinds = {
            "trades": trades,
            "orders": orders,
            "levels": levels,
            "balances": balances,
            "moves": moves,
            "assets": assets,
            "instruments": instruments,
            "accounts": accounts,
            "auctions": auctions,
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
            for order in (outcome.order, *outcome.others):
                self._label(order)
            happened = self.happened(first_of(record) + index, record, outcome.order.order_id)
            return ", ".join([*happened, self._standing(outcome.order)])
        ended = [self.labels[c.order_id] for c in answer.cancelled if c.command == index]
        happened = self.happened(first_of(record) + index, record)
        happened = [text for text in happened if text not in self._all_of(ended, record)]
        listed = [f"cancelled {', '.join(ended)}"] if ended else []
        return ", ".join(listed + happened) or "done"

    def _all_of(self, labels: list[str], record: matching.EventRecord) -> set[str]:
        """What would be said of orders that are listed anyway."""
        orders = [e.order for e in record.orders if self.labels.get(e.order.order_id) in labels]
        return {self._met(order) for order in orders} | {self._standing(order) for order in orders}

    def happened(self, index: int, record: matching.EventRecord, own: int = 0) -> list[str]:
        """What a command of the record did to orders, in order; its own order's last word apart."""
        said = []
        trades = [trade for trade in record.trades if trade.command == index]
        here = [e.order for e in record.orders if e.command == index]
        last = max((at for at, order in enumerate(here) if order.order_id == own), default=-1)
        for at, order in enumerate(here):
            if trades and trades[0].maker_order_id == order.order_id:
                said.append(self._trade(trades.pop(0)))
            elif trades and trades[0].auction and trades[0].taker_order_id == order.order_id:
                pass
            elif at != last:
                said.append(self._met(order))
            self.known[order.order_id] = order
        return said

    def _met(self, order: types.Order) -> str:
        """An order after a change that was no trade."""
        before = self.known.get(order.order_id)
        rests = order.state == types.ORDER_STATE_OPEN
        waits = order.state == types.ORDER_STATE_WAITING and before and before.quantity_lots
        if order.reason == types.END_REASON_SELF_TRADE:
            return f"{self._label(order)} cancelled"
        if before and before.state == order.state and (rests or waits):
            return f"{self._label(order)} reduced to {order.quantity_lots}"
        return self._standing(order)

    def _trade(self, trade: matching.TradeEvent) -> str:
        said = f"trade {self.labels[trade.maker_order_id]} {trade.lots} @ {trade.price_ticks}"
        if trade.auction:
            said += f" to {self.labels[trade.taker_order_id]}"
        if trade.maker_fee_minor or trade.taker_fee_minor:
            maker = f"{trade.maker_fee_minor} {CODES.get(trade.maker_fee_asset, '')}".rstrip()
            taker = f"{trade.taker_fee_minor} {CODES.get(trade.taker_fee_asset, '')}".rstrip()
            said += f" (fees {maker} / {taker})"
        return said

    def _standing(self, order: types.Order) -> str:
        """`open a1 5`, `filled a1`, `expired a1 ioc_remainder, 3 left`."""
        state = enum_word(types.OrderState.Name(order.state), "ORDER_STATE")
        said = f"{state} {self._label(order)}"
        if order.state == types.ORDER_STATE_OPEN:
            return f"{said} {order.remaining_lots}"
        if order.state == types.ORDER_STATE_WAITING:
            much = f"for {order.quote_minor}" if order.quote_minor else f"{order.remaining_lots}"
            at = f" at {order.trigger_ticks}" if order.trigger_ticks else ""
            return f"{said} {much}{at}"
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


def first_of(record: matching.EventRecord) -> int:
    """Index of the batch's first command: behind time's, if time did something."""
    return record.batches[0].first_command if record.batches else 0


def _market(now: types.Instrument) -> str:
    """`BTC-USD continuous until 20s, reference 100, mark 99`; what is 0 is not said."""
    said = f"{now.symbol} {enum_word(types.Phase.Name(now.phase), 'PHASE')}"
    if now.phase_until_us:
        said += f" until {(now.phase_until_us - START_US) / 1_000_000:g}s"
    for word, value in (("reference", now.reference_ticks), ("mark", now.mark_price_ticks)):
        said += f" {word} {value}" if value else ""
    return said


def _account(event: matching.AccountEvent) -> str:
    said = f"{PEOPLE[event.account]} tier {event.fee_tier}"
    said += " suspended" if event.suspended else ""
    if event.dead_man_us:
        said += f" dead-man {(event.dead_man_us - START_US) / 1_000_000:g}s"
    return said


def _side(side: types.Side) -> str:
    return enum_word(types.Side.Name(side), "SIDE")
