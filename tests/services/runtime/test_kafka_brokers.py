"""The log in Kafka when its brokers are killed, are away, ask who we are, or are put back."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka.protocol.metadata import MetadataRequest

from services.runtime.config import LogConfig
from services.runtime.embedded_kafka import (
    Place,
    prepare_kafka,
    read_place,
    running_brokers,
    start_kafka,
    stop_kafka,
)
from services.runtime.kafka_access import Access
from services.runtime.kafka_link import Link
from services.runtime.kafka_log import KafkaLog, open_kafka_log
from services.runtime.log import (
    LogUnavailable,
    OutcomeUnknown,
    PastEnd,
    Record,
    RolledBack,
    still_has,
)
from tests.kafka import HEAP_MB, kafka_config, need_kafka


class Own:
    """One broker that tests may kill."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.place = prepare_kafka(data)

    async def start(self) -> None:
        self.place = await asyncio.to_thread(prepare_kafka, self.data)
        await asyncio.to_thread(start_kafka, self.data, heap_mb=HEAP_MB, quick=True)

    def kill(self) -> None:
        stop_kafka(self.data, "immediate")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    need_kafka()
    data = tmp_path_factory.mktemp("own")
    try:
        yield Own(data)
    finally:
        stop_kafka(data, "immediate")


@asynccontextmanager
async def opened(config: LogConfig, topic: str) -> AsyncGenerator[KafkaLog, None]:
    log = await open_kafka_log(config)
    try:
        await log.create(topic)
        yield log
    finally:
        await log.close()


