"""Making the topics of a log in Kafka, and seeing that they are as their durability needs them.

Wrong settings are found when a shard starts and not when records are missed: retention that
forgets, a leader that was not in step, times of the sender's.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateTopicsRequest, DescribeConfigsRequest
from aiokafka.protocol.metadata import MetadataRequest

from services.runtime.config import LogConfig
from services.runtime.kafka_access import Access, not_allowed
from services.runtime.kafka_link import NO_ERROR, UNKNOWN_TOPIC, Link, NoAnswer
from services.runtime.kafka_records import MAX_BATCH_BYTES
from services.runtime.log import LogUnavailable, TopicUnknown, TopicUnsound

MADE_S: Final = 20.0
"""How long a new topic may take until it has a leader."""

SEGMENT_BYTES: Final = 128 * 1024 * 1024
"""A file of records; what was cut leaves the disk a file at a time."""

_LOOK_S: Final = 0.05
_CREATE_MS: Final = 10_000
_TOPIC: Final = 2
_ALREADY_EXISTS: Final = 36
_INVALID_REPLICATION: Final = 38


def wanted_settings(config: LogConfig) -> dict[str, str]:
    """The settings without which a topic would lose records, or take what is not ours."""
    wanted = {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "message.timestamp.type": "LogAppendTime",
        "unclean.leader.election.enable": "false",
        "compression.type": "producer",
        "min.insync.replicas": str(config.min_isr),
        "max.message.bytes": str(MAX_BATCH_BYTES),
    }
    if config.replication == 1:
        # Nobody else has the record, so it must be on the disk before it is answered.
        wanted["flush.messages"] = "1"
    return wanted


_AT_LEAST: Final = ("min.insync.replicas", "max.message.bytes")
_ONLY_WHEN_MADE: Final[Mapping[str, str]] = {
    "segment.bytes": str(SEGMENT_BYTES),
    # Each entry of an index is a page that goes to the disk with the record. Fewer of them took a
    # fifth off an append; much fewer, and whoever looks for an offset reads through too much.
    "index.interval.bytes": "131072",
}


async def make_topic(access: Access, topic: str, config: LogConfig) -> None:
    """Make it, or see that the one there is as it must be.

    Raises LogUnavailable, TopicUnsound; OutcomeUnknown never: making it twice makes it once.
    """
    link = Link(access, None)
    try:
        found = await _found(link, topic)
        if found is None:
            await _create(link, topic, config)
            found = await _appeared(link, topic)
        _check_partitions(topic, found, config)
        _check_settings(topic, await _settings(link, topic), config)
    except NoAnswer as error:
        raise LogUnavailable(str(error)) from error
    finally:
        link.drop()


async def _found(link: Link, topic: str) -> list[Any] | None:
    """Its partitions, once each has a leader; None if there is no such topic."""
    answer = await link.ask(MetadataRequest([topic], False))
    error, _name, _internal, partitions = answer.topics[0]
    if error == UNKNOWN_TOPIC:
        return None
    _see_allowed(topic, error)
    if error != NO_ERROR or any(partition[2] < 0 for partition in partitions):
        raise LogUnavailable(f"{topic} has no leader at the moment: {for_code(error).__name__}.")
    return list(partitions)


async def _create(link: Link, topic: str, config: LogConfig) -> None:
    settings = {**wanted_settings(config), **_ONLY_WHEN_MADE}
    asked: tuple[Any, ...] = (topic, 1, config.replication, [], list(settings.items()))
    answer = await link.ask(CreateTopicsRequest([asked], _CREATE_MS, False), within_s=MADE_S)
    _name, error, said = answer.topic_errors[0]
    _see_allowed(topic, error)
    if error == _INVALID_REPLICATION:
        raise TopicUnsound(
            f"{topic} is to be kept by {config.replication} brokers, and this Kafka has fewer:"
            " start more, or set BOURSE_LOG_REPLICATION and BOURSE_LOG_MIN_ISR."
        )
    if error not in (NO_ERROR, _ALREADY_EXISTS):
        raise LogUnavailable(f"{topic} cannot be made: {for_code(error).__name__} {said or ''}")


def _see_allowed(topic: str, error: int) -> None:
    if refused := not_allowed(topic, error):
        raise refused


async def _appeared(link: Link, topic: str) -> list[Any]:
    """Wait until the brokers know of it."""
    try:
        async with asyncio.timeout(MADE_S):
            while True:
                try:
                    if found := await _found(link, topic):
                        return found
                except LogUnavailable:
                    pass
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        raise LogUnavailable(f"{topic} was made and has no leader yet.") from None


def _check_partitions(topic: str, partitions: list[Any], config: LogConfig) -> None:
    if len(partitions) != 1:
        raise TopicUnsound(
            f"{topic} has {len(partitions)} partitions, and its records have one order only in one."
            " Move it away and let it be made anew, or restore it from a backup."
        )
    copies = len(partitions[0][3])
    if copies < config.replication:
        raise TopicUnsound(
            f"{topic} is kept by {copies} brokers, and BOURSE_LOG_REPLICATION wants"
            f" {config.replication}: add replicas with kafka-reassign-partitions.sh."
        )


async def _settings(link: Link, topic: str) -> dict[str, str]:
    answer = await link.ask(DescribeConfigsRequest([(_TOPIC, topic, None)]))
    error, said, _type, _name, entries = answer.resources[0]
    _see_allowed(topic, error)
    if error == UNKNOWN_TOPIC:
        raise TopicUnknown(f"There is no topic {topic}.")
    if error != NO_ERROR:
        raise LogUnavailable(
            f"The settings of {topic} cannot be read: {for_code(error).__name__} {said or ''}"
        )
    return {entry[0]: entry[1] or "" for entry in entries}


def _check_settings(topic: str, found: Mapping[str, str], config: LogConfig) -> None:
    """Say all that is wrong at once, and how to put it right."""
    wanted = wanted_settings(config)
    wrong = {name for name, value in wanted.items() if not _suffices(name, found.get(name), value)}
    if not wrong:
        return
    said = ", ".join(
        f"{name} is {found.get(name, 'not told')} and must be {wanted[name]}"
        for name in sorted(wrong)
    )
    mend = ",".join(f"{name}={wanted[name]}" for name in sorted(wrong))
    raise TopicUnsound(
        f"{topic} has wrong settings: {said}. Put them right: kafka-configs.sh --bootstrap-server"
        f" HOST:PORT --alter --entity-type topics --entity-name {topic} --add-config {mend}"
    )


def _suffices(name: str, found: str | None, wanted: str) -> bool:
    # A broker that is not Apache's need not know every setting; then it does not keep it either.
    return int(found or 0) >= int(wanted) if name in _AT_LEAST else found == wanted
