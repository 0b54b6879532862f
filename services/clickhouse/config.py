"""What the owner of the embedded ClickHouse may use."""

from typing import ClassVar

from pydantic import Field

from services.runtime.config import Settings


class ClickHouseOwnerConfig(Settings):
    """Settings of the embedded ClickHouse."""

    room: ClassVar[str] = "clickhouse"

    port: int = Field(default=0, ge=0, le=65_535)
    """Its port on 127.0.0.1; 0: the one it had before, or any that is free."""
    threads: int = Field(default=4, ge=1, le=64)
    """Statements answered at once, 1..64; the others wait."""
    waiting: int = Field(default=256, ge=1, le=10_000)
    """Statements that may wait, 1..10,000; more are answered 503."""
    body_bytes: int = Field(default=256 * 1024 * 1024, ge=1 << 20, le=1 << 30)
    """The largest request, 1 MB..1 GB; it is held in memory."""
    result_bytes: int = Field(default=256 * 1024 * 1024, ge=1 << 20, le=1 << 30)
    """The largest answer, 1 MB..1 GB, before ClickHouse refuses; it is held in memory."""
