"""Decimals outside, integers inside: reading and writing amounts without ever touching a float.

Outside, an amount is a string in plain notation (`0.1`, never `1e-1`, never a sign). Inside, it is
a count of some unit: ticks, lots, minor units. All of them are int64.
"""

import re
from typing import Final, NamedTuple

TOP: Final = 2**63 - 1
"""The largest int64."""

_PLAIN: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)
# The coarsest unit we know is 10^18 times an int64 worth of digits: more whole digits never fit.
_WHOLE_DIGITS: Final = 37
_FINEST_SCALE: Final = 18


class Plain(NamedTuple):
    """A decimal that is not negative: `digits` × 10^-`scale`, without needless zeros."""

    digits: int
    scale: int


def exceeds(value: Plain, other: Plain) -> bool:
    """Is a value above another one, whatever their scales?"""
    scale = max(value.scale, other.scale)
    return _scaled(value, scale) > _scaled(other, scale)


def _scaled(value: Plain, scale: int) -> int:
    scaled: int = value.digits * 10 ** (scale - value.scale)
    return scaled


class Steps(NamedTuple):
    """How often a unit goes into a value: whole times, and whether nothing was left over."""

    times: int
    exact: bool


def read(text: str) -> Plain | None:
    """The decimal that a string says in plain notation; None if it says none, or an absurd one.

    Of digits finer than 10^-18 only their presence is kept: they are off every grid there is.
    """
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    whole = match[1].lstrip("0")
    fraction = (match[2] or "").rstrip("0")
    if len(whole) > _WHOLE_DIGITS:
        return None
    if len(fraction) > _FINEST_SCALE:
        fraction = fraction[:_FINEST_SCALE] + "1"
    return Plain(int(whole + fraction or "0"), len(fraction))


def steps(value: Plain, unit: Plain) -> Steps:
    """How often `unit` (above zero) goes into `value`. It may be beyond int64."""
    times, left = divmod(value.digits * 10**unit.scale, unit.digits * 10**value.scale)
    return Steps(times, left == 0)


def write(units: int, scale: int) -> str:
    """`units` × 10^-`scale` in plain notation, without needless zeros; 0 is `0`."""
    if scale == 0:
        return str(units)
    text = str(units) if units >= 0 else str(-units)
    if len(text) <= scale:
        text = text.rjust(scale + 1, "0")
    whole, fraction = text[:-scale], text[-scale:].rstrip("0")
    sign = "-" if units < 0 else ""
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole
