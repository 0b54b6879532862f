"""The keys that hold, in memory, fed by accounts. A stream lost for five seconds means 503.

A revocation arrives within a second; whoever has asked to hear of it (the sockets) is told at once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import grpc

from bourse.accounts import v1 as accounts
from bourse.accounts.v1 import rpc
from services.domain.words import SCOPES
from services.gateway.follow import follow
from services.gateway.problems import Problem

SILENT_S: Final = 5.0
"""Accounts says something each second; after this much silence no key can be trusted."""

_EVERYTHING: Final = accounts.WatchKeysRequest()


@dataclass(frozen=True, slots=True)
class Key:
    """A key that holds. Its secret is never shown, not even by accident."""

    key: str
    account: int
    account_name: str
    scopes: frozenset[str]
    secret: str = field(repr=False)


class KeyRing:
    """All keys that hold, as far as accounts has said."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._accounts = rpc.AccountsServiceStub(channel)
        self._keys: dict[str, Key] = {}
        self._loop = asyncio.get_running_loop()
        self._heard: float | None = None
        self.on_revoked: Callable[[str], None] = lambda key: None

    @property
    def trusted(self) -> bool:
        """Whether accounts has been heard lately enough."""
        return self._heard is not None and self._loop.time() - self._heard < SILENT_S

    def find(self, key: str) -> Key | None:
        """The key of that public id. Raises Problem if the keys cannot be trusted now."""
        if not self.trusted:
            raise Problem("unavailable", "Keys cannot be checked at the moment. Try again.")
        return self._keys.get(key)

    async def run(self) -> None:
        """Follow the keys for ever; accounts out of reach is waited for."""
        await follow("keys", lambda: self._accounts.WatchKeys(_EVERYTHING), self.take)

    async def take(self, change: accounts.WatchKeysResponse) -> None:
        """Take in a change, and tell of every key that ended by it."""
        self._heard = self._loop.time()
        keys = {one.key.key: _key(one) for one in change.keys}
        ended = set(change.revoked)
        if change.snapshot:
            ended |= self._keys.keys() - keys.keys()
            self._keys = keys
        else:
            self._keys |= keys
        for key in ended:
            self._keys.pop(key, None)
            self.on_revoked(key)


def _key(one: accounts.KeySecret) -> Key:
    scopes = frozenset(SCOPES[scope] for scope in one.key.scopes if scope in SCOPES)
    return Key(one.key.key, one.key.account, one.account_name, scopes, one.secret)
