"""Numbers and names given once: where an id lives, and what a client may call its order."""

import re
from typing import Final

SHARDS: Final = 1024
"""Ids of orders, trades and instruments are the shard's counter × 1024 + shard."""

REQUEST_ID_BYTES: Final = 16
"""Length of the id that every write carries."""

FIRST_ACCOUNT: Final = 1000
"""Accounts below this are the house's own."""

CLIENT_ORDER_ID: Final = "[A-Za-z0-9._:-]{1,36}"
"""What a client order id looks like, as a regular expression for the whole of it."""

_CLIENT_ORDER_ID: Final = re.compile(CLIENT_ORDER_ID, re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,19}", re.ASCII)
_TOP: Final = 2**64 - 1


def shard_of(number: int) -> int:
    """The shard that gave the id of an order, a trade or an instrument: 0..1023."""
    return number % SHARDS


def is_client_order_id(text: str) -> bool:
    """1..36 of A-Z a-z 0-9 . _ : and -."""
    return _CLIENT_ORDER_ID.fullmatch(text) is not None


def read_id(text: str) -> int | None:
    """An id as the public writes it: digits, no sign, no leading zero, within 64 bits, not 0."""
    if _NUMBER.fullmatch(text) is None or int(text) > _TOP:
        return None
    return int(text)
