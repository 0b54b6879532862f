"""The log in Kafka: what topics must be like, what is not believed, what is sent twice."""

import asyncio
import struct
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from aiokafka.protocol.admin import CreateTopicsRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from services.runtime.config import ConfigError
from services.runtime.kafka_access import Access, access_of
from services.runtime.kafka_link import Link
from services.runtime.kafka_log import KafkaLog, open_kafka_log
from services.runtime.kafka_records import Identity, decode, encode
from services.runtime.kafka_topics import _check_settings, wanted_settings
from services.runtime.log import (
    LogUnavailable,
    RecordTooLarge,
    TopicUnsound,
)
from tests.kafka import kafka_config

TOPIC = "bourse.commands.0"
NOBODY = Identity(-1, -1, -1)
Story = Callable[[KafkaLog, Link], Coroutine[Any, Any, None]]


def now_us() -> int:
    return time.time_ns() // 1000


def tell(address: str, story: Story, **settings: object) -> None:
    """A log with its topic, and a way past it to whoever leads the topic."""

    async def told() -> None:
        log = await open_kafka_log(kafka_config(address, **settings))
        link = Link(Access(address), TOPIC)
        try:
            await log.create(TOPIC)
            await asyncio.wait_for(story(log, link), 60)
        finally:
            link.drop()
            await log.close()

    asyncio.run(told())


async def produce(link: Link, batch: bytes | bytearray) -> tuple[int, int]:
    """Put a batch on the topic as anybody could; error and offset of the answer."""
    request = ProduceRequest(None, -1, 5000, [(TOPIC, [(0, bytes(batch))])])
    found = (await link.ask(request)).topics[0][1][0]
    return found[1], found[2]


# --- settings -------------------------------------------------------------------------------


def make(address: str, partitions: int = 1, **wrong: str) -> None:
    """Make the topic with settings that are not ours."""

    async def made() -> None:
        settings = wanted_settings(kafka_config(address))
        settings |= {name.replace("_", "."): value for name, value in wrong.items()}
        asked: tuple[Any, ...] = (TOPIC, partitions, 1, [], list(settings.items()))
        link = Link(Access(address), None)
        answer = await link.ask(CreateTopicsRequest([asked], 10_000, False))
        link.drop()
        assert answer.topic_errors[0][1] == 0, answer

    asyncio.run(made())


def refusal(address: str, **settings: object) -> str:
    """What a log says that is asked to make the topic."""

    async def refused() -> str:
        log = await open_kafka_log(kafka_config(address, **settings))
        try:
            with pytest.raises(TopicUnsound) as caught:
                await log.create(TOPIC)
        finally:
            await log.close()
        return str(caught.value)

    return asyncio.run(refused())


def test_wrong_settings_are_named_with_the_command_that_mends_them(kafka: str) -> None:
    make(kafka, retention_ms="604800000", flush_messages="1000", max_message_bytes="1048588")
    said = refusal(kafka)
    assert "retention.ms is 604800000 and must be -1" in said
    assert "flush.messages is 1000 and must be 1" in said
    assert "--add-config flush.messages=1,max.message.bytes=16777216,retention.ms=-1" in said
    assert f"--entity-name {TOPIC}" in said


WRONG = {
    "cleanup.policy": "compact",
    "retention.ms": "604800000",
    "retention.bytes": "1000000",
    "message.timestamp.type": "CreateTime",
    "unclean.leader.election.enable": "true",
    "compression.type": "gzip",
    "min.insync.replicas": "1",
    "max.message.bytes": "1048588",
    "flush.messages": "9223372036854775807",
}


