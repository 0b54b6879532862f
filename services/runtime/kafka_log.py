"""The log in Kafka: a topic is one partition, an append one batch, and there are no transactions.

Public tests have shown committed transactions torn and lost with clients that lack KIP-890, and a
consumer group moves a reader's place behind its back. So nothing of either is used: a reader says
by itself where it reads, and a batch is all or nothing by itself.

Each topic we append to has a connection of its own (kafka_appender.py), each reader has one
(kafka_reader.py), and short questions go over one more a topic (kafka_desk.py).
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from services.runtime.config import LogConfig
from services.runtime.kafka_access import KafkaRefused, access_of
from services.runtime.kafka_appender import Appender
from services.runtime.kafka_desk import Desk
from services.runtime.kafka_link import count_brokers
from services.runtime.kafka_reader import KafkaReader
from services.runtime.kafka_topics import make_topic
from services.runtime.log import Appended, LogUnavailable, Record, check_sizes

PATIENCE_S: Final = 30.0
"""How long a starting room waits for its Kafka."""

_AGAIN_S: Final = 0.2


async def open_kafka_log(config: LogConfig) -> "KafkaLog":
    """The log at an address. Waits for brokers that are starting.

    Raises LogUnavailable; KafkaRefused and ConfigError at once.
    """
    log = KafkaLog(config)
    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE_S
    while True:
        try:
            await count_brokers(access_of(config))
            return log
        except LogUnavailable as error:
            if isinstance(error, KafkaRefused) or clock() >= deadline:
                raise
        await asyncio.sleep(_AGAIN_S)


class KafkaLog:
    """See `services.runtime.log.Log`."""

    def __init__(self, config: LogConfig) -> None:
        self.config = config
        """What it was opened with."""
        self._access = access_of(config)
        self._appenders: dict[str, Appender] = {}
        self._desks: dict[str, Desk] = {}

    async def create(self, topic: str) -> None:
        """See Log.create. Raises TopicUnsound if its settings would lose records."""
        await make_topic(self._access, topic, self.config)

    async def append(
        self, topic: str, bodies: Sequence[bytes], *, clock_us: int, ring: bool = True
    ) -> Appended:
        """See Log.append. Readers that wait are woken by the broker, with or without `ring`."""
        check_sizes(bodies)
        appender = self._appenders.get(topic)
        if appender is None:
            appender = self._appenders[topic] = Appender(self._access, topic, self.config)
        return await appender.append(bodies, clock_us)

    async def read(
        self, topic: str, from_offset: int, *, every_s: float = 0.0
    ) -> AsyncGenerator[list[Record], None]:
        """See Log.read. Also raises RolledBack and TopicUnsound."""
        reader = KafkaReader(self._access, topic, from_offset)
        try:
            async with aclosing(reader.batches(every_s)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            reader.drop()

    async def one(self, topic: str, offset: int) -> Record | None:
        """See Log.one."""
        return await self._desk(topic).one(offset)

    async def start(self, topic: str) -> int:
        """See Log.start."""
        return await self._desk(topic).start()

    async def end(self, topic: str) -> int:
        """See Log.end."""
        appender = self._appenders.get(topic)
        return await self._desk(topic).end(appender.known_end if appender else 0)

    async def cut(self, topic: str, below: int) -> int:
        """See Log.cut. A partition, here, is as many records; the files go when they are full."""
        desk = self._desk(topic)
        start, end = await desk.start(), await desk.end()
        whole = min(below, end) // self.config.partition_records * self.config.partition_records
        return await desk.cut(whole) if whole > start else start

    async def close(self) -> None:
        """See Log.close."""
        for appender in self._appenders.values():
            appender.drop()
        for desk in self._desks.values():
            desk.link.drop()

    def _desk(self, topic: str) -> Desk:
        if topic not in self._desks:
            self._desks[topic] = Desk(self._access, topic)
        return self._desks[topic]
