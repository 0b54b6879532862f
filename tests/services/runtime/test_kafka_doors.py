"""How a Kafka lets us in, and what is said when it does not."""

import asyncio
import logging
import struct
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from services.cli.doctor import Finding, _kafka
from services.cli.probes import any_free_port
from services.runtime.config import ConfigError, LogConfig
from services.runtime.kafka_access import KafkaRefused, access_of
from services.runtime.kafka_link import count_brokers
from services.runtime.kafka_log import KafkaLog, open_kafka_log
from services.runtime.log import LogUnavailable
from tests.chaos.wire import Place, Wire
from tests.kafka import kafka_config
from tests.kafka_doors import MECHANISMS, NOBODY, PASSWORD, USER, Doors

TOPIC = "bourse.commands.0"


def named(doors: Doors, **other: object) -> LogConfig:
    """As somebody who knows the password."""
    known = {"tls_ca": doors.file("broker"), "sasl_user": USER, "sasl_password": PASSWORD}
    wanted = {"sasl_mechanism": "PLAIN", **known, **other}
    return kafka_config(str(wanted.pop("address", doors.named)), **wanted)


def named_door(doors: Doors) -> Place:
    return Place(port=int(doors.named.rpartition(":")[2]))


def shown(doors: Doors, **other: object) -> LogConfig:
    """As somebody with a certificate."""
    known = {"tls_ca": doors.file("broker"), "tls_cert": doors.file(USER)}
    return kafka_config(doors.mutual, **{**known, **other})


async def use(config: LogConfig) -> None:
    """Whatever a house does with its log."""
    log = await open_kafka_log(config)
    try:
        await log.create(TOPIC)
        first = (await log.append(TOPIC, [b"a"] * 8, clock_us=0)).first_offset
        await log.create(TOPIC)
        assert (await anext(log.read(TOPIC, first)))[0].body == b"a"
        assert await log.end(TOPIC) == first + 8
        assert await log.cut(TOPIC, first + 8) == first + 8
    finally:
        await log.close()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_name_and_a_password_let_us_in_over_tls(kafka_doors: Doors, mechanism: str) -> None:
    asyncio.run(use(named(kafka_doors, sasl_mechanism=mechanism)))


def test_a_certificate_lets_us_in(kafka_doors: Doors) -> None:
    asyncio.run(use(shown(kafka_doors)))
    locked = {"tls_key": kafka_doors.locked_key(USER), "tls_key_password": PASSWORD}
    asyncio.run(use(shown(kafka_doors, **locked)))


def refusals(doors: Doors) -> Mapping[str, tuple[LogConfig, str]]:
    """Who is not let in, and what he is told to look at."""
    broker, stranger = doors.file("broker"), doors.file("stranger")
    name = "BOURSE_LOG_SASL_USER, _SASL_PASSWORD and _SASL_MECHANISM"
    return {
        "a name it does not know this way": (
            named(doors, sasl_mechanism="SCRAM-SHA-256", sasl_user=NOBODY),
            name,
        ),
        "a certificate nobody vouches for": (named(doors, tls_ca=stranger), "BOURSE_LOG_TLS_CA"),
        "one nobody on this machine vouches for": (named(doors, tls_ca="system"), "_LOG_TLS_CA"),
        "another host": (
            named(doors, address=doors.named.replace("localhost", "127.0.0.1")),
            "BOURSE_LOG_ADDRESS hosts that stand in it",
        ),
        "no certificate of ours": (
            kafka_config(doors.mutual, tls_ca=broker),
            "Set BOURSE_LOG_TLS_CERT and BOURSE_LOG_TLS_KEY",
        ),
        "one it does not trust": (shown(doors, tls_cert=stranger), "its ssl.truststore"),
        "a name where none is asked": (
            named(doors, address=doors.mutual, tls_cert=doors.file(USER)),
            "Take BOURSE_LOG_SASL_… away",
        ),
        "no TLS": (kafka_config(doors.mutual), "Set BOURSE_LOG_TLS_CA"),
        **{
            f"a wrong password by {mechanism}": (
                named(doors, sasl_mechanism=mechanism, sasl_password="open barley"),
                name,
            )
            for mechanism in MECHANISMS
        },
    }


