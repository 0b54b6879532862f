"""The invariants of the tape, each with a sentence that says where it first does not hold."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from clickhouse_connect.driver.asyncclient import AsyncClient

from bourse.marketdata import v1 as marketdata
from services.marketdata import store
from services.marketdata.state import Candle, Market, Markets
from services.marketdata.tape import Tape

TRADES_APART: Final = 1024
"""The numbers of two trades of a shard that follow each other are so far apart."""


async def all_checks(tape: Tape, markets: Markets, sequence: int) -> marketdata.VerifyResponse:
    """Every check of a shard, while no block comes. Slow: it reads its whole tape."""
    async with tape.turn:
        checks = [check async for check in _checks(tape, markets)]
        trades = await tape.read(lambda client: store.count_trades(client, sequence))
        trades += await _before(tape) // TRADES_APART
        return marketdata.VerifyResponse(checks=checks, sequence=tape.place.sequence, trades=trades)


async def _checks(tape: Tape, markets: Markets) -> AsyncIterator[marketdata.Check]:
    row = await tape.read(store.first_twice)
    yield _check("a trade is on the tape once", row, "trade {0}, sequence {1}: {2} times")
    before = tape.shard + await _before(tape)
    row = await tape.read(lambda client: store.first_missing(client, before))
    yield _check("no trade is missing", row, "trade {0}, before sequence {1}")
    count = await tape.read(store.count_trades)
    row = None if count == tape.end.trades else (count, tape.end.trades)
    yield _check("as many trades are there as were written", row, "{0} are, {1} were")
    row = await tape.read(store.first_candle_not_as_trades_say)
    sentence = "instrument {0}, {1} us from {2}, sequence {3}"
    yield _check("candles are what their trades say", row, sentence)
    row = await tape.read(lambda client: _first_other_in_memory(client, markets))
    yield _check("memory has the candles of the tape", row, sentence.replace("sequence", "trade"))
    crossed = [
        (m.instrument, markets.sequence) for m in _sorted(markets) if m.is_crossed_for_no_reason()
    ]
    # In the middle of a record a book may be on its way out of an auction.
    found = next(iter(crossed), None) if markets.can_tell() else None
    sentence = "instrument {0}, sequence {1}"
    yield _check("no book is crossed where orders trade", found, sentence)


async def _before(tape: Tape) -> int:
    """How far the numbers of trades had come where the tape begins: 0 if it has all of them."""
    if tape.end.begins_at == 0:
        return 0
    first = await tape.read(store.first_trade)
    return first - TRADES_APART - tape.shard if first else 0


async def _first_other_in_memory(client: AsyncClient, markets: Markets) -> Sequence[Any] | None:
    """(instrument, length, opening, last trade) of the first candle that memory has otherwise.

    Those that trades not on the tape yet have changed are passed over.
    """
    newest = await store.newest_trade(client)
    for market in _sorted(markets):
        for interval, series in market.series.items():
            span = (series.whole_from_us, 2**63 - 1)
            stored = await store.first_candles(
                client, market.instrument, interval, span, len(series.candles) + 1
            )
            for candle in stored:
                held = series.candles.get(candle.open_us)
                if held is None or (held.last_trade_id <= newest and _is_other(held, candle)):
                    return market.instrument, series.length_us, *_place_of(candle)
    return None


def _is_other(held: Candle, stored: Candle) -> bool:
    return any(getattr(held, name) != getattr(stored, name) for name in Candle.__slots__)


def _place_of(candle: Candle) -> tuple[int, int]:
    return candle.open_us, candle.last_trade_id


def _sorted(markets: Markets) -> list[Market]:
    return [market for _, market in sorted(markets.by_id.items())]


def _check(name: str, broken: Sequence[Any] | None, sentence: str) -> marketdata.Check:
    detail = "" if broken is None else sentence.format(*broken)
    return marketdata.Check(name=name, ok=broken is None, detail=detail)
