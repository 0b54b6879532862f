"""`bourse key …`: the API keys of accounts."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bourse.accounts import v1 as accounts
from services.cli.edge import Credentials, until_known
from services.cli.rooms import PATIENCE_S, Rooms, account_named, open_rooms
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    perform,
    print_json,
    print_table,
    show,
)
from services.domain.words import SCOPE_OF, SCOPES

app = typer.Typer(no_args_is_help=True, help="API keys.")

_STANDARD: Final = ("read", "trade")


@app.command("list")
def list_(
    name: Annotated[str, typer.Argument(help="Only of this account.")] = "",
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """List keys, oldest first. Secrets are never shown again."""
    said = perform(_list(data, name))
    if as_json:
        print_json(said)
        return
    rows = [
        (
            each["key"],
            each["account_id"],
            " ".join(each["scopes"]),
            "revoked" if each["revoked_us"] else "holds",
        )
        for each in said["keys"]
    ]
    print_table(("key", ">account", "scopes", ""), rows)


async def _list(data: Path, name: str) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        account = (await account_named(rooms, name)).account if name else 0
        request = accounts.ListKeysRequest(account=account)
        found = await rooms.accounts.ListKeys(request, timeout=PATIENCE_S)
        return {"keys": [_described(key) for key in found.keys]}


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The account's name.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="read, trade or withdraw; may be given several times.")
    ] = None,
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Make another key for an account. Its secret is shown once."""
    made = perform(_create(data, name, scope or _STANDARD))
    show(
        made,
        as_json,
        f"A key of {name} for {', '.join(made['scopes'])}. This is shown once:",
        f"  key     {made['key']}",
        f"  secret  {made['secret']}",
    )


async def _create(data: Path, name: str, scopes: Sequence[str]) -> dict[str, Any]:
    unknown = [scope for scope in scopes if scope not in SCOPE_OF]
    if unknown:
        raise Refused(f"There is no scope {unknown[0]}. Known: {', '.join(SCOPE_OF)}.")
    async with open_rooms(data) as rooms:
        account = (await account_named(rooms, name)).account
        credentials = await new_key(rooms, account, [SCOPE_OF[scope] for scope in scopes])
        words = sorted(set(scopes), key=lambda scope: SCOPE_OF[scope])
        return {
            "account_id": str(account),
            "name": name,
            **credentials._asdict(),
            "scopes": words,
        }


async def new_key(rooms: Rooms, account: int, scopes: Sequence[int]) -> Credentials:
    """A new key, once the gateway knows it. Raises Refused if it does not in time."""
    request = accounts.CreateKeyRequest(request_id=secrets.token_bytes(16), account=account)
    request.scopes.extend(scopes)  # type: ignore[arg-type]  # numbers of the contract's enum
    made = await rooms.accounts.CreateKey(request, timeout=PATIENCE_S)
    credentials = Credentials(made.key.key, made.secret)
    await until_known(rooms.url, credentials)
    return credentials


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key's public id.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """End a key; gateways refuse it within a second."""
    said = perform(_revoke(data, key))
    show(said, as_json, f"{key} is revoked.")


async def _revoke(data: Path, key: str) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        request = accounts.RevokeKeyRequest(key=key)
        return _described((await rooms.accounts.RevokeKey(request, timeout=PATIENCE_S)).key)


def _described(key: accounts.Key) -> dict[str, Any]:
    return {
        "key": key.key,
        "account_id": str(key.account),
        "scopes": [SCOPES[scope] for scope in key.scopes],
        "created_us": key.created_us,
        "revoked_us": key.revoked_us or None,
    }
