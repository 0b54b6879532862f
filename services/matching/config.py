"""What matching can be told."""

from typing import ClassVar

from pydantic import Field

from services.runtime.config import Settings


class MatchingConfig(Settings):
    """Settings of a replica of a shard. None of them can change an outcome."""

    room: ClassVar[str] = "matching"

    shard: int = Field(default=0, ge=0, le=1023)
    """The shard it serves, 0..1023."""
    queue_batches: int = Field(default=4096, ge=10, le=1_000_000)
    """Batches that may wait for the log, 10..1,000,000; a tenth is kept for cancels."""
    queue_bytes: int = Field(default=16 * 1024 * 1024, ge=1024 * 1024, le=1024 * 1024 * 1024)
    """Bytes that may wait for the log, 1 MB..1 GB; a tenth is kept for cancels."""
    patience_s: float = Field(default=5.0, ge=0.1, le=60.0)
    """So long batches wait for a log that is out of reach, 0.1..60 s; then they are refused."""
    retained_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024, le=1024 * 1024 * 1024)
    """Event bytes not known to be published, 1 MB..1 GB; at so many, no commands are taken."""
    snapshot_records: int = Field(default=200_000, ge=1, le=1_000_000_000)
    """A standby takes a snapshot after so many command records, 1..1,000,000,000; a leader, if no
    standby has, after twice as many."""
    snapshot_commands: int = Field(default=1_000_000, ge=1, le=1_000_000_000)
    """A standby takes a snapshot after so many commands, 1..1,000,000,000; a leader likewise."""
    keep_snapshots: int = Field(default=3, ge=1, le=1000)
    """So many proven snapshots are kept, 1..1000; the logs reach back to the oldest of them."""
    cut_every_s: float = Field(default=60.0, ge=0.1, le=86_400.0)
    """The leader cuts the logs this often, 0.1..86,400 s."""
    silent_s: float = Field(default=7 * 86_400.0, ge=1.0, le=366 * 86_400.0)
    """A reader that has been silent for so long loses its hold on the log, 1 s..366 days."""

    def listen_address(self) -> str:
        """Where this replica listens: at its shard's place, if no other is named."""
        return self.listen or self.address_of(self.room, self.shard)
