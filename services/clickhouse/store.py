"""ClickHouse in this process: the library, its threads, and the handles statements run on.

A handle holds a current database and settings, as a connection does. Handles are kept by what they
are set to, because rooms ask with the same few sets again and again; a statement that fails takes
its handle with it, so nothing is left over from one statement for the next.
"""

import asyncio
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import chdb

from services.clickhouse.state import Insert, Question, quoted, quoted_name

KEPT_HANDLES: Final = 8
"""Idle handles kept for one set of settings."""

KEPT_SETS: Final = 16
"""Sets of settings handles are kept for; beyond that all idle handles are let go."""

UNKNOWN_ERROR: Final = 1002
_CODE: Final = re.compile(r"Code: (\d+)")
_Set: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]


class StoreTaken(Exception):
    """The folder cannot be opened, most likely because another process has it open."""


class Refused(Exception):
    """ClickHouse refused a statement, with its own code and message."""

    def __init__(self, message: str) -> None:
        start = max(message.find("Code: "), 0)
        super().__init__(message[start:].strip())
        match = _CODE.search(message)
        self.code = int(match[1]) if match else UNKNOWN_ERROR


class Busy(Exception):
    """Too many statements wait already; nothing was done."""


class Answer(NamedTuple):
    """What a statement gave."""

    body: bytes
    rows: int
    """Rows read; of an INSERT with data, rows written."""
    read_bytes: int
    elapsed_ns: int


class Store:
    """The one engine of this process."""

    def __init__(self, folder: Path, threads: int, waiting: int, result_bytes: int) -> None:
        self._folder = str(folder)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="clickhouse")
        self._room = threads + waiting
        self._limits = f"SET max_result_bytes = {result_bytes}, session_timezone = 'UTC'"
        self._idle: defaultdict[_Set, list[Any]] = defaultdict(list)
        self._idle_lock = threading.Lock()
        try:
            # Its background work lives as long as one handle does.
            self._first = chdb.connect(self._folder)
        except Exception as error:
            raise StoreTaken(
                f"ClickHouse cannot open {folder}: {error}. Does another process have it open?"
            ) from error

    async def ask(self, question: Question) -> Answer:
        """Run a statement. Raises Refused, or Busy.

        It runs to its end even if whoever asked does not wait for that.
        """
        if self._room == 0:
            raise Busy("Too many statements are waiting.")
        self._room -= 1
        done = asyncio.get_running_loop().run_in_executor(self._threads, self._answer, question)
        done.add_done_callback(self._leave)
        return await asyncio.shield(done)

    def close(self) -> None:
        """Wait for the statements that run, then let the data go."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._forget_idle()
        self._first.close()

    def _leave(self, done: "asyncio.Future[Answer]") -> None:
        self._room += 1
        if not done.cancelled():
            # Nobody may be waiting any more; the outcome has been looked at all the same.
            done.exception()

    def _answer(self, question: Question) -> Answer:
        with self._handle(question) as handle:
            if isinstance(question.statement, Insert):
                return _insert(handle, question.statement, question.token)
            return _query(handle, question.statement, question.parameters)

    @contextmanager
    def _handle(self, question: Question) -> Iterator[Any]:
        wanted = (question.database, question.settings)
        handle = self._take(wanted) or self._open(*wanted)
        try:
            yield handle
        except BaseException:
            handle.close()
            raise
        if _changes_its_handle(question.statement):
            handle.close()
        else:
            self._keep(wanted, handle)

    def _take(self, wanted: _Set) -> Any:
        with self._idle_lock:
            idle = self._idle.get(wanted)
            return idle.pop() if idle else None

    def _keep(self, wanted: _Set, handle: Any) -> None:
        with self._idle_lock:
            if wanted not in self._idle and len(self._idle) >= KEPT_SETS:
                self._forget_idle()
            if len(self._idle[wanted]) < KEPT_HANDLES:
                self._idle[wanted].append(handle)
                return
        handle.close()

    def _open(self, database: str, settings: tuple[tuple[str, str], ...]) -> Any:
        handle = chdb.connect(self._folder)
        try:
            _query(handle, self._limits, {})
            if database:
                _query(handle, f"USE {quoted_name(database)}", {})
            for name, value in settings:
                _query(handle, f"SET {name} = {quoted(value)}", {})
        except BaseException:
            handle.close()
            raise
        return handle

    def _forget_idle(self) -> None:
        for handles in self._idle.values():
            for handle in handles:
                handle.close()
        self._idle.clear()


def _changes_its_handle(statement: str | Insert) -> bool:
    """SET and USE would be seen by the next statement."""
    return isinstance(statement, str) and statement.lstrip()[:4].upper().startswith(("SET", "USE"))


def _insert(handle: Any, insert: Insert, token: str) -> Answer:
    """The data goes through a file in memory: the library takes no data behind a statement."""
    file = os.memfd_create("insert")
    try:
        with open(file, "wb", closefd=False) as data:
            data.write(insert.data)
        return _query(handle, insert.sql(f"/proc/self/fd/{file}", token), {})
    finally:
        os.close(file)


def _query(handle: Any, sql: str, parameters: dict[str, str]) -> Answer:
    started_ns = time.monotonic_ns()
    try:
        result = handle.query(sql, "TabSeparated", params=parameters)
    except Exception as error:
        raise Refused(str(error)) from error
    body = result.bytes() or b""
    elapsed_ns = time.monotonic_ns() - started_ns
    return Answer(body, result.rows_read(), result.bytes_read(), elapsed_ns)
