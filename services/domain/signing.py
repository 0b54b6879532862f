"""How a request is signed: the text, and its HMAC. Shared by whoever signs and whoever checks.

    text = timestamp "\\n" window "\\n" METHOD "\\n" target "\\n" hex(SHA-256(body))

`timestamp` is milliseconds since 1970 UTC in digits, as sent; `window` is milliseconds in digits,
as sent, or `5000` when it is not; `target` is path and query exactly as sent.
"""

import hashlib
import hmac
import re
from typing import Final, NamedTuple

KEY_HEADER: Final = "X-Bourse-Key"
TIMESTAMP_HEADER: Final = "X-Bourse-Timestamp"
WINDOW_HEADER: Final = "X-Bourse-Window"
SIGNATURE_HEADER: Final = "X-Bourse-Signature"

DEFAULT_WINDOW: Final = "5000"
MAX_WINDOW_MS: Final = 60_000
AHEAD_MS: Final = 1000
"""How far a timestamp may lie ahead of the exchange's clock, milliseconds."""

_TIMESTAMP: Final = re.compile(r"[0-9]{1,16}", re.ASCII)
_WINDOW: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Signed(NamedTuple):
    """What a signed request says about itself, its form already checked."""

    timestamp_ms: int
    window_ms: int
    timestamp: str
    window: str
    signature: str

    @property
    def valid_until_us(self) -> int:
        """From this time on (microseconds) the request is no longer good."""
        return (self.timestamp_ms + self.window_ms) * 1000


def read(timestamp: str | None, window: str | None, signature: str | None) -> Signed | None:
    """The headers of a signed request; None if one is absent or malformed."""
    window = DEFAULT_WINDOW if window is None else window
    if timestamp is None or signature is None:
        return None
    if not (
        _TIMESTAMP.fullmatch(timestamp)
        and _WINDOW.fullmatch(window)
        and _SIGNATURE.fullmatch(signature)
        and int(window) <= MAX_WINDOW_MS
    ):
        return None
    return Signed(int(timestamp), int(window), timestamp, window, signature)


def text(timestamp: str, window: str, method: str, target: str, body: bytes) -> bytes:
    """The bytes that are signed. What is not UTF-8 in the target stands as it was sent."""
    digest = hashlib.sha256(body).hexdigest()
    joined = "\n".join((timestamp, window, method, target, digest))
    return joined.encode("utf-8", "surrogateescape")


def sign(secret: str, signed_text: bytes) -> str:
    """Lower-case hex HMAC-SHA256; the key is the ASCII text of the secret as issued."""
    return hmac.new(secret.encode("ascii"), signed_text, hashlib.sha256).hexdigest()


def is_signed(secret: str, claim: Signed, method: str, target: str, body: bytes) -> bool:
    """Whether the signature is right, found in a time that says nothing about where it is wrong."""
    right = sign(secret, text(claim.timestamp, claim.window, method, target, body))
    return hmac.compare_digest(right, claim.signature)


def is_timely(claim: Signed, now_ms: int) -> bool:
    """Whether the request has arrived in its window, by the clock of whoever received it."""
    return (
        claim.timestamp_ms <= now_ms + AHEAD_MS and now_ms - claim.timestamp_ms <= claim.window_ms
    )


def headers(
    key: str,
    secret: str,
    method: str,
    target: str,
    body: bytes,
    timestamp_ms: int,
    window_ms: int | None = None,
) -> dict[str, str]:
    """The headers that sign a request. Milliseconds; the default window is not sent."""
    window = DEFAULT_WINDOW if window_ms is None else str(window_ms)
    signed_text = text(str(timestamp_ms), window, method, target, body)
    sent = {
        KEY_HEADER: key,
        TIMESTAMP_HEADER: str(timestamp_ms),
        SIGNATURE_HEADER: sign(secret, signed_text),
    }
    return sent if window_ms is None else {**sent, WINDOW_HEADER: window}
