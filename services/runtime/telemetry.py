"""What a process says about itself: lines for people and machines, and counts.

Lines go to standard error, as JSON or, on a terminal, in colours. A count is a plain int in
whatever object counts; telemetry only knows how to read it. So counting costs an addition, and
whoever exports (a line each ten seconds, another system by another `Exporter`) pays for the rest.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, TextIO, TypeAlias, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from services.runtime.config import TelemetryConfig

EXPORT_EVERY_S: Final = 10.0
Exporter: TypeAlias = Callable[[str, Mapping[str, int]], None]
"""Takes the room's name and all its counts by name: the one place to tie a metrics system to."""


class Telemetry:
    """The counts of one process, by name."""

    def __init__(self, room: str, exporters: Sequence[Exporter] = ()) -> None:
        self.room = room
        self._exporters = exporters
        self._counts: dict[str, Callable[[], int]] = {}

    def count(self, name: str, read: Callable[[], int]) -> None:
        """Export, under a name such as `records_applied`, what `read` gives when asked."""
        if name in self._counts:
            raise ValueError(f"{name} is counted twice")
        self._counts[name] = read

    def read(self) -> dict[str, int]:
        """All counts as they stand."""
        return {name: read() for name, read in self._counts.items()}

    async def export(self) -> None:
        """Hand the counts to the exporters every ten seconds, for ever."""
        while True:
            await asyncio.sleep(EXPORT_EVERY_S)
            counts = self.read()
            for export in self._exporters:
                export(self.room, counts)


class _Lines:
    """Standard error, for as long as it takes what is said; a full disk is no reason to die of."""

    def write(self, text: str) -> None:
        """Say it, or lose it."""
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """Bring it out, or lose it."""
        with suppress(OSError):
            sys.stderr.flush()


def start_telemetry(room: str, config: TelemetryConfig) -> Telemetry:
    """Set up the lines of this process, for our own and for those of the libraries."""
    lines, is_terminal = _Lines(), sys.stderr.isatty()
    as_console = config.form == "console" or (config.form == "auto" and is_terminal)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(room),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_json),
    ]
    if as_console:
        # The default shows what every variable held, passwords too.
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=is_terminal, exception_formatter=plain)]
    level = logging.getLevelNamesMapping()[config.level.upper()]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", lines)),
        cache_logger_on_first_use=True,
    )
    _bring_in_libraries(shared, last, max(level, logging.WARNING))
    return Telemetry(room, [_say_counts])


def _bring_in_libraries(shared: list[Processor], last: list[Processor], level: int) -> None:
    """Give the lines of grpc, asyncio and the like the same shape; only warnings and worse."""
    handler = logging.StreamHandler(_Lines())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)


def _named(room: str) -> Processor:
    def name(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        line["room"] = room
        return line

    return name


def _json(line: object, **_: object) -> str:
    return orjson.dumps(line, default=str).decode()


def _say_counts(_room: str, counts: Mapping[str, int]) -> None:
    if counts:
        structlog.get_logger("counts").debug("counts", **counts)