async def put(log: KafkaLog, topic: str, *bodies: bytes) -> int:
    appended = await log.append(topic, bodies, clock_us=time.time_ns() // 1000)
    return appended.first_offset


async def surely_put(log: KafkaLog, topic: str, body: bytes) -> int:
    """As order entry does it: again and again, until one of them is known."""
    while True:
        try:
            return await put(log, topic, body)
        except (OutcomeUnknown, LogUnavailable):
            await asyncio.sleep(0.05)


async def for_ever(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask until it raises."""
    while True:
        await ask()


async def until(log: KafkaLog, topic: str, end: int) -> list[Record]:
    records: list[Record] = []
    async with aclosing(log.read(topic, 0)) as batches:
        while len(records) < end:
            records += await anext(batches)
    return records


def told(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 300))


def test_a_log_waits_for_a_kafka_that_is_starting(own: Own) -> None:
    async def story() -> None:
        opening = asyncio.create_task(open_kafka_log(kafka_config(own.place.address)))
        await asyncio.sleep(0.1)
        await own.start()
        log = await opening
        await log.create("starting")
        assert await put(log, "starting", b"a") == 0
        await log.close()

    told(story())


def test_nothing_is_lost_or_doubled_when_the_broker_is_killed_in_the_middle(own: Own) -> None:
    durable, unknown, refused = list[bytes](), list[bytes](), list[bytes]()
    over = asyncio.Event()

    async def write(log: KafkaLog) -> None:
        number = 0
        while not over.is_set():
            body, number = b"%d" % number, number + 1
            try:
                await put(log, "killed", body, body + b" and more")
                durable.append(body)
            except OutcomeUnknown:
                unknown.append(body)
            except LogUnavailable:
                refused.append(body)
                await asyncio.sleep(0.02)

    async def story() -> None:
        await own.start()
        async with opened(kafka_config(own.place.address, append_timeout_s=1.0), "killed") as log:
            seen = [asyncio.create_task(up_to_the_last(log, every_s)) for every_s in (0.0, 0.02)]
            writing = asyncio.create_task(write(log))
            await grown(durable)
            own.kill()
            with pytest.raises(LogUnavailable):
                await for_ever(lambda: log.end("killed"))
            await own.start()
            await grown(durable)
            over.set()
            await writing
            await surely_put(log, "killed", b"last")
            for records in await asyncio.gather(*seen):
                judge(records, durable, unknown, refused)

    told(story())


async def grown(appended: list[bytes]) -> None:
    """Until more is durable than there is now."""
    before = len(appended)
    while len(appended) < before + 30:  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.02)


async def up_to_the_last(log: KafkaLog, every_s: float) -> list[Record]:
    """What a reader sees that was there all the time, up to the record that says it is the last."""
    records: list[Record] = []
    async with aclosing(log.read("killed", 0, every_s=every_s)) as batches:
        while not records or records[-1].body != b"last":
            records += await anext(batches)
    return records


def judge(
    records: list[Record], durable: list[bytes], unknown: list[bytes], refused: list[bytes]
) -> None:
    bodies = [record.body for record in records if record.body != b"last"]
    assert [record.offset for record in records] == list(range(len(records)))
    assert len(bodies) == len(set(bodies)), "nothing twice"
    assert set(durable) <= set(bodies), "nothing acknowledged is missing"
    assert not set(refused) & set(bodies), "what was refused did nothing"
    assert set(bodies[::2]) <= set(durable) | set(unknown)
    assert bodies[1::2] == [body + b" and more" for body in bodies[::2]], "all or nothing"
    assert bodies[::2] == sorted(bodies[::2], key=int), "in the order of the calls"
    assert refused, "the broker was away"


def test_a_log_that_was_put_back_is_noticed(own: Own) -> None:
    kept, older = own.data / "kafka" / "1" / "log", own.data / "older"

    async def story() -> None:
        await own.start()
        async with opened(kafka_config(own.place.address), "back") as log:
            await put(log, "back", b"a")
            # Nothing is under way, so a copy is what a crash at this moment would leave.
            shutil.copytree(kept, older)
            await put(log, "back", b"b", b"c")
            readers = [log.read("back", 0) for _ in range(2)]
            for reader in readers:
                seen = list[Record]()
                while len(seen) < 3:
                    seen += await anext(reader)
            own.kill()
            shutil.rmtree(kept)
            older.rename(kept)
            await own.start()
            with pytest.raises(PastEnd, match="ends at offset 1, and offset 3 was asked for"):
                await anext(readers[0])
            with pytest.raises(RolledBack):
                await surely_put(log, "back", b"x")
            async with opened(kafka_config(own.place.address), "back") as other:
                await put(other, "back", b"y", b"z")
            with pytest.raises(RolledBack, match="Offset 2 of back was read before"):
                await anext(readers[1])

    told(story())


def test_what_a_crash_tore_off_is_noticed(own: Own) -> None:
    file = own.data / "kafka" / "1" / "log" / "torn-0" / "00000000000000000000.log"

    async def story() -> None:
        await own.start()
        async with opened(kafka_config(own.place.address), "torn") as log:
            await put(log, "torn", b"a")
            await put(log, "torn", b"b", b"c")
            reader = log.read("torn", 0)
            last = (await until(log, "torn", 3))[-1]
            own.kill()
            os.truncate(file, file.stat().st_size - 1)
            await own.start()
            with pytest.raises(PastEnd, match="ends at offset 1, and offset 3 was asked for"):
                await anext(log.read("torn", 3))
            with pytest.raises(RolledBack, match="Offset 2 of torn was read before"):
                await still_has(log, "torn", last.offset, last.checksum)
            assert [record.body for record in await anext(reader)] == [b"a"], "the rest is whole"
            await reader.aclose()

    told(story())


# --- three of them --------------------------------------------------------------------------


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Path]:
    need_kafka()
    try:
        start_kafka(tmp_path, 3, heap_mb=HEAP_MB, quick=True)
        yield tmp_path
    finally:
        stop_kafka(tmp_path, "immediate")


def test_of_three_brokers_one_may_stand_still_and_one_be_killed(three: Path) -> None:
    place = read_place(three)
    assert isinstance(place, Place)
    config = kafka_config(place.address, replication=3, min_isr=2, append_timeout_s=10.0)

    async def story() -> None:
        async with opened(config.model_copy(update={"min_isr": 3}), "strict"):
            pass
        async with opened(config, "three") as log:
            reading = asyncio.create_task(until(log, "three", 60))
            for n in range(15):
                await put(log, "three", b"%d" % n)
            frozen = running_brokers(three)[await leader(place)]
            os.kill(frozen, signal.SIGSTOP)
            for n in range(15, 30):
                await surely_put(log, "three", b"%d" % n)
            os.kill(frozen, signal.SIGCONT)
            os.kill(running_brokers(three)[await leader(place)], signal.SIGKILL)
            for n in range(30, 60):
                await surely_put(log, "three", b"%d" % n)
            await fewer_than_wanted(place)
            bodies = [record.body for record in await reading]
            assert list(dict.fromkeys(bodies)) == [b"%d" % n for n in range(len(set(bodies)))]
            others = list(running_brokers(three).values())
            os.kill(others[0], signal.SIGKILL)
            with pytest.raises((LogUnavailable, OutcomeUnknown)):
                await for_ever(lambda: put(log, "three", b"one alone is not enough"))

    told(story())


async def fewer_than_wanted(place: Place) -> None:
    """A topic that wants all three takes nothing while there are two, and says so."""
    config = kafka_config(place.address, replication=3, min_isr=3, append_timeout_s=2.0)
    log = await open_kafka_log(config)
    with pytest.raises(LogUnavailable, match="NotEnoughReplicas"):
        await for_ever(lambda: perhaps_put(log, "strict"))
    end = await log.end("strict")
    with pytest.raises(LogUnavailable, match="NotEnoughReplicas"):
        await put(log, "strict", b"refused")
    assert await log.end("strict") == end, "nothing was done"
    await log.close()


async def perhaps_put(log: KafkaLog, topic: str) -> None:
    """Append while it is not settled yet who is in step: that ends in nobody knows what."""
    with suppress(OutcomeUnknown):
        await put(log, topic, b"x")


async def leader(place: Place) -> int:
    """The number of the broker that leads the topic."""
    link = Link(Access(place.address), None)
    answer = await link.ask(MetadataRequest(["three"], False))
    link.drop()
    return int(answer.topics[0][3][0][2])
