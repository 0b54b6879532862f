"""The log of a simulated house: one, in memory, and the way to it from each machine.

    Topics     the records, and whoever is told of each as it lands
    Weather    what is wrong with the way, for whom, until when
    LogPort    `services.runtime.log.Log` for one process

An append goes out, lands, and is answered, each at its own moment; any of the three may not happen.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import TYPE_CHECKING

from services.runtime.log import (
    CLOCKS_APART_US,
    READ_BATCH_BYTES,
    Appended,
    ClockApart,
    CutAway,
    LogUnavailable,
    OutcomeUnknown,
    PastEnd,
    Record,
    check_sizes,
)

if TYPE_CHECKING:
    from tests.simulation.world import Process


class Fate(Enum):
    """What becomes of an append instead of what should."""

    LATE = "answered late"
    DONE = "outcome unknown, landed"
    LATER = "outcome unknown, landed later"
    LOST = "outcome unknown, never landed"


@dataclass
class Strange:
    """One append will have this fate: the next to the topic, by anybody or by one machine."""

    fate: Fate
    topic: str
    machine: str
    late_us: int


@dataclass
class Weather:
    """What is wrong with the way to the log."""

    strange: list[Strange] = field(default_factory=list)
    away_until_us: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By machine, or by topic: until then nothing is done."""
    slow_until_us: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By machine: until then everything takes a hundred times as long."""

    def fate_of(self, topic: str, machine: str) -> Strange | None:
        for strange in self.strange:
            if strange.topic == topic and strange.machine in ("", machine):
                self.strange.remove(strange)
                return strange
        return None

    def clear(self) -> None:
        self.strange.clear()
        self.away_until_us.clear()
        self.slow_until_us.clear()


class Topics:
    """What has landed. The log's own clock is the right one."""

    def __init__(self, now_us: Callable[[], int], *, refuses_clocks: bool) -> None:
        self.now_us = now_us
        self.refuses_clocks = refuses_clocks
        """Like Postgres it can refuse an append by its sender's clock; Kafka cannot."""
        self.records: defaultdict[str, list[Record]] = defaultdict(list)
        self.landed: Callable[[str, Record], None] = lambda topic, record: None
        """Told of every record."""
        self._waiting: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)

    def land(self, topic: str, bodies: Sequence[bytes], clock_us: int) -> Appended:
        """Raises ClockApart."""
        now_us = self.now_us()
        if self.refuses_clocks and abs(now_us - clock_us) > CLOCKS_APART_US:
            raise ClockApart(topic, clock_us, now_us)
        records = self.records[topic]
        time_us = max(now_us, records[-1].time_us if records else 0)
        first = len(records)
        for place, body in enumerate(bodies):
            record = Record(first + place, time_us, body)
            records.append(record)
            self.landed(topic, record)
        waiting, self._waiting[topic] = self._waiting[topic], []
        for wake in waiting:
            wake()
        return Appended(first, time_us)

    def when_grown(self, topic: str, wake: Callable[[], None]) -> None:
        self._waiting[topic].append(wake)


