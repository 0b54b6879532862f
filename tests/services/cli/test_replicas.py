"""Replicas of matching as the command line places them and puts them side by side."""

import asyncio
import os
from pathlib import Path

import pytest

from bourse.matching import v1 as matching
from services.cli.house import House, Wanted
from services.cli.replicas import (
    VARIABLE,
    log_of,
    place_shards,
    replicas_at,
    room_of,
    shards_asked_for,
    side_by_side,
)
from services.cli.rooms import Rooms
from services.cli.terminal import Refused
from services.runtime.config import ConfigError, Settings, load


@pytest.fixture(autouse=True)
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)


def test_each_replica_has_a_name_and_a_socket_of_its_own(tmp_path: Path) -> None:
    alone = load(Settings, ["--data", str(tmp_path)]).address_of("matching")
    place_shards(tmp_path, 1, 3)
    found = replicas_at(load(Settings, ["--data", str(tmp_path)]).address_of("matching"))
    assert [each.name for each in found] == ["matching", "matching-2", "matching-3"]
    assert found[0].address == alone, "the first is where one alone would be"
    assert len({each.address for each in found}) == 3


def test_without_a_number_there_are_as_many_as_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place_shards(tmp_path, 1, None)
    assert VARIABLE not in os.environ
    monkeypatch.setenv(VARIABLE, "127.0.0.1:7001, 127.0.0.1:7002")
    place_shards(tmp_path, 1, None)
    place_shards(tmp_path, 1, 2)
    assert [each.address for each in replicas_at(os.environ[VARIABLE])] == [
        "127.0.0.1:7001",
        "127.0.0.1:7002",
    ]
    with pytest.raises(Refused, match="names 2 replicas, and --replicas asks for 3"):
        place_shards(tmp_path, 1, 3)


def test_each_shard_has_names_and_sockets_of_its_own(tmp_path: Path) -> None:
    alone = load(Settings, ["--data", str(tmp_path)]).address_of("matching")
    place_shards(tmp_path, 3, 2)
    config = load(Settings, ["--data", str(tmp_path)])
    found = [each for s in range(3) for each in replicas_at(config.address_of("matching", s), s)]
    names = ["matching", "matching-2", "matching-s1", "matching-s1-2", "matching-s2"]
    assert [each.name for each in found] == [*names, "matching-s2-2"]
    assert [each.shard for each in found] == [0, 0, 1, 1, 2, 2]
    assert [Path(each.address).name for each in found] == [f"{each.name}.sock" for each in found]
    assert found[0].address == alone, "shard 0 is where one alone would be"


def test_processes_are_of_rooms() -> None:
    names = ["matching", "matching-2", "matching-s1", "matching-s1-2", "matching-s12", "ledger"]
    assert [room_of(name) for name in names] == ["matching"] * 5 + ["ledger"]


def test_a_shard_that_cannot_go_on_leaves_the_others_their_markets(tmp_path: Path) -> None:
    place_shards(tmp_path, 2, 1)
    rooms = Rooms(load(Settings, ["--data", str(tmp_path)]))

    async def story() -> None:
        house = House(Wanted(tmp_path, "127.0.0.1", 0, False, False), rooms, lambda *_: None)
        house.children["matching-s1"].given_up = "It is broken."
        house.refuse_if_given_up()
        house.children["matching"].given_up = "So is this one."
        with pytest.raises(Refused, match="matching cannot go on"):
            house.refuse_if_given_up()
        house.children["matching"].given_up = ""
        house.children["ledger"].given_up = "Another one writes."
        with pytest.raises(Refused, match="ledger cannot go on"):
            house.refuse_if_given_up()
        await house.stop()
        await rooms.close()

    asyncio.run(story())


def test_the_environment_and_the_command_line_name_as_many_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [shards_asked_for(None), shards_asked_for(2)] == [None, 2]
    monkeypatch.setenv(VARIABLE, "one:1,one:2;two:1,two:2")
    assert [shards_asked_for(None), shards_asked_for(2)] == [2, 2]
    place_shards(tmp_path, 2, 2)
    assert os.environ[VARIABLE] == "one:1,one:2;two:1,two:2", "what is named stays"
    with pytest.raises(Refused, match="names 2 shards, and --shards asks for 1"):
        shards_asked_for(1)
    monkeypatch.setenv(VARIABLE, "one:1;")
    with pytest.raises(ConfigError, match="a separator too many"):
        shards_asked_for(None)
    monkeypatch.setenv(VARIABLE, "one:1,one:2;two:1")
    with pytest.raises(Refused, match="names 1 replicas, and --replicas asks for 2"):
        place_shards(tmp_path, 2, 2)


def test_side_by_side_it_is_seen_who_leads_and_who_is_behind() -> None:
    said = [
        matching.GetStatusResponse(next_offset=100, sequence=90, clock_us=5_000_000),
        None,
        matching.GetStatusResponse(
            next_offset=98, sequence=80, clock_us=4_000_000, leader=True, epoch=7, shard=3
        ),
    ]
    first, silent, leader = side_by_side(said)
    assert (first["lag_records"], first["lag_ms"], first["leader"]) == (0, 0, False)
    assert silent == {}
    assert (leader["lag_records"], leader["lag_ms"], leader["epoch"]) == (2, 1000, 7)
    assert log_of({"matching": first, "matching-2": silent})["next_offset"] == 100
    assert log_of({"matching": first, "matching-2": leader})["shard"] == 3
    assert log_of({"matching": {}}) == {}
