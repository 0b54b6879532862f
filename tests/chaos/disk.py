"""A disk of its own for a data folder, which may be filled to its last byte."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path


def small_disk(folder: Path, megabytes: int) -> bool:
    """Put a disk of its own under an empty folder; False if we may not. Undo with `drop_disk`."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)]
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


def drop_disk(folder: Path) -> None:
    """Take it away again."""
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def fill(ballast: Path) -> None:
    """Take all there is, in ever smaller pieces."""
    with ballast.open("wb", buffering=0) as file:
        size = 1 << 30
        while size >= 1 << 12:
            try:
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
            except OSError:
                size //= 2
