"""Public channels: one pre-built frame a message, whoever listens.

A channel that conflates (books, tickers, candles) may leave a slow reader out, and later gives it
the present state instead of what it missed. One that does not (trades) never leaves anything out.
"""

from typing import Final, Protocol

import msgspec

from services.gateway.books import Book

_TEXT: Final = 0x81


class Listener(Protocol):
    """A socket, as a channel sees it."""

    def offer(self, channel: "Channel", frames: bytes) -> None:
        """Frames that were just said on the channel."""
        ...

    def interrupt(self, reason: str) -> None:
        """The channel cannot go on without leaving something out."""
        ...


def frame(payload: bytes) -> bytes:
    """A whole unmasked text frame (RFC 6455), as a server sends it."""
    length = len(payload)
    if length < 126:
        return bytes((_TEXT, length)) + payload
    if length < 65_536:
        return bytes((_TEXT, 126)) + length.to_bytes(2, "big") + payload
    return bytes((_TEXT, 127)) + length.to_bytes(8, "big") + payload


def framed(message: object) -> bytes:
    """A message as a frame."""
    return frame(msgspec.json.encode(message))


class Channel:
    """A topic and those who listen to it."""

    conflates = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.listeners: set[Listener] = set()

    def now(self) -> bytes:
        """Frames that bring a listener up to date; empty if there is nothing to say."""
        return b""

    def tell(self, frames: bytes) -> None:
        """Say something to everybody who listens."""
        # A listener over its buffer leaves while it is being told.
        for listener in tuple(self.listeners):
            listener.offer(self, frames)

    def interrupt(self, reason: str) -> None:
        """Something would be left out: whoever listens has to begin anew."""
        for listener in tuple(self.listeners):
            listener.interrupt(reason)


class BookChannel(Channel):
    """A book: its snapshot at first, then what changes."""

    conflates = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.book: Book | None = None
        self._snapshot = b""
        self._snapshot_of = (0, -1)

    def now(self) -> bytes:
        """The whole book, encoded once however many want it."""
        if self.book is None:
            return b""
        at = (id(self.book), self.book.sequence)
        if self._snapshot_of != at:
            self._snapshot, self._snapshot_of = framed(self.book.snapshot()), at
        return self._snapshot


class LatestChannel(Channel):
    """The latest of something: what was put is told when the pace allows it.

    `key` tells apart what must not replace each other: a candle that ended and the next one.
    """

    conflates = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._latest = b""
        self._waiting: dict[int, bytes] = {}

    def now(self) -> bytes:
        """The latest there is."""
        return self._latest

    def put(self, message: object, key: int = 0) -> None:
        """Keep the latest, to be told with the next `flush`."""
        self._latest = self._waiting[key] = framed(message)

    def flush(self) -> None:
        """Tell what has been put since the last time."""
        if self._waiting:
            frames = b"".join(self._waiting.values())
            self._waiting.clear()
            self.tell(frames)
