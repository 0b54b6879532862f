"""What the ledger can be told."""

from typing import ClassVar

from pydantic import Field

from services.runtime.config import Settings


class LedgerConfig(Settings):
    """Settings of the ledger."""

    room: ClassVar[str] = "ledger"

    pause_s: float = Field(default=0.02, ge=0.0, le=1.0)
    """The log is read at most this often, 0..1 s: each read is a transaction."""
    transfer_timeout_s: float = Field(default=10.0, ge=0.1, le=60.0)
    """How long CreateTransfer waits for the core, 0.1..60 s; the transfer goes on after that."""
    moves_per_account: int = Field(default=32, ge=1, le=10_000)
    """Moves between shards that an account may have under way, 1..10,000. An order begins at most
    one from each other shard at a time."""
    moves_per_pair: int = Field(default=5_000, ge=1, le=1_000_000)
    """Moves that may be under way from one shard to one other, 1..1,000,000: seconds of work."""
