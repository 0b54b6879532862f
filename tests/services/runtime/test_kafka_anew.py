"""The log in Kafka when its topic is deleted, or made anew under the same name."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka.protocol.admin import DeleteTopicsRequest

from services.runtime.kafka_access import access_of
from services.runtime.kafka_link import Link
from services.runtime.kafka_log import KafkaLog, open_kafka_log
from services.runtime.kafka_reader import STALE_S
from services.runtime.log import (
    LogUnavailable,
    OutcomeUnknown,
    PastEnd,
    Record,
    RolledBack,
    TopicUnknown,
    still_has,
)
from tests.kafka import kafka_config

TOPIC = "bourse.commands.0"
Story = Callable[[KafkaLog], Coroutine[Any, Any, None]]


def now_us() -> int:
    return time.time_ns() // 1000


def tell(address: str, story: Story, **settings: object) -> None:
    """A log with its topic."""

    async def told() -> None:
        async with another(address, **settings) as log:
            await log.create(TOPIC)
            await asyncio.wait_for(story(log), 60)

    asyncio.run(told())


async def make_anew(log: KafkaLog, *bodies: bytes) -> None:
    """Delete the topic and make one of the same name."""
    await delete(log)
    await log.create(TOPIC)
    for body in bodies:
        await log.append(TOPIC, [body], clock_us=now_us())


async def delete(log: KafkaLog) -> None:
    link = Link(access_of(log.config), None)
    answer = await link.ask(DeleteTopicsRequest([TOPIC], 10_000))
    link.drop()
    assert answer.topic_error_codes[0][1] == 0, answer


async def put_three(log: KafkaLog) -> Record:
    """Three records; the last of them."""
    for body in (b"a", b"b", b"c"):
        await log.append(TOPIC, [body], clock_us=now_us())
    last = await log.one(TOPIC, 2)
    assert last is not None
    return last


@pytest.mark.parametrize("bodies", [[], [b"a", b"b", b"c", b"d"]])
def test_a_topic_made_anew_is_noticed_by_whoever_reads_it(kafka: str, bodies: list[bytes]) -> None:
    async def story(log: KafkaLog) -> None:
        await put_three(log)
        async with aclosing(log.read(TOPIC, 0)) as batches:
            seen = list[Record]()
            while len(seen) < 3:
                seen += await anext(batches)
            waiting = asyncio.ensure_future(anext(batches))
            await asyncio.sleep(0.1)
            async with another(kafka) as other:
                await make_anew(other, *bodies)
            with pytest.raises((TopicUnknown, PastEnd, RolledBack)):
                await waiting

    tell(kafka, story)


def test_a_topic_made_anew_is_noticed_by_a_reader_that_was_busy_meanwhile(kafka: str) -> None:
    async def story(log: KafkaLog) -> None:
        await put_three(log)
        async with aclosing(log.read(TOPIC, 0)) as batches:
            seen = list[Record]()
            while len(seen) < 3:
                seen += await anext(batches)
            async with another(kafka) as other:
                await make_anew(other, b"a", b"b", b"c", b"d")
            await asyncio.sleep(STALE_S)
            with pytest.raises(RolledBack, match=r"Offset 2 of .* is another one now"):
                await anext(batches)

    tell(kafka, story)


@pytest.mark.parametrize("bodies", [[], [b"a", b"b", b"c", b"d"]])
def test_a_topic_made_anew_is_noticed_by_whoever_comes_back(
    kafka: str, bodies: list[bytes]
) -> None:
    async def story(log: KafkaLog) -> None:
        last = await put_three(log)
        async with another(kafka) as other:
            await still_has(other, TOPIC, last.offset, last.checksum)
            await make_anew(other, *bodies)
            with pytest.raises(RolledBack):
                await still_has(other, TOPIC, last.offset, last.checksum)

    tell(kafka, story)


def test_whoever_appends_stops_when_the_topic_is_deleted_or_another(kafka: str) -> None:
    async def story(log: KafkaLog) -> None:
        await put_three(log)
        async with another(kafka) as other:
            await delete(other)
            with pytest.raises(TopicUnknown):
                await until_it_ends(log)
            await other.create(TOPIC)
        with pytest.raises(RolledBack):
            await until_it_ends(log)

    tell(kafka, story, append_timeout_s=1.0)


async def until_it_ends(log: KafkaLog) -> None:
    """Append as order entry does, which tries again what may be tried again."""
    while True:
        with suppress(OutcomeUnknown, LogUnavailable):
            await log.append(TOPIC, [b"x"], clock_us=now_us())


@asynccontextmanager
async def another(address: str, **settings: object) -> AsyncGenerator[KafkaLog, None]:
    """The log as another process sees it."""
    log = await open_kafka_log(kafka_config(address, **settings))
    try:
        yield log
    finally:
        await log.close()
