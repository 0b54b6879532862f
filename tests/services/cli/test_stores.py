"""The stores as processes of the house: Postgres comes back and goes last, Kafka needs a Java."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.child import Backoff, ChildState, Severity
from services.cli.stores import PostgresKeeper, have_kafka
from services.cli.terminal import Refused
from services.runtime.embedded import start_postgres, stop_postgres
from services.runtime.kafka_jars import KAFKA_VERSION

PATIENCE_S = 60.0


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


def test_a_server_that_is_killed_comes_back_and_one_left_behind_is_taken_over(
    tmp_path: Path,
) -> None:
    said: list[str] = []

    def tell(_name: str, text: str, _severity: Severity) -> None:
        said.append(text)

    async def story() -> None:
        left_behind = await asyncio.to_thread(start_postgres, tmp_path)
        keeper = PostgresKeeper(tmp_path, tell, Backoff(first_s=0.01))
        await keeper.start()
        assert keeper.pid == left_behind.pid
        os.kill(keeper.pid, signal.SIGKILL)
        await until(lambda: keeper.state is ChildState.SERVING and keeper.restarts == 1)
        assert keeper.pid != left_behind.pid
        await keeper.stop()
        assert keeper.state is ChildState.STOPPED
        assert not (tmp_path / "postgres" / "postmaster.pid").exists()

    try:
        asyncio.run(story())
    finally:
        stop_postgres(tmp_path, "immediate")
    assert said[1].startswith("ended; starts again in")
    assert said[-1] == "stopped"


def test_a_server_that_the_system_refuses_to_start_is_tried_again(tmp_path: Path) -> None:
    said: list[str] = []

    def tell(_name: str, text: str, _severity: Severity) -> None:
        said.append(text)

    async def story() -> None:
        keeper = PostgresKeeper(tmp_path, tell, Backoff(first_s=0.01, most_s=0.1))
        await keeper.start()
        # It is written by each start; a full disk refuses likewise.
        settings = tmp_path / "postgres" / "postgresql.conf"
        settings.unlink()
        settings.mkdir()
        os.kill(keeper.pid, signal.SIGKILL)
        await until(lambda: any("cannot be run" in text for text in said))
        settings.rmdir()
        await until(lambda: keeper.state is ChildState.SERVING)
        await keeper.stop()

    try:
        asyncio.run(story())
    finally:
        stop_postgres(tmp_path, "immediate")


def test_the_jars_of_a_kafka_do_not_make_up_for_a_java(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"kafka_2.13-{KAFKA_VERSION}.jar").touch()
    monkeypatch.setenv("BOURSE_KAFKA_JARS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(Refused, match="apt-get install openjdk-17-jre-headless"):
        have_kafka()
