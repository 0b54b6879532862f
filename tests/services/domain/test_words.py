"""Ids, and the public's words for the contract's enums."""

import pytest

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain import ids, outcomes, words


@pytest.mark.parametrize("text", ["a", "A-1", "x" * 36, "a.b_c:d-e", "sig-" + "0" * 32])
def test_client_order_ids(text: str) -> None:
    assert ids.is_client_order_id(text)


@pytest.mark.parametrize("text", ["", "x" * 37, "a b", "a\n", "ä", "a/b", "%41"])
def test_what_is_no_client_order_id(text: str) -> None:
    assert not ids.is_client_order_id(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", None),
        ("0", None),
        ("01", None),
        ("-1", None),
        ("", None),
        ("1a", None),
        ("1\n", None),
    ],
)
def test_ids_are_digits(text: str, number: int | None) -> None:
    assert ids.read_id(text) == number


def test_an_id_says_its_shard() -> None:
    assert ids.shard_of(5 * 1024 + 3) == 3


def test_words_are_those_of_the_contract() -> None:
    assert words.SIDES == {types.SIDE_BUY: "buy", types.SIDE_SELL: "sell"}
    assert words.SELF_TRADE_PREVENTION_OF["cancel_taker"] == 3
    states = {"waiting", "open", "filled", "cancelled", "expired"}
    assert set(words.ORDER_STATE_OF) == states
    assert words.TRIGGER_OF == {"last": 1, "mark": 2}
    assert set(words.INTERVAL_OF) == {"1m", "5m", "1h", "1d"}
    assert words.END_REASONS[types.END_REASON_FOK_UNFILLABLE] == "fok_unfillable"


def test_refusals_have_a_code_each() -> None:
    assert outcomes.REFUSAL_CODES[matching.REFUSAL_MARKET_NOT_OPEN] == "market_not_open"
    assert len(outcomes.REFUSAL_CODES) == len(matching.Refusal.keys()) - 1
