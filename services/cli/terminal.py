"""What a person at a terminal sees, and what a script reads: a sentence, a table, one JSON object.

Refused         what was asked cannot be done; a sentence that says what to do instead
"""

import asyncio
import json
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import grpc
import typer
from rich.console import Console
from rich.table import Table

from services.runtime.final import NeedsMending

T = TypeVar("T")

DataFolder = Annotated[
    Path, typer.Option("--data", envvar="BOURSE_DATA", help="The data folder of the exchange.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
ShardNumber = Annotated[int, typer.Option("--shard", min=0, help="Of the shards, from 0 on.")]
DEFAULT_DATA: Final = Path("var")

_WIDEST: Final = 10_000

# Never wrapped: a line is one line for whoever greps it.
out: Final = Console(highlight=False, soft_wrap=True)
errors: Final = Console(highlight=False, soft_wrap=True, stderr=True)


class Refused(Exception):
    """What was asked cannot be done; the message says why, and what to do instead."""


def perform(asked: Coroutine[Any, Any, T]) -> T:
    """Run what a command asks. What cannot be done is said in a sentence, with exit code 1."""
    try:
        return asyncio.run(asked)
    except (Refused, NeedsMending) as error:
        fail(str(error))
    except grpc.aio.AioRpcError as error:
        fail(sentence(error))
    except Exception as error:
        # What we have foreseen says a sentence; of the rest the whole story is wanted.
        if not type(error).__module__.startswith("services."):
            raise
        fail(str(error))


def goes_to_inner(context: typer.Context) -> bool:
    """Whether a group was called for a command inside it, which then has all that was given."""
    if context.invoked_subcommand is None:
        return False
    # What stands before the inner command would be lost on its way there.
    for name in ("data", "shard"):
        if was_typed(context, name):
            raise typer.BadParameter("Put it behind the inner command.", param_hint=f"--{name}")
    return True


def was_typed(context: typer.Context, option: str) -> bool:
    """Whether an option was given on the command line."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def fail(why: str) -> NoReturn:
    """Say a sentence on standard error and end with exit code 1."""
    errors.print(why, style="red", markup=False)
    raise typer.Exit(1)


def sentence(error: grpc.aio.AioRpcError) -> str:
    """What a room answered, for a person. Its own words, if it understood the question."""
    code, details = error.code(), (error.details() or "").strip()
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return f"A room does not answer ({details}). `bourse status` says which; try again."
    head, _, rest = details.partition(": ")
    said = rest if rest and head.replace("_", "").isalpha() and head.islower() else details
    return said if said.endswith((".", "!", "?")) else f"{said}."


def print_json(value: Mapping[str, Any]) -> None:
    """One object on one line of standard output, whatever the terminal is."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def show(value: Mapping[str, Any], as_json: bool, *lines: str) -> None:
    """The object for a script, or lines (with rich's markup) for a person."""
    if as_json:
        print_json(value)
        return
    for line in lines:
        out.print(line)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A plain table. A column whose name starts with > is aligned to the right."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify: Any = "right" if column.startswith(">") else "left"
        made.add_column(column.lstrip(">"), justify=justify, no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as wide as it needs to be: a figure that is cut is a wrong figure."""
    made = table(columns, rows)
    width = Console(width=_WIDEST).measure(made).maximum
    Console(highlight=False, width=max(width, out.width)).print(made)
