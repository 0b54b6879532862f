"""What the gateway can be told."""

from typing import ClassVar

from pydantic import Field

from services.runtime.config import Settings


class GatewayConfig(Settings):
    """Settings of the gateway."""

    room: ClassVar[str] = "gateway"

    host: str = "127.0.0.1"
    """Where the public API listens. There is no TLS: beyond this machine, put a proxy before it."""
    port: int = Field(default=8080, ge=0, le=65535)
    """The port of the public API, 0..65535; 0: any that is free."""
    requests_per_second: int = Field(default=1000, ge=1, le=1_000_000)
    """Requests a key may make in a second, 1..1,000,000."""
    waiting_commands: int = Field(default=10_000, ge=100, le=1_000_000)
    """Commands that may wait for a shard; a tenth of them is kept for cancels. 100..1,000,000."""
    body_bytes: int = Field(default=65_536, ge=1024, le=1_048_576)
    """The largest body of a request, bytes."""
    message_bytes: int = Field(default=16_384, ge=1024, le=1_048_576)
    """The largest message a socket may send, bytes."""
    messages_per_second: int = Field(default=50, ge=1, le=10_000)
    """Messages a socket may send in a second."""
    subscriptions: int = Field(default=200, ge=1, le=10_000)
    """Channels a socket may be subscribed to."""
    sockets: int = Field(default=5_000, ge=1, le=100_000)
    """Sockets open at once."""
    soft_buffer_bytes: int = Field(default=262_144, ge=4096, le=67_108_864)
    """With so much unsent a socket gets no books, tickers and candles until it has caught up."""
    hard_buffer_bytes: int = Field(default=4_194_304, ge=65_536, le=268_435_456)
    """With so much unsent a socket is closed (4008)."""
