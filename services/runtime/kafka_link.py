"""A connection to the Kafka broker that leads a topic, opened when needed and again when lost.

Of the driver only the connection, the requests and the codec of records are used: its producer and
its consumer mend themselves behind our back, and we must know of each connection that was lost.

A connection may be dead and nobody say so: the broker stands still, or the wire swallows what is
sent. Whether it is that or merely slow cannot be known. So a question that waits too long is asked
once more over another connection while the first one still may answer, and the first answer counts;
a slow broker is asked twice, and loses nothing of what it was about to say.

    LogUnavailable            nothing was sent; KafkaRefused if nobody lets us in
    NoAnswer                  what was sent may have been done
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest

from services.runtime.kafka_access import (
    CONNECT_S,
    LOST,
    Access,
    KafkaRefused,
    connect,
    hint,
    not_allowed,
    refusal,
)
from services.runtime.log import LogUnavailable, TopicUnknown

ANSWER_S: Final = 10.0
"""How long an answer may take where nothing else is said."""

DOUBT_S: Final = 2.0
"""So long a question waits for its answer before it is asked over another connection as well."""

NO_ERROR: Final = 0
OUT_OF_RANGE: Final = 1
UNKNOWN_TOPIC: Final = 3
_NO_LEADER: Final = 5
MOVED: Final = frozenset({3, 5, 6, 9, 13, 14, 56, 74, 75, 76, 78})
"""Errors of a broker that does not lead the topic, or not yet: ask who does."""

_AGAIN_S: Final = 0.2

_log = structlog.get_logger("log")


class NoAnswer(Exception):
    """A question was sent and its answer is lost. What it asked for may have been done."""


async def count_brokers(access: Access) -> int:
    """How many brokers there are. Raises LogUnavailable."""
    connection, known = await _knock(access, [], None)
    connection.close()
    return len(known.brokers)


class Link:
    """A connection to whoever leads partition 0 of a topic; without a topic, to any broker."""

    def __init__(self, access: Access, topic: str | None) -> None:
        self.topic = topic
        self.brokers = 0
        """How many there are in the cluster, as of the last opening."""
        self.openings = 0
        """How often it was opened: whoever compares sees that it was lost in between."""
        self.asked_twice = 0
        """How many questions were sent over a second connection: the first may yet be heard."""
        self._access = access
        self._opening = asyncio.Lock()
        self._connection: AIOKafkaConnection | None = None
        self._known: list[tuple[str, int]] = []

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as we know."""
        return self._connection is not None and self._connection.connected()

    async def ask(
        self, request: Any, *, within_s: float = ANSWER_S, doubt_s: float = DOUBT_S
    ) -> Any:
        """Send a request and give the answer. It must be one that may be heard twice.

        A connection that has to be opened for it has no time of its own.

        Raises LogUnavailable or TopicUnknown (nothing was sent), or NoAnswer; then, and if we are
        cancelled while we wait, the connection is dropped.
        """
        deadline = asyncio.get_running_loop().time() + within_s
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._ready()
        except TimeoutError as error:
            raise LogUnavailable("Kafka cannot be reached in time.") from error
        first = asyncio.ensure_future(_send(connection, request))
        asked = [first]
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.wait(asked, timeout=doubt_s)
                if first.done():
                    return first.result()
                asked.append(asyncio.ensure_future(self._ask_anew(connection, request)))
                return await _first_answer(asked)
        except LOST as error:
            self.drop()
            raise NoAnswer(f"Kafka's answer was lost: {error!r}") from error
        except asyncio.CancelledError:
            self.drop()
            raise
        finally:
            for each in asked:
                each.cancel()
                each.add_done_callback(_forget)

    async def open(self) -> None:
        """Have a connection. Raises LogUnavailable or TopicUnknown."""
        await self._ready()

    def drop(self) -> None:
        """Let the connection go; the next question opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    async def _ready(self) -> AIOKafkaConnection:
        async with self._opening:
            if not self.is_open:
                self.drop()
                self._use(await self._open())
            return self._connection

    def _use(self, connection: AIOKafkaConnection) -> None:
        self.drop()
        self._connection = connection
        self.openings += 1

    async def _ask_anew(self, doubted: AIOKafkaConnection, request: Any) -> Any:
        """The answer that comes over another connection, which is ours from then on.

        Tries until it has one. Whoever waits for it knows how long.
        """
        while True:
            with suppress(LogUnavailable, TopicUnknown, *LOST):
                return await self._ask_once_anew(doubted, request)
            await asyncio.sleep(_AGAIN_S)

    async def _ask_once_anew(self, doubted: AIOKafkaConnection, request: Any) -> Any:
        if self._connection is not doubted:
            # Another question has brought a new one meanwhile.
            connection = await self._ready()
            self.asked_twice += 1
            return await _send(connection, request)
        connection = await self._open(doubted)
        try:
            self.asked_twice += 1
            answer = await _send(connection, request)
            if self._connection is doubted:
                _log.warning("log_silent", topic=self.topic, broker=_place(doubted))
                self._use(connection)
            return answer
        finally:
            if self._connection is not connection:
                connection.close()

    async def _open(self, doubted: AIOKafkaConnection | None = None) -> AIOKafkaConnection:
        """A new connection. Whoever is in doubt is asked last who leads."""
        known = [place for place in self._known if not doubted or place != _place(doubted)]
        connection, metadata = await _knock(self._access, known, self.topic)
        at = {broker[0]: (broker[1], broker[2]) for broker in metadata.brokers}
        self._known, self.brokers = list(at.values()), len(at)
        if self.topic is None:
            return connection
        try:
            leader = at.get(_leader(self.topic, metadata))
            if leader is None:
                raise LogUnavailable(f"{self.topic} has no leader at the moment.")
        except BaseException:
            connection.close()
            raise
        if leader == _place(connection):
            return connection
        connection.close()
        try:
            return await connect(self._access, *leader)
        except LOST as error:
            raise LogUnavailable(
                f"The leader of {self.topic} is out of reach: {error!r}"
            ) from error


async def _send(connection: AIOKafkaConnection, request: Any) -> Any:
    return await connection.send(request)


async def _first_answer(asked: Sequence["asyncio.Future[Any]"]) -> Any:
    """The first answer that comes; the last failure if none does."""
    why: Exception | None = None
    for each in asyncio.as_completed(asked):
        try:
            return await each
        except LOST as error:
            why = error
    raise why or TimeoutError


def _forget(asked: "asyncio.Future[Any]") -> None:
    """Nobody waits any more for what became of it."""
    if not asked.cancelled():
        asked.exception()


def _place(connection: AIOKafkaConnection) -> tuple[str, int]:
    return connection.host, connection.port


async def _knock(
    access: Access, known: Sequence[tuple[str, int]], topic: str | None
) -> tuple[AIOKafkaConnection, Any]:
    """A connection to the first broker that answers, and what it says of the cluster and a topic.

    Raises LogUnavailable; KafkaRefused if each that there is refuses us. Where one is out of reach,
    as while they start, it may yet let us in.
    """
    why, refused = "", ""
    for host, port in dict.fromkeys([*known, *access.brokers()]):
        connection = None
        try:
            connection = await connect(access, host, port)
            request = MetadataRequest([] if topic is None else [topic], False)
            async with asyncio.timeout(CONNECT_S):
                return connection, await connection.send(request)
        except LOST as error:
            if said := refusal(access, error):
                refused = f"Kafka at {host}:{port} does not let us in: {said}."
            else:
                why = f"{error!r}.{hint(access, error)}"
            if connection is not None:
                connection.close()
        except asyncio.CancelledError:
            if connection is not None:
                connection.close()
            raise
    if refused and not why:
        raise KafkaRefused(refused)
    raise LogUnavailable(f"Kafka cannot be reached: {why} {refused}".rstrip())


def _leader(topic: str, metadata: Any) -> int:
    """The number of the broker that leads; -1 if nobody does. Raises TopicUnknown."""
    error, _name, _internal, partitions = metadata.topics[0]
    if error == UNKNOWN_TOPIC:
        raise TopicUnknown(f"There is no topic {topic}.")
    if refused := not_allowed(topic, error):
        raise refused
    leaders = [int(leader) for _error, number, leader, *_rest in partitions if number == 0]
    return leaders[0] if leaders and error in (NO_ERROR, _NO_LEADER) else -1
