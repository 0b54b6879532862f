"""What `bourse up` shows: a line for each event that matters and, on a terminal, a living table.

Where nobody watches (a file, a service manager) there are only lines, without colours.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape

from services.cli.child import Severity

_COLOURS: Final = {Severity.NEWS: "default", Severity.GOOD: "green", Severity.BAD: "red"}
_NAME_COLOURS: Final = ("cyan", "magenta", "blue", "yellow", "bright_cyan", "bright_magenta")
_NAME_WIDTH: Final = 13
_FRAMES_PER_SECOND: Final = 2


class Screen:
    """Lines, and below them, on a terminal, whatever `draw` gives."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def line(self, name: str, text: str, severity: Severity = Severity.NEWS) -> None:
        """One event: when, who, what."""
        colour = _NAME_COLOURS[sum(name.encode()) % len(_NAME_COLOURS)]
        clock = time.strftime("%H:%M:%S")
        said = escape(text.partition("\n")[0])
        self._console.print(
            f"[dim]{clock}[/] [{colour}]{name:<{_NAME_WIDTH}}[/] [{_COLOURS[severity]}]{said}[/]"
        )

    def text(self, *lines: str) -> None:
        """Lines with rich's markup, as they are."""
        for line in lines:
            self._console.print(line)

    def showing(self, draw: Callable[[], RenderableType]) -> AbstractContextManager[object]:
        """For as long as the block lasts, keep the table below the lines, on a terminal."""
        if not self._console.is_terminal:
            return nullcontext()
        return Live(
            get_renderable=draw,
            console=self._console,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
            vertical_overflow="visible",
        )
