"""X-Bourse-Sequence and X-Bourse-After: what an answer has seen, as a text that only we read.

0:4711          a house of one shard
0:4711,1:92     of several: the sequence of each
"""

import re
from typing import Final

from services.gateway.problems import invalid
from services.gateway.shards import Sequences, Shards

SEQUENCE_HEADER: Final = "X-Bourse-Sequence"
AFTER_HEADER: Final = "X-Bourse-After"

# As they are written and no other way: no sign, no leading zero; 19 digits fit 64 bits.
_TOKEN: Final = re.compile(r"(0|[1-9][0-9]{0,3}):(0|[1-9][0-9]{0,18})", re.ASCII)


class Tokens:
    """Writes and reads the tokens of this gateway's house."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    def write(self, seen: Sequences) -> str:
        """All that this gateway has answered, and what this answer has seen."""
        return ",".join(f"{shard.number}:{shard.after(seen)}" for shard in self._shards)

    def read(self, header: str | None) -> Sequences:
        """The sequences that must be visible; one that names fewer shards waits for those only.

        Raises Problem if it is not ours. A shard that does not exist has never answered anything,
        so its token is a mistake like any other that cannot be read.
        """
        if header is None:
            return {}
        tokens = [_TOKEN.fullmatch(text) for text in header.split(",")]
        named = {int(token[1]): int(token[2]) for token in tokens if token is not None}
        # Ascending and each once, as it was written.
        if len(named) < len(tokens) or list(named) != sorted(named):
            raise invalid(f"/{AFTER_HEADER}", f"It is not the {SEQUENCE_HEADER} of an answer.")
        strange = max(named)
        if strange >= len(self._shards):
            raise invalid(f"/{AFTER_HEADER}", f"There is no shard {strange} here.")
        return named
