"""A real Kafka for tests, where this machine can have one."""

import asyncio
import os
import shutil
from typing import Final

import pytest
from aiokafka.protocol.admin import DeleteTopicsRequest
from aiokafka.protocol.metadata import MetadataRequest
from pydantic import SecretStr

from services.runtime.config import LogConfig
from services.runtime.kafka_access import Access
from services.runtime.kafka_jars import KafkaMissing, fetch_kafka
from services.runtime.kafka_link import Link

HEAP_MB: Final = 256


def need_kafka() -> None:
    """Skip the test where there is no Kafka to be had; fail it where CI could have had one."""
    try:
        fetch_kafka()
    except KafkaMissing as error:
        if os.environ.get("CI") and shutil.which("java") and shutil.which("mvn"):
            pytest.fail(f"Java and Maven are here, and yet: {error}")
        pytest.skip(str(error))


def kafka_config(address: str, **settings: object) -> LogConfig:
    """A log on one broker, cut by eight records."""
    wanted: dict[str, object] = {"replication": 1, "min_isr": 1, "partition_records": 8}
    return LogConfig.model_validate({"address": SecretStr(address)} | wanted | settings)


def forget_topics(address: str) -> None:
    """Delete every topic of a Kafka."""
    asyncio.run(_forget_topics(address))


async def _forget_topics(address: str) -> None:
    link = Link(Access(address), None)
    try:
        while names := [topic[1] for topic in (await link.ask(MetadataRequest(None))).topics]:
            await link.ask(DeleteTopicsRequest(names, 10_000))
    finally:
        link.drop()
