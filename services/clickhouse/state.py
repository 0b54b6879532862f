"""What a request over HTTP asks of ClickHouse: one statement, and perhaps data for it."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

TOKEN: Final = "insert_deduplication_token"

# What an HTTP client says to the transport, and a real server's HTTP handler keeps to itself.
_TRANSPORT: Final = frozenset(
    {
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "user",
        "wait_end_of_query",
    }
)
_PARAMETER: Final = "param_"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INSERT: Final = re.compile(
    rb"\s*(INSERT\s+INTO\s+.+?)(?:\s+SETTINGS\s+(.+?))?\s+FORMAT\s+(\w+)[ \t]*;?[ \t]*(?:\r?\n|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_COMPUTED: Final = re.compile(rb"\b(SELECT|VALUES|FROM|WATCH)\b", re.IGNORECASE)
_FORMAT: Final = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.IGNORECASE)
_ANSWERS: Final = re.compile(
    r"[\s(]*(SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN|CHECK)\b", re.IGNORECASE
)


class BadRequest(Exception):
    """What came is not a request that can be passed on; says why."""


class Insert(NamedTuple):
    """An INSERT whose rows come as data."""

    head: str
    """`INSERT INTO table (columns)`."""
    settings: str
    """What stood behind SETTINGS; empty if nothing did."""
    format: str
    """Which format the data is in."""
    data: bytes

    def sql(self, path: str, token: str) -> str:
        """The statement that takes the data from a file. `token` may be empty."""
        settings = [f"{TOKEN} = {quoted(token)}"] if token else []
        if self.settings:
            settings.append(self.settings)
        clause = f" SETTINGS {', '.join(settings)}" if settings else ""
        return f"{self.head} FROM INFILE {quoted(path)}{clause} FORMAT {self.format}"


class Question(NamedTuple):
    """One statement and everything that bears on it."""

    statement: str | Insert
    database: str
    settings: tuple[tuple[str, str], ...]
    """Settings that clients send again and again, sorted by name."""
    token: str
    """The deduplication token, which is another each time; empty for none."""
    parameters: dict[str, str]

    @property
    def format(self) -> str | None:
        """The format of the answer; None if the statement has none."""
        if isinstance(self.statement, Insert):
            return None
        if match := _FORMAT.search(self.statement):
            return match[1]
        return "TabSeparated" if _ANSWERS.match(self.statement) else None


def understand(arguments: Mapping[str, str], body: bytes) -> Question:
    """The question in a request's arguments and body. Raises BadRequest.

    As everywhere in ClickHouse, the argument `query` and the body are one text, in this order.
    """
    query = arguments.get("query", "").encode()
    text = query + (b"\n" if query and body else b"") + body
    if not text.strip():
        raise BadRequest("The request holds no statement.")
    settings = _settings(arguments)
    token = settings.pop(TOKEN, "")
    parameters = {
        name.removeprefix(_PARAMETER): value
        for name, value in arguments.items()
        if name.startswith(_PARAMETER)
    }
    statement = _insert(text) or _text(text)
    database = arguments.get("database", "")
    return Question(statement, database, tuple(sorted(settings.items())), token, parameters)


def quoted(text: str) -> str:
    """A string as ClickHouse writes it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quoted_name(name: str) -> str:
    """A name of a database or table as ClickHouse writes it."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _settings(arguments: Mapping[str, str]) -> dict[str, str]:
    settings = {
        name: value
        for name, value in arguments.items()
        if name not in _TRANSPORT and not name.startswith(_PARAMETER)
    }
    for name in settings:
        if not _NAME.fullmatch(name):
            raise BadRequest(f"{name!r} is not the name of a setting.")
    return settings


def _insert(text: bytes) -> Insert | None:
    """The parts of an INSERT with data; None for any other statement."""
    match = _INSERT.match(text)
    if match is None or _COMPUTED.search(match[1]):
        return None
    head, settings, form = (part.decode() for part in match.groups(b""))
    return Insert(head, settings, form, text[match.end() :])


def _text(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise BadRequest("The statement is not UTF-8.") from None