def test_whoever_is_not_let_in_is_told_what_to_look_at(
    kafka_doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for case, (config, advice) in refusals(kafka_doors).items():
        with pytest.raises(KafkaRefused) as caught:
            asyncio.run(open_kafka_log(config))
        said = str(caught.value)
        assert said.startswith("Kafka at "), case
        assert advice in said, case
        assert "open" not in said, case
    assert PASSWORD not in caplog.text
    assert "barley" not in caplog.text


def test_a_broker_that_refuses_ends_nothing_while_another_may_start(kafka_doors: Doors) -> None:
    async def story() -> None:
        starting = Wire("starts", Place(port=any_free_port("127.0.0.1")), named_door(kafka_doors))
        mutual = kafka_doors.mutual
        config = named(kafka_doors, address=f"{mutual},localhost:{starting.near.port}")
        with pytest.raises(LogUnavailable, match="does not let us in") as caught:
            await count_brokers(access_of(config))
        assert not isinstance(caught.value, KafkaRefused)
        opening = asyncio.create_task(open_kafka_log(config))
        await starting.open()
        await (await opening).close()
        await starting.close()

    asyncio.run(story())


def test_a_reader_that_is_not_let_in_any_more_says_so_and_tries_on(
    kafka: str, kafka_doors: Doors
) -> None:
    async def story() -> None:
        wire = Wire("log", Place(port=kafka_doors.wired_port), Place(port=kafka_doors.far_port))
        await wire.open()
        log = await open_kafka_log(kafka_config(f"kafka://127.0.0.1:{kafka_doors.wired_port}"))
        around = await open_kafka_log(kafka_config(kafka))
        await around.create(TOPIC)
        async with aclosing(log.read(TOPIC, 0)) as batches:
            await around.append(TOPIC, [b"a"], clock_us=0)
            assert [record.body for record in await anext(batches)] == [b"a"]
            with capture_logs() as said:
                # Whoever comes without a word of TLS is refused there.
                wire.far = named_door(kafka_doors)
                wire.mend(breaking=True)
                reading = asyncio.ensure_future(anext(batches))
                # Nobody says when a line comes.
                while not (refused := of_event("log_refused", said)):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert refused[0]["log_level"] == "error"
            assert "Set BOURSE_LOG_TLS_CA" in refused[0]["why"]
            wire.far = Place(port=kafka_doors.far_port)
            wire.mend(breaking=True)
            await around.append(TOPIC, [b"b"], clock_us=0)
            assert [record.body for record in await reading] == [b"b"]
        for each in (log, around):
            await each.close()
        await wire.close()

    asyncio.run(asyncio.wait_for(story(), 60))


def of_event(event: str, said: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return [line for line in said if line["event"] == event]


def test_a_broker_that_hangs_up_may_want_something(kafka: str, kafka_doors: Doors) -> None:
    async def told(config: LogConfig) -> str:
        log = KafkaLog(config)
        with pytest.raises(LogUnavailable) as caught:
            await log.end(TOPIC)
        await log.close()
        return str(caught.value)

    broker = kafka_doors.file("broker")
    unnamed = asyncio.run(told(kafka_config(kafka_doors.named, tls_ca=broker)))
    assert "it may want a name and a password: BOURSE_LOG_SASL_" in unnamed
    in_vain = asyncio.run(told(kafka_config(kafka, tls_ca=broker)))
    assert "it may not speak TLS: look at BOURSE_LOG_TLS_CA" in in_vain


def test_the_doctor_tries_the_door(
    kafka: str, kafka_doors: Doors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finding(**settings: str) -> Finding:
        with monkeypatch.context() as patched:
            for name, value in settings.items():
                patched.setenv(f"BOURSE_LOG_{name}", value)
            return _kafka(tmp_path)

    alone = {"REPLICATION": "1", "MIN_ISR": "1"}
    assert finding(ADDRESS=kafka, **alone).ok
    assert "Start more brokers" in finding(ADDRESS=kafka).fix
    assert "LOG_SASL_USER and LOG_SASL_PASSWORD" in finding(ADDRESS=kafka, SASL_USER="u").fix
    ours = {"TLS_CA": kafka_doors.file("broker"), "SASL_MECHANISM": "SCRAM-SHA-512"}
    known = {"ADDRESS": kafka_doors.named, "SASL_USER": USER, **ours, **alone}
    assert finding(SASL_PASSWORD=PASSWORD, **known).ok
    wrong = finding(SASL_PASSWORD="open barley", **known)
    assert f"does not know {USER} by this password" in wrong.fix
    assert "barley" not in wrong.fix


def test_one_who_may_do_nothing_is_told_of_his_rights(kafka_doors: Doors) -> None:
    async def story() -> None:
        allowed = await open_kafka_log(named(kafka_doors))
        await allowed.create(TOPIC)
        await allowed.close()
        log = await open_kafka_log(named(kafka_doors, sasl_user=NOBODY))
        for asked in (log.create(TOPIC), log.end(TOPIC), log.append(TOPIC, [b"a"], clock_us=0)):
            with pytest.raises(KafkaRefused, match="give it the rights that docs"):
                await asked
        await log.close()

    asyncio.run(story())


async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take whoever comes as somebody would who does not know his password."""
    with suppress(asyncio.IncompleteReadError):
        while True:
            (size,) = struct.unpack(">i", await reader.readexactly(4))
            heard = await reader.readexactly(size)
            about, _version, number = struct.unpack(">hhi", heard[:8])
            said = struct.pack(">i", number) + _pretended(about, heard)
            writer.write(struct.pack(">i", len(said)) + said)
    writer.transport.abort()


def _pretended(about: int, heard: bytes) -> bytes:
    versions = [(_VERSIONS, 0), (_MECHANISMS, 1), (_PROOF, 0)]
    if about == _VERSIONS:
        told = b"".join(struct.pack(">hhh", each, version, version) for each, version in versions)
        return struct.pack(">hi", 0, len(versions)) + told
    if about == _MECHANISMS:
        return struct.pack(">hi", 0, 1) + struct.pack(">h", 13) + b"SCRAM-SHA-256"
    nonce = heard.partition(b",r=")[2]
    said = b"v=AAAA" if b"p=" in heard else b"r=" + nonce + b"more,s=c2FsdA==,i=4096"
    return struct.pack(">hhi", 0, -1, len(said)) + said


_VERSIONS, _MECHANISMS, _PROOF = 18, 17, 36


def test_one_who_lets_everybody_in_is_not_believed() -> None:
    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pretend(reader, writer)
        left.set()

    left = asyncio.Event()

    async def story() -> None:
        door = await asyncio.start_server(hear, "127.0.0.1", 0)
        port = door.sockets[0].getsockname()[1]
        known = {"sasl_mechanism": "SCRAM-SHA-256", "sasl_user": USER, "sasl_password": PASSWORD}
        with pytest.raises(KafkaRefused, match="it may not be our Kafka"):
            await open_kafka_log(kafka_config(f"kafka://127.0.0.1:{port}", **known))
        await left.wait()
        door.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"min_isr": 2}, "MIN_ISR is above"),
        ({"sasl_mechanism": "PLAIN", "sasl_user": "u", "sasl_password": "p"}, "needs LOG_TLS_CA"),
        ({"sasl_mechanism": "SCRAM-SHA-256"}, "needs LOG_SASL_USER"),
        ({"sasl_user": "u", "sasl_password": "p"}, "need LOG_SASL_MECHANISM"),
        ({"tls_cert": "a.pem"}, "LOG_TLS_CERT needs LOG_TLS_CA"),
        ({"tls_ca": "system", "tls_key": "a.key"}, "need LOG_TLS_CERT"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(
    settings: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        kafka_config("kafka://a:1", **settings)


def test_a_password_is_shown_nowhere() -> None:
    known = {"sasl_mechanism": "SCRAM-SHA-256", "sasl_user": "u", "sasl_password": PASSWORD}
    locked = {"tls_ca": "system", "tls_cert": "a.pem", "tls_key_password": PASSWORD}
    config: LogConfig = kafka_config("kafka://a:1", **known)
    assert PASSWORD not in f"{config!r} {access_of(config)!r}"
    assert PASSWORD not in repr(kafka_config("kafka://a:1", **locked))


def test_certificates_that_cannot_be_used_are_named(kafka_doors: Doors) -> None:
    with pytest.raises(ConfigError, match=r"BOURSE_LOG_TLS_CA: /nowhere\.pem cannot be used"):
        access_of(kafka_config("kafka://a:1", tls_ca="/nowhere.pem"))
    with pytest.raises(ConfigError, match=r"BOURSE_LOG_TLS_CERT and _TLS_KEY: /nowhere\.pem"):
        access_of(shown(kafka_doors, tls_cert="/nowhere.pem"))
    for wrong in ("", "open barley"):
        with pytest.raises(ConfigError, match="_TLS_KEY_PASSWORD is missing or wrong") as caught:
            access_of(
                shown(kafka_doors, tls_key=kafka_doors.locked_key(USER), tls_key_password=wrong)
            )
        assert "barley" not in str(caught.value)
