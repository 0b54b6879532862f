"""The books behind every kind of command there is: each record's balance hash is the core's."""

from collections.abc import Iterable
from functools import cache

import pytest

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.ledger.state import CLEARING, FEES, NO_SHARD, Books, Draft, meaning, unbalanced
from tests.services.shard import ALICE, BOB, BTC, USD
from tests.services.wandering import Wandering

FEE_ASSET = 3


@cache
def walked(seed: int) -> Wandering:
    shard = Wandering(seed)
    shard.wander(400)
    return shard


def posted(records: Iterable[matching.EventRecord]) -> Books:
    """The books after all of them. Raises Broken where they are not what the core says."""
    books = Books()
    # What the ledger has sent stands in clearing before the core is asked, also what it refuses.
    books.load((CLEARING, asset, NO_SHARD, 2**80) for asset in range(1, 20))
    for record in records:
        draft = Draft(books)
        draft.follow(record)
        draft.commit()
    return books


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_books_follow_every_kind_of_command(seed: int) -> None:
    shard = walked(seed)
    books = posted(shard.records)
    assert books.balance_hash(0) == shard.model.balance_hash()


def test_the_walks_come_to_what_is_new() -> None:
    trades, kinds = [], set()
    for seed in range(1, 5):
        shard = walked(seed)
        trades += [trade for record in shard.records for trade in record.trades]
        kinds |= {mark.kind for record in shard.records for mark in record.commands}
    assert any(trade.taker_fee_asset or trade.maker_fee_asset for trade in trades)
    assert any(trade.auction for trade in trades)
    assert matching.COMMAND_KIND_TIME in kinds


def test_what_a_record_credits_may_be_traded_behind_it_in_the_same_record() -> None:
    credit = matching.MoveEvent(source=1, number=1, account=ALICE, asset=USD, amount_minor=300)
    trade = matching.TradeEvent(
        command=1,
        taker_side=types.SIDE_BUY,
        taker_account=ALICE,
        maker_account=BOB,
        base_asset=BTC,
        quote_asset=USD,
        base_minor=10,
        quote_minor=300,
    )
    books = Books()
    books.load([(CLEARING, USD, NO_SHARD, 300), (BOB, BTC, 0, 10)])
    draft = Draft(books)
    draft.follow(matching.EventRecord(commands=[{}, {}], moves=[credit], trades=[trade]))
    draft.commit()
    assert (books.posted(ALICE, USD, 0), books.posted(ALICE, BTC, 0)) == (0, 10)


@pytest.mark.parametrize("side", [types.SIDE_BUY, types.SIDE_SELL], ids=["buys", "sells"])
def test_a_fee_in_another_asset_is_paid_in_it_and_comes_off_nothing(side: types.Side) -> None:
    trade = matching.TradeEvent(
        taker_side=side,
        taker_account=ALICE,
        maker_account=BOB,
        base_asset=BTC,
        quote_asset=USD,
        base_minor=10,
        quote_minor=300,
        taker_fee_minor=7,
        taker_fee_asset=FEE_ASSET,
        maker_fee_minor=2,
    )
    [entry] = meaning(matching.EventRecord(commands=[{}], trades=[trade])).entries
    assert not unbalanced(entry)
    moved = {(leg.account, leg.asset): leg.amount_minor for leg in entry.legs}
    sign = 1 if side == types.SIDE_BUY else -1
    assert (moved[ALICE, BTC], moved[ALICE, USD]) == (sign * 10, -sign * 300)
    assert (moved[ALICE, FEE_ASSET], moved[FEES, FEE_ASSET]) == (-7, 7)
    maker_gets = USD if side == types.SIDE_BUY else BTC
    assert moved[BOB, maker_gets] == (298 if side == types.SIDE_BUY else 8)
    assert moved[FEES, maker_gets] == 2