@pytest.mark.parametrize("copies", [1, 3])
def test_each_setting_that_is_wanted_is_missed_and_seen_to_be_wrong(copies: int) -> None:
    config = kafka_config("kafka://here:1", replication=copies, min_isr=(copies + 1) // 2)
    told = wanted_settings(config)
    _check_settings(TOPIC, told, config)
    for name, wanted in told.items():
        missing = {other: value for other, value in told.items() if other != name}
        with pytest.raises(TopicUnsound, match=f"{name} is not told and must be {wanted}"):
            _check_settings(TOPIC, missing, config)
        if (wrong := WRONG[name]) != wanted:
            with pytest.raises(TopicUnsound, match=f"{name} is {wrong} and must be {wanted}"):
                _check_settings(TOPIC, {**told, name: wrong}, config)
    assert ("flush.messages" in told) == (copies == 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cleanup_policy", "compact"),
        ("retention_bytes", "1000000"),
        ("message_timestamp_type", "CreateTime"),
        ("unclean_leader_election_enable", "true"),
        ("compression_type", "gzip"),
    ],
)
def test_each_setting_that_could_lose_records_is_looked_at(
    kafka: str, name: str, value: str
) -> None:
    make(kafka, 1, **{name: value})
    assert f"{name.replace('_', '.')} is {value} and must be" in refusal(kafka)


def test_more_brokers_in_step_than_were_asked_for_are_welcome(kafka: str) -> None:
    make(kafka, max_message_bytes="99999999")

    async def story(log: KafkaLog, _link: Link) -> None:
        assert (await log.append(TOPIC, [b"a"], clock_us=now_us())).first_offset == 0

    tell(kafka, story)


def test_a_topic_with_two_partitions_has_no_order(kafka: str) -> None:
    make(kafka, partitions=2)
    assert "has 2 partitions" in refusal(kafka)


def test_a_topic_with_too_few_copies_is_refused(kafka: str) -> None:
    assert "this Kafka has fewer" in refusal(kafka, replication=3, min_isr=2)
    make(kafka)
    said = refusal(kafka, replication=2)
    assert "is kept by 1 brokers, and BOURSE_LOG_REPLICATION wants 2" in said


# --- what is not ours -----------------------------------------------------------------------


def batch(
    bodies: Sequence[bytes | None],
    *,
    compression: int = 0,
    transactional: int = 0,
    key: bytes | None = None,
    headers: Sequence[tuple[str, bytes]] = (),
) -> bytearray:
    builder = DefaultRecordBatchBuilder(2, compression, transactional, *NOBODY, 1 << 20)
    for number, body in enumerate(bodies):
        builder.append(number, 1, key, body, list(headers))
    built: bytearray = builder.build()
    return built


@pytest.mark.parametrize(
    ("foreign", "said"),
    [
        (batch([None], key=b"k"), "was not written by Bourse"),
        (batch([b"a"], key=b"k"), "was not written by Bourse"),
        (batch([b"a"], headers=[("h", b"v")]), "was not written by Bourse"),
        (batch([b"a" * 100], compression=1), "is compressed"),
    ],
)
def test_a_foreign_record_stops_every_reader(kafka: str, foreign: bytearray, said: str) -> None:
    async def story(log: KafkaLog, link: Link) -> None:
        await log.append(TOPIC, [b"ours"], clock_us=now_us())
        assert await produce(link, foreign) == (0, 1)
        with pytest.raises(TopicUnsound, match=f"offset 1 of {TOPIC} {said}"):
            await anext(log.read(TOPIC, 0))
        with pytest.raises(TopicUnsound, match=said):
            await log.one(TOPIC, 1)

    tell(kafka, story)


def placed(made: bytearray, base_offset: int = 0) -> bytes:
    """A batch at its place."""
    made[:8] = struct.pack(">q", base_offset)
    return bytes(made)


def test_what_cannot_be_right_is_not_read() -> None:
    with pytest.raises(TopicUnsound, match="belongs to a transaction"):
        decode(TOPIC, placed(batch([b"a"], transactional=1)), 0)
    with pytest.raises(TopicUnsound, match="has the time of its sender"):
        decode(TOPIC, placed(batch([b"a"])), 0)


def test_a_hole_is_seen(kafka: str) -> None:
    async def story(log: KafkaLog, link: Link) -> None:
        await log.append(TOPIC, [b"a", b"b"], clock_us=now_us())
        data = await fetched(link)
        assert [record.body for record in decode(TOPIC, data, 1)] == [b"b"]
        with pytest.raises(TopicUnsound, match="has a hole: offset 7 stands where 0 belongs"):
            decode(TOPIC, placed(bytearray(data), 7), 0)
        damaged = bytearray(data)
        damaged[-3] ^= 1
        with pytest.raises(TopicUnsound, match="its checksum is wrong"):
            decode(TOPIC, bytes(damaged), 0)
        assert decode(TOPIC, data[:-1], 0) == [], "what is cut off comes again"

    tell(kafka, story)


