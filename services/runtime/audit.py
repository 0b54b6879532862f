"""What operators have done to a shard by hand: rows in Postgres that nobody can change."""

import json
from typing import Any, Final, NamedTuple

from services.runtime.postgres import Connection

PROVED: Final = "prove"
RESUMED: Final = "resume"
NOT_RESUMED: Final = "resume refused"
RESUME_UNKNOWN: Final = "resume unknown"
SKIP_PROPOSED: Final = "skip proposed"
SKIPPED: Final = "skip"

_ADD: Final = "insert into audit (shard, who, action, detail) values ($1, $2, $3, $4::jsonb)"
_LIST: Final = """
    select number, (extract(epoch from at) * 1000000)::bigint as at_us, who, action,
        detail::text as detail
    from audit where shard = $1 order by number
"""


class Deed(NamedTuple):
    """Something an operator has done."""

    number: int
    at_us: int
    """By the clock of Postgres, microseconds since 1970."""
    who: str
    action: str
    detail: dict[str, Any]


async def put_down(
    connection: Connection, shard: int, who: str, action: str, **detail: object
) -> None:
    """Add a row. `connection` is one of `replicas.open_registry`."""
    await connection.execute(_ADD, shard, who, action, json.dumps(detail))


async def deeds(connection: Connection, shard: int) -> list[Deed]:
    """All of a shard, the oldest first."""
    rows = await connection.fetch(_LIST, shard)
    return [Deed(**{**dict(row), "detail": json.loads(row["detail"])}) for row in rows]
