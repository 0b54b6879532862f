"""`bourse account postings`: what the books have posted to an account, the newest first."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bourse.ledger import v1 as ledger
from services.cli.restraint import Name
from services.cli.rooms import PATIENCE_S, Markets, account_named, markets_in_reach, open_rooms
from services.cli.terminal import (
    DEFAULT_DATA,
    AsJson,
    DataFolder,
    out,
    perform,
    print_json,
    print_table,
)
from services.domain.instruments import amount_text


def postings(
    name: Name,
    asset: Annotated[str, typer.Option(help="Only of this asset, such as USD.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many; entries are whole.")] = 50,
    below: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Only entries below this one; 0: all.")
    ] = 0,
    data: DataFolder = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Say what made an account's balance: deposits, trades, fees, moves between shards."""
    said = perform(_postings(data, name, asset, limit, below))
    if as_json:
        print_json(said)
        return
    titles = (">entry", "time (UTC)", "kind", ">amount", "asset", ">shard")
    rows = [_row(each) for each in said["postings"]]
    print_table(titles[: len(rows[0])] if rows else titles[:-1], rows)
    if said["next_below"]:
        out.print(f"There is more: --below {said['next_below']}", markup=False)


def _row(said: dict[str, Any]) -> list[str]:
    at = datetime.fromtimestamp(said["time_us"] // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    row = [str(said["entry"]), at, said["kind"], said["amount"], said["asset"]]
    return [*row, str(said["shard"])] if "shard" in said else row


async def _postings(data: Path, name: str, code: str, limit: int, below: int) -> dict[str, Any]:
    async with open_rooms(data) as rooms:
        markets = await markets_in_reach(rooms)
        account = (await account_named(rooms, name)).account
        asset = markets.asset(code).asset if code else 0
        request = ledger.ListPostingsRequest(
            account=account, asset=asset, limit=limit, cursor=below
        )
        page = await rooms.ledger.ListPostings(request, timeout=PATIENCE_S)
        is_several = len(rooms.shards) > 1
    return {
        "account_id": str(account),
        "name": name,
        "postings": [_posting(each, markets, is_several=is_several) for each in page.postings],
        "next_below": page.next_cursor or None,
    }


def _posting(posting: ledger.Posting, markets: Markets, *, is_several: bool) -> dict[str, Any]:
    asset = markets.asset_numbered(posting.asset)
    return {
        "entry": posting.seq,
        "time_us": posting.time_us,
        "kind": posting.kind,
        "asset": asset.code,
        "amount": amount_text(asset, posting.amount_minor),
        **({"shard": posting.shard} if is_several else {}),
    }
