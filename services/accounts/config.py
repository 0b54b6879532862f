"""What the accounts room can be told."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from services.runtime.config import Settings


class AccountsConfig(Settings):
    """Settings of the accounts room."""

    room: ClassVar[str] = "accounts"

    master_key_file: Path = Path()
    """32 bytes that all secrets follow from; empty: `DATA/secrets/accounts.key`, made once."""
    heartbeat_s: float = Field(default=1.0, ge=0.1, le=2.0)
    """How often a gateway hears that nothing changed, 0.1..2 s; 5 s of silence stop its trading."""

    def master_key(self) -> Path:
        """Where the master key lies."""
        return (
            self.master_key_file
            if self.master_key_file.name
            else self.data / "secrets/accounts.key"
        )
