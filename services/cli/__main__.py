"""The `bourse` command: every group of commands is a file of its own, and this lists them."""

import typer

from services.cli import account, doctor, instrument, key, records, rules, shard
from services.cli.backup import backup, restore
from services.cli.book import book
from services.cli.demo import demo
from services.cli.replay import replay
from services.cli.status import status
from services.cli.up import up
from services.cli.verify import verify

app = typer.Typer(
    name="bourse",
    help="A self-hosted exchange.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="markdown",
)
app.command()(up)
app.command()(status)
app.command()(doctor.doctor)
app.command()(demo)
app.command()(book)
app.command()(replay)
app.command()(verify)
app.command()(backup)
app.command()(restore)
app.add_typer(account.app, name="account")
app.add_typer(instrument.app, name="instrument")
app.add_typer(key.app, name="key")
app.add_typer(records.app, name="log")
app.add_typer(rules.app, name="rules")
app.add_typer(shard.app, name="shard")


def main() -> None:
    app()


if __name__ == "__main__":
    main()
