"""Places where a test may kill this process, to see that nothing is lost and nothing is doubled.

`BOURSE_CRASH_AT=<place>` has the process kill itself, as `kill -9` would, when it first comes to
that place; `<place>:3` when it comes there for the third time. Without it a place costs a call.
"""

import os
import signal
from typing import Final

VARIABLE: Final = "BOURSE_CRASH_AT"


class _Fuse:
    """Burns down by one each time the process comes to the place."""

    def __init__(self, wanted: str) -> None:
        self.place, _, times = wanted.partition(":")
        self.left = int(times or "1")

    def burn(self, place: str) -> None:
        if place != self.place:
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _nothing(_place: str) -> None:
    return


_wanted = os.environ.get(VARIABLE, "")
crash_point: Final = _Fuse(_wanted).burn if _wanted else _nothing
"""`crash_point("matching.after_append")`: die here, if a test wants it."""