async def fetched(link: Link) -> bytes:
    """The bytes of the topic, as a broker gives them out."""
    asked = FetchRequest(0, 1, 1 << 20, 0, [(TOPIC, [(0, 0, 1 << 20)])])
    data: bytes = (await link.ask(asked)).topics[0][1][0][-1]
    return data


# --- what is sent twice ---------------------------------------------------------------------


def test_a_batch_sent_again_is_in_the_log_once_and_given_up_ones_never_come_late(
    kafka: str,
) -> None:
    async def story(log: KafkaLog, link: Link) -> None:
        answer = await link.ask(InitProducerIdRequest(None, 0))
        old = Identity(answer.producer_id, answer.producer_epoch, 0)
        first = encode([b"a", b"b"], old, now_us())
        assert await produce(link, first) == (0, 0)
        assert await produce(link, first) == (0, 0), "the answer of then is given again"
        new = old._replace(epoch=old.epoch + 1)
        assert await produce(link, encode([b"c"], new, now_us())) == (0, 2)
        late = encode([b"given up"], old._replace(sequence=2), now_us())
        fenced, _ = await produce(link, late)
        assert fenced == 47, "an older epoch is refused"
        assert await log.end(TOPIC) == 3

    tell(kafka, story)


def test_an_append_that_is_given_up_leaves_the_order_as_it_is(kafka: str) -> None:
    async def story(log: KafkaLog, _link: Link) -> None:
        made = [
            asyncio.create_task(log.append(TOPIC, [b"%d" % n], clock_us=now_us()))
            for n in range(40)
        ]
        for task in made[::5]:
            await asyncio.sleep(0.002)
            task.cancel()
        await asyncio.gather(*made, return_exceptions=True)
        await log.append(TOPIC, [b"last"], clock_us=now_us())
        end, found = await log.end(TOPIC), list[bytes]()
        async for records in log.read(TOPIC, 0):
            found += [record.body for record in records]
            if len(found) == end:
                break
        numbers = [int(body) for body in found[:-1]]
        assert numbers == sorted(set(numbers)), "each at most once, in the order of the calls"
        kept = {n for n, task in enumerate(made) if not task.cancelled()}
        assert kept <= set(numbers)

    tell(kafka, story)


def test_an_append_above_what_a_batch_takes_does_nothing(kafka: str) -> None:
    async def story(log: KafkaLog, _link: Link) -> None:
        with pytest.raises(RecordTooLarge, match="with what stands around them"):
            await log.append(TOPIC, [b"x" * 4] * 2_000_000, clock_us=now_us())
        assert await log.end(TOPIC) == 0

    tell(kafka, story)


# --- being let in ---------------------------------------------------------------------------


def test_a_kafka_nobody_listens_at_is_unavailable() -> None:
    async def story() -> None:
        log = KafkaLog(kafka_config("kafka://127.0.0.1:1"))
        for asked in (log.end(TOPIC), log.create(TOPIC), log.append(TOPIC, [b"a"], clock_us=0)):
            with pytest.raises(LogUnavailable):
                await asked
        await log.close()

    asyncio.run(story())


def test_one_who_takes_connections_and_never_answers_is_not_waited_for_long() -> None:
    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            continue
        writer.close()
        left.set()

    left = asyncio.Event()

    async def story() -> None:
        silent = await asyncio.start_server(hear, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        log = KafkaLog(kafka_config(f"kafka://127.0.0.1:{port}", append_timeout_s=0.2))
        with pytest.raises(LogUnavailable):
            await log.append(TOPIC, [b"a"], clock_us=0)
        await log.close()
        await left.wait()
        silent.close()

    asyncio.run(story())


@pytest.mark.parametrize("address", ["kafka://", "kafka://host", "kafka://a:1,b", "kafka://a:x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="BOURSE_LOG_ADDRESS"):
        access_of(kafka_config(address))
