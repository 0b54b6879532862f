"""The public's words for the contract's enums, in both directions.

A word is the enum's name without its prefix, in lower case: `SIDE_BUY` is `buy`. What is never sent
has no word.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from bourse.accounts import v1 as accounts
from bourse.marketdata import v1 as marketdata
from bourse.types import v1 as types


class _Enum(Protocol):
    """What protobuf's enum wrappers have in common."""

    def items(self) -> list[tuple[str, int]]:
        """Names and numbers."""
        ...


def _words(enum: _Enum, prefix: str) -> Mapping[int, str]:
    return {
        number: name.removeprefix(prefix).lower() for name, number in enum.items() if number != 0
    }


def _numbers(words: Mapping[int, str]) -> Mapping[str, int]:
    return {word: number for number, word in words.items()}


SIDES: Final = _words(types.Side, "SIDE_")
ORDER_TYPES: Final = _words(types.OrderType, "ORDER_TYPE_")
TIMES_IN_FORCE: Final = _words(types.TimeInForce, "TIME_IN_FORCE_")
SELF_TRADE_PREVENTIONS: Final = _words(types.SelfTradePrevention, "SELF_TRADE_PREVENTION_")
ORDER_STATES: Final = _words(types.OrderState, "ORDER_STATE_")
END_REASONS: Final = _words(types.EndReason, "END_REASON_")
PHASES: Final = _words(types.Phase, "PHASE_")
GROUP_KINDS: Final = _words(types.GroupKind, "GROUP_KIND_")
TRIGGERS: Final = {
    number: word.removesuffix("_price")
    for number, word in _words(types.TriggerBy, "TRIGGER_BY_").items()
}
INTERVALS: Final = _words(marketdata.Interval, "INTERVAL_")
SCOPES: Final = _words(accounts.Scope, "SCOPE_")

SIDE_OF: Final = _numbers(SIDES)
ORDER_TYPE_OF: Final = _numbers(ORDER_TYPES)
TIME_IN_FORCE_OF: Final = _numbers(TIMES_IN_FORCE)
SELF_TRADE_PREVENTION_OF: Final = _numbers(SELF_TRADE_PREVENTIONS)
ORDER_STATE_OF: Final = _numbers(ORDER_STATES)
PHASE_OF: Final = _numbers(PHASES)
GROUP_KIND_OF: Final = _numbers(GROUP_KINDS)
TRIGGER_OF: Final = _numbers(TRIGGERS)
INTERVAL_OF: Final = _numbers(INTERVALS)
SCOPE_OF: Final = _numbers(SCOPES)
