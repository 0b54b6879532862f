"""Every room has the same doors: who has seen one has seen all.

A file named here means the same thing in every room. A room may lack one; none invents a synonym.
"""

import ast
from pathlib import Path

import pytest

from tests.house.tree import ROOT, name_of, our_files

DOORS = {
    "__init__": "what the room owns, hears and says",
    "__main__": "its wiring",
    "config": "its settings",
    "reader": "follows the log, applies, stores",
    "server": "its gRPC servicer",
    "state": "its law",
    "store": "its SQL as named functions",
}
# What a room has besides, and why none of the doors above would do.
BESIDES = {
    "gateway": {
        "auth": "signatures and keys, which no other room checks",
        "books": "a public book as it is shown",
        "channels": "public topics and who listens",
        "commands": "what all routes that send a command have in common",
        "documents": "the OpenAPI and AsyncAPI documents",
        "entry": "the client of order entry",
        "feeds": "the client of marketdata",
        "follow": "another room's stream, for ever",
        "funds": "the client of the ledger: money in several shards",
        "groups": "the rules of a group's shape",
        "health": "which rooms answer",
        "keys": "the client of accounts",
        "listener": "the HTTP server beneath the routes",
        "markets": "the client of matching's registry",
        "messages": "the shapes of the WebSocket",
        "pages": "pages of orders and their cursors",
        "private": "the client of notifications",
        "problems": "the only place where an outcome becomes an HTTP answer",
        "reading": "requests into shapes",
        "reads": "the client of matching and orders, for looking",
        "rest": "what every public HTTP request goes through",
        "rest_account": "the routes of an account",
        "rest_documents": "the routes of the two documents",
        "rest_groups": "the routes of orders that come together",
        "rest_orders": "the routes of orders",
        "rest_public": "the routes for anybody",
        "shapes": "the shapes of the public API",
        "shaping": "the rules of an order's shape",
        "shards": "the ways into each shard, and what is seen of them together",
        "terms": "the rules of what a plain order has not",
        "tokens": "what an answer has seen, as a text",
        "translate": "public words to commands and back",
        "ws": "the public WebSocket",
    },
    "ledger": {
        "checks": "the invariants of the books, which read every table and change none",
        "moves": "money between shards: its rows, how they go on, and what is on its way",
        "outbox": "says to matching what its table of the same name holds",
    },
    "marketdata": {
        "checks": "the invariants of the tape, which read every trade and change none",
        "levels": "what rests in a book, price by price, as pure as its law",
        "tape": "puts each block on the tape once, between two databases without a common commit",
    },
    "matching": {
        "answers": "tells a repeated batch what it was answered, from published events alone",
        "core": "the only file that knows there is C",
        "prove": "finds out whether a snapshot holds, in a process that no replica falls with",
        "recovery": "what a snapshot must stand up to before a core is made of it",
        "retention": "cuts both logs below everybody who reads them",
        "snapshots": "has snapshots proven by a process that did not write them",
        "stops": "what a replica puts down before it ends for good, or where the shard is halted",
        "judge": "a process that replays up to a Halt, to say which replica was right",
    },
    "orders": {
        "checks": "the invariants of history, which read every order and change none",
    },
}
NOT_ROOMS = {"cli", "domain", "runtime", "web"}
VAGUE = {"common", "helper", "helpers", "manager", "misc", "shared", "util", "utils"}
ROOMS = sorted(
    file.parent
    for file in (ROOT / "services").glob("*/__init__.py")
    if file.parent.name not in NOT_ROOMS
)


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_has_no_other_files(room: Path) -> None:
    found = {file.stem for file in our_files(".py", below=name_of(room)) if file.parent == room}
    assert found - DOORS.keys() - BESIDES.get(room.name, {}).keys() == set()


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_says_what_it_is(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    for word in ("Owns", "Hears", "says"):
        assert word in said.split(), (
            f"services/{room.name}/__init__.py must say what the room {word.lower()}"
        )


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_that_listens_is_wired(room: Path) -> None:
    if (room / "server.py").exists():
        assert (room / "config.py").exists()
        assert (room / "__main__.py").exists()


def test_no_file_has_a_name_that_says_nothing() -> None:
    paths = [file.relative_to(ROOT) for file in our_files()]
    vague = [str(path) for path in paths if VAGUE & {part.split(".")[0] for part in path.parts}]
    assert vague == []
