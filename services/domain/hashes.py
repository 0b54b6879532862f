"""The hash of balances that core and ledger both keep, so that either can prove the other."""

from functools import lru_cache
from typing import Final

_MASK: Final = (1 << 64) - 1
_SEED: Final = 0x9E3779B97F4A7C15


def mix(value: int) -> int:
    """SplitMix64's finalizer (Steele, Lea, Flood: Fast Splittable PRNGs): 64 bits in and out."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def total_hash(account: int, asset: int, total_minor: int) -> int:
    """H(account, asset, total) of docs/matching.md; 0 for a total of 0. total_minor is 0..2^62."""
    if total_minor == 0:
        return 0
    return mix(_place_hash(account, asset) ^ total_minor)


@lru_cache(maxsize=1 << 17)
def _place_hash(account: int, asset: int) -> int:
    return mix(((account << 32 | asset) + _SEED) & _MASK)


def balance_hash(parts: int, *changes: int) -> int:
    """Add hashes to a sum of hashes, mod 2^64; a negative change takes one out."""
    return (parts + sum(changes)) & _MASK
