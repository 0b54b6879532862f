"""What operators and gateways ask of the accounts room."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import grpc

from bourse.accounts import v1 as accounts
from bourse.accounts.v1 import rpc
from services.accounts import store
from services.accounts.state import (
    MASTER_KEY_BYTES,
    SALT_BYTES,
    refuse_account,
    refuse_key,
    secret_of,
)
from services.domain.clock import Clock
from services.runtime.final import NeedsMending
from services.runtime.postgres import Pool, transaction
from services.runtime.rpc import Context

_BACKLOG = 1024
"""Changes a slow gateway may be behind before its stream is ended, to start from a snapshot."""


class MasterKeyMissing(NeedsMending):
    """There are keys, and not the master key they follow from."""


class Accounts(rpc.AccountsServiceServicer):
    """Accounts and API keys."""

    def __init__(self, pool: Pool, master_key: bytes, clock: Clock, heartbeat_s: float) -> None:
        self._pool = pool
        self._master_key = master_key
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._watchers: set[asyncio.Queue[accounts.WatchKeysResponse]] = set()

    async def CreateAccount(
        self, request: accounts.CreateAccountRequest, context: Context
    ) -> accounts.CreateAccountResponse:
        """A new account, or the one this request made before."""
        wrong = refuse_account(request.request_id, request.name)
        if wrong:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, wrong)
        try:
            async with transaction(self._pool) as tx:
                row = await store.create_account(
                    tx, request.name, request.request_id, request.demo, self._clock.now_us()
                )
        except asyncpg.UniqueViolationError:
            await context.abort(
                grpc.StatusCode.ALREADY_EXISTS, f"There is an account {request.name} already."
            )
        return accounts.CreateAccountResponse(account=_account(row))

    async def GetAccount(
        self, request: accounts.GetAccountRequest, context: Context
    ) -> accounts.GetAccountResponse:
        """One account by number or by name."""
        if request.account:
            row = await store.account_by_number(self._pool, request.account)
        else:
            row = await store.account_by_name(self._pool, request.name)
        if row is None:
            name = request.name or request.account
            await context.abort(grpc.StatusCode.NOT_FOUND, f"There is no account {name}.")
        return accounts.GetAccountResponse(account=_account(row))

    async def ListAccounts(
        self, request: accounts.ListAccountsRequest, context: Context
    ) -> accounts.ListAccountsResponse:
        """A page of accounts, ascending."""
        limit = min(max(request.limit, 1), 1000)
        rows = await store.accounts_above(self._pool, request.cursor, limit)
        more = rows[-1].account if len(rows) == limit else 0
        return accounts.ListAccountsResponse(accounts=map(_account, rows), next_cursor=more)

    async def CreateKey(
        self, request: accounts.CreateKeyRequest, context: Context
    ) -> accounts.CreateKeyResponse:
        """A new key with its secret, or the one this request made before."""
        wrong = refuse_key(request.request_id, request.scopes)
        if wrong:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, wrong)
        new = store.NewKey(
            key=f"bk-{secrets.token_hex(12)}",
            account=request.account,
            request_id=request.request_id,
            scopes=sorted(set(request.scopes)),
            salt=secrets.token_bytes(SALT_BYTES),
            created_us=self._clock.now_us(),
        )
        try:
            async with transaction(self._pool) as tx:
                row = await store.create_key(tx, new)
        except asyncpg.ForeignKeyViolationError:
            await context.abort(
                grpc.StatusCode.NOT_FOUND, f"There is no account {request.account}."
            )
        holds = self._holds(row)
        if not row.revoked_us:
            self._tell(accounts.WatchKeysResponse(keys=[holds]))
        return accounts.CreateKeyResponse(key=holds.key, secret=holds.secret)

    async def RevokeKey(
        self, request: accounts.RevokeKeyRequest, context: Context
    ) -> accounts.RevokeKeyResponse:
        """End a key; gateways hear of it at once."""
        async with transaction(self._pool) as tx:
            row = await store.revoke_key(tx, request.key, self._clock.now_us())
        if row is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such key.")
        self._tell(accounts.WatchKeysResponse(revoked=[row.key]))
        return accounts.RevokeKeyResponse(key=_key(row))

    async def ListKeys(
        self, request: accounts.ListKeysRequest, context: Context
    ) -> accounts.ListKeysResponse:
        """Keys of an account, or of all."""
        rows = await store.keys_of(self._pool, request.account)
        return accounts.ListKeysResponse(keys=map(_key, rows))

    async def WatchKeys(
        self, request: accounts.WatchKeysRequest, context: Context
    ) -> AsyncIterator[accounts.WatchKeysResponse]:
        """All keys that hold, then every change, with a heartbeat in between."""
        changes: asyncio.Queue[accounts.WatchKeysResponse] = asyncio.Queue(_BACKLOG)
        # Watched before the snapshot is read: a change in between is told twice, never missed.
        self._watchers.add(changes)
        try:
            rows = await store.keys_that_hold(self._pool)
            yield accounts.WatchKeysResponse(snapshot=True, keys=map(self._holds, rows))
            while changes in self._watchers:
                yield await self._next(changes)
        finally:
            self._watchers.discard(changes)

    async def _next(
        self, changes: "asyncio.Queue[accounts.WatchKeysResponse]"
    ) -> accounts.WatchKeysResponse:
        try:
            return await asyncio.wait_for(changes.get(), self._heartbeat_s)
        except TimeoutError:
            return accounts.WatchKeysResponse()

    def _tell(self, change: accounts.WatchKeysResponse) -> None:
        for changes in list(self._watchers):
            try:
                changes.put_nowait(change)
            except asyncio.QueueFull:
                self._watchers.discard(changes)

    def _holds(self, row: store.KeyRow) -> accounts.KeySecret:
        secret = secret_of(self._master_key, row.key, row.salt)
        return accounts.KeySecret(key=_key(row), secret=secret, account_name=row.account_name)


def _account(row: store.AccountRow) -> accounts.Account:
    return accounts.Account(**row._asdict())


def _key(row: store.KeyRow) -> accounts.Key:
    return accounts.Key(
        key=row.key,
        account=row.account,
        scopes=row.scopes,  # type: ignore[arg-type]  # the table keeps the contract's numbers
        created_us=row.created_us,
        revoked_us=row.revoked_us,
    )


def master_key(file: Path, *, may_create: bool) -> bytes:
    """The master key, made if it may be. Raises MasterKeyMissing.

    `may_create` is for a room that has given no key yet: a new master key would turn the secrets of
    all others into secrets that nobody knows.
    """
    if not file.exists():
        if not may_create:
            raise MasterKeyMissing(
                f"{file} is missing, and API keys exist whose secrets follow from it."
                " Put it back from a backup, or revoke those keys and make new ones."
            )
        _write_once(file, secrets.token_bytes(MASTER_KEY_BYTES))
    key = file.read_bytes()
    if len(key) != MASTER_KEY_BYTES:
        raise MasterKeyMissing(f"{file} does not hold {MASTER_KEY_BYTES} bytes. Restore it.")
    return key


def _write_once(file: Path, content: bytes) -> None:
    """Write a file only its owner may read, whole or not at all."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.rename(file)
