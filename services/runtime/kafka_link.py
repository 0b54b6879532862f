"""A connection to the Kafka broker that leads a topic, opened when needed and again when lost.

Of the driver only the connection, the requests and the codec of records are used: its producer and
its consumer mend themselves behind our back, and we must know of each connection that was lost.

    LogUnavailable            nothing was sent
      KafkaRefused            it answers and does not let us in: a setting has to be mended
    NoAnswer                  what was sent may have been done
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from services.runtime.config import ConfigError, LogConfig
from services.runtime.final import NeedsMending
from services.runtime.log import LogUnavailable, TopicUnknown

CONNECT_S: Final = 2.0
"""How long a broker may take to answer a knock; the next one is tried then."""

ANSWER_S: Final = 10.0
"""How long an answer may take where nothing else is said."""

SCHEME: Final = "kafka"
SYSTEM_CAS: Final = "system"

NO_ERROR: Final = 0
OUT_OF_RANGE: Final = 1
UNKNOWN_TOPIC: Final = 3
_NO_LEADER: Final = 5
MOVED: Final = frozenset({3, 5, 6, 9, 13, 14, 56, 74, 75, 76, 78})
"""Errors of a broker that does not lead the topic, or not yet: ask who does."""

_LOST: Final = (OSError, TimeoutError, KafkaError)


class KafkaRefused(LogUnavailable, NeedsMending):
    """Kafka answers and does not let us in, nor will it before somebody changes a setting."""


class NoAnswer(Exception):
    """A question was sent and its answer is lost. What it asked for may have been done."""


class Access(NamedTuple):
    """How to come to a Kafka: its brokers, and who we are."""

    address: str
    """kafka://host:port,host:port"""
    tls: ssl.SSLContext | None = None
    sasl_mechanism: str = ""
    sasl_user: str = ""
    sasl_password: str = ""

    def __repr__(self) -> str:
        return f"Access({self.address!r})"

    def brokers(self) -> Sequence[tuple[str, int]]:
        """Hosts and ports. Raises ConfigError."""
        try:
            parts = [urlsplit(f"//{part}") for part in self.address.partition("://")[2].split(",")]
            found = [(part.hostname, part.port) for part in parts]
        except ValueError as error:
            raise ConfigError(f"BOURSE_LOG_ADDRESS: {error}.") from None
        whole = [(host, port) for host, port in found if host and port]
        if not whole or len(whole) != len(found):
            raise ConfigError("BOURSE_LOG_ADDRESS: a Kafka is written kafka://host:port,host:port.")
        return whole


def access_of(config: LogConfig) -> Access:
    """What the configuration says. Raises ConfigError."""
    access = Access(
        config.address.get_secret_value(),
        _tls(config),
        config.sasl_mechanism,
        config.sasl_user,
        config.sasl_password.get_secret_value(),
    )
    access.brokers()
    return access


def _tls(config: LogConfig) -> ssl.SSLContext | None:
    if not config.tls_ca:
        return None
    try:
        ca = None if config.tls_ca == SYSTEM_CAS else config.tls_ca
        context = ssl.create_default_context(cafile=ca)
        if config.tls_cert:
            context.load_cert_chain(config.tls_cert, config.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"BOURSE_LOG_TLS_…: a file cannot be used: {error}.") from None
    return context


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
        self._access = access
        self._opening = asyncio.Lock()
        self._connection: AIOKafkaConnection | None = None
        self._known: list[tuple[str, int]] = []

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as we know."""
        return self._connection is not None and self._connection.connected()

    async def ask(self, request: Any, *, within_s: float = ANSWER_S) -> Any:
        """Send a request and give the answer.

        Raises LogUnavailable or TopicUnknown (nothing was sent), or NoAnswer; then, and if we are
        cancelled while we wait, the connection is dropped.
        """
        try:
            async with asyncio.timeout(within_s):
                connection = await self._ready()
        except TimeoutError as error:
            raise LogUnavailable("Kafka cannot be reached in time.") from error
        try:
            async with asyncio.timeout(within_s):
                return await connection.send(request)
        except _LOST as error:
            self.drop()
            raise NoAnswer(f"Kafka's answer was lost: {error!r}") from error
        except asyncio.CancelledError:
            self.drop()
            raise

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
                self._connection = await self._open()
                self.openings += 1
            return self._connection

    async def _open(self) -> AIOKafkaConnection:
        connection, metadata = await _knock(self._access, self._known, self.topic)
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
        if leader == (connection.host, connection.port):
            return connection
        connection.close()
        try:
            return await _connect(self._access, *leader)
        except _LOST as error:
            raise LogUnavailable(
                f"The leader of {self.topic} is out of reach: {error!r}"
            ) from error


async def _knock(
    access: Access, known: Sequence[tuple[str, int]], topic: str | None
) -> tuple[AIOKafkaConnection, Any]:
    """A connection to the first broker that answers, and what it says of the cluster and a topic.

    Raises LogUnavailable; KafkaRefused if none lets us in.
    """
    why: Exception | None = None
    for host, port in dict.fromkeys([*known, *access.brokers()]):
        connection = None
        try:
            connection = await _connect(access, host, port)
            request = MetadataRequest([] if topic is None else [topic], False)
            async with asyncio.timeout(CONNECT_S):
                return connection, await connection.send(request)
        except _LOST as error:
            why = error
            if connection is not None:
                connection.close()
        except asyncio.CancelledError:
            if connection is not None:
                connection.close()
            raise
    said = f"Kafka cannot be reached: {why!r}"
    if isinstance(why, _REFUSED):
        raise KafkaRefused(f"{said}. Look at BOURSE_LOG_SASL_… and BOURSE_LOG_TLS_….") from why
    raise LogUnavailable(said) from why


_REFUSED: Final = (
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    ssl.SSLCertVerificationError,
)


async def _connect(access: Access, host: str, port: int) -> AIOKafkaConnection:
    connection = AIOKafkaConnection(
        host,
        port,
        client_id="bourse",
        # Of all its questions; each of ours has a limit of its own, below this one.
        request_timeout_ms=120_000,
        ssl_context=access.tls,
        security_protocol=_protocol(access),
        sasl_mechanism=access.sasl_mechanism or None,
        sasl_plain_username=access.sasl_user,
        sasl_plain_password=access.sasl_password,
    )
    try:
        async with asyncio.timeout(CONNECT_S):
            await connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _protocol(access: Access) -> str:
    transport = "SSL" if access.tls else "PLAINTEXT"
    return f"SASL_{transport}" if access.sasl_mechanism else transport


def _leader(topic: str, metadata: Any) -> int:
    """The number of the broker that leads; -1 if nobody does. Raises TopicUnknown."""
    error, _name, _internal, partitions = metadata.topics[0]
    if error == UNKNOWN_TOPIC:
        raise TopicUnknown(f"There is no topic {topic}.")
    leaders = [int(leader) for _error, number, leader, *_rest in partitions if number == 0]
    return leaders[0] if leaders and error in (NO_ERROR, _NO_LEADER) else -1
