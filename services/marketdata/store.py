"""The tape in ClickHouse, and how far it has come in Postgres. Functions say what they do.

A block of trades has its bounds written down before it is inserted, and its insert carries them as
a token. Sent again, ClickHouse drops what it has of it, in the table and behind its view alike. So
a block counts once, whatever is killed in between.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.asyncclient import AsyncClient

from bourse.marketdata import v1 as marketdata
from services.marketdata.state import INTERVALS_US, Auction, Candle, Trade
from services.runtime.postgres import Connection, Pool

# --- How far it has come, in Postgres -------------------------------------------------------


class End(NamedTuple):
    """The end of the tape as it was written, beside the place on the event log."""

    clock_us: int
    """The log's clock there, microseconds since 1970."""
    trades: int
    """How many are on the tape."""
    pending_to: int | None
    """Where the block ends that is on its way, an offset of the event log; None if none is."""
    begins_at: int = 0
    """Where the tape begins, an offset of the event log: what traded before is not on it."""


EMPTY: Final = End(0, 0, None)

_END: Final = "select clock_us, trades, pending_to, begins_at from tape where topic = $1"
_PUT_END: Final = """
    insert into tape (topic, clock_us, trades, pending_to, begins_at) values ($1, $2, $3, $4, $5)
    on conflict (topic) do update set
        clock_us = excluded.clock_us, trades = excluded.trades, pending_to = excluded.pending_to,
        begins_at = excluded.begins_at
"""


async def end(connection: Pool | Connection, topic: str) -> End:
    """Where the tape ends."""
    row = await connection.fetchrow(_END, topic)
    return EMPTY if row is None else End(*row)


async def put_end(tx: Connection, topic: str, end: End) -> None:
    """Write down where the tape ends, in the transaction that holds or moves the place."""
    await tx.execute(_PUT_END, topic, *end)


_AUCTIONS: Final = f"""
    select {", ".join(Auction._fields)} from auction where topic = $1 order by instrument
"""  # noqa: S608 - names of our own columns
_PUT_AUCTION: Final = """
    insert into auction (topic, instrument, price_ticks, volume_lots, surplus_lots, sequence)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (topic, instrument) do update set
        price_ticks = excluded.price_ticks, volume_lots = excluded.volume_lots,
        surplus_lots = excluded.surplus_lots, sequence = excluded.sequence
"""


async def auctions(connection: Pool | Connection, topic: str) -> list[Auction]:
    """The auctions of all markets that ever gathered orders, as they stood at the tape's end."""
    return [Auction(*row) for row in await connection.fetch(_AUCTIONS, topic)]


async def put_auctions(tx: Connection, topic: str, changed: Iterable[Auction]) -> None:
    """Write down how auctions stand, in the transaction that moves the place."""
    rows = [(topic, *auction) for auction in changed]
    if rows:
        await tx.executemany(_PUT_AUCTION, rows)


# --- The tape, in ClickHouse ----------------------------------------------------------------

