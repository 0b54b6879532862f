"""What the marketdata room can be told."""

from typing import ClassVar

from pydantic import Field

from services.runtime.config import Settings


class MarketdataConfig(Settings):
    """Settings of the marketdata room. Waits and blocks are those of a shard."""

    room: ClassVar[str] = "marketdata"

    database: str = Field(default="marketdata", pattern="[a-z][a-z0-9_]{0,62}")
    """The database of the tape in ClickHouse. Shards have a tape each: shard 0 in this one, shard 1
    in `marketdata_1` beside it, and so on."""
    pause_s: float = Field(default=0.02, ge=0.0, le=1.0)
    """The log is read at most this often, 0..1 s."""
    tick_s: float = Field(default=0.05, ge=0.0, le=1.0)
    """Watchers are told at most this often, 0..1 s; tickers and candles half as often."""
    backlog: int = Field(default=200, ge=2, le=10_000)
    """Ticks a watcher may be behind before its stream is ended, 2..10,000."""
    block_s: float = Field(default=0.5, ge=0.0, le=60.0)
    """Trades wait at most this long to be put on the tape, 0..60 s: a block costs the same 20 ms
    of ClickHouse whatever is in it."""
    block_trades: int = Field(default=20_000, ge=1, le=500_000)
    """A block is put on the tape at once when it has so many, 1..500,000."""
    patience_s: float = Field(default=2.0, ge=0.0, le=10.0)
    """How long a read waits for `after_sequence`, 0..10 s; then the answer is `lagging`."""
    verify_patience_s: float = Field(default=30.0, ge=0.0, le=600.0)
    """How long a check waits until the tape has come to its sequence, 0..600 s."""

    def database_of(self, shard: int) -> str:
        """The database of a shard's tape."""
        return f"{self.database}_{shard}" if shard else self.database
