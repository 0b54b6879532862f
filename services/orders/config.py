"""What the orders room can be told."""

from typing import ClassVar

from pydantic import Field

from services.runtime.config import Settings


class OrdersConfig(Settings):
    """Settings of the orders room."""

    room: ClassVar[str] = "orders"

    pause_s: float = Field(default=0.02, ge=0.0, le=1.0)
    """The log is read at most this often, 0..1 s: each read is a transaction."""
    patience_s: float = Field(default=2.0, ge=0.0, le=10.0)
    """How long a read waits for the sequences it names, 0..10 s; then the answer is `lagging`."""
    verify_patience_s: float = Field(default=30.0, ge=0.0, le=600.0)
    """How long a check waits until history has come to its sequence, 0..600 s."""