# More blocks than a writer can miss that slept while it was replaced, and then sends its last one;
# and an hour in which what was merged is still there, should the merge turn out to be torn.
_ONCE: Final = (
    "SETTINGS non_replicated_deduplication_window = 10000,"
    " fsync_after_insert = 1, fsync_part_directory = 1, old_parts_lifetime = 3600"
)
_INTERVALS: Final = f"{sorted(INTERVALS_US.values())}::Array(Int64) AS interval_us"
_TABLES: Final = (
    f"""
    CREATE TABLE IF NOT EXISTS trade (
        instrument UInt32, trade_id UInt64, price_ticks Int64, lots Int64, quote_minor Int64,
        side UInt8, time_us Int64, sequence UInt64, auction UInt8 DEFAULT 0
    ) ENGINE = MergeTree ORDER BY (instrument, trade_id)
    PARTITION BY toYYYYMM(fromUnixTimestamp64Micro(time_us, 'UTC')) {_ONCE}
    """,
    f"""
    CREATE TABLE IF NOT EXISTS candle (
        instrument UInt32, interval_us Int64, open_us Int64,
        open AggregateFunction(argMin, Int64, UInt64),
        high SimpleAggregateFunction(max, Int64),
        low SimpleAggregateFunction(min, Int64),
        close AggregateFunction(argMax, Int64, UInt64),
        lots SimpleAggregateFunction(sum, Int128),
        quote_minor SimpleAggregateFunction(sum, Int128),
        trades SimpleAggregateFunction(sum, UInt64),
        last_trade_id SimpleAggregateFunction(max, UInt64)
    ) ENGINE = AggregatingMergeTree ORDER BY (instrument, interval_us, open_us) {_ONCE}
    """,
    f"""
    CREATE MATERIALIZED VIEW IF NOT EXISTS candle_of_trade TO candle AS
    SELECT instrument, interval_us, intDiv(time_us, interval_us) * interval_us AS open_us,
        argMinState(price_ticks, trade_id) AS open, max(price_ticks) AS high,
        min(price_ticks) AS low, argMaxState(price_ticks, trade_id) AS close,
        sum(toInt128(lots)) AS lots, sum(toInt128(quote_minor)) AS quote_minor,
        count() AS trades, max(trade_id) AS last_trade_id
    FROM trade ARRAY JOIN {_INTERVALS}
    GROUP BY instrument, interval_us, open_us
    """,  # noqa: S608 - four numbers of our own
)
# A tape of before has none of its trades in an auction.
_ADD_AUCTION: Final = "ALTER TABLE trade ADD COLUMN auction UInt8 DEFAULT 0"
_HAS_AUCTION: Final = """
    SELECT count() FROM system.columns
    WHERE database = currentDatabase() AND table = 'trade' AND name = 'auction'
"""


_TRADE_TYPES: Final = ("UInt32", "UInt64", *["Int64"] * 3, "UInt8", "Int64", "UInt64", "UInt8")


async def make_tables(tape: AsyncClient) -> None:
    """Have the tables; does nothing where they are."""
    for statement in _TABLES:
        await tape.command(statement)
    # An ALTER writes the table's own file anew even where it changes nothing: on a full disk that
    # has left an empty file behind, and a table that nobody could open any more.
    if not int(str(await tape.command(_HAS_AUCTION))):
        await tape.command(_ADD_AUCTION)


async def load_again(tape: AsyncClient) -> None:
    """Have ClickHouse look at its files anew: of a torn merge it takes back what was merged.

    A disk that fills up in the middle of a merge can leave a part that nobody can read in the place
    of those it was made of (seen with 26.9); only where parts are loaded are they compared with
    what they should be.
    """
    for table in ("trade", "candle"):
        await tape.command(f"DETACH TABLE IF EXISTS {table} SYNC")
        await tape.command(f"ATTACH TABLE IF NOT EXISTS {table}")


_TORN: Final = (
    "(CORRUPTED_DATA)",
    "(CANNOT_READ_ALL_DATA)",
    "(CHECKSUM_DOESNT_MATCH)",
    "(NO_FILE_IN_DATA_PART)",
    "(BAD_SIZE_OF_FILE_IN_DATA_PART)",
    "(FILE_DOESNT_EXIST)",
)


def says_torn(error: BaseException) -> bool:
    """Whether ClickHouse could not read a part for what its files hold."""
    return any(word in str(error) for word in _TORN)


def says_disk_full(error: BaseException) -> bool:
    """Whether ClickHouse refused to write for want of space."""
    return "(NOT_ENOUGH_SPACE)" in str(error)


_TIMES_FULL: Final = """
    SELECT sum(value) FROM system.errors
    WHERE name IN ('NOT_ENOUGH_SPACE', 'CANNOT_WRITE_TO_FILE_DESCRIPTOR', 'CANNOT_FSYNC')
"""


