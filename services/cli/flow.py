"""Recorded order flow as steps that an exchange can take: two kinds of files, one kind of step.

A file says what happened to each order; some of that was decided by orders (a taker meets makers),
some by the venue. A step is what a trader would have to ask for so that the same happens here.
"""

import csv
import io
import lzma
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import databento_dbn as dbn

from services.cli.terminal import Refused


class Fill(NamedTuple):
    """One trade between a taker and a maker. Price in ticks, quantity in lots."""

    maker: str
    price_ticks: int
    lots: int


class Step(NamedTuple):
    """What to ask for. `kind` is add, take, amend or cancel; `name` is the order's own."""

    kind: str
    name: str
    is_buy: bool = False
    price_ticks: int = 0
    lots: int = 0
    """Of an amend the new total."""


@dataclass
class Flow:
    """A file as steps, and the trades it says came of them."""

    title: str
    base_decimals: int
    quote_decimals: int
    tick_units: int
    tick_scale: int
    events: int
    steps: list[Step] = field(default_factory=list)
    fills: dict[str, list[Fill]] = field(default_factory=dict)
    """By the name of the taker, in order."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Events that have no step, by the reason."""
    hidden: set[str] = field(default_factory=set)
    """Takers that met an iceberg: a maker traded more than the file shows of it."""

    def leave_out(self, why: str, count: int = 1) -> None:
        """Note events that cannot be asked for."""
        self.left_out[why] = self.left_out.get(why, 0) + count


