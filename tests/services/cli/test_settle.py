"""An account that is suspended in any shard is suspended in all, once one has been settled."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bourse.accounts import v1 as accounts
from bourse.accounts.v1.rpc import (
    ACCOUNTS_SERVICE,
    AccountsServiceServicer,
    add_AccountsServiceServicer_to_server,
)
from bourse.matching import v1 as matching
from services.cli.bootstrap import ASSETS
from services.cli.rooms import Rooms
from services.cli.settle import settle
from services.cli.terminal import Refused
from services.cli.verify import settled_check
from services.runtime.config import run_folder
from services.runtime.rpc import serve, service
from tests.services.cli.test_shards import Keeper, in_shards


class Whole(Keeper):
    """A shard that has the rules and assets of all; an account of its own is all that differs."""

    async def GetStatus(  # noqa: N802  the contract's name
        self, request: matching.GetStatusRequest, context: object
    ) -> matching.GetStatusResponse:
        return matching.GetStatusResponse(rules=3)

    async def WatchMarkets(  # noqa: N802  the contract's name
        self, request: matching.WatchMarketsRequest, context: object
    ) -> AsyncIterator[matching.WatchMarketsResponse]:
        yield matching.WatchMarketsResponse(assets=ASSETS)


class OneAccount(AccountsServiceServicer):
    """Of all accounts it knows 1000."""

    async def ListAccounts(  # noqa: N802  the contract's name
        self, request: accounts.ListAccountsRequest, context: object
    ) -> accounts.ListAccountsResponse:
        return accounts.ListAccountsResponse(accounts=[accounts.Account(account=1000)])


def settled(
    folder: Path, shards: Sequence[Keeper], *which: int, only_them: bool = False
) -> list[str]:
    """Settle some of these shards; what `bourse verify` finds wrong with those then."""

    async def tell(rooms: Rooms) -> list[str]:
        socket = run_folder(folder) / "accounts.sock"
        face = service(ACCOUNTS_SERVICE, add_AccountsServiceServicer_to_server, OneAccount())  # type: ignore[abstract]
        serving = asyncio.create_task(serve(f"unix:{socket}", face))
        while not socket.exists():  # noqa: ASYNC110  it says nothing
            await asyncio.sleep(0.01)
        try:
            await settle(rooms, which, only_them=only_them)
            checks = [await settled_check(rooms, shard) for shard in which]
            return [check.detail for check in checks if not check.ok]
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    return in_shards(folder, shards, tell)


@pytest.mark.parametrize("which", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_suspension_comes_to_all_shards_whichever_has_it_and_is_settled(
    where: int, which: tuple[int, ...], tmp_path: Path
) -> None:
    shards = [Whole(fee_tier=3) for _ in range(3)]  # type: ignore[abstract]
    shards[where].settings.suspended = True
    assert settled(tmp_path, shards, *which) == []
    put = matching.SetAccount(fee_tier=3, suspended=True)
    assert [each.settings for each in shards] == [put, put, put]


def test_a_shard_that_is_not_settled_gets_the_suspension_alone(tmp_path: Path) -> None:
    tiers = (3, 2, 1)
    shards = [Whole(fee_tier=tier, suspended=tier == 1) for tier in tiers]  # type: ignore[abstract]
    assert settled(tmp_path, shards, 2) == []
    assert [each.settings.fee_tier for each in shards] == [3, 2, 3]
    assert [each.settings.suspended for each in shards] == [True, True, True]


def test_one_that_takes_nothing_is_named_and_does_not_keep_the_settled_one_from_it(
    tmp_path: Path,
) -> None:
    shards = [Whole(), Whole(suspended=True), Whole()]  # type: ignore[abstract]
    shards[0].refusal = matching.REFUSAL_SHARD_HALTED
    with pytest.raises(Refused, match=r"Shard 0: .*\(shard_halted\)"):
        settled(tmp_path, shards, 2)
    assert [each.settings.suspended for each in shards] == [False, True, True]


def test_a_new_shard_gets_a_suspension_that_another_one_could_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.verify.SETTLE_S", 0.0)
    shards = [Whole(), Whole(suspended=True), Whole()]  # type: ignore[abstract]
    shards[0].refusal = matching.REFUSAL_SHARD_HALTED
    said = ["shard 0 lacks 1 set_account: `bourse shard settle --shard 2`"]
    assert settled(tmp_path, shards, 2, only_them=True) == said
    assert [each.settings.suspended for each in shards] == [False, True, True]