async def times_full(tape: AsyncClient) -> int:
    """How often since its start ClickHouse could not write, whatever it was: merges count too."""
    return int(str(await tape.command(_TIMES_FULL)))


async def drop_tables(tape: AsyncClient) -> None:
    """Throw the tape away, what ClickHouse knows of its blocks included."""
    for statement in ("candle_of_trade", "candle", "trade"):
        await tape.command(f"DROP TABLE IF EXISTS {statement} SYNC")


async def insert(tape: AsyncClient, trades: Sequence[Trade], token: str) -> None:
    """Put a block on the tape, or what is missing of it if it was sent before with this token."""
    settings = {
        "insert_deduplication_token": token,
        "insert_deduplicate": 1,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        "async_insert": 0,
    }
    await tape.insert(
        "trade",
        trades,
        column_names=Trade._fields,
        column_type_names=_TRADE_TYPES,
        settings=settings,
    )


_CANDLES: Final = """
    SELECT open_us, argMinMerge(open), max(high), min(low), argMaxMerge(close), sum(lots),
        sum(quote_minor), sum(trades), max(last_trade_id)
    FROM candle
    WHERE instrument = {instrument:UInt32} AND interval_us = {interval_us:Int64}
        AND open_us >= {from_us:Int64} AND open_us < {to_us:Int64}
    GROUP BY open_us
"""


async def first_candles(
    tape: AsyncClient,
    instrument: int,
    interval: marketdata.Interval,
    span: tuple[int, int],
    limit: int,
) -> list[Candle]:
    """The first candles that open in a span of time (its end is not in it), oldest first."""
    return await _candles(tape, (instrument, interval), span, f"ORDER BY open_us LIMIT {limit:d}")


async def last_candles(
    tape: AsyncClient,
    instrument: int,
    interval: marketdata.Interval,
    span: tuple[int, int],
    limit: int,
) -> list[Candle]:
    """The last candles that open in a span of time (its end is not in it), oldest first."""
    order = f"ORDER BY open_us DESC LIMIT {limit:d}"
    return (await _candles(tape, (instrument, interval), span, order))[::-1]


async def _candles(
    tape: AsyncClient,
    series: tuple[int, marketdata.Interval],
    span: tuple[int, int],
    order: str,
) -> list[Candle]:
    parameters = {"instrument": series[0], "interval_us": INTERVALS_US[series[1]]}
    parameters |= {"from_us": span[0], "to_us": span[1]}
    found = await tape.query(_CANDLES + order, parameters)
    return [_candle(row) for row in found.result_rows]


def _candle(row: Sequence[Any]) -> Candle:
    candle = Candle(row[0])
    candle.open_ticks, candle.high_ticks, candle.low_ticks, candle.close_ticks = row[1:5]
    candle.lots, candle.quote_minor, candle.trades, candle.last_trade_id = row[5:9]
    return candle


_TRADES: Final = """
    SELECT instrument, trade_id, price_ticks, lots, quote_minor, side, time_us, sequence, auction
    FROM trade WHERE instrument = {instrument:UInt32} AND trade_id < {below:UInt64}
    ORDER BY instrument DESC, trade_id DESC LIMIT {limit:UInt32}
"""


async def trades_below(tape: AsyncClient, instrument: int, below: int, limit: int) -> list[Trade]:
    """Trades of an instrument below a number, newest first."""
    parameters = {"instrument": instrument, "below": below, "limit": limit}
    found = await tape.query(_TRADES, parameters)
    return [Trade(*row) for row in found.result_rows]


async def instruments(tape: AsyncClient) -> list[int]:
    """Every instrument that ever traded."""
    query = "SELECT DISTINCT instrument FROM candle WHERE interval_us = {day:Int64}"
    day = {"day": INTERVALS_US[marketdata.INTERVAL_1D]}
    return [row[0] for row in (await tape.query(query, day)).result_rows]


