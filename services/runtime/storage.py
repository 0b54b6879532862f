"""Files under names, each whole or not there at all: in a folder, or in a bucket of S3.

Several processes may read and write one storage; whoever writes a name last is right.

    StorageError            the storage did not do what it was asked; a sentence
      NotStored             there is nothing under this name
      StorageRefused        it will not, before somebody changes a setting
"""

import asyncio
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast
from urllib.parse import urlsplit

from obstore import exceptions
from obstore.store import S3Store

from services.runtime.config import SnapshotsConfig
from services.runtime.final import NeedsMending

if TYPE_CHECKING:
    from obstore.store import S3Config

_PART_BYTES: Final = 8 * 1024 * 1024
"""What is larger goes to a bucket in parts of this size, and appears once all are there."""

_HERE: Final = socket.gethostname().replace(".", "-")
_FORSAKEN_S: Final = 86_400.0
_ATTEMPTS: Final = 3
_PATIENCE: Final = timedelta(seconds=20)


class StorageError(Exception):
    """The storage did not do what it was asked; says why in a sentence."""


class NotStored(StorageError):
    """There is nothing under this name."""


class StorageRefused(StorageError, NeedsMending):
    """The storage answers, and does not let us in."""


class Storage(Protocol):
    """Names, in which a slash may stand. All methods raise StorageError."""

    async def names(self) -> list[str]:
        """All names, in no order."""
        ...

    async def read(self, name: str) -> bytes:
        """What stands under a name. Raises NotStored."""
        ...

    async def write(self, name: str, pieces: Sequence[bytes]) -> None:
        """Put the pieces, one behind the other, under a name; durable once this returns."""
        ...

    async def remove(self, name: str) -> None:
        """Forget a name. Does nothing where there is none."""
        ...


def open_storage(config: SnapshotsConfig, below: str) -> Storage:
    """The storage of an address, or of what is below a name in it. Touches nothing yet."""
    if not config.address.startswith("s3://"):
        return FolderStorage(Path(config.address) / below)
    return BucketStorage(config, below)


class FolderStorage:
    """A folder. What is being written has another name until it is on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def names(self) -> list[str]:
        """See Storage.names. Sweeps up what processes that died have left half written."""
        with _told(self._folder):
            return await asyncio.to_thread(self._names)

    async def read(self, name: str) -> bytes:
        """See Storage.read."""
        with _told(self._folder / name):
            return await asyncio.to_thread((self._folder / name).read_bytes)

    async def write(self, name: str, pieces: Sequence[bytes]) -> None:
        """See Storage.write."""
        with _told(self._folder / name):
            await asyncio.to_thread(self._write, name, pieces)

    async def remove(self, name: str) -> None:
        """See Storage.remove."""
        with _told(self._folder / name):
            await asyncio.to_thread((self._folder / name).unlink, missing_ok=True)

    def _names(self) -> list[str]:
        names = []
        for where, _, files in os.walk(self._folder):
            for file in (Path(where) / name for name in files):
                if file.suffix != ".new":
                    names.append(file.relative_to(self._folder).as_posix())
                elif _is_forsaken(file):
                    file.unlink(missing_ok=True)
        return names

    def _write(self, name: str, pieces: Sequence[bytes]) -> None:
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f"{file.name}.{_HERE}.{os.getpid()}.new")
        try:
            with half.open("wb") as out:
                out.writelines(pieces)
                out.flush()
                os.fsync(out.fileno())
            half.rename(file)
        except OSError:
            half.unlink(missing_ok=True)
            raise
        _bring_to_disk(file.parent)


def _is_forsaken(half: Path) -> bool:
    """Whether nobody writes it any more: its process has ended, or was on another machine, which
    this one cannot ask, and has written nothing for long."""
    *_, host, pid, _new = ("", "", *half.name.split("."))
    if host == _HERE:
        return not Path("/proc", pid).exists()
    with suppress(FileNotFoundError):
        return time.time() - half.stat().st_mtime > _FORSAKEN_S
    return False


def _bring_to_disk(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Turn what the system says of a file into what a storage says."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotStored(f"There is no {file}.") from error
    except OSError as error:
        raise StorageError(f"{file}: {error.strerror}.") from error


class BucketStorage:
    """Objects of a bucket that speaks S3. What is not configured comes from the environment."""

    def __init__(self, config: SnapshotsConfig, below: str) -> None:
        whole = urlsplit(config.address)
        self._place = f"{config.address.rstrip('/')}/{below}"
        keys: S3Config = {
            "endpoint": config.endpoint,
            "region": config.region,
            "access_key_id": config.access_key.get_secret_value(),
            "secret_access_key": config.secret_key.get_secret_value(),
        }
        # An empty one would hide what the environment says.
        given = cast("S3Config", {name: value for name, value in keys.items() if value})
        self._store = S3Store(
            whole.netloc,
            prefix=f"{whole.path.strip('/')}/{below}".strip("/"),
            client_options={"allow_http": True, "timeout": _PATIENCE},
            retry_config={"max_retries": _ATTEMPTS, "retry_timeout": _PATIENCE},
            config=given,
        )

    async def names(self) -> list[str]:
        """See Storage.names."""
        with self._told(""):
            return [one["path"] async for batch in self._store.list() for one in batch]

    async def read(self, name: str) -> bytes:
        """See Storage.read."""
        with self._told(name):
            found = await self._store.get_async(name)
            return bytes(await found.bytes_async())

    async def write(self, name: str, pieces: Sequence[bytes]) -> None:
        """See Storage.write."""
        with self._told(name):
            await self._store.put_async(name, iter(pieces), chunk_size=_PART_BYTES)

    async def remove(self, name: str) -> None:
        """See Storage.remove."""
        with self._told(name):
            await self._store.delete_async(name)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turn what the client says into what a storage says. Its first line is enough."""
        what = f"{self._place}/{name}"
        try:
            yield
        except FileNotFoundError as error:
            raise NotStored(f"There is no {what}, or no such bucket.") from error
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise StorageRefused(f"{what} is refused: {_first_line(error)}") from error
        except (exceptions.BaseError, OSError) as error:
            raise StorageError(f"{what}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
