"""The law of names, scopes and secrets. Pure: randomness and time arrive as values."""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

from bourse.accounts import v1 as accounts

FIRST_ACCOUNT: Final = 1000
"""Lower numbers are the house's."""

MASTER_KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
REQUEST_ID_BYTES: Final = 16

_NAME: Final = re.compile(r"[a-z0-9._-]{1,64}")
_HOUSE_NAMES: Final = frozenset({"outside", "clearing", "fees", "dust", "treasury"})


def refuse_account(request_id: bytes, name: str) -> str | None:
    """Why an account of this name cannot be, as a sentence; None if it can."""
    if len(request_id) != REQUEST_ID_BYTES:
        return f"A request id has {REQUEST_ID_BYTES} bytes."
    if _NAME.fullmatch(name) is None:
        return "A name has 1 to 64 characters of a-z 0-9 . _ -"
    if name in _HOUSE_NAMES:
        return f"{name} is an account of the house; choose another name."
    return None


def refuse_key(request_id: bytes, scopes: Sequence[int]) -> str | None:
    """Why a key of these scopes cannot be, as a sentence; None if it can."""
    if len(request_id) != REQUEST_ID_BYTES:
        return f"A request id has {REQUEST_ID_BYTES} bytes."
    known = set(accounts.Scope.values()) - {accounts.SCOPE_UNSPECIFIED}
    if not scopes or not known.issuperset(scopes):
        return "A key needs at least one scope of read, trade, withdraw."
    return None


def secret_of(master_key: bytes, key: str, salt: bytes) -> str:
    """The secret of a key: 43 ASCII characters. Nobody who has only the tables can say it."""
    text = b"bourse api key 1\n" + key.encode() + b"\n" + salt
    digest = hmac.new(master_key, text, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
