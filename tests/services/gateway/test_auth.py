"""Keys and rates by themselves."""

from pathlib import Path

from bourse.accounts import v1 as accounts
from services.gateway.auth import Rates
from tests.services.gateway.world import SECRET, gateway, snapshot_of_keys, story

SECOND_US = 1_000_000


def test_a_bucket_gives_as_many_at_once_as_in_a_second_and_fills_again() -> None:
    rates = Rates(4)
    assert [rates.take("a", 0) for _ in range(4)] == [0.0] * 4
    assert rates.take("a", 0) == 0.25
    assert rates.take("b", 0) == 0.0, "everybody has a bucket"
    assert rates.take("a", SECOND_US // 4) == 0.0
    assert rates.take("a", SECOND_US // 4) == 0.25
    assert [rates.take("a", 9 * SECOND_US) for _ in range(5)] == [0.0] * 4 + [0.25]


def test_a_clock_that_is_put_back_locks_nobody_out() -> None:
    rates = Rates(4)
    assert rates.take("a", 3600 * SECOND_US) == 0.0
    assert 0.0 < rates.take("a", 0) <= 0.25
    assert rates.take("a", SECOND_US // 4) == 0.0


def test_a_secret_is_not_shown_by_accident(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (house, _):
            key = house.keys.find("trader")
            assert key is not None
            assert key.secret == SECRET
            assert SECRET not in repr(key)

    story(told)


def test_a_snapshot_forgets_what_it_does_not_name(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (house, _):
            ended: list[str] = []
            house.keys.on_revoked = ended.append
            fewer = snapshot_of_keys()
            del fewer.keys[0]
            await house.keys.take(fewer)
            assert (ended, house.keys.find("trader")) == (["trader"], None)
            await house.keys.take(accounts.WatchKeysResponse())
            assert house.keys.find("reader") is not None, "an empty message changes nothing"

    story(told)
