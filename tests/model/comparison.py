"""The core in C beside the model: the same records, and everything that comes out compared."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from google.protobuf import text_format
from google.protobuf.message import Message

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.matching.answers import answers_from_events
from services.matching.core import Core
from tests.model.engines import CoreEngine, ModelEngine, with_batches_joined
from tests.model.features import READY
from tests.model.tally import Tally
from tests.model.worlds import World
from tests.model.writer import Writer


class Given(NamedTuple):
    """A command record and the time the log gave it."""

    time_us: int
    record: matching.CommandRecord


class Different(AssertionError):
    """Model and core do not agree, or one of them is broken in itself. `history` led there."""

    def __init__(self, why: str, history: Sequence[Given] = ()) -> None:
        super().__init__(f"{table(history)}\n\n{why}" if history else why)
        self.history = history
        self.why = why


class Comparison:
    """A model and a core that were given the same. `history` is what they were given.

    Walking through all that the core has reserved takes it 6 ms, so that is done now and then.
    """

    def __init__(self, shard: int = 0, validate_every: int = 1) -> None:
        self.validate_every = validate_every
        self.model = ModelEngine(shard)
        self.core = CoreEngine(shard)
        self.older: CoreEngine | None = None
        self.history: list[Given] = []
        self.tally = Tally()
        self.most_parts = 0

    def give(self, given: Given) -> list[matching.SubmitResponse]:
        """Apply a record to both; what its batches were answered. Raises Different."""
        offset = len(self.history)
        self.history.append(given)
        events, answers = self.model.apply(offset, *given)
        core_events, core_answers = self.core.apply(offset, *given)
        if len(self.core.parts) > 1:
            events, core_events = map(with_batches_joined, (events, core_events))
        same("events", events, core_events)
        for index, (answer, core_answer) in enumerate(zip(answers, core_answers, strict=True)):
            same(f"answer {index}", answer, core_answer)
        self.tally.count(events, answers)
        self.most_parts = max(self.most_parts, len(self.core.parts))
        self._validate(offset)
        self._compare_older(offset, given)
        self._compare_repeats(core_answers)
        return answers

    def _validate(self, offset: int) -> None:
        if offset % self.validate_every:
            return
        for engine in (self.model, self.core):
            if broken := engine.check():
                raise Different(f"{type(engine).__name__}: {broken}")

    def _compare_older(self, offset: int, given: Given) -> None:
        """The core that a snapshot was taken of goes on exactly like the restored one."""
        if self.older:
            self.older.apply(offset, *given)
            if self.older.parts != self.core.parts:
                raise Different("the restored core goes on otherwise")

    def _compare_repeats(self, answers: Sequence[matching.SubmitResponse]) -> None:
        """What matching would answer if it were sent the batches again."""
        for answer in answers:
            if answer.status == matching.BATCH_STATUS_APPLIED and answer.session:
                told = answers_from_events(self.core.parts, answer.session, answer.number)
                answer.status = matching.BATCH_STATUS_REPEATED
                same("repeated answer", answer, matching.SubmitResponse.FromString(told))

    def restore(self) -> None:
        """Go on with a core made from a snapshot, the present one beside it."""
        self.older = self.core
        data = b"".join(self.core.core.snapshot())
        self.core = CoreEngine(core=Core.restore(data))
        if self.core.core.facts() != self.older.core.facts():
            raise Different("the restored core says other facts")
        if b"".join(self.core.core.snapshot()) != data:
            raise Different("the snapshot of the restored core is another")

    # --- Everything that can be asked ---

    def compare_state(self) -> None:
        """Every answer the core can give, beside what the model would say."""
        model, core = self.model.model, self.core.core
        facts = core.facts()
        said = (facts.sequence, facts.clock_us, facts.rules, facts.open_orders, facts.balance_hash)
        meant = (
            model.sequence,
            model.clock_us,
            model.rules,
            len(model.orders),
            model.balance_hash(),
        )
        if said != meant or facts.next_offset != len(self.history):
            raise Different(f"facts: the model means {meant}, the core {facts}")
        verified = matching.VerifyResponse(
            balances=[balance for _, balance in sorted(model.balances.items())],
            orders=self.model.orders(),
            sequence=model.sequence,
            command_offset=len(self.history) - 1,
            balance_hash=model.balance_hash(),
        )
        same("verify", verified, matching.VerifyResponse.FromString(b"".join(core.verify())))
        for account in (*model.accounts, 4_711):
            self._compare_account(account)
        for instrument in (*model.instruments, 77):
            self._compare_depth(instrument)
        markets = matching.WatchMarketsResponse(
            assets=[asset for _, asset in sorted(model.assets.items())],
            instruments=[instrument for _, instrument in sorted(model.instruments.items())],
            sequence=model.sequence,
            client_order_id_memory_us=model.sizes.client_order_id_memory_us,
        )
        same("markets", markets, matching.WatchMarketsResponse.FromString(core.list_markets()))
        self._compare_names()

    def _compare_account(self, account: int) -> None:
        model, core = self.model.model, self.core.core
        orders = [order for order in self.model.orders() if order.account == account]
        listed = matching.ListOpenOrdersResponse.FromString(core.list_open_orders(account, 0))
        meant = matching.ListOpenOrdersResponse(
            orders=orders, sequence=model.sequence, clock_us=model.clock_us
        )
        same(f"open orders of {account}", meant, listed)
        balances = matching.GetBalancesResponse(
            balances=[b for _, b in sorted(model.balances.items()) if b.account == account],
            sequence=model.sequence,
        )
        said = matching.GetBalancesResponse.FromString(core.get_balances(account))
        same(f"balances of {account}", balances, said)
        new = matching.SetAccount(self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_TAKER)
        settings = model.accounts.get(account, new)
        put = matching.GetAccountResponse(
            fee_tier=settings.fee_tier,
            self_trade_prevention=settings.self_trade_prevention,
            suspended=settings.suspended,
            max_open_orders=settings.max_open_orders,
            max_commands_per_second=settings.max_commands_per_second,
            pays_fee_asset=settings.pays_fee_asset,
            dead_man_us=model.dead_man_us.get(account, 0),
            sequence=model.sequence,
        )
        told = matching.GetAccountResponse.FromString(core.get_account(account))
        same(f"settings of {account}", put, told)

    def _compare_depth(self, instrument: int) -> None:
        model = self.model.model
        meant = matching.GetDepthResponse(
            sequence=model.sequence, command_offset=len(self.history) - 1
        )
        if instrument in model.instruments:
            meant.found = True
            for side, levels in ((types.SIDE_BUY, meant.bids), (types.SIDE_SELL, meant.asks)):
                for price_ticks, lots in self.model.depth(instrument, side):
                    levels.add(price_ticks=price_ticks, lots=lots)
        said = matching.GetDepthResponse.FromString(self.core.core.get_depth(instrument))
        same(f"depth of {instrument}", meant, said)

    def _compare_names(self) -> None:
        model = self.model.model
        unknown = matching.GetOrderResponse(sequence=model.sequence, clock_us=model.clock_us)
        self._compare_order(1_000, 0, "never-used", unknown)
        for (account, text), name in model.names.items():
            order = model.orders.get(name.order_id, types.Order(order_id=name.order_id))
            meant = matching.GetOrderResponse(found=True, order=order)
            meant.MergeFrom(unknown)
            self._compare_order(account, 0, text, meant)
        for order in model.orders.values():
            meant = matching.GetOrderResponse(found=True, order=order)
            meant.MergeFrom(unknown)
            self._compare_order(order.account, order.order_id, "", meant)
            self._compare_order(order.account + 1, order.order_id, "", unknown)

    def _compare_order(
        self, account: int, order_id: int, name: str, meant: matching.GetOrderResponse
    ) -> None:
        said = self.core.core.get_order(account, order_id, name)
        same(
            f"order {order_id}{name} of {account}",
            meant,
            matching.GetOrderResponse.FromString(said),
        )


def same(what: str, model: Message, core: Message) -> None:
    """Raise Different, with the lines that are not in both, unless the messages are equal."""
    if model == core:
        return
    meant, said = _lines(model), _lines(core)
    at = next((i for i, (a, b) in enumerate(zip(meant, said, strict=False)) if a != b), -1)
    around = slice(max(0, at - 3), at + 8) if at >= 0 else slice(-8, None)
    model_text, core_text = "\n".join(meant[around]), "\n".join(said[around])
    raise Different(f"{what}, from line {at} on:\n--- model\n{model_text}\n--- core\n{core_text}")


def _lines(message: Message) -> list[str]:
    return text_format.MessageToString(message).splitlines()


# --- Running, and making a failure small ----------------------------------------------------


class Stride(NamedTuple):
    """How much is done, and how often what costs time."""

    records: int
    most_commands: int = 8
    validate_every: int = 10
    look_every: int = 40


def run(
    random: Random, world: World, stride: Stride, features: frozenset[str] = READY
) -> Comparison:
    """Write and give so many records, of these features of rules 2. Raises Different."""
    comparison = Comparison(random.choice((0, 0, 7, 1_023)), stride.validate_every)
    writer = Writer(random, comparison.model.model, world, features)
    opening = writer.opening()
    try:
        for number in range(1, stride.records + 1):
            record = opening.pop(0) if opening else writer.record(stride.most_commands)
            comparison.give(Given(writer.pass_time(), record))
            if number % stride.look_every == 0:
                comparison.compare_state()
                comparison.restore()
        comparison.compare_state()
    except Different as why:
        raise Different(why.why, comparison.history) from None
    return comparison


def replay(history: Sequence[Given], look: bool) -> Different | None:
    """Give a history to a fresh pair; what was different, if anything was.

    To look at everything after each record finds more, and takes ten times as long.
    """
    shard = history[0].record.shard if history else 0
    comparison = Comparison(shard, validate_every=1 if look else len(history) + 1)
    try:
        for given in history:
            comparison.give(given)
            if look:
                comparison.compare_state()
    except Different as why:
        return why
    return None


def shorten(failed: Different, records: int = 20_000) -> Different:
    """Leave out batches, then commands, while something is still different.

    At most about so many records are applied on the way, or a tenth where one has to look inside.
    """
    look = replay(failed.history, look=False) is None
    left = records // 10 if look else records
    kept, why = list(failed.history), failed.why
    for split in (_by_batch, _by_command):
        pieces = split(kept)
        if found := replay(pieces, look):
            kept, why = pieces, found.why
        size = len(kept) // 2
        while size and left > 0:
            for start in range(len(kept) - size, -1, -size):
                shorter = kept[:start] + kept[start + size :]
                left -= len(shorter)
                if found := replay(shorter, look):
                    kept, why = shorter, found.why
            size //= 2
    return Different(why, kept)


def _by_batch(history: Sequence[Given]) -> list[Given]:
    return [
        Given(given.time_us, matching.CommandRecord(shard=given.record.shard, requests=[request]))
        for given in history
        for request in given.record.requests
    ]


def _by_command(history: Sequence[Given]) -> list[Given]:
    """Each command in a record of its own, numbered so that all of them are applied as before."""
    numbers: dict[tuple[int, int], int] = {}
    singles = []
    for given in _by_batch(history):
        batch = matching.SubmitRequest.FromString(given.record.requests[0])
        for command in batch.commands:
            single = matching.SubmitRequest(
                session=batch.session, source=batch.source, commands=[command]
            )
            if batch.session or batch.source:
                key = (batch.session, batch.source)
                single.number = numbers[key] = numbers.get(key, 0) + 1
            record = matching.CommandRecord(shard=given.record.shard)
            record.requests.append(single.SerializeToString())
            singles.append(Given(given.time_us, record))
    return singles


def table(history: Sequence[Given]) -> str:
    """The commands of a history, a line each, batches and records set apart."""
    lines = []
    for offset, given in enumerate(history):
        lines.append(f"record {offset} at {given.time_us}")
        for request in given.record.requests:
            batch = matching.SubmitRequest.FromString(request)
            lines.append(f"  session {batch.session} number {batch.number} source {batch.source}")
            for command in batch.commands:
                command.ClearField("request_id")
                lines.append("    " + text_format.MessageToString(command, as_one_line=True))
    return "\n".join(lines)
