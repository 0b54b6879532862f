"""The features of newer rules that random commands may use, so that they can come in one by one."""

from typing import Final

OF_RULES_2: Final = frozenset(
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
ALL: Final = OF_RULES_2 | {"halt"}
"""And of rules 3."""
READY: Final[frozenset[str]] = ALL
"""Those that the core in C has. With none of them the rules stay at 1."""
