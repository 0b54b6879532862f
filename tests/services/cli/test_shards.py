"""Several shards at the command line: what goes to all of them, where a market is put, sums."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from grpc.aio import AioRpcError
from typer.testing import CliRunner

from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import (
    MATCHING_SERVICE,
    ORDER_ENTRY_SERVICE,
    MatchingServiceServicer,
    add_MatchingServiceServicer_to_server,
)
from bourse.types import v1 as types
from services.cli.__main__ import app
from services.cli.balances import Cut, described
from services.cli.bootstrap import ASSETS, use_rules
from services.cli.engine import put_at_once, put_everywhere
from services.cli.folder import open_folder
from services.cli.instrument import shard_for
from services.cli.restraint import differing, put_settings, settings_of, summary
from services.cli.rooms import Markets, Rooms, markets_in_reach, note_silent
from services.cli.status import COLUMNS, placed, status_table
from services.cli.stores import CONNECTIONS, connections_for
from services.cli.terminal import Refused
from services.runtime.choice import Choice
from services.runtime.config import Settings
from services.runtime.rpc import raw_service, serve, service
from tests.services.cli.test_engine import Core

T = TypeVar("T")
Put = Callable[..., Awaitable[list[matching.SubmitResponse]]]


def put(folder: Path, cores: list[Core], how: Put = put_everywhere) -> None:
    """Raise the rules in shards of these cores."""

    async def story() -> None:
        addresses = [f"unix:{folder / f'{number}.sock'}" for number in range(len(cores))]
        serving = [
            asyncio.create_task(
                serve(address, raw_service(ORDER_ENTRY_SERVICE, {"Submit": core.Submit}))
            )
            for address, core in zip(addresses, cores, strict=True)
        ]
        try:
            async with asyncio.timeout(60), AsyncExitStack() as stack:
                ways = [await stack.enter_async_context(Choice(each)) for each in addresses]
                await how(ways, use_rules(3))
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    asyncio.run(story())


def rules_in(core: Core) -> list[matching.Command]:
    asked = [command for batch in core.applied for command in batch.commands]
    return [command for command in asked if command.HasField("use_rules")]


def test_what_holds_everywhere_is_one_deed_and_comes_to_shard_0_last(tmp_path: Path) -> None:
    class Late(Core):
        def _answer(self, request: matching.SubmitRequest) -> matching.SubmitResponse:
            if request.commands[0].HasField("use_rules"):
                assert [len(rules_in(each)) for each in others] == [1, 1], "they have it before"
            return super()._answer(request)

    first, others = Late(), [Core(), Core()]
    put(tmp_path, [first, *others])
    found = [rules_in(core) for core in (first, *others)]
    assert [len(each) for each in found] == [1, 1, 1]
    assert len({each[0].request_id for each in found}) == 1


def test_a_shard_that_refuses_is_named_and_keeps_nobody_from_it(tmp_path: Path) -> None:
    cores = [Core(), Core(), Core()]
    cores[1].refusal = matching.REFUSAL_SHARD_HALTED
    with pytest.raises(Refused, match=r"Shard 1: .*\(shard_halted\) What others have, they keep\."):
        put(tmp_path, cores)
    assert [len(rules_in(core)) for core in cores] == [1, 1, 1]


def test_what_is_urgent_waits_for_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.cli.engine.PATIENCE_S", 5.0)
    first_has_it = asyncio.Event()

    class Slow(Core):
        async def Submit(  # noqa: N802  the contract's name
            self, requests: AsyncIterator[bytes], _context: object
        ) -> AsyncIterator[bytes]:
            await first_has_it.wait()
            async for answer in super().Submit(requests, _context):
                yield answer

    class First(Core):
        def _answer(self, request: matching.SubmitRequest) -> matching.SubmitResponse:
            if request.commands[0].HasField("use_rules"):
                first_has_it.set()
            return super()._answer(request)

    cores = [First(), Slow()]
    put(tmp_path, cores, put_at_once)
    assert [len(rules_in(core)) for core in cores] == [1, 1]


class Keeper(Core, MatchingServiceServicer):
    """A shard that knows the settings of an account, and takes new ones."""

    def __init__(self, **settings: int) -> None:
        super().__init__()
        self.settings = matching.SetAccount(**settings)  # type: ignore[arg-type]

    async def GetAccount(  # noqa: N802  the contract's name
        self, request: matching.GetAccountRequest, context: object
    ) -> matching.GetAccountResponse:
        now = self.settings
        return matching.GetAccountResponse(suspended=now.suspended, fee_tier=now.fee_tier)

    def _answer(self, request: matching.SubmitRequest) -> matching.SubmitResponse:
        if request.commands[0].HasField("set_account") and not self.refusal:
            self.settings = request.commands[0].set_account
        return super()._answer(request)


def in_shards(
    folder: Path, shards: Sequence[Keeper | None], tell: Callable[[Rooms], Awaitable[T]]
) -> T:
    """What is told of these shards; None is away."""
    sockets = [folder / f"{number}.sock" for number in range(len(shards))]

    async def story() -> T:
        serving = [
            asyncio.create_task(
                serve(
                    f"unix:{socket}",
                    raw_service(ORDER_ENTRY_SERVICE, {"Submit": shard.Submit}),
                    service(MATCHING_SERVICE, add_MatchingServiceServicer_to_server, shard),
                )
            )
            for socket, shard in zip(sockets, shards, strict=True)
            if shard is not None
        ]
        there = [socket for socket, shard in zip(sockets, shards, strict=True) if shard]
        while not all(socket.exists() for socket in there):  # noqa: ASYNC110  they say nothing
            await asyncio.sleep(0.01)
        addresses = ";".join(f"unix:{socket}" for socket in sockets)
        rooms = Rooms(Settings(data=folder, addresses={"matching": addresses}))
        try:
            return await tell(rooms)
        finally:
            await rooms.close()
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    return asyncio.run(story())


def put_account(folder: Path, shards: Sequence[Keeper | None], **wanted: int) -> None:
    """Change settings of an account in these shards."""
    in_shards(folder, shards, lambda rooms: put_settings(rooms, 1000, **wanted))


@pytest.mark.parametrize("away", [0, 1])
def test_a_suspension_waits_for_no_shard(
    away: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.engine.PATIENCE_S", 1.0)
    there = Keeper(fee_tier=3)  # type: ignore[abstract]  # it is asked for nothing else
    shards = [None, there] if away == 0 else [there, None]
    with pytest.raises(Refused, match=rf"Shard {away}: "):
        put_account(tmp_path, shards, suspended=True)
    assert there.settings == matching.SetAccount(suspended=True, fee_tier=3)


def test_nothing_but_its_own_end_lifts_a_suspension(tmp_path: Path) -> None:
    """Shard 0 was away when the account was suspended."""
    shards = [Keeper(fee_tier=3), Keeper(fee_tier=3, suspended=True)]  # type: ignore[abstract]
    put_account(tmp_path, shards, fee_tier=4)
    assert [each.settings.fee_tier for each in shards] == [4, 4]
    assert [each.settings.suspended for each in shards] == [True, True]
    put_account(tmp_path, shards, suspended=False)
    assert [each.settings.suspended for each in shards] == [False, False]


@pytest.mark.parametrize("away", [0, 1])
def test_where_a_shard_cannot_be_read_nothing_but_a_suspension_is_put(
    away: int, tmp_path: Path
) -> None:
    """It may be the only one that has a suspension, and would take what lifts it."""
    there = Keeper(fee_tier=3)  # type: ignore[abstract]  # it is asked for nothing else
    shards = [None, there] if away == 0 else [there, None]
    for wanted in ({"fee_tier": 4}, {"suspended": False}):
        with pytest.raises(Refused, match=rf"Shard {away}: .*Nothing was changed\."):
            put_account(tmp_path, shards, **wanted)
    assert there.applied == []


def test_a_shard_that_is_slow_to_say_it_has_a_suspension_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.restraint.REACH_S", 0.1)

    class Slow(Keeper):
        async def GetAccount(  # noqa: N802  the contract's name
            self, request: matching.GetAccountRequest, context: object
        ) -> matching.GetAccountResponse:
            await asyncio.sleep(0.5)
            return await super().GetAccount(request, context)

    shards = [Keeper(fee_tier=3), Slow(fee_tier=3, suspended=True)]  # type: ignore[abstract]
    put_account(tmp_path, shards, fee_tier=4)
    assert [each.settings.fee_tier for each in shards] == [4, 4]
    assert [each.settings.suspended for each in shards] == [True, True]


def test_a_suspension_that_shard_0_lacks_is_brought_to_it(tmp_path: Path) -> None:
    """With what shard 1 lacks itself, which shard 0 knows better."""
    shards = [Keeper(fee_tier=3), Keeper(fee_tier=2, suspended=True)]  # type: ignore[abstract]
    found = in_shards(tmp_path, shards, lambda rooms: differing(rooms, 1, [1000]))
    put = matching.SetAccount(fee_tier=3, suspended=True)
    command = matching.Command(account=1000, set_account=put)
    assert found == [(1, command), (0, command)]
    shards[1].settings.fee_tier = 3
    assert in_shards(tmp_path, shards, lambda rooms: differing(rooms, 1, [1000])) == [(0, command)]
    shards[0].settings.suspended = True
    assert in_shards(tmp_path, shards, lambda rooms: differing(rooms, 1, [1000])) == []


@pytest.mark.parametrize("where", [0, 1])
def test_who_is_suspended_in_any_shard_is_shown_so(where: int, tmp_path: Path) -> None:
    shards = [Keeper(fee_tier=3), Keeper(fee_tier=3)]  # type: ignore[abstract]
    shards[where].settings.suspended = True
    said = in_shards(tmp_path, shards, lambda rooms: settings_of(rooms, [1000]))[1000]
    assert (said["suspended"], said["differing"]) == (True, ["suspended"])
    assert summary(said) == "suspended, tier 3, shards differ in suspended"


def test_shards_that_have_settings_alike_are_not_mentioned(tmp_path: Path) -> None:
    shards = [Keeper(fee_tier=3), Keeper(fee_tier=3)]  # type: ignore[abstract]
    said = in_shards(tmp_path, shards, lambda rooms: settings_of(rooms, [1000]))[1000]
    assert (said["suspended"], said["differing"], summary(said)) == (False, [], "tier 3")
    alone = in_shards(tmp_path, shards[:1], lambda rooms: settings_of(rooms, [1000]))[1000]
    assert alone == {name: value for name, value in said.items() if name != "differing"}


class Registry(MatchingServiceServicer):
    """A shard that knows BTC-USD."""

    async def WatchMarkets(  # noqa: N802  the contract's name
        self, request: matching.WatchMarketsRequest, context: object
    ) -> AsyncIterator[matching.WatchMarketsResponse]:
        market = types.Instrument(symbol="BTC-USD", instrument=1024, base_asset=2, quote_asset=1)
        yield matching.WatchMarketsResponse(assets=ASSETS, instruments=[market])


def test_a_market_is_found_while_another_shard_is_away(tmp_path: Path) -> None:
    addresses = [f"unix:{tmp_path / name}.sock" for name in ("here", "away")]

    async def story() -> None:
        face = service(MATCHING_SERVICE, add_MatchingServiceServicer_to_server, Registry())  # type: ignore[abstract]
        serving = asyncio.create_task(serve(addresses[0], face))
        while not (tmp_path / "here.sock").exists():  # noqa: ASYNC110  it says nothing
            await asyncio.sleep(0.01)
        rooms = Rooms(Settings(data=tmp_path, addresses={"matching": ";".join(addresses)}))
        markets = await markets_in_reach(rooms)
        assert markets.market("btc-usd").id == 1024
        with pytest.raises(Refused, match=r"no instrument X-USD\..* Shard 1 does not answer\."):
            markets.market("X-USD")
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        with pytest.raises(AioRpcError):
            await markets_in_reach(rooms)
        await rooms.close()

    asyncio.run(story())


def markets_at(*instruments: tuple[str, int]) -> Markets:
    known = [
        types.Instrument(symbol=symbol, instrument=number, base_asset=2, quote_asset=1)
        for symbol, number in instruments
    ]
    shards = [[each for each in known if each.instrument % 1024 == shard] for shard in (0, 1, 2)]
    first, *others = (
        matching.WatchMarketsResponse(assets=ASSETS, instruments=each) for each in shards
    )
    return Markets(first, *others)


def test_a_new_market_goes_where_the_fewest_are() -> None:
    markets = markets_at(("BTC-USD", 1024), ("ETH-USD", 1025), ("BTC-USD", 2048))
    assert shard_for("ETH-BTC", markets, 3, None) == 2
    assert shard_for("ETH-BTC", markets, 2, None) == 1
    assert shard_for("ETH-BTC", markets_at(), 3, None) == 0, "the lowest of those that are equal"
    assert shard_for("ETH-BTC", markets, 3, 0) == 0
    with pytest.raises(Refused, match="no shard 3: this house has the shards 0 to 2"):
        shard_for("ETH-BTC", markets, 3, 3)


def test_a_market_does_not_move() -> None:
    markets = markets_at(("BTC-USD", 1024), ("ETH-USD", 1025))
    assert shard_for("ETH-USD", markets, 3, None) == 1, "a new one of the name lives beside the old"
    assert shard_for("ETH-USD", markets, 3, 1) == 1
    with pytest.raises(Refused, match="ETH-USD lives in shard 1, and a market does not move"):
        shard_for("ETH-USD", markets, 3, 0)


def balance(available_minor: int, held_minor: int) -> dict[int, matching.Balance]:
    said = matching.Balance(asset=1, available_minor=available_minor, held_minor=held_minor)
    return {1: said}


def test_a_balance_is_the_sum_of_all_shards_and_what_is_between_them() -> None:
    at = [types.ShardSequence(shard=shard, sequence=9) for shard in (0, 1)]
    alone = Cut({0: balance(5 * 10**8, 10**8)}, {}, at[:1])
    plain = {"asset": "USD", "amount": "6", "available": "5", "held": "1"}
    assert described(alone, ASSETS[0], 1) == plain
    cut = Cut({0: balance(5 * 10**8, 10**8), 1: {}}, {1: 3 * 10**8}, at)
    assert cut.assets == [1]
    assert described(cut, ASSETS[0], 2) == {
        **plain,
        "amount": "9",
        "in_transit": "3",
        "shards": [
            {"shard": 0, "amount": "6", "available": "5", "held": "1"},
            {"shard": 1, "amount": "0", "available": "0", "held": "0"},
        ],
    }


def test_where_a_shard_does_not_answer_what_is_between_is_not_told() -> None:
    at = [types.ShardSequence(shard=1, sequence=9)]
    said = described(Cut({1: balance(5 * 10**8, 10**8)}, None, at), ASSETS[0], 2)
    there = {"shard": 1, "amount": "6", "available": "5", "held": "1"}
    plain = {"asset": "USD", "amount": "6", "available": "5", "held": "1"}
    assert said == {**plain, "shards": [there]}


def test_a_shard_that_does_not_answer_is_named_for_a_person(
    capsys: pytest.CaptureFixture[str],
) -> None:
    note_silent({"silent": [1]}, "its instruments are not listed.")
    note_silent({}, "its instruments are not listed.")
    assert capsys.readouterr().out == "Shard 1 does not answer: its instruments are not listed.\n"


def said_of(shards: int) -> dict[str, Any]:
    """What a house has to say of itself."""
    places = [
        {"shard": n, "sequence": 10 * n, "next_offset": 5, "lag_records": n, "lag_ms": 0}
        for n in range(shards)
    ]
    ledger = {**places[0], "name": "ledger", "state": "serving", "pid": 7, "places": places}
    return {
        "rooms": [ledger, {"name": "gateway", "state": "serving", "pid": 8}],
        "stores": [],
        "demo": {"state": "off"},
        "shards": [{}] * shards,
    }


def test_a_room_has_a_line_for_each_shard_that_it_follows() -> None:
    alone, several = status_table(said_of(1)), status_table(said_of(2))
    assert (len(alone.columns), alone.row_count) == (len(COLUMNS), 2)
    assert (len(several.columns), several.row_count) == (len(COLUMNS) + 1, 3)
    names, shards, _, pids, sequences, *_ = (list(column.cells) for column in several.columns)
    assert names == ["ledger", "", "gateway"]
    assert shards == ["0", "1", ""]
    assert pids == ["7", "", "8"]
    assert sequences == ["0", "10", ""]


def test_a_shard_that_is_followed_no_further_is_said_in_its_line() -> None:
    said = said_of(2)
    said["rooms"][0] |= {"stopped": "shard 1: it was rolled back"}
    for place, stopped in zip(said["rooms"][0]["places"], ("", "it was rolled back"), strict=True):
        place["stopped"] = stopped
    *_, remarks = (list(column.cells) for column in status_table(said).columns)
    assert remarks == ["", "[red]it was rolled back[/]", ""]


def test_why_a_room_has_stopped_a_shard_is_said_with_its_number() -> None:
    places = [types.ReaderPlace(shard=shard, sequence=9) for shard in (0, 1)]
    assert placed(places)["stopped"] == ""
    places[1].stopped = "it was rolled back"
    said = placed(places)
    assert (said["sequence"], said["stopped"]) == (9, "shard 1: it was rolled back")
    assert [place["stopped"] for place in said["places"]] == ["", "it was rolled back"]
    assert placed(places[1:])["stopped"] == "it was rolled back", "one shard needs no number"


def test_postgres_has_room_for_all_who_come() -> None:
    assert connections_for([9]) == CONNECTIONS, "one shard has what it always had"
    assert connections_for([1, 1, 2]) == CONNECTIONS + 16 + 24


@pytest.mark.parametrize(
    "asked",
    [
        ("shard", "status"),
        ("shard", "prove", "--operator", "ann"),
        ("log", "skip", "7", "--operator", "ann"),
        ("log", "audit"),
    ],
    ids=" ".join,
)
def test_a_shard_that_is_not_there_is_said_before_anything_starts(
    asked: tuple[str, ...], tmp_path: Path
) -> None:
    open_folder(tmp_path, with_demo=False)
    answer = CliRunner().invoke(app, [*asked, "--shard", "1", "--data", str(tmp_path)])
    assert answer.exit_code == 1
    assert answer.stderr == "There is no shard 1: this house has one shard, shard 0.\n"
    assert not (tmp_path / "postgres").exists()
