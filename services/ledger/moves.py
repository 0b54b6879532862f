"""Money between shards: its rows, how they go on, and what is on its way at a cut of the shards.

A move's row and the outbox row of what it asks next are written in one transaction, and so is what
follows from a core's answer: nothing can be lost or asked twice, whatever dies between. What a
move's answer means is said in `state.MOVES`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from services.ledger.state import (
    BETWEEN_SOURCE,
    RETURNING,
    UNDER_WAY,
    Broken,
    Move,
    Settled,
    answered,
    asks,
    command_id,
)
from services.ledger.store import Asking, Sending, enqueue
from services.runtime.postgres import Connection

_COLUMNS: Final = (
    "m.request_id, m.account, m.asset, m.amount, m.from_shard, m.to_shard, m.state, m.refusal,"
    " m.debit_sequence, m.credit_sequence, m.commands"
)
_MOVE: Final = f"select {_COLUMNS} from move m"  # noqa: S608 - names of our own columns


async def find(connection: Connection, request_id: bytes) -> Move | None:
    """The move that was asked for under this id."""
    row = await connection.fetchrow(f"{_MOVE} where request_id = $1", request_id)
    return None if row is None else Move(*row)


_BEGIN: Final = """
    insert into move (request_id, account, asset, amount, from_shard, to_shard, state, refusal,
        debit_sequence, credit_sequence, commands, created_us, asked_us)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
"""


async def begin(tx: Connection, move: Move, valid_until_us: int, now_us: int) -> Sending:
    """Write a new move down, and number its debit. The deadline is the debit's; 0 for none."""
    await tx.execute(_BEGIN, *move, now_us)
    (sending,) = await ask_next(tx, [move], now_us, valid_until_us)
    return sending


_OF_ANSWERS: Final = f"""
    select o.number, {_COLUMNS} from outbox o join move m on m.request_id = o.move
    where o.source = {BETWEEN_SOURCE} and o.shard = $1 and o.number = any($2::bigint[])
        and o.state = 1
"""  # noqa: S608 - names of our own columns
_GO_ON: Final = """
    update move set state = a.state, refusal = a.refusal, debit_sequence = a.debit_sequence,
        credit_sequence = a.credit_sequence
    from unnest($1::bytea[], $2::smallint[], $3::int[], $4::bigint[], $5::bigint[])
        as a (request_id, state, refusal, debit_sequence, credit_sequence)
    where move.request_id = a.request_id
"""


async def go_on(
    tx: Connection, shard: int, settled: Iterable[Settled], now_us: int
) -> tuple[list[Move], list[Sending]]:
    """Let the moves go on that a core has answered, and number the credits that follow from it.

    Before the outbox is settled, which forgets what was asked. Returns the moves as they stand now
    and what was numbered. Raises Broken if the core answers what no move asked.
    """
    answers = {one.number: one for one in settled if one.source == BETWEEN_SOURCE}
    if not answers:
        return [], []
    rows = await tx.fetch(_OF_ANSWERS, shard, list(answers))
    asked = {number: Move(*move) for number, *move in rows}
    if strange := answers.keys() - asked.keys():
        raise Broken(f"Shard {shard} has moved number {min(strange)}, which nothing asked for.")
    moved = [
        (asked[number], answered(asked[number], one.refusal, one.sequence))
        for number, one in answers.items()
    ]
    now = [after for _, after in moved]
    columns = zip(*((each.request_id, *each[6:10]) for each in now), strict=True)
    await tx.execute(_GO_ON, *columns)
    # One that is refused on its way back would be refused again at once: it has to wait.
    on = [after for before, after in moved if before.state != after.state and asks(after)]
    return now, await ask_next(tx, on, now_us)


_COUNT_COMMANDS: Final = """
    update move set commands = commands + 1, asked_us = $2 where request_id = any($1::bytea[])
"""


async def ask_next(
    tx: Connection, moves: Sequence[Move], now_us: int, valid_until_us: int = 0
) -> list[Sending]:
    """Number what moves ask for where they stand."""
    asked = [
        Asking(BETWEEN_SOURCE, command_id(move), leg, valid_until_us, move.request_id)
        for move in moves
        if (leg := asks(move))
    ]
    if asked:
        await tx.execute(_COUNT_COMMANDS, [one.move for one in asked], now_us)
    return await enqueue(tx, asked, now_us)


RETURN_PAUSE_US: Final = 2_000_000
"""How long money that no shard takes waits before it is offered to the one it came from again; with
each time that one refuses it, it waits twice as long."""
LONGEST_PAUSE_US: Final = 300_000_000

_TRIES: Final = 3
"""Commands of a move that has been offered to the shard it came from once: before that were its
debit, and its credit in the other."""
_TURNED_AWAY: Final = f"""
    {_MOVE} where state = {RETURNING}
        and not exists (select from outbox o where o.move = m.request_id and o.state = 1)
        and m.asked_us + least({LONGEST_PAUSE_US},
            {RETURN_PAUSE_US} * (1::bigint << least(m.commands - {_TRIES}, 30))) <= $1
    order by m.created_us limit 1000
"""


async def turned_away(connection: Connection, now_us: int) -> list[Move]:
    """The moves on their way back that were refused there too, and have waited for long enough:
    nothing asks for them now."""
    return [Move(*row) for row in await connection.fetch(_TURNED_AWAY, now_us)]


_STATES: Final = ", ".join(str(state) for state in sorted(UNDER_WAY))
_COUNT: Final = f"""
    select account, from_shard, to_shard, count(*) from move where state in ({_STATES})
    group by account, from_shard, to_shard
"""  # noqa: S608 - numbers


