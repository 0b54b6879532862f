"""What the notifications room can be told."""

from typing import ClassVar

from pydantic import Field

from services.runtime.config import Settings


class NotificationsConfig(Settings):
    """Settings of the notifications room."""

    room: ClassVar[str] = "notifications"

    block_records: int = Field(default=256, ge=1, le=65_536)
    """Event records in a block of the index, 1..65,536: what a resume reads at least."""
    keep_s: int = Field(default=86_400, ge=1, le=2_592_000)
    """How long a cursor can be resumed, seconds of log time, 1..2,592,000; a day is promised. So
    long the event log is kept too."""
    backlog: int = Field(default=20_000, ge=100, le=1_000_000)
    """Answers a gateway's stream may be behind before it is ended, 100..1,000,000."""