def read_flow(file: Path) -> Flow:
    """The flow of a Databento MBO file or a Bitstamp order log. Raises Refused."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}.") from None
    if file.name.endswith((".dbn.zst", ".dbn")):
        return _Databento(content, file.suffix == ".zst").flow
    if file.name.endswith((".csv", ".csv.xz")):
        return read_bitstamp(content, is_packed=file.suffix == ".xz")
    raise Refused(f"{file.name} is neither .dbn(.zst) nor .csv(.xz): its format is not known.")


# --- Databento, market by order -------------------------------------------------------------

_TICK: Final = 250_000_000
"""Of the E-mini S&P, in units of 10^-9."""


@dataclass(slots=True)
class _Resting:
    """An order of the file: what the venue shows, and what our exchange has after our steps."""

    is_buy: bool
    price_ticks: int
    shown: int
    ours: int
    total: int
    version: int = 0


class _Databento:
    """Turns a market-by-order file into steps.

    After each trade the venue says what became of the makers by cancels and modifies. Our exchange
    knows that by itself, so a step is made only where its book would differ.
    """

    def __init__(self, content: bytes, is_packed: bool) -> None:
        records = _decode(content, is_packed)
        self.flow = Flow("Databento MBO", 0, 2, 25, 2, len(records))
        self._book: dict[int, _Resting] = {}
        self._takes = 0
        self._taker = ""
        # Orders that gather for an auction cross each other: they are sent once it has uncrossed.
        auctions = [n for n, record in enumerate(records) if _is_auction(record)]
        self._gathering = bool(auctions)
        self._last_auction = auctions[-1] if auctions else -1
        self._group: list[dbn.MBOMsg] = []
        for number, record in enumerate(records):
            self._group.append(record)
            if record.flags & dbn.F_LAST:
                self._close_group(number)
        if self._group:
            self._close_group(len(records))

    def _close_group(self, number: int) -> None:
        """What happened at one moment: what went untraded, the takers, what changed and came.

        The venue's self-match prevention takes orders away in the moment in which another comes or
        trades: whoever comes must find them gone.
        """
        group, self._group = self._group, []
        by_action: dict[str, list[dbn.MBOMsg]] = {}
        for record in group:
            by_action.setdefault(str(record.action), []).append(record)
        traded = {record.order_id for record in by_action.get("F", ())}
        cancels = sorted(by_action.get("C", ()), key=lambda record: record.order_id in traded)
        untraded = sum(record.order_id not in traded for record in cancels)
        for record in cancels[:untraded]:
            self._change(record, "C")
        self._take(group)
        for record in cancels[untraded:]:
            self._change(record, "C")
        for record in by_action.get("M", ()):
            self._change(record, "M")
        for record in by_action.get("A", ()):
            self._add(record)
        if self._gathering and number >= self._last_auction:
            self._gathering = False
            for order_id, order in self._book.items():
                self._send_add(order_id, order)

    def _take(self, group: list[dbn.MBOMsg]) -> None:
        """Rebuild the takers: the trades of one order, and the fills that follow each."""
        takers: dict[int, tuple[str, list[dbn.MBOMsg]]] = {}
        fills: list[Fill] = []
        for record in group:
            action = str(record.action)
            if action == "T" and str(record.side) != "N":
                if record.order_id not in takers:
                    self._takes += 1
                    takers[record.order_id] = (f"T{self._takes}", [])
                self._taker, trades = takers[record.order_id]
                trades.append(record)
                fills = self.flow.fills.setdefault(self._taker, [])
            elif action == "F" and record.order_id not in takers:
                # A resting order that was moved across is the taker, and its own fill stands too.
                self._fill(record, fills)
        for name, trades in takers.values():
            self._send_take(name, trades)

    def _fill(self, record: dbn.MBOMsg, fills: list[Fill]) -> None:
        order = self._book.get(record.order_id)
        if str(record.side) == "N":
            self.flow.leave_out("fills of an auction")
        else:
            name = _name(record.order_id, order.version if order else 0)
            fills.append(Fill(name, record.price // _TICK, record.size))
        if order is not None:
            if record.size > order.ours:
                self.flow.hidden.add(self._taker)
            order.ours -= record.size

    def _send_take(self, name: str, trades: list[dbn.MBOMsg]) -> None:
        is_buy = str(trades[0].side) == "B"
        prices = [trade.price // _TICK for trade in trades]
        worst = max(prices) if is_buy else min(prices)
        lots = sum(trade.size for trade in trades)
        self.flow.steps.append(Step("take", name, is_buy, worst, lots))

    def _add(self, record: dbn.MBOMsg) -> None:
        price_ticks, exact = divmod(record.price, _TICK)
        if exact or price_ticks <= 0:
            self.flow.leave_out("orders off the tick")
            return
        is_buy = str(record.side) == "B"
        order = _Resting(is_buy, price_ticks, record.size, record.size, record.size)
        self._book[record.order_id] = order
        self._send_add(record.order_id, order)

    def _send_add(self, order_id: int, order: _Resting) -> None:
        if not self._gathering:
            order.ours = order.total = order.shown
            name = _name(order_id, order.version)
            step = Step("add", name, order.is_buy, order.price_ticks, order.shown)
            self.flow.steps.append(step)

    def _change(self, record: dbn.MBOMsg, action: str) -> None:
        order = self._book.get(record.order_id)
        if order is None:
            self.flow.leave_out("changes of orders that are not known")
            return
        before = (order.price_ticks, order.shown)
        if action == "C":
            order.shown = max(0, order.shown - record.size)
        else:
            order.price_ticks, order.shown = record.price // _TICK, record.size
        if order.price_ticks != before[0] or order.shown > before[1]:
            # It went to the back: the order of this dict is the order of the queue.
            self._book[record.order_id] = self._book.pop(record.order_id)
        if not self._gathering:
            self._send_change(record.order_id, order, order.price_ticks != before[0])
        if not order.shown:
            del self._book[record.order_id]

    def _send_change(self, order_id: int, order: _Resting, has_moved: bool) -> None:
        name = _name(order_id, order.version)
        if not order.shown:
            if order.ours > 0:
                self.flow.steps.append(Step("cancel", name))
        elif order.ours <= 0:
            # The venue shows more of an order that has traded whole: an iceberg's next slice.
            order.version += 1
            self._send_add(order_id, order)
        elif has_moved or order.shown != order.ours:
            order.total += order.shown - order.ours
            order.ours = order.shown
            step = Step("amend", name, order.is_buy, order.price_ticks, order.total)
            self.flow.steps.append(step)


def _decode(content: bytes, is_packed: bool) -> list[dbn.MBOMsg]:
    packing: dbn.Compression = dbn.Compression.ZSTD if is_packed else dbn.Compression.NONE  # type: ignore[assignment]  # its stubs say str
    try:
        records = dbn.DBNDecoder(compression=packing).write_and_decode(content)
    except (dbn.DBNError, RuntimeError) as error:
        raise Refused(f"This is not a Databento file: {error}.") from None
    return [record for record in records if isinstance(record, dbn.MBOMsg)]


def _is_auction(record: dbn.MBOMsg) -> bool:
    return str(record.action) == "T" and str(record.side) == "N"


def _name(order_id: int, version: int) -> str:
    return f"{order_id}.{version}" if version else str(order_id)


# --- Bitstamp, order log --------------------------------------------------------------------


def read_bitstamp(content: bytes, *, is_packed: bool) -> Flow:
    """A flow from created, changed and deleted orders. Trades are where the volume of two shrinks.

    The log does not say who met whom. Each shrinking is paired with the next one of the same volume
    on the other side; the younger order is the taker. Raises Refused.
    """
    try:
        text = (lzma.decompress(content) if is_packed else content).decode()
        rows = list(csv.DictReader(io.StringIO(text)))
        flow = Flow("Bitstamp order log", 8, 10, 1, 2, len(rows))
        _Bitstamp(flow).read(rows)
    except (lzma.LZMAError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise Refused(f"This is not a Bitstamp order log: {error!r}.") from None
    return flow


class _Shrunk(NamedTuple):
    """Some of an order's volume went by a trade; the other side of it is looked for."""

    name: str
    step: int
    """Where in the steps the file says so."""
    left: int


