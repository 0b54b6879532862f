"""X-Bourse-Sequence and X-Bourse-After: what an answer has seen, as a text that only we read."""

import re
from typing import Final

from services.gateway.entry import OrderEntry
from services.gateway.markets import Markets
from services.gateway.problems import Problem, invalid

SEQUENCE_HEADER: Final = "X-Bourse-Sequence"
AFTER_HEADER: Final = "X-Bourse-After"

# As they are written and no other way: no sign, no leading zero; 19 digits fit 64 bits.
_TOKEN: Final = re.compile(r"(0|[1-9][0-9]{0,3}):(0|[1-9][0-9]{0,18})", re.ASCII)


class Tokens:
    """Writes and reads the tokens of this gateway's shard."""

    def __init__(self, markets: Markets, entry: OrderEntry) -> None:
        self._markets = markets
        self._entry = entry

    def write(self, sequence: int) -> str:
        """All that this gateway has answered, and what this answer has seen."""
        return f"{self._markets.shard}:{max(sequence, self._entry.answered_sequence)}"

    def read(self, header: str | None) -> int:
        """The sequence that must be visible, 0 if none is named. Raises Problem if it is not ours.

        A shard that does not exist has never answered anything, so its token is a mistake like any
        other that cannot be read.
        """
        if header is None:
            return 0
        token = _TOKEN.fullmatch(header)
        if token is None:
            raise invalid(f"/{AFTER_HEADER}", f"It is not the {SEQUENCE_HEADER} of an answer.")
        if not self._markets.known:
            raise Problem("unavailable")
        if int(token[1]) != self._markets.shard:
            raise invalid(f"/{AFTER_HEADER}", f"There is no shard {token[1]} here.")
        return int(token[2])
