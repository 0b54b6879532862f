"""The room as a process: killed in the middle of a transaction, it starts again and counts once."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr

from bourse.orders import v1 as orders
from bourse.orders.v1 import rpc
from services.runtime.config import LogConfig
from services.runtime.log import open_log
from services.runtime.rpc import open_channel
from tests.house.tree import ROOT
from tests.services.shard import Shard


def start(dsn: str, data: Path, **more: str) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
        "BOURSE_POSTGRES_ADDRESS": dsn,
        "BOURSE_LOG_ADDRESS": dsn,
        "BOURSE_ORDERS_ADDRESS": f"unix:{data}/orders.sock",
        "BOURSE_MATCHING_ADDRESS": f"unix:{data}/matching.sock;unix:{data}/matching-s1.sock",
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "services.orders", "--data", str(data)], env=environment
    )


async def publish(dsn: str, *shards: Shard) -> None:
    log = await open_log(LogConfig(address=SecretStr(dsn)))
    for shard in shards:
        await shard.publish(log)
    await log.close()


def told(shard: Shard) -> list[orders.StreamVerifyRequest]:
    """What a check is asked with."""
    said = orders.StreamVerifyRequest(open_orders=shard.open_orders())
    said.sequence, said.shard = shard.sequence, shard.model.shard
    return [said]


async def verify(data: Path, shard: Shard) -> orders.StreamVerifyResponse:
    async with open_channel(f"unix:{data}/orders.sock") as channel:
        stub = rpc.OrdersServiceStub(channel)
        return await stub.StreamVerify(iter(told(shard)), wait_for_ready=True, timeout=60)


def test_a_kill_in_the_middle_of_a_transaction_loses_and_doubles_nothing(
    postgres: str, tmp_path: Path
) -> None:
    shards = (Shard(), Shard(number=1))
    for shard in shards:
        shard.bustle(120)
    asyncio.run(publish(postgres, *shards))
    killed = start(postgres, tmp_path, BOURSE_CRASH_AT="orders.in_transaction")
    assert killed.wait(60) == -signal.SIGKILL
    with start(postgres, tmp_path) as again:
        try:
            for shard in shards:
                answer = asyncio.run(verify(tmp_path, shard))
                assert [check.detail for check in answer.checks if not check.ok] == []
                assert answer.sequence == shard.sequence
        finally:
            again.terminate()
        assert again.wait(60) == 0
