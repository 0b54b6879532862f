"""A disk that takes no file keeps the embedded Kafka from starting, and leaves nobody behind."""

import time
from pathlib import Path

import pytest

from services.runtime.embedded import EmbeddedError
from services.runtime.embedded_kafka import start_kafka


def test_what_the_disk_refuses_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "kafka.lock").mkdir()
    with pytest.raises(EmbeddedError, match="Kafka cannot be run"):
        start_kafka(tmp_path)


def test_a_broker_that_cannot_be_written_down_is_ended(tmp_path: Path) -> None:
    broker = tmp_path / "kafka" / "1"
    (broker / "log").mkdir(parents=True)
    (broker / "log" / "meta.properties").touch()
    (broker / "process.json").mkdir()
    with pytest.raises(EmbeddedError, match="Kafka cannot be run"):
        start_kafka(tmp_path)
    for _ in range(100):
        if not _running(broker):
            return
        time.sleep(0.1)
    raise AssertionError(_running(broker))


def _running(broker: Path) -> list[str]:
    """The command lines of processes that serve this folder; one that has ended has none."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = file.read_text().replace("\0", " ")
        except OSError:
            continue
        if "kafka.Kafka" in said and str(broker) in said:
            found.append(said)
    return found
