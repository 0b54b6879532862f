"""What can become of a request, by its public code.

An operating outcome is a value with a code and, where it helps, a sentence. Which HTTP status a
code has is the gateway's business (`problems.py`), not said here.
"""

from collections.abc import Mapping
from typing import Final

from bourse.matching import v1 as matching

REFUSAL_CODES: Final[Mapping[int, str]] = {
    number: name.removeprefix("REFUSAL_").lower()
    for name, number in matching.Refusal.items()
    if number != 0
}
"""Refusals of the core by number: `REFUSAL_MARKET_NOT_OPEN` is `market_not_open`."""
