"""Settings come from the environment and the data folder; a wrong one is named, never shown."""

import os
import tempfile
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr

from services.matching.config import MatchingConfig
from services.runtime.config import (
    ROOMS,
    SOCKET_PATH_BYTES,
    ConfigError,
    Settings,
    load,
    run_folder,
)


class LedgerConfig(Settings):
    """A room's settings."""

    room: ClassVar[str] = "ledger"

    batch_records: int = Field(default=500, ge=1, le=1000)
    """Records in a transaction, 1..1000."""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("BOURSE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_without_any_setting_all_is_in_the_data_folder(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder whose path is short enough for sockets, wherever tests have theirs."""
    monkeypatch.chdir(data_folder)
    config = load(LedgerConfig, [])
    data = data_folder / "var"
    assert config.data == data
    assert data.is_dir()
    assert config.batch_records == 500
    assert config.listen_address() == f"unix:{data}/run/ledger.sock"
    assert config.address_of("matching") == f"unix:{data}/run/matching.sock"
    embedded = f"postgresql://postgres@/bourse?host={data}/run/pg"
    assert config.postgres.address.get_secret_value() == embedded
    assert config.log.address.get_secret_value() == embedded
    assert config.clickhouse.address == f"embedded:{data}/run/clickhouse.port"


def test_the_environment_names_rooms_sections_and_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BOURSE_DATA": "elsewhere",
        "BOURSE_LEDGER_BATCH_RECORDS": "7",
        "BOURSE_LEDGER_ADDRESS": "127.0.0.1:7001",
        "BOURSE_MATCHING_ADDRESS": "127.0.0.1:7002",
        "BOURSE_LOG_ADDRESS": "postgresql://log@db/log",
        "BOURSE_LOG_APPEND_TIMEOUT_S": "2.5",
        "BOURSE_POSTGRES_ADDRESS": "postgresql://rooms@db/rooms",
        "BOURSE_CLICKHOUSE_PASSWORD": "secret",
        "BOURSE_TELEMETRY_LEVEL": "debug",
        "BOURSE_GATEWAY_WHATEVER": "is the gateway's to judge",
    }.items():
        monkeypatch.setenv(name, value)
    config = load(LedgerConfig, [])
    assert config.data.name == "elsewhere"
    assert config.batch_records == 7
    assert config.listen_address() == "127.0.0.1:7001"
    assert config.address_of("matching") == "127.0.0.1:7002"
    assert config.log.address.get_secret_value() == "postgresql://log@db/log"
    assert config.log.append_timeout_s == 2.5
    assert config.log.partition_records == 65_536
    assert config.postgres.address.get_secret_value() == "postgresql://rooms@db/rooms"
    assert config.clickhouse.password == SecretStr("secret")
    assert config.telemetry.level == "debug"
    monkeypatch.setenv("BOURSE_LEDGER_LISTEN", "127.0.0.1:7003")
    assert load(LedgerConfig, []).listen_address() == "127.0.0.1:7003"


def test_the_argument_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BOURSE_DATA", "elsewhere")
    assert load(LedgerConfig, ["--data", "here"]).data == tmp_path / "here"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "BOURSE_LEDGER_BATCH_RECORDS",
            "5000",
            "BOURSE_LEDGER_BATCH_RECORDS: Input should be less",
        ),
        (
            "BOURSE_LEDGER_BATCH_RECORD",
            "5",
            "BOURSE_LEDGER_BATCH_RECORD is not a setting of ledger",
        ),
        ("BOURSE_LOG_APPEND_TIMEOUT_S", "long", "BOURSE_LOG_APPEND_TIMEOUT_S: Input should be"),
        ("BOURSE_LOG_ADRESS", "postgresql://x", "BOURSE_LOG_ADRESS: Extra inputs"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=sentence) as caught:
        load(LedgerConfig, [])
    assert value not in str(caught.value).replace(name, ""), "it may be a secret"


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSE_POSTGRES_ADDRESS", "postgresql://u:hunter2@db/x")
    assert "hunter2" not in repr(load(LedgerConfig, []))


def test_a_path_too_long_for_sockets_gets_a_short_folder_of_its_own(tmp_path: Path) -> None:
    long = [tmp_path / ("long-" * 20) / name for name in ("a", "b")]
    folders = [run_folder(data) for data in long]
    assert folders[0] != folders[1]
    assert folders[0] == run_folder(long[0])
    for folder in folders:
        assert folder.parent == Path(tempfile.gettempdir())
        assert all(len(str(folder / f"{room}.sock")) <= SOCKET_PATH_BYTES for room in ROOMS)
        assert folder.stat().st_mode & 0o066 == 0
        folder.rmdir()


def test_a_short_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    data = tmp_path / ("long-" * 20)
    ours = run_folder(data)
    ours.rmdir()
    ours.symlink_to(tmp_path)
    try:
        with pytest.raises(ConfigError, match="belongs to somebody else"):
            run_folder(data)
    finally:
        ours.unlink()


def test_a_room_nobody_knows_has_no_address() -> None:
    with pytest.raises(ConfigError, match="no room called kitchen"):
        load(LedgerConfig, []).address_of("kitchen")


def test_matching_has_a_place_for_each_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(MatchingConfig, ["--data", str(tmp_path)]).shards == 1
    monkeypatch.setenv("BOURSE_MATCHING_ADDRESS", "one:1,one:2;two:1")
    config = load(MatchingConfig, ["--data", str(tmp_path)])
    assert config.shards == 2
    assert [config.address_of("matching", shard) for shard in (0, 1)] == ["one:1,one:2", "two:1"]
    monkeypatch.setenv("BOURSE_MATCHING_SHARD", "1")
    assert load(MatchingConfig, ["--data", str(tmp_path)]).listen_address() == "two:1"
    with pytest.raises(ConfigError, match="no place for shard 2"):
        config.address_of("matching", 2)


@pytest.mark.parametrize("places", ["one:1;", ";one:1", "one:1;;two:1", "one:1,;two:1", " ; "])
def test_a_separator_too_many_is_no_shard(places: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSE_MATCHING_ADDRESS", places)
    with pytest.raises(ConfigError, match="BOURSE_MATCHING_ADDRESS has an empty place"):
        load(MatchingConfig, [])