class _Bitstamp:
    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._left: dict[str, int] = {}
        self._wanted: dict[str, int] = {}
        self._prices: dict[str, int] = {}
        self._shrunk: dict[tuple[bool, int], list[_Shrunk]] = {}

    def read(self, rows: list[dict[str, str]]) -> None:
        """Turn rows into steps, one after the other."""
        for row in rows:
            name, lots = row["id"], int(row["volume"])
            is_buy = row["direction"] == "bid"
            if row["action"] == "created":
                self._create(name, is_buy, row["price"], lots)
            elif name not in self._left:
                self._flow.leave_out("changes of orders created before the log begins")
            else:
                self._change(row["action"], name, is_buy, lots)
        self._take_off_what_strangers_took()

    def _take_off_what_strangers_took(self) -> None:
        """Shrink orders that traded with those from before the log, where the file says so."""
        alone = [(shrunk, lots) for (_, lots), others in self._shrunk.items() for shrunk in others]
        found: list[tuple[int, Step]] = []
        for shrunk, lots in sorted(alone, key=lambda one: one[0].step):
            total = self._wanted[shrunk.name] = self._wanted[shrunk.name] - lots
            step = Step("amend", shrunk.name, lots=total)
            found.append((shrunk.step, step if shrunk.left else Step("cancel", shrunk.name)))
        for place, step in reversed(found):
            self._flow.steps.insert(place, step)
        if alone:
            why = "fills against orders created before the log begins"
            self._flow.leave_out(why, len(alone))

    def _create(self, name: str, is_buy: bool, price: str, lots: int) -> None:
        whole, _, cents = price.partition(".")
        self._left[name] = self._wanted[name] = lots
        self._prices[name] = int(whole) * 100 + int(cents.ljust(2, "0")[:2] or "0")
        self._flow.steps.append(Step("add", name, is_buy, self._prices[name], lots))

    def _change(self, action: str, name: str, is_buy: bool, lots: int) -> None:
        traded = self._left[name] - lots
        is_gone = action == "deleted"
        if is_gone and lots:
            # Deleted with volume left: cancelled, perhaps after a last partial fill.
            self._flow.steps.append(Step("cancel", name))
        if traded > 0:
            self._shrink(name, is_buy, traded)
        self._left[name] = lots
        if is_gone:
            del self._left[name]

    def _shrink(self, name: str, is_buy: bool, lots: int) -> None:
        others = self._shrunk.get((not is_buy, lots))
        if not others:
            left = self._left[name] - lots
            shrunk = _Shrunk(name, len(self._flow.steps), left)
            self._shrunk.setdefault((is_buy, lots), []).append(shrunk)
            return
        maker, taker = sorted((name, others.pop(0).name), key=int)
        self._flow.fills.setdefault(taker, []).append(Fill(maker, self._prices[maker], lots))