class Limits(NamedTuple):
    """How many moves may be under way before no new one is begun."""

    of_account: int = 32
    of_pair: int = 5_000
    """From one shard to one other: those that hang at a shard keep back none between two others."""


class Counts:
    """How many moves have not ended."""

    def __init__(self, rows: Iterable[tuple[int, int, int, int]] = ()) -> None:
        """Each row is an account, a shard, another one, and how many go from that to this."""
        self._of_account = Counter[int]()
        self._of_pair = Counter[tuple[int, int]]()
        for row in rows:
            self._count(*row)

    def begun(self, move: Move) -> None:
        """There is one more."""
        self._count(move.account, move.from_shard, move.to_shard, 1)

    def ended(self, move: Move) -> None:
        """There is one less."""
        self._count(move.account, move.from_shard, move.to_shard, -1)

    def _count(self, account: int, from_shard: int, to_shard: int, more: int) -> None:
        self._of_account[account] += more
        if not self._of_account[account]:
            del self._of_account[account]
        self._of_pair[from_shard, to_shard] += more

    def too_many(self, move: Move, limits: Limits) -> str:
        """Why a new one is not to be begun; empty if it may be."""
        if (count := self._of_account[move.account]) >= limits.of_account:
            return f"account {move.account} has {count} moves under way"
        if (count := self._of_pair[move.from_shard, move.to_shard]) >= limits.of_pair:
            return f"{count} moves are under way from shard {move.from_shard} to {move.to_shard}"
        return ""

    def all(self) -> int:
        """Of all accounts."""
        return self._of_account.total()


async def count_under_way(connection: Connection) -> Counts:
    """How many moves have not ended."""
    return Counts([tuple(row) for row in await connection.fetch(_COUNT)])


_ENDED: Final = f"""
    select request_id from move where request_id = any($1::bytea[]) and state not in ({_STATES})
"""  # noqa: S608 - numbers


async def ended(connection: Connection, request_ids: Sequence[bytes]) -> list[bytes]:
    """Those of some moves that have ended."""
    return [row[0] for row in await connection.fetch(_ENDED, request_ids)]


_TRANSIT: Final = """
    select asset from (
        select asset, sum(posted) as posted from balance where account = 6 group by asset
    ) b full join (
        select asset, sum(amount) as posted from move where state in (2, 5) group by asset
    ) m using (asset)
    where coalesce(b.posted, 0) <> coalesce(m.posted, 0) limit 1
"""


async def first_transit_not_under_way(tx: Connection) -> int | None:
    """An asset of which transit has more or less than the moves that have left and not come."""
    asset: int | None = await tx.fetchval(_TRANSIT)
    return asset


# --- What is between the shards -------------------------------------------------------------

_TOUCHED: Final = f"""
    select distinct unnest(array[from_shard, to_shard]) from move
    where state in ({_STATES}) and $1::bigint in (0, account)
"""  # noqa: S608 - numbers


async def touched(connection: Connection, account: int) -> list[int]:
    """The shards of moves of an account (0: of any) that have not ended.

    What becomes of these at a cut is known once the books have come to it in those shards. A move
    that is not there yet comes after any cut that was read before this was asked.
    """
    return [row[0] for row in await connection.fetch(_TOUCHED, account)]


class Between(NamedTuple):
    """What is between the shards at a cut."""

    amounts: Mapping[tuple[int, int], int]
    """Minor units by account and asset: what had left the one shard and not come to the other."""
    read_again: Mapping[int, int]
    """Shards of which too little was read, and the sequences they must be read at or after: what
    had come to another one had not left them. Where there are any, the amounts say nothing."""


# A move that has left and come below the cut is in none of the three, and what lies above it is
# little: the limit tells the planner so, who would read the whole table otherwise.
_NEAR: Final = f"""
    with cut as (select * from unnest($2::smallint[], $3::bigint[]) as c (shard, sequence))
    select m.* from move m where state in ({_STATES}) and $1::bigint in (0, account)
    union
    select m.* from cut c, lateral (
        select * from move where from_shard = c.shard
            and debit_sequence > c.sequence and debit_sequence > 0
        order by debit_sequence limit {{limit}}
    ) m
    union
    select m.* from cut c, lateral (
        select * from move where credit_shard = c.shard
            and credit_sequence > c.sequence and credit_sequence > 0
        order by credit_sequence limit {{limit}}
    ) m
"""  # noqa: S608 - numbers
_MANY: Final = 1000
_NEAR_NEW: Final = _NEAR.format(limit=_MANY)
_NEAR_OLD: Final = _NEAR.format(limit="all")


async def between(connection: Connection, account: int, at: Mapping[int, int]) -> Between:
    """What is between the shards at a cut: by shard, the sequence its balances were true at.

    The cut has all shards. The books must have come to it in those that `touched` names.
    """
    cut = account, list(at), list(at.values())
    rows = await connection.fetch(_NEAR_NEW, *cut)
    if len(rows) >= _MANY:
        rows = await connection.fetch(_NEAR_OLD, *cut)
    amounts: dict[tuple[int, int], int] = {}
    read_again: dict[int, int] = {}
    for row in rows:
        if account not in (0, row["account"]):
            continue
        shard, debit = row["from_shard"], row["debit_sequence"]
        has_left = 0 < debit <= at[shard]
        has_come = 0 < row["credit_sequence"] <= at.get(row["credit_shard"], 0)
        if has_come and not has_left:
            read_again[shard] = max(read_again.get(shard, 0), debit)
        elif has_left and not has_come:
            place = row["account"], row["asset"]
            amounts[place] = amounts.get(place, 0) + row["amount"]
    return Between({} if read_again else amounts, read_again)
