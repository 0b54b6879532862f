"""The public book: order of levels, updates, gaps and the checksum of the contract."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bourse.marketdata import v1 as marketdata
from services.gateway.books import Book, Gap
from tests.services.gateway.test_shaping import BTC_USD

Levels = list[tuple[int, int]]


def depth(sequence: int, bids: Levels, asks: Levels, previous: int = 0) -> marketdata.Depth:
    return marketdata.Depth(
        instrument=1024,
        snapshot=previous == 0,
        previous=previous,
        sequence=sequence,
        bids=[marketdata.DepthLevel(price_ticks=p, lots=q) for p, q in bids],
        asks=[marketdata.DepthLevel(price_ticks=p, lots=q) for p, q in asks],
    )


def book(sequence: int, bids: Levels, asks: Levels) -> Book:
    return Book("orderbook.BTC-USD", BTC_USD, depth(sequence, bids, asks))


def test_a_snapshot_is_best_first_and_as_deep_as_wanted() -> None:
    shown = book(7, [(9_900, 10_000), (10_000, 1)], [(10_150, 5), (10_100, 20_000)])
    whole = shown.snapshot()
    assert whole.bids == [("100", "0.0001"), ("99", "1")]
    assert whole.asks == [("101", "2"), ("101.5", "0.0005")]
    assert (whole.sequence, whole.channel) == (7, "orderbook.BTC-USD")
    assert shown.snapshot(1).bids == [("100", "0.0001")]
    assert shown.snapshot(1).checksum == whole.checksum


def test_the_checksum_is_that_of_the_text() -> None:
    text = b"100:0.0001|99:1|101:2|101.5:0.0005"
    shown = book(7, [(9_900, 10_000), (10_000, 1)], [(10_150, 5), (10_100, 20_000)])
    assert shown.checksum() == zlib.crc32(text)
    assert book(1, [], []).checksum() == 0


def test_the_checksum_looks_at_ten_levels_of_each_side() -> None:
    bids = [(1000 - n, 1) for n in range(12)]
    same = [*bids[:10], (5, 77)]
    assert book(1, bids, []).checksum() == book(1, same, []).checksum()
    assert book(1, bids, []).checksum() != book(1, bids[1:], []).checksum()


def test_an_update_says_what_changed_and_zero_for_what_is_gone() -> None:
    shown = book(7, [(10_000, 1)], [(10_100, 2)])
    update = shown.update(depth(9, [(10_000, 0), (9_999, 4)], [(10_100, 3)], previous=7))
    assert (update.previous, update.sequence) == (7, 9)
    assert update.bids == [("100", "0"), ("99.99", "0.0004")]
    assert update.asks == [("101", "0.0003")]
    assert update.checksum == shown.checksum() == zlib.crc32(b"99.99:0.0004|101:0.0003")


def test_a_level_that_was_never_there_may_go() -> None:
    shown = book(7, [], [])
    assert shown.update(depth(8, [(1, 0)], [], previous=7)).bids == [("0.01", "0")]


def test_a_gap_is_noticed() -> None:
    shown = book(7, [], [])
    with pytest.raises(Gap):
        shown.update(depth(10, [(1, 1)], [], previous=8))
    assert shown.sequence == 7, "nothing was taken"


_levels = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)), max_size=20)


@given(st.lists(st.tuples(_levels, _levels), max_size=20))
def test_updates_lead_to_the_same_book_as_a_snapshot(updates: list[tuple[Levels, Levels]]) -> None:
    shown = book(1, [], [])
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for sequence, (of_bids, of_asks) in enumerate(updates, start=2):
        shown.update(depth(sequence, of_bids, of_asks, previous=sequence - 1))
        bids.update(of_bids)
        asks.update(of_asks)
    rest = [[(p, q) for p, q in side.items() if q] for side in (bids, asks)]
    assert shown.snapshot() == book(len(updates) + 1, *rest).snapshot()
