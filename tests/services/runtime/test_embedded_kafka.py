"""The embedded Kafka, without starting one: what is missing, where it is, who it is."""

import json
import os
from pathlib import Path

import pytest

from services.runtime.config import Settings, kafka_place_file, load
from services.runtime.embedded import EmbeddedError
from services.runtime.embedded_kafka import read_place, running_brokers, stop_kafka
from services.runtime.kafka_jars import KafkaMissing, fetch_kafka, java_version, kafka_jars


def place(data: Path, ports: list[int]) -> None:
    file = kafka_place_file(data)
    file.parent.mkdir()
    said = {"cluster": "c", "ports": ports, "controller_ports": [port + 1 for port in ports]}
    file.write_text(json.dumps(said))


def test_a_machine_without_java_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(KafkaMissing, match="apt-get install openjdk-17-jre-headless"):
        fetch_kafka()


def test_an_old_java_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(KafkaMissing, match="This is Java 11; Kafka needs 17"):
        java_version()


def test_a_machine_without_maven_is_told_of_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"21.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("BOURSE_KAFKA_JARS", raising=False)
    with pytest.raises(KafkaMissing, match=r"Install Maven.*or set BOURSE_KAFKA_JARS"):
        fetch_kafka()


def test_a_machine_that_does_not_reach_a_repository_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = "[\x1b[1;31mERROR\x1b[m] Could not transfer artifact a from/to central: Refused"
    said = f"echo '{first} -> [Help 1]'\necho '[ERROR] [Help 1] read on'"
    java = "echo 'openjdk version \"21.0.2\"' >&2"
    for name, script in {"java": java, "mvn": said}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("JAVA_HOME", "BOURSE_KAFKA_JARS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(KafkaMissing) as caught:
        fetch_kafka()
    assert "Could not transfer artifact a from/to central: Refused. See that" in str(caught.value)
    assert "a mirror or a proxy is named in ~/.m2/settings.xml" in str(caught.value)
    assert "Help" not in str(caught.value)


def test_jars_that_are_named_and_not_there_are_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSE_KAFKA_JARS", str(tmp_path))
    with pytest.raises(KafkaMissing, match=f"is not in {tmp_path}"):
        kafka_jars()


def test_the_log_of_a_folder_with_a_kafka_is_in_it(tmp_path: Path) -> None:
    place(tmp_path, [21001])
    log = load(Settings, ["--data", str(tmp_path)]).log
    assert log.address.get_secret_value() == "kafka://127.0.0.1:21001"
    assert (log.replication, log.min_isr) == (1, 1)


def test_three_brokers_keep_three_copies_and_two_must_have_it(tmp_path: Path) -> None:
    place(tmp_path, [21001, 21003, 21005])
    log = load(Settings, ["--data", str(tmp_path)]).log
    assert log.address.get_secret_value().count(",") == 2
    assert (log.replication, log.min_isr) == (3, 2)


def test_a_process_that_only_has_a_brokers_number_is_none(tmp_path: Path) -> None:
    place(tmp_path, [21001])
    folder = tmp_path / "kafka" / "1"
    folder.mkdir()
    # As after a reboot: our own number, and not our own beginning.
    (folder / "process.json").write_text(json.dumps({"pid": os.getpid(), "began": 1}))
    assert running_brokers(tmp_path) == {}
    stop_kafka(tmp_path, "immediate")


def test_a_folder_without_a_kafka_has_none(tmp_path: Path) -> None:
    assert read_place(tmp_path) is None
    assert running_brokers(tmp_path) == {}
    assert issubclass(KafkaMissing, EmbeddedError)
