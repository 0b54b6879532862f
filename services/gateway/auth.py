"""Whether a request is who it says it is, may do what it asks, and does not ask too often.

The order is the contract's: key, signature, time, scope, rate.
"""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from services.domain import signing
from services.domain.clock import Clock
from services.gateway.keys import Key, KeyRing
from services.gateway.problems import Problem

SOCKET_TARGET: Final = "/ws"
"""What a socket signs: `GET` of this, with the default window and an empty body."""

_FORGET_AT: Final = 10_000
"""Buckets above this many are looked through for those that are full again."""


class Caller(NamedTuple):
    """Who asks, and until when the request is good."""

    key: Key
    valid_until_us: int
    signature: str


class Gatekeeper:
    """Checks every request that carries a key."""

    def __init__(self, keys: KeyRing, clock: Clock, per_second: int) -> None:
        self._keys = keys
        self._clock = clock
        self._rates = Rates(per_second)

    def request(self, headers: Mapping[str, str], method: str, target: str, body: bytes) -> Caller:
        """Who signed an HTTP request. Raises Problem with a 401, or 503 without keys."""
        claim = signing.read(
            headers.get(signing.TIMESTAMP_HEADER),
            headers.get(signing.WINDOW_HEADER),
            headers.get(signing.SIGNATURE_HEADER),
        )
        return self._check(headers.get(signing.KEY_HEADER), claim, method, target, body)

    def socket(self, key: str, timestamp: str, signature: str) -> Caller:
        """Who signed a socket's `authenticate`. Raises Problem with a 401, or 503 without keys."""
        claim = signing.read(timestamp, None, signature)
        return self._check(key, claim, "GET", SOCKET_TARGET, b"")

    def _check(
        self, name: str | None, claim: signing.Signed | None, method: str, target: str, body: bytes
    ) -> Caller:
        key = self._keys.find(name) if name else None
        if key is None:
            raise Problem("key_unknown")
        if claim is None or not signing.is_signed(key.secret, claim, method, target, body):
            raise Problem("signature_invalid")
        if not signing.is_timely(claim, self._clock.now_us() // 1000):
            raise Problem("timestamp_outside_window")
        return Caller(key, claim.valid_until_us, claim.signature)

    def admit(self, caller: Caller, scope: str | None) -> None:
        """Whether the key may do that, and not too often. Raises Problem with a 403 or 429."""
        if scope is not None:
            need(caller.key, scope)
        wait_s = self._rates.take(caller.key.key, self._clock.now_us())
        if wait_s > 0:
            seconds = str(max(1, math.ceil(wait_s)))
            raise Problem("rate_limited", headers={"Retry-After": seconds})


def need(key: Key, scope: str) -> None:
    """Raises Problem unless the key has the scope."""
    if scope not in key.scopes:
        raise Problem("scope_missing", f"This needs a key with the scope {scope}.")


class Rates:
    """A token bucket a key: `per_second` in a second, as many at once.

    Counted in microseconds of credit, so that nothing is lost by rounding.
    """

    def __init__(self, per_second: int) -> None:
        self._cost_us = 1_000_000 // per_second
        self._full_us = self._cost_us * per_second
        self._spent_until_us: dict[str, int] = {}

    def take(self, name: str, now_us: int) -> float:
        """Take one; 0 if it was there, else the seconds until it will be."""
        # Nobody can have spent more than all: were it so, the clock has been put back.
        known = min(self._spent_until_us.get(name, 0), now_us + self._full_us)
        spent = max(known, now_us) + self._cost_us
        over_us = spent - now_us - self._full_us
        if over_us > 0:
            self._spent_until_us[name] = known
            return over_us / 1_000_000
        self._spent_until_us[name] = spent
        if len(self._spent_until_us) > _FORGET_AT:
            kept = {key: at for key, at in self._spent_until_us.items() if at > now_us}
            self._spent_until_us = kept
        return 0.0
