"""The log in Kafka over a connection that is dead and does not say so, or is only slow."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

from services.runtime.config import LogConfig
from services.runtime.kafka_access import Access
from services.runtime.kafka_link import Link, NoAnswer
from services.runtime.kafka_log import KafkaLog, open_kafka_log
from services.runtime.log import LogUnavailable, OutcomeUnknown
from tests.chaos.wire import Place, Wire
from tests.kafka import kafka_config
from tests.kafka_doors import Doors

TOPIC = "bourse.commands.0"


class OnWire:
    """A log behind a wire, and a way around it."""

    def __init__(self, doors: Doors, address: str) -> None:
        self.wire = Wire("log", Place(port=doors.wired_port), Place(port=doors.far_port))
        self.config: LogConfig = kafka_config(f"kafka://127.0.0.1:{doors.wired_port}")
        self._around = kafka_config(address)

    def tell(self, story: Callable[["OnWire"], Coroutine[Any, Any, None]]) -> None:
        """Make the topic and tell the story."""

        async def told() -> None:
            await self.wire.open()
            try:
                async with self.opened(self._around) as log:
                    await log.create(TOPIC)
                await asyncio.wait_for(story(self), 60)
            finally:
                await self.wire.close()

        asyncio.run(told())

    @asynccontextmanager
    async def opened(self, config: LogConfig | None = None) -> AsyncGenerator[KafkaLog, None]:
        """A log, over the wire if nothing else is said."""
        log = await open_kafka_log(config or self.config)
        try:
            yield log
        finally:
            await log.close()

    async def put_around(self, body: bytes) -> None:
        """Append as somebody would whose wire is whole."""
        async with self.opened(self._around) as log:
            await put(log, body)

    async def bodies(self) -> list[bytes]:
        """All there is, read around the wire."""
        found: list[bytes] = []
        async with self.opened(self._around) as log, aclosing(log.read(TOPIC, 0)) as batches:
            end = await log.end(TOPIC)
            while len(found) < end:
                found += [record.body for record in await anext(batches)]
        return found


async def put(log: KafkaLog, body: bytes) -> int:
    return (await log.append(TOPIC, [body], clock_us=time.time_ns() // 1000)).first_offset


def test_an_append_goes_on_over_another_connection(kafka: str, kafka_doors: Doors) -> None:
    async def story(on: OnWire) -> None:
        async with on.opened() as log:
            assert await put(log, b"a") == 0
            stranded = on.wire.strand()
            assert await put(log, b"b") == 1, "its outcome is known, though nobody ever answered"
            assert await put(log, b"c") == 2
            stranded.set()
            for n in range(10):
                await put(log, b"%d" % n)
            assert await on.bodies() == [b"a", b"b", b"c", *(b"%d" % n for n in range(10))]

    OnWire(kafka_doors, kafka).tell(story)


def test_what_was_given_up_never_comes_behind_what_was_appended_after(
    kafka: str, kafka_doors: Doors
) -> None:
    async def story(on: OnWire) -> None:
        async with on.opened(on.config.model_copy(update={"append_timeout_s": 0.5})) as log:
            await put(log, b"a")
            stranded = on.wire.strand()
            on.wire.hang()
            with pytest.raises(OutcomeUnknown):
                await put(log, b"given up")
            on.wire.mend(breaking=False)
            assert await put(log, b"b") == 1
            stranded.set()
            for n in range(10):
                await put(log, b"%d" % n)
            assert await on.bodies() == [b"a", b"b", *(b"%d" % n for n in range(10))]

    OnWire(kafka_doors, kafka).tell(story)


def test_a_reader_goes_on_over_another_connection(kafka: str, kafka_doors: Doors) -> None:
    async def story(on: OnWire) -> None:
        async with on.opened() as log, aclosing(log.read(TOPIC, 0)) as batches:
            await on.put_around(b"a")
            assert [record.body for record in await anext(batches)] == [b"a"]
            waiting = asyncio.ensure_future(anext(batches))
            await asyncio.sleep(0.1)
            on.wire.strand()
            await on.put_around(b"b")
            assert [(record.offset, record.body) for record in await waiting] == [(1, b"b")]
            await on.put_around(b"c")
            assert [record.body for record in await anext(batches)] == [b"c"]

    OnWire(kafka_doors, kafka).tell(story)


def test_a_question_is_answered_while_the_connection_it_was_asked_over_hangs(
    kafka: str, kafka_doors: Doors
) -> None:
    async def story(on: OnWire) -> None:
        link = Link(Access(on.config.address.get_secret_value()), TOPIC)
        try:
            await link.ask(end_of_topic())
            on.wire.strand()
            for_ever_s = 600.0
            asked = [link.ask(end_of_topic(), within_s=for_ever_s, doubt_s=0.1) for _ in range(4)]
            answers = await asyncio.gather(*asked)
            assert [answer.topics[0][1][0][3] for answer in answers] == [0] * 4
            assert link.openings == 2, "one new connection does for all that were asked"
        finally:
            link.drop()

    OnWire(kafka_doors, kafka).tell(story)


def test_a_question_and_the_opening_for_it_share_one_deadline(
    kafka: str, kafka_doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(on: OnWire) -> None:
        loop = asyncio.get_running_loop()
        clock, within_s, left_s = loop.time, 40.0, 0.5
        link = Link(Access(on.config.address.get_secret_value()), TOPIC)
        held = FetchRequest(int(within_s * 1000), 1, 1, 0, [(TOPIC, [(0, 0, 1)])])
        on.wire.hang()
        # What is asked waits for the first one, whose opening fails when so much time has gone by.
        first = asyncio.create_task(link.open())
        asked = asyncio.create_task(link.ask(held, within_s=within_s, doubt_s=within_s))
        await asyncio.sleep(0)
        on.wire.mend(breaking=False)
        monkeypatch.setattr(loop, "time", lambda: clock() + within_s - left_s)
        with pytest.raises(LogUnavailable):
            await first
        # With all its time left it would outlast the story.
        with pytest.raises((NoAnswer, LogUnavailable)):
            await asked
        link.drop()

    OnWire(kafka_doors, kafka).tell(story)


def end_of_topic() -> OffsetRequest:
    return OffsetRequest(-1, 0, [(TOPIC, [(0, -1)])])


def test_a_slow_broker_is_heard_out(kafka: str, kafka_doors: Doors) -> None:
    async def story(on: OnWire) -> None:
        link = Link(Access(on.config.address.get_secret_value()), TOPIC)
        try:
            await link.open()
            on.wire.slow(0.2)
            for _ in range(3):
                await link.ask(end_of_topic(), doubt_s=0.05)
            assert link.openings == 1, "it is not left for another that would be as slow"
        finally:
            link.drop()

    OnWire(kafka_doors, kafka).tell(story)
