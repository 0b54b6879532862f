"""What a child process says: kept in a file that never grows too large, errors picked out."""

import contextlib
import json
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

LOG_BYTES: Final = 16 * 1024 * 1024
"""A log file that would pass this is put aside; one file put aside is kept for each."""

LINE_BYTES: Final = 64 * 1024
"""Longer lines are cut."""

SHOWN_PER_MINUTE: Final = 5
"""A room that cries without end is heard this often; the rest is in its file."""

_FAILED: Final = "failed why="
"""How a room begins the line that says why it ends; see `services/runtime/main.py`."""

_SEVERE: Final = frozenset({"error", "critical"})
_ENVELOPE: Final = frozenset({"event", "level", "timestamp", "room", "logger", "exception", "kind"})


class LogFile:
    """A file of lines with one older file beside it."""

    def __init__(self, file: Path, limit_bytes: int = LOG_BYTES) -> None:
        self._file = file
        self._limit_bytes = limit_bytes
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._out = file.open("ab", buffering=0)
        self._size = self._out.tell()

    def write(self, line: bytes) -> None:
        """Append a line, its end included. A full disk loses lines, not the house."""
        try:
            if self._size + len(line) > self._limit_bytes and self._size:
                self._rotate()
            self._size += self._out.write(line) or 0
        except (OSError, ValueError):
            return  # no room left, or closed already

    def _rotate(self) -> None:
        self._out.close()
        # One that found no room for the new file has put the old one aside already.
        with contextlib.suppress(FileNotFoundError):
            self._file.replace(self._file.with_suffix(".1.log"))
        self._out = self._file.open("ab", buffering=0)
        self._size = 0

    def close(self) -> None:
        """Close the file."""
        self._out.close()


class Listener:
    """Takes the lines of one child: all of them to its file, the severe ones to `tell`."""

    def __init__(self, file: LogFile, tell: Callable[[str], None]) -> None:
        self._file = file
        self._tell = tell
        self._shown_at: deque[float] = deque(maxlen=SHOWN_PER_MINUTE)
        self._last = ""
        self._why = ""

    def hear(self, line: bytes) -> None:
        """One line, with or without its end."""
        line = line[:LINE_BYTES].rstrip(b"\n")
        self._file.write(line + b"\n")
        text = line.decode("utf-8", "replace").strip()
        if not text:
            return
        said, severe = read_line(text)
        self._last = said
        if said.startswith(_FAILED):
            self._why = said.removeprefix(_FAILED)
        if severe and self._may_show():
            self._tell(said)

    def last_words(self) -> str:
        """Why it failed, if it said so, else its last line; empty if it said nothing at all."""
        return self._why or self._last

    def forget(self) -> None:
        """A new process begins: what the old one said explains nothing any more."""
        self._last = self._why = ""

    def close(self) -> None:
        """Close its file."""
        self._file.close()

    def _may_show(self) -> bool:
        now_s = time.monotonic()
        if len(self._shown_at) == SHOWN_PER_MINUTE and now_s - self._shown_at[0] < 60:
            return False
        self._shown_at.append(now_s)
        return True


def read_line(text: str) -> tuple[str, bool]:
    """A line for a person, and whether it is severe. A line that is not JSON is taken as it is."""
    try:
        said = json.loads(text)
    except ValueError:
        return text, False
    if not isinstance(said, dict):
        return text, False
    details = (f"{name}={value}" for name, value in said.items() if name not in _ENVELOPE)
    line = " ".join((str(said.get("event", "")), *details)).partition("\n")[0]
    return line, said.get("level") in _SEVERE
