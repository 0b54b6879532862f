"""What the demo's bots decide, with chance in our hands."""

from random import Random

import pytest

from services.cli.quotes import (
    BUY,
    LEVELS,
    SELL,
    Move,
    Quote,
    Scale,
    Standing,
    TakeBack,
    Walk,
    changes,
    ladder,
)
from services.domain.money import Plain

FAIR = 6_000_000
LOTS = range(1, 2)
WANTED = ladder(FAIR, 0, LOTS, Random(1))


def stands(quotes: list[Quote]) -> list[Standing]:
    return [
        Standing(str(place), quote.side, quote.price_ticks, quote.lots)
        for place, quote in enumerate(quotes)
    ]


def test_quotes_stand_on_their_own_side_of_the_price() -> None:
    assert len(WANTED) == 2 * LEVELS
    assert all(quote.price_ticks < FAIR for quote in WANTED if quote.side == BUY)
    assert all(quote.price_ticks > FAIR for quote in WANTED if quote.side == SELL)


def test_a_price_of_few_ticks_still_has_two_sides() -> None:
    quotes = ladder(3, 0, LOTS, Random(1))
    assert {q.price_ticks for q in quotes if q.side == BUY} == {2, 1}
    assert min(q.price_ticks for q in quotes if q.side == SELL) == 4


def test_an_empty_book_is_filled_from_the_price_outwards() -> None:
    found = changes([], WANTED, FAIR, 4)
    assert found == [WANTED[0], WANTED[1], WANTED[2], WANTED[3]]


def test_what_stands_well_is_left_alone() -> None:
    assert changes(stands(WANTED), WANTED, FAIR, 100) == []
    assert changes(stands(WANTED), ladder(FAIR + 100, 0, LOTS, Random(1)), FAIR + 100, 100) == []


def test_a_quote_on_the_wrong_side_moves_first() -> None:
    fair = FAIR + 10_000
    found = changes(stands(WANTED), ladder(fair, 0, LOTS, Random(1)), fair, 3)
    assert len(found) == 3
    assert isinstance(found[0], Move)
    assert found[0].order_id == "1", "the best ask, which is below the price now"


def test_what_is_too_much_is_taken_back() -> None:
    doubled = [*stands(WANTED), Standing("99", BUY, 1, 1)]
    assert changes(doubled, WANTED, FAIR, 100) == [TakeBack("99")]


def test_a_walk_stays_near_home() -> None:
    chance, walk = Random(7), Walk(FAIR, FAIR)
    seen = [walk.step(chance) for _ in range(20_000)]
    assert min(seen) >= FAIR // 2
    assert max(seen) <= FAIR * 2
    assert len(set(seen)) > 1000, "it goes somewhere"
    walk.begin_at(1)
    assert walk.ticks == FAIR // 2, "an absurd last price does not set the next one"


@pytest.mark.parametrize(
    ("price", "ticks", "back"), [("60000", 6_000_000, "60000"), ("0.05", 5, "0.05")]
)
def test_prices_are_written_as_the_exchange_writes_them(price: str, ticks: int, back: str) -> None:
    scale = Scale(Plain(1, 2), Plain(1, 4))
    assert scale.ticks(price) == ticks
    assert scale.price_text(ticks) == back
    assert scale.quantity_text(15_000) == "1.5"
    assert scale.lots("1.5") == 15_000
