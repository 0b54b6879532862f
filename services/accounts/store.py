"""The tables of accounts and keys. Each function is named for what it answers or writes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from services.accounts.state import FIRST_ACCOUNT
from services.runtime.postgres import Connection, Pool


class AccountRow(NamedTuple):
    """An account as it is kept."""

    account: int
    name: str
    created_us: int
    demo: bool


class KeyRow(NamedTuple):
    """A key as it is kept: everything but its secret."""

    key: str
    account: int
    scopes: Sequence[int]
    salt: bytes
    created_us: int
    revoked_us: int
    account_name: str


_ACCOUNT: Final = "select account, name, created_us, demo from account"
_CREATE_ACCOUNT: Final = """
    insert into account (account, name, request_id, demo, created_us)
    select greatest(coalesce(max(account) + 1, $5), $5), $1, $2, $3, $4 from account
"""


async def create_account(
    tx: Connection, name: str, request_id: bytes, demo: bool, now_us: int
) -> AccountRow:
    """The account of this request, made if it is not there.

    UniqueViolationError: the name is taken.
    """
    # Numbers are given without gaps, so only one may be given at a time.
    await tx.execute("lock table account in share row exclusive mode")
    row = await tx.fetchrow(f"{_ACCOUNT} where request_id = $1", request_id)
    if row is None:
        await tx.execute(_CREATE_ACCOUNT, name, request_id, demo, now_us, FIRST_ACCOUNT)
        row = await tx.fetchrow(f"{_ACCOUNT} where request_id = $1", request_id)
    assert row is not None, "it was inserted in this transaction"
    return AccountRow(*row)


async def account_by_number(pool: Pool, account: int) -> AccountRow | None:
    """The account with this number."""
    row = await pool.fetchrow(f"{_ACCOUNT} where account = $1", account)
    return None if row is None else AccountRow(*row)


async def account_by_name(pool: Pool, name: str) -> AccountRow | None:
    """The account with this name."""
    row = await pool.fetchrow(f"{_ACCOUNT} where name = $1", name)
    return None if row is None else AccountRow(*row)


async def accounts_above(pool: Pool, account: int, limit: int) -> list[AccountRow]:
    """Accounts with a higher number, ascending."""
    text = f"{_ACCOUNT} where account > $1 order by account limit $2"
    return [AccountRow(*row) for row in await pool.fetch(text, account, limit)]


_KEY: Final = """
    select k.key, k.account, k.scopes, k.salt, k.created_us, k.revoked_us, a.name
    from api_key k join account a using (account)
"""
_CREATE_KEY: Final = """
    insert into api_key (key, account, request_id, scopes, salt, created_us)
    values ($1, $2, $3, $4, $5, $6) on conflict (request_id) do nothing
"""


class NewKey(NamedTuple):
    """What a new key is made of."""

    key: str
    account: int
    request_id: bytes
    scopes: Sequence[int]
    salt: bytes
    created_us: int


async def create_key(tx: Connection, new: NewKey) -> KeyRow:
    """The key of this request, made if it is not there.

    ForeignKeyViolationError: there is no such account.
    """
    await tx.execute(_CREATE_KEY, *new)
    row = await tx.fetchrow(f"{_KEY} where k.request_id = $1", new.request_id)
    assert row is not None, "it was inserted, or stood there already"
    return KeyRow(*row)


async def revoke_key(tx: Connection, key: str, now_us: int) -> KeyRow | None:
    """End a key; one that has ended keeps its time. None: there is no such key."""
    await tx.execute(
        "update api_key set revoked_us = $2 where key = $1 and revoked_us = 0", key, now_us
    )
    row = await tx.fetchrow(f"{_KEY} where k.key = $1", key)
    return None if row is None else KeyRow(*row)


async def keys_of(pool: Pool, account: int) -> list[KeyRow]:
    """Keys of an account, or of all for 0, oldest first."""
    text = f"{_KEY} where $1 = 0 or k.account = $1 order by k.created_us, k.key"
    return [KeyRow(*row) for row in await pool.fetch(text, account)]


async def keys_that_hold(pool: Pool) -> list[KeyRow]:
    """All keys that have not ended."""
    return [KeyRow(*row) for row in await pool.fetch(f"{_KEY} where k.revoked_us = 0")]
