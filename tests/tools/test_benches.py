"""Every bench works: each is run for a moment. What it measures then means nothing."""

import asyncio
import importlib
import json
import os
import subprocess
import sys

import pytest

from services.cli.edge import Credentials
from tests.house.tree import ROOT
from tools.benches import catchup, entry, entry_logs, failover, house, ledger, rest, run
from tools.benches.running import Usage, cores, cpu_seconds, memory_bytes
from tools.benches.shape import Asked, grouped, quantile_ms

QUICK = Asked(quick=True)


def test_the_command_prints_json_that_names_the_machine() -> None:
    found = json.loads(_bench("ledger", "--quick", "--json"))
    assert found["bench"] == "ledger"
    assert "cores" in found["machine"]
    assert found["postings_per_s"] > 0


def test_the_command_prints_sentences() -> None:
    assert "postings/s" in _bench("ledger", "--quick")


def _bench(*arguments: str) -> str:
    command = [sys.executable, str(ROOT / "tools" / "bench"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    "name",
    [
        *("book", "catchup", "core", "entry", "entry_logs", "failover", "house", "ledger"),
        *("rest", "restart", "run"),
    ],
)
def test_each_bench_is_a_module_of_the_same_shape(name: str) -> None:
    module = importlib.import_module(f"tools.benches.{name}")
    assert module.__doc__
    assert callable(module.measure)
    assert callable(module.say)


def test_events_of_a_core_become_postings() -> None:
    figures = ledger.measure(QUICK)
    # Each of 512 trades has six legs: two of each asset, and both fees.
    assert figures["postings_a_run"] == 512 * 6
    assert ledger.say(figures)


def test_batches_are_answered_and_timed_beside_the_disk_and_an_echo() -> None:
    figures = entry.measure(QUICK)
    assert figures["orders_per_s"] > 0
    for name in ("quarter", "fdatasync", "fdatasync_paced", "echo"):
        assert 0 < figures[f"{name}_p50_ms"] <= figures[f"{name}_p99_ms"]
    assert entry.say(figures)


def test_two_logs_are_told_side_by_side() -> None:
    waits = {"half_p50_ms": 1.0, "half_p99_ms": 3.0, "fdatasync_p50_ms": 0.5}
    one = waits | {"orders_per_s": 150_000, "fast_record_bytes": 90_000, "fdatasync_p99_ms": 1.0}
    figures = {
        f"{log}_{shape}_{name}": value
        for log in entry_logs.LOGS
        for shape in entry_logs.SHAPES
        for name, value in one.items()
    }
    said = entry_logs.say(figures | {"brokers": 1, "kafka_full_orders_per_s": 149_999})
    assert [": met)" in sentence for sentence in said] == [False] + 7 * [True]


def test_orders_of_a_client_come_back_from_an_echo() -> None:
    keys = [Credentials(f"key-{number}", "secret") for number in range(rest.KEYS)]
    with rest.echo_server() as port:
        found = asyncio.run(rest.run_clients(port, keys, 0.1))
    assert found.requests_per_s > 0
    assert found.p50_ms <= found.p99_ms


def test_a_house_says_which_room_gave_in() -> None:
    said = house.say(
        {
            "orders_per_s": 15_000,
            "seconds": 60.0,
            "absent": ["marketdata"],
            "gave_in_first": "orders",
            "too_fast_orders_per_s": 16_000,
            "worst_lag_ms": {"orders": 900},
            "answer_p50_ms": 1.0,
            "answer_p99_ms": 2.0,
            "command_bytes_an_order": 80,
            "event_bytes_an_order": 300,
            "wal_bytes_an_order": 1000,
            "cores": {"orders": 0.5},
        }
    )
    assert "WITHOUT marketdata" in said[0]
    assert "orders gives in first" in said[1]


def test_what_processes_use_is_summed_by_their_owner() -> None:
    ours = os.getpid()
    assert cpu_seconds([ours, 2**22 + 1]).keys() == {ours}
    rss, pss = memory_bytes(ours)
    assert rss >= pss > 0
    before = Usage(1.0, {1: "a", 2: "a"}, {1: 1.0, 2: 1.0}, 0.0, 0, {})
    after = Usage(3.0, {1: "a", 2: "a", 3: "b"}, {1: 2.0, 2: 1.5, 3: 1.0}, 0.5, 0, {})
    assert cores(before, after) == {"load generator": 0.25, "a": 0.75, "b": 0.5}


def test_sentences_of_a_start() -> None:
    figures = {
        "first_start_filled_s": 8.0,
        "first_start_whole_s": 6.0,
        "again_filled_s": 5.0,
        "again_whole_s": 4.0,
        "idle_pss_mb": {"matching": 40, "clickhouse": 170},
        "idle_pss_sum_mb": 210,
        "idle_rss_sum_mb": 300,
    }
    assert "clickhouse 170, matching 40" in run.say(figures)[2]


def test_sentences_of_a_failover() -> None:
    figures = {f"{what}_{of}_ms": 900 for what in ("entry", "events") for of in ("p50", "max")}
    figures |= {"kills": 50, "accepted": 1000, "lost": 0, "repeated": 0, "not_taken": 0}
    said = failover.say(figures | {"entry_p99_ms": 1001, "events_p99_ms": 2000, "unknown": 0})
    assert "1001 ms (p99), 900 ms at most (aim: p99 at most 1000 ms: missed)" in said[1]
    assert ": met)" in said[2]
    assert "0 are lost and 0 repeated" in said[3]


def test_sentences_of_a_replica_that_was_far_behind() -> None:
    said = catchup.say({"commands": 1_000_000, "commands_per_s": 250_000, "whole_s": 5.5})
    assert "1,000,000 commands behind catches up with 250,000 commands/s" in said[0]


def test_quantiles_and_groups_of_digits() -> None:
    assert quantile_ms([0.003, 0.001, 0.002], 0.5) == 2.0
    assert quantile_ms([0.001], 0.99) == 1.0
    assert grouped(1234567.4) == "1,234,567"