async def count_trades(tape: AsyncClient, up_to_sequence: int = 2**64 - 1) -> int:
    """How many trades the tape has, of commands up to a sequence."""
    query = "SELECT count() FROM trade WHERE sequence <= {sequence:UInt64}"
    found = await tape.query(query, {"sequence": up_to_sequence})
    return int(found.result_rows[0][0])


_WHOLE: Final = """
    SELECT (SELECT countIf(NOT ignore(trade_id)) FROM trade), (SELECT min(trades) FROM
        (SELECT sum(trades) AS trades FROM candle WHERE NOT ignore(last_trade_id)
         GROUP BY interval_us))
"""


async def count_whole(tape: AsyncClient) -> int:
    """How many trades the tape and each length of its candles have, by whichever has fewest."""
    ((trades, in_candles),) = (await tape.query(_WHOLE)).result_rows
    return min(int(trades), int(in_candles or 0))


async def first_trade(tape: AsyncClient) -> int:
    """The number of the oldest trade; 0 if there is none."""
    return int((await tape.query("SELECT min(trade_id) FROM trade")).result_rows[0][0])


async def newest_trade(tape: AsyncClient) -> int:
    """The number of the newest trade; 0 if there is none."""
    return int((await tape.query("SELECT max(trade_id) FROM trade")).result_rows[0][0])


# --- Checking -------------------------------------------------------------------------------

_TWICE: Final = """
    SELECT trade_id, min(sequence), count() FROM trade GROUP BY trade_id HAVING count() > 1
    ORDER BY trade_id LIMIT 1
"""
_MISSING: Final = """
    SELECT before + 1024, sequence FROM (
        SELECT trade_id, sequence, lagInFrame(trade_id, 1, {before:UInt64})
            OVER (ORDER BY trade_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before FROM trade
    ) WHERE trade_id > before + 1024 ORDER BY trade_id LIMIT 1
"""
_NOT_AS_TRADES_SAY: Final = f"""
    SELECT instrument, interval_us, open_us, min(sequence) FROM (
        SELECT instrument, interval_us, intDiv(time_us, interval_us) * interval_us AS open_us,
            argMin(price_ticks, trade_id) AS o, max(price_ticks) AS h, min(price_ticks) AS l,
            argMax(price_ticks, trade_id) AS c, sum(toInt128(lots)) AS v,
            sum(toInt128(quote_minor)) AS q, count() AS n, min(sequence) AS sequence
        FROM trade ARRAY JOIN {_INTERVALS}
        GROUP BY instrument, interval_us, open_us
        UNION ALL
        SELECT instrument, interval_us, open_us, argMinMerge(open), max(high), min(low),
            argMaxMerge(close), sum(lots), sum(quote_minor), sum(trades), toUInt64(-1)
        FROM candle GROUP BY instrument, interval_us, open_us
    ) GROUP BY instrument, interval_us, open_us
    HAVING count() <> 2 OR uniqExact((o, h, l, c, v, q, n)) <> 1
    ORDER BY open_us, interval_us, instrument LIMIT 1
"""  # noqa: S608 - four numbers of our own


async def first_twice(tape: AsyncClient) -> Sequence[Any] | None:
    """(trade_id, sequence, count) of the first trade that is there more than once."""
    return _first((await tape.query(_TWICE)).result_rows)


async def first_missing(tape: AsyncClient, before: int) -> Sequence[Any] | None:
    """(trade_id, sequence of the next) of the first that is not there: numbers have no gaps.

    `before` is the number that the one before the first would have.
    """
    return _first((await tape.query(_MISSING, {"before": before})).result_rows)


async def first_candle_not_as_trades_say(tape: AsyncClient) -> Sequence[Any] | None:
    """(instrument, interval, opening, sequence of its first trade) of the first that differs."""
    return _first((await tape.query(_NOT_AS_TRADES_SAY)).result_rows)


def _first(rows: Iterable[Sequence[Any]]) -> Sequence[Any] | None:
    return next(iter(rows), None)