class LogPort:
    """See `services.runtime.log.Log`."""

    def __init__(self, process: "Process", topics: Topics, weather: Weather, random: Random):
        self._process = process
        self._topics = topics
        self._weather = weather
        self._random = random
        self._last_landing_us: defaultdict[str, int] = defaultdict(int)

    async def create(self, topic: str) -> None:
        """See Log.create."""
        await self._pass(self._pause_us())

    async def append(
        self, topic: str, bodies: Sequence[bytes], *, clock_us: int, ring: bool = True
    ) -> Appended:
        """See Log.append."""
        check_sizes(bodies)
        self._refuse_if_away(topic)
        answer: asyncio.Future[Appended] = self._process.loop.create_future()
        strange = self._weather.fate_of(topic, self._process.machine.name)
        fate = strange.fate if strange else None
        late_us = strange.late_us if strange else 0
        landing_us, lost = self._pause_us(), fate not in (None, Fate.LATE)
        if fate is Fate.LATER:
            self._process.world.time.after(late_us, self._land, topic, list(bodies), clock_us, None)
        elif fate is not Fate.LOST:
            sent = (topic, list(bodies), clock_us, None if lost else (answer, late_us))
            self._process.world.time.after(self._in_order(topic, landing_us), self._land, *sent)
        if lost:
            why = OutcomeUnknown("The answer was lost.")
            self._process.loop.reach(2 * landing_us + late_us // 4, _fail, answer, why)
            self._process.note("append", topic[7], fate.value if fate else "")
        return await answer

    def _in_order(self, topic: str, landing_us: int) -> int:
        """What one caller sends in order lands in order."""
        now_us = self._process.world.time.now_us
        moment_us = max(now_us + landing_us, self._last_landing_us[topic])
        self._last_landing_us[topic] = moment_us
        return moment_us - now_us

    def _land(
        self,
        topic: str,
        bodies: list[bytes],
        clock_us: int,
        waits: tuple[asyncio.Future[Appended], int] | None,
    ) -> None:
        """It gets there, whatever has become of the sender."""
        try:
            appended = self._topics.land(topic, bodies, clock_us)
        except ClockApart as error:
            if waits:
                self._process.loop.reach(self._pause_us() + waits[1], _fail, waits[0], error)
            return
        if waits:
            self._process.loop.reach(self._pause_us() + waits[1], _give, waits[0], appended)

    async def read(
        self, topic: str, from_offset: int, *, every_s: float = 0.0
    ) -> AsyncGenerator[list[Record], None]:
        """See Log.read."""
        records, offset = self._topics.records[topic], from_offset
        while True:
            await self._pass(self._pause_us())
            if offset > len(records):
                raise PastEnd(topic, offset, len(records))
            if self._is_away(topic):
                await asyncio.sleep(0.2)
            elif batch := _batch(records, offset):
                offset = batch[-1].offset + 1
                yield batch
                if every_s:
                    await asyncio.sleep(every_s)
            else:
                await self._grown(topic)

    async def _grown(self, topic: str) -> None:
        more: asyncio.Future[None] = self._process.loop.create_future()
        loop = self._process.loop
        self._topics.when_grown(topic, lambda: loop.reach(self._pause_us(), _give, more, None))
        await more

    async def one(self, topic: str, offset: int) -> Record | None:
        """See Log.one."""
        records = self._topics.records[topic]
        end = await self._end(topic)
        return records[offset] if 0 <= offset < end else None

    async def start(self, topic: str) -> int:
        """See Log.start."""
        await self._end(topic)
        return 0

    async def end(self, topic: str) -> int:
        """See Log.end."""
        return await self._end(topic)

    async def cut(self, topic: str, below: int) -> int:
        """See Log.cut. Nothing is cut here."""
        raise CutAway(topic, below, 0)

    async def close(self) -> None:
        """See Log.close."""

    async def _end(self, topic: str) -> int:
        """The end as it was at some moment between question and answer."""
        self._refuse_if_away(topic)
        records = self._topics.records[topic]
        before, is_old = len(records), self._random.random() < 0.5
        await self._pass(self._pause_us())
        return before if is_old else len(records)

    async def _pass(self, pause_us: int) -> None:
        answer: asyncio.Future[None] = self._process.loop.create_future()
        self._process.loop.reach(pause_us, _give, answer, None)
        await answer

    def _refuse_if_away(self, topic: str) -> None:
        if self._is_away(topic):
            raise LogUnavailable("The log is out of reach.")

    def _is_away(self, topic: str) -> bool:
        if not self._process.is_alive:
            return True
        until_us, now_us = self._weather.away_until_us, self._process.world.time.now_us
        return now_us < max(until_us[self._process.machine.name], until_us[topic])

    def _pause_us(self) -> int:
        chance = self._random.random()
        pause_us = 150 + int(chance * 750)
        if chance > 0.975:
            pause_us *= 20
        slow_us = self._weather.slow_until_us[self._process.machine.name]
        return pause_us * 100 if self._process.world.time.now_us < slow_us else pause_us


def _batch(records: list[Record], offset: int) -> list[Record]:
    """What follows from an offset, in bounds; one record in any case."""
    batch: list[Record] = []
    room = READ_BATCH_BYTES
    for record in records[offset : offset + 200]:
        room -= len(record.body)
        if batch and room < 0:
            break
        batch.append(record)
    return batch


def _give(future: asyncio.Future[object], answer: object) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: asyncio.Future[object], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
