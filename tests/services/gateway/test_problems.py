"""Every refusal of the core has a public answer, with sentences in decimals."""

import pytest

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain.outcomes import REFUSAL_CODES
from services.gateway import problems
from services.gateway.problems import CODES
from services.gateway.state import Undecided
from tests.services.gateway.test_shaping import BTC_USD

OPERATORS_ONLY = {"asset_unknown", "name_taken", "setting_invalid", "phase_forbids_it"}
STATUS = {
    "client_order_id_reused": 409,
    "order_ended": 409,
    "account_suspended": 403,
    "instrument_unknown": 404,
    "order_unknown": 404,
    "too_many_commands": 429,
    "shard_halted": 503,
}


@pytest.mark.parametrize("refusal", REFUSAL_CODES)
def test_every_refusal_has_its_status(refusal: "matching.Refusal") -> None:
    code = REFUSAL_CODES[refusal]
    problem = problems.refused(matching.Outcome(refusal=refusal), BTC_USD, types.SIDE_BUY)
    expected = "engine_refused" if code in OPERATORS_ONLY else code
    assert (problem.code, problem.kind.status) == (expected, STATUS.get(code, 422))
    assert problem.detail


@pytest.mark.parametrize(
    ("side", "needed", "available", "sentence"),
    [
        (types.SIDE_BUY, 2_030_000_000, 1_200_000_000, "This order needs 20.3 USD; 12 USD is"),
        (types.SIDE_SELL, 1, 0, "This order needs 0.00000001 BTC; 0 BTC is"),
        (types.SIDE_BUY, 2**63 - 1, 0, "This order needs more than 92233720368.54775807 USD; 0"),
    ],
)
def test_a_shortage_is_said_in_decimals(
    side: int, needed: int, available: int, sentence: str
) -> None:
    outcome = matching.Outcome(
        refusal=matching.REFUSAL_INSUFFICIENT_BALANCE,
        needed_minor=needed,
        available_minor=available,
    )
    detail = problems.refused(outcome, BTC_USD, side).detail
    assert detail.startswith(sentence)
    assert detail.endswith("Deposit or lower the quantity.")


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (matching.REFUSAL_QUANTITY_TOO_SMALL, "The smallest order of BTC-USD is 0.0001 BTC."),
        (matching.REFUSAL_QUANTITY_TOO_LARGE, "The largest order of BTC-USD is 1000000 BTC."),
        (matching.REFUSAL_NOTIONAL_TOO_SMALL, "An order of BTC-USD is worth at least 0.1 USD."),
        (
            matching.REFUSAL_NOTIONAL_TOO_LARGE,
            "An order of BTC-USD is worth at most 100000000 USD.",
        ),
    ],
)
def test_limits_are_named(refusal: "matching.Refusal", sentence: str) -> None:
    assert problems.refused(matching.Outcome(refusal=refusal), BTC_USD).detail == sentence


def test_who_sends_too_much_is_told_when_to_come_back() -> None:
    outcome = matching.Outcome(refusal=matching.REFUSAL_TOO_MANY_COMMANDS)
    problem = problems.refused(outcome, BTC_USD)
    assert problems.response(problem, "r").headers["Retry-After"] == "1"


def test_a_refusal_says_which_order_of_several_it_is_about() -> None:
    outcome = matching.Outcome(refusal=matching.REFUSAL_WOULD_TRIGGER, member=2)
    body = problems.response(problems.refused(outcome, BTC_USD), "r").body
    assert b'"member":2' in bytes(body)  # type: ignore[arg-type]  # it is bytes, not a payload
    outcome.member = 0
    body = problems.response(problems.refused(outcome, BTC_USD), "r").body
    assert b"member" not in bytes(body)  # type: ignore[arg-type]  # as above


def test_what_was_not_decided() -> None:
    assert problems.undecided(Undecided.NOT_TAKEN).kind.status == 503
    assert problems.undecided(Undecided.UNKNOWN).code == "outcome_unknown"
    assert CODES["outcome_unknown"].status == 504
