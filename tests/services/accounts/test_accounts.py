"""Accounts and keys over real gRPC on the real Postgres."""

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from pydantic import SecretStr

from bourse.accounts import v1 as accounts
from bourse.accounts.v1 import rpc
from services.accounts.server import Accounts, MasterKeyMissing, master_key
from services.runtime.clock import SystemClock
from services.runtime.config import PostgresConfig
from services.runtime.postgres import open_postgres
from services.runtime.rpc import open_channel, serve, service

KEY = bytes(range(32))
TRADE = [accounts.SCOPE_READ, accounts.SCOPE_TRADE]
Story = Callable[[rpc.AccountsServiceStub], Awaitable[None]]


@asynccontextmanager
async def room(dsn: str, folder: Path) -> AsyncIterator[rpc.AccountsServiceStub]:
    """A running room and a stub of it."""
    pool = await open_postgres(PostgresConfig(address=SecretStr(dsn)), "accounts")
    server = Accounts(pool, KEY, SystemClock(), 0.1)
    entry = service(rpc.ACCOUNTS_SERVICE, rpc.add_AccountsServiceServicer_to_server, server)
    address = f"unix:{folder}/a.sock"
    task = asyncio.create_task(serve(address, entry))
    channel = open_channel(address)
    await asyncio.wait_for(channel.channel_ready(), 10)
    yield rpc.AccountsServiceStub(channel)
    await channel.close()
    task.cancel()
    await asyncio.wait([task])
    await pool.close()


def tell(dsn: str, folder: Path, story: Story) -> None:
    """Run a story in a room of its own."""

    async def main() -> None:
        async with room(dsn, folder) as stub:
            await story(stub)

    asyncio.run(main())


async def alice(stub: rpc.AccountsServiceStub) -> accounts.Account:
    """An account called alice."""
    request = accounts.CreateAccountRequest(request_id=b"a" * 16, name="alice")
    return (await stub.CreateAccount(request)).account


async def refused(call: Awaitable[object]) -> grpc.StatusCode:
    """How a call was refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


def test_an_account_is_made_once_for_a_request(postgres: str, tmp_path: Path) -> None:
    async def story(stub: rpc.AccountsServiceStub) -> None:
        first, again = await alice(stub), await alice(stub)
        assert first == again
        assert (first.account, first.name) == (1000, "alice")
        other = accounts.CreateAccountRequest(request_id=b"b" * 16, name="alice")
        assert await refused(stub.CreateAccount(other)) is grpc.StatusCode.ALREADY_EXISTS
        bob = accounts.CreateAccountRequest(request_id=b"c" * 16, name="bob", demo=True)
        assert (await stub.CreateAccount(bob)).account.account == 1001
        listed = await stub.ListAccounts(accounts.ListAccountsRequest(limit=1))
        assert ([one.name for one in listed.accounts], listed.next_cursor) == (["alice"], 1000)
        named = await stub.GetAccount(accounts.GetAccountRequest(name="bob"))
        assert named.account.demo

    tell(postgres, tmp_path, story)


@pytest.mark.parametrize("name", ["", "Alice", "a b", "treasury", "x" * 65])
def test_names_that_cannot_be(postgres: str, tmp_path: Path, name: str) -> None:
    async def story(stub: rpc.AccountsServiceStub) -> None:
        request = accounts.CreateAccountRequest(request_id=b"a" * 16, name=name)
        assert await refused(stub.CreateAccount(request)) is grpc.StatusCode.INVALID_ARGUMENT

    tell(postgres, tmp_path, story)


def test_a_key_has_one_secret_which_no_table_knows(postgres: str, tmp_path: Path) -> None:
    async def story(stub: rpc.AccountsServiceStub) -> None:
        owner = await alice(stub)
        request = accounts.CreateKeyRequest(
            request_id=b"k" * 16, account=owner.account, scopes=TRADE
        )
        first, again = await stub.CreateKey(request), await stub.CreateKey(request)
        assert first == again
        assert len(first.secret) == 43
        assert list(first.key.scopes) == TRADE
        keys = await stub.ListKeys(accounts.ListKeysRequest(account=owner.account))
        assert [one.key for one in keys.keys] == [first.key.key]
        request = accounts.CreateKeyRequest(request_id=b"l" * 16, account=9, scopes=TRADE)
        assert await refused(stub.CreateKey(request)) is grpc.StatusCode.NOT_FOUND
        request = accounts.CreateKeyRequest(request_id=b"m" * 16, account=owner.account)
        assert await refused(stub.CreateKey(request)) is grpc.StatusCode.INVALID_ARGUMENT

    tell(postgres, tmp_path, story)


def test_a_gateway_hears_of_every_change(postgres: str, tmp_path: Path) -> None:
    async def story(stub: rpc.AccountsServiceStub) -> None:
        owner = await alice(stub)
        request = accounts.CreateKeyRequest(
            request_id=b"k" * 16, account=owner.account, scopes=TRADE
        )
        old = await stub.CreateKey(request)
        watch = stub.WatchKeys(accounts.WatchKeysRequest())
        first = await watch.read()
        assert isinstance(first, accounts.WatchKeysResponse)
        assert first.snapshot
        assert [(one.key.key, one.secret, one.account_name) for one in first.keys] == [
            (old.key.key, old.secret, "alice")
        ]
        assert await watch.read() == accounts.WatchKeysResponse(), "a heartbeat"
        request.request_id = b"n" * 16
        new = await stub.CreateKey(request)
        assert [one.secret for one in (await _next(watch)).keys] == [new.secret]
        ended = await stub.RevokeKey(accounts.RevokeKeyRequest(key=old.key.key))
        assert ended.key.revoked_us > 0
        assert list((await _next(watch)).revoked) == [old.key.key]
        again = await stub.RevokeKey(accounts.RevokeKeyRequest(key=old.key.key))
        assert again == ended, "revoking it again changes nothing"
        unknown = stub.RevokeKey(accounts.RevokeKeyRequest(key="bk-0"))
        assert await refused(unknown) is grpc.StatusCode.NOT_FOUND
        watch.cancel()

    tell(postgres, tmp_path, story)


async def _next(
    watch: "grpc.aio.UnaryStreamCall[accounts.WatchKeysRequest, accounts.WatchKeysResponse]",
) -> accounts.WatchKeysResponse:
    """The next change, heartbeats passed over."""
    while True:
        said = await watch.read()
        assert isinstance(said, accounts.WatchKeysResponse)
        if said != accounts.WatchKeysResponse():
            return said


def test_the_master_key_is_made_once_and_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "accounts.key"
    with pytest.raises(MasterKeyMissing):
        master_key(file, may_create=False)
    made = master_key(file, may_create=True)
    assert master_key(file, may_create=True) == made == master_key(file, may_create=False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(b"short")
    with pytest.raises(MasterKeyMissing):
        master_key(file, may_create=True)
