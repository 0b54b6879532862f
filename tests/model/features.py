"""The features of rules 2 that random commands may use, so that they can come in one by one."""

from typing import Final

ALL: Final = frozenset(
    {
        "gtd",
        "dead_man",
        "limits",
        "kill",
        "iceberg",
        "min_fill",
        "protection",
        "stops",
        "trailing",
        "mark",
        "phases",
        "auction_orders",
        "bands",
        "oco",
        "bracket",
        "replace",
        "fee_market",
    }
)
READY: Final[frozenset[str]] = ALL
"""Those that the core in C has. With none of them the rules stay at 1."""
