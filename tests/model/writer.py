"""Writes random command records: batches in sessions and from sources, repeated, out of order."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from bourse.matching import v1 as matching
from tests.model.asker import Asker
from tests.model.choices import END, PEOPLE, SECOND_US
from tests.model.features import READY
from tests.model.model import Model
from tests.model.worlds import World

SOURCES: Final = (1, 7)


@dataclass
class Gateway:
    """A sender in a session: where it stands and what it sent."""

    session: int = 0
    number: int = 0
    sent: list[matching.SubmitRequest] = field(default_factory=list)


class Writer(Asker):
    """Writes records for the model as it stands."""

    def __init__(
        self, random: Random, model: Model, world: World, features: frozenset[str] = READY
    ) -> None:
        super().__init__(random, model, world, features)
        self.gateways = [Gateway(), Gateway()]

    # --- Records ---

    def record_of(self, *batches: matching.SubmitRequest) -> matching.CommandRecord:
        """A command record of these batches, for the model's shard."""
        return matching.CommandRecord(
            shard=self.model.shard, requests=[batch.SerializeToString() for batch in batches]
        )

    def opening(self) -> list[matching.CommandRecord]:
        """Assets, markets, sessions and money."""
        first = [self._alone("open_session") for _ in self.gateways]
        self.gateways[0].session, self.gateways[1].session = 1, 2
        assets = [self.command(0) for _ in range(3)]
        for number, command in enumerate(assets, 1):
            command.add_asset.asset.asset = number
            command.add_asset.asset.code = "XABC"[number]
        markets = [self.command(0) for _ in self.world.markets]
        for command, new in zip(markets, self.world.markets, strict=True):
            command.add_instrument.instrument.CopyFrom(new)
        rules = [self.command(0)] if self.features and not self.one_in(8) else []
        for command in rules:
            command.use_rules.version = 3
        settings = self.next_batch(self.gateways[0], assets + rules + markets)
        money = [self.credit(account) for account in PEOPLE * 3]
        return [
            self.record_of(*first),
            self.record_of(settings),
            self.record_of(self.from_source(1, 1, money)),
        ]

    def record(self, most_commands: int = 6) -> matching.CommandRecord:
        """The next record, of one to three batches; or of one that opens a session anew."""
        for gateway in self.gateways:
            if gateway.session not in self.model.sessions and not self.one_in(8):
                gateway.session, gateway.number = self.model.sequence + 1, 0
                return self.record_of(self._alone("open_session"))
        count = 0 if self.one_in(80) else self.random.choice((1, 1, 2, 3))
        batches = [self._batch(most_commands) for _ in range(count)]
        return self.record_of(*batches)

    def pass_time(self) -> int:
        """The log's time of the next record: mostly a little later, seldom much, or before."""
        steps = (0, 0, 1, SECOND_US, 5 * SECOND_US, -SECOND_US)
        long_steps = (119 * SECOND_US, 121 * SECOND_US, 601 * SECOND_US)
        step = self.random.choice(long_steps if self.one_in(60) else steps)
        self.time_us = max(0, min(self.time_us + step, END))
        return self.time_us

    def _batch(self, most_commands: int) -> matching.SubmitRequest:
        ways: list[tuple[int, Callable[[int], matching.SubmitRequest]]] = [
            (40, self._in_order),
            (7, self._source_batch),
            (3, self._again),
            (2, self._out_of_order),
            (1, self._open_or_close),
            (3 if self._sessions_are_full() else 0, lambda _: self._alone("open_session")),
            (1, lambda _: self._alone("tick")),
        ]
        return self.weighted(ways)(most_commands)

    def _sessions_are_full(self) -> bool:
        return len(self.model.sessions) >= self.model.sizes.sessions

    def _in_order(self, most_commands: int) -> matching.SubmitRequest:
        gateway = self.random.choice(self.gateways)
        count = self.random.randint(1, most_commands)
        return self.next_batch(gateway, [self.any_command() for _ in range(count)])

    def _again(self, most_commands: int) -> matching.SubmitRequest:
        gateway = self.random.choice(self.gateways)
        if not gateway.sent:
            return self._in_order(most_commands)
        return self.random.choice(gateway.sent[-300:])

    def _out_of_order(self, most_commands: int) -> matching.SubmitRequest:
        gateway = self.random.choice(self.gateways)
        commands = [self.any_command() for _ in range(self.random.randint(1, 2))]
        step = self.random.choice((2, 3, 300, -1, -2, -255, -256, -257))
        if step > 0:
            gateway.number += step - 1
            return self.next_batch(gateway, commands)
        number = max(1, gateway.number + 1 + step)
        session = self.random.choice((gateway.session, gateway.session, 999_999_999)) or 5
        return matching.SubmitRequest(session=session, number=number, commands=commands)

    def _open_or_close(self, most_commands: int) -> matching.SubmitRequest:
        gateway = self.random.choice(self.gateways)
        if self.one_in(3) or gateway.session not in self.model.sessions:
            return self._alone("open_session")
        command = self.command(0)
        command.close_session.SetInParent()
        return self.next_batch(gateway, [self.any_command(), command])

    def next_batch(
        self, gateway: Gateway, commands: list[matching.Command]
    ) -> matching.SubmitRequest:
        gateway.number += 1
        request = matching.SubmitRequest(
            session=gateway.session or 999_999_999, number=gateway.number, commands=commands
        )
        gateway.sent.append(request)
        return request

    def _alone(self, kind: str) -> matching.SubmitRequest:
        command = self.command(0)
        getattr(command, kind).SetInParent()
        return matching.SubmitRequest(commands=[command])

    def _source_batch(self, most_commands: int) -> matching.SubmitRequest:
        source = self.random.choice(SOURCES)
        last = self.model.sources.get(source, 0)
        number = max(1, last + self.random.choice((1, 1, 1, 1, 1, 0, -1, -4, 2, 50)))
        count = self.random.randint(1, most_commands)
        moves = [self.move() for _ in range(count)]
        return self.from_source(source, number, moves)

    def from_source(
        self, source: int, number: int, moves: list[matching.Command]
    ) -> matching.SubmitRequest:
        return matching.SubmitRequest(source=source, number=number, commands=moves)
