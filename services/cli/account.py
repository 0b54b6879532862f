"""`bourse account …`: accounts, the money in them, and what they may do."""

import secrets
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bourse.accounts import v1 as accounts
from bourse.ledger import v1 as ledger
from bourse.types import v1 as types
from services.cli import balances, postings, restraint
from services.cli.key import new_key
from services.cli.restraint import Name
from services.cli.rooms import (
    PATIENCE_S,
    Markets,
    Rooms,
    account_named,
    markets_in_reach,
    note_silent,
    open_rooms,
    told_silent,
)
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    Refused,
    ShardNumber,
    perform,
    print_json,
    print_table,
    show,
)
from services.cli.transfers import gather_money, transfer_money
from services.domain import money
from services.domain.instruments import Misfit, amount_minor, amount_text

_PAGE: Final = 1000

AssetCode = Annotated[str, typer.Argument(metavar="ASSET", help="Its code, such as USD.")]
Amount = Annotated[str, typer.Argument(help="A decimal in units of the asset, such as 1000.5.")]

app = typer.Typer(no_args_is_help=True, help="Accounts, the money in them, what they may do.")


@app.command()
def create(name: Name, data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Make an account with a key that may read and trade. Its secret is shown once."""
    made = perform(_create(data, name))
    show(
        made,
        as_json,
        f"Account {name} has number {made['account_id']}. This is shown once:",
        f"  key     {made['key']}",
        f"  secret  {made['secret']}",
    )


async def _create(data: Path, name: str) -> dict[str, str]:
    async with open_rooms(data) as rooms:
        request = accounts.CreateAccountRequest(request_id=secrets.token_bytes(16), name=name)
        made = (await rooms.accounts.CreateAccount(request, timeout=PATIENCE_S)).account
        scopes = [accounts.SCOPE_READ, accounts.SCOPE_TRADE]
        credentials = await new_key(rooms, made.account, scopes)
        return {"account_id": str(made.account), "name": made.name, **credentials._asdict()}


@app.command()
def deposit(
    name: Name,
    asset: AssetCode,
    amount: Amount,
    shard: ShardNumber = 0,
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Move money from the treasury to an account; done once the engine has it."""
    moved = perform(_move(data, name, asset, amount, 1, shard))
    show(moved, as_json, f"{moved['amount']} {moved['asset']} is in {name}'s account.")


@app.command()
def withdraw(
    name: Name,
    asset: AssetCode,
    amount: Amount,
    shard: ShardNumber = 0,
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Move money from an account back to the treasury; done once the engine has let it go.

    What its slice in the shard lacks comes from the others first.
    """
    moved = perform(_move(data, name, asset, amount, -1, shard))
    came = [
        f"{each['amount']} {moved['asset']} came from shard {each['from_shard']} (sequence"
        f" {each['debit_sequence']}) to shard {shard} (sequence {each['credit_sequence']})."
        for each in moved.get("moved", ())
    ]
    show(moved, as_json, *came, f"{moved['amount']} {moved['asset']} left {name}'s account.")


async def _move(
    data: Path, name: str, code: str, amount: str, sign: int, shard: int
) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        rooms.known(shard)
        markets = await markets_in_reach(rooms)
        asset = markets.asset(code)
        minor = read_amount(asset, amount)
        account = (await account_named(rooms, name)).account
        moves: list[ledger.Move] = []
        if sign < 0:
            moves = await gather_money(rooms, account, asset.asset, minor, shard)
        transfer = await transfer_money(rooms, account, asset.asset, sign * minor, shard=shard)
        return {
            "account_id": str(account),
            "asset": asset.code,
            "amount": amount_text(asset, minor),
            "sequence": transfer.sequence,
            **({"shard": shard} if len(rooms.shards) > 1 else {}),
            **({"moved": [_moved(each, asset) for each in moves]} if moves else {}),
        }


def _moved(move: ledger.Move, asset: types.Asset) -> dict[str, Any]:
    """Money that came from another shard, and which commands of the two shards that was."""
    return {
        "from_shard": move.from_shard,
        "amount": amount_text(asset, move.amount_minor),
        "debit_sequence": move.debit_sequence,
        "credit_sequence": move.credit_sequence,
    }


def read_amount(asset: types.Asset, text: str) -> int:
    """An amount a person typed, in minor units. Raises Refused."""
    value = money.read(text)
    if value is None or value.digits == 0:
        raise Refused(f"{text} is not a positive decimal in plain notation, such as 1000.5.")
    minor = amount_minor(asset, value)
    if minor is Misfit.OFF_GRID:
        raise Refused(f"{asset.code} has {asset.decimals} decimals; {text} has more.")
    if isinstance(minor, Misfit) or minor > 2**62:
        raise Refused(f"{text} {asset.code} is more than an exchange can hold.")
    return minor


@app.command("list")
def list_(data: DataFolder = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """List all accounts with what the ledger has for each."""
    said = perform(_list(data))
    if as_json:
        print_json(said)
        return
    rows = [
        (
            each["account_id"],
            each["name"] + (" (demo)" if each["demo"] else ""),
            "  ".join(f"{held['amount']} {held['asset']}" for held in each["balances"]),
            restraint.summary(each.get("settings", {})),
        )
        for each in (*said["house"], *said["accounts"])
    ]
    print_table((">number", "name", "total", "settings"), rows)
    note_silent(said, "what accounts may do there is not known; the totals are the ledger's.")


async def _list(data: Path) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        markets = await markets_in_reach(rooms)
        request = ledger.ListBalancesRequest()
        books = await rooms.ledger.ListBalances(request, timeout=PATIENCE_S)
        people = await all_accounts(rooms)
        numbers = [each.account for each in people]
        settings = await restraint.settings_of(rooms, numbers, markets.silent)
        return {
            "accounts": [
                {
                    "account_id": str(each.account),
                    "name": each.name,
                    "demo": each.demo,
                    "created_us": each.created_us,
                    "balances": _balances(books, markets, each.account),
                    "settings": settings[each.account],
                }
                for each in people
            ],
            "house": [
                {
                    "account_id": str(number),
                    "name": name.removeprefix("HOUSE_ACCOUNT_").lower(),
                    "demo": False,
                    "balances": _balances(books, markets, number),
                }
                for name, number in types.HouseAccount.items()
                if number
            ],
            "sequence": books.at[0].sequence,
            **_sequences(books),
            **told_silent(rooms, markets),
        }


def _sequences(books: ledger.ListBalancesResponse) -> dict[str, Any]:
    """How far the books had come in each shard, where there are several."""
    at = [{"shard": each.shard, "sequence": each.sequence} for each in books.at]
    return {"sequences": at} if len(at) > 1 else {}


async def all_accounts(rooms: Rooms) -> list[accounts.Account]:
    """Every account, ascending by number."""
    found: list[accounts.Account] = []
    cursor = 0
    while True:
        request = accounts.ListAccountsRequest(limit=_PAGE, cursor=cursor)
        page = await rooms.accounts.ListAccounts(request, timeout=PATIENCE_S)
        found.extend(page.accounts)
        cursor = page.next_cursor
        if not cursor:
            return found


def _balances(
    books: ledger.ListBalancesResponse, markets: Markets, account: int
) -> list[dict[str, str]]:
    """What the ledger has for an account, over all shards."""
    totals: dict[int, int] = {}
    for balance in books.balances:
        if balance.account == account:
            totals[balance.asset] = totals.get(balance.asset, 0) + balance.posted_minor
    return [
        {
            "asset": markets.asset_numbered(asset).code,
            "amount": amount_text(markets.asset_numbered(asset), minor),
        }
        for asset, minor in sorted(totals.items())
    ]


app.command("show")(balances.show)
app.command("postings")(postings.postings)
app.command("suspend")(restraint.suspend)
app.command("fee-tier")(restraint.fee_tier)
app.command("fee-asset")(restraint.fee_asset)
app.command("limits")(restraint.limits)
app.command("cancel-all")(restraint.cancel_all)
app.command("kill")(restraint.kill)
