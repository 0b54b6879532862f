"""The embedded Kafka: one broker or three, run in a data folder, on this machine alone.

Each broker is its own controller too (KRaft), listens on 127.0.0.1 and on nothing else, and keeps
what it has in `DATA/kafka/<number>`. `DATA/kafka/place.json` says at which ports; they are chosen
once, and anew only if somebody else has taken them meanwhile.

Started by `start_kafka` a broker stays up until `stop_kafka`. As a process of the house it is

    python -m services.runtime.embedded_kafka DATA NUMBER

which becomes Java, and so ends with whoever has tethered it (see `services/cli/tethered.py`).
"""

import asyncio
import base64
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from services.runtime.config import kafka_place_file
from services.runtime.embedded import EmbeddedError
from services.runtime.kafka_access import Access
from services.runtime.kafka_jars import java_program, kafka_jars
from services.runtime.kafka_link import count_brokers
from services.runtime.log import LogError

HEAP_MB: Final = 512
START_S: Final = 120.0
"""Four seconds on a machine with nothing else to do."""

STOP_S: Final = 30.0
LEFT_OVER_S: Final = 5.0
"""How long the port of a killed broker may stay taken. Clients know it, so it is kept."""

HOST: Final = "127.0.0.1"

SETTINGS: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # A mistyped topic is a mistake, not a new topic.
    "auto.create.topics.enable": "false",
    "unclean.leader.election.enable": "false",
    # One house is one client: a handful of connections, appends one after the other.
    "num.network.threads": "2",
    "num.io.threads": "4",
    # What was cut leaves the disk within a minute or so.
    "log.retention.check.interval.ms": "30000",
    "log.segment.delete.delay.ms": "1000",
    # A broker that is gone, or hangs, is missed soon: whoever waits for its answer waits so long.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "2000",
    "replica.lag.time.max.ms": "3000",
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
    "controlled.shutdown.enable": "true",
    # Nothing here is compacted, and the cleaner would take 128 MB of the heap.
    "log.cleaner.dedupe.buffer.size": "2097152",
    "log.cleaner.io.buffer.size": "65536",
    "group.initial.rebalance.delay.ms": "0",
}
_PORTS: Final = (20_000, 32_000)
_QUICK: Final = "-XX:TieredStopAtLevel=1"
_JAVA_OPTIONS: Final = ("-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Xshare:auto")
_LOG4J: Final = """\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = OUT
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS}{UTC}Z %p %c{1}: %m%n
"""


class Place(NamedTuple):
    """Where the brokers of a data folder are."""

    cluster: str
    ports: Sequence[int]
    """Of clients, by broker."""
    controller_ports: Sequence[int]

    @property
    def address(self) -> str:
        """What BOURSE_LOG_ADDRESS says of it."""
        return "kafka://" + ",".join(f"{HOST}:{port}" for port in self.ports)

    @property
    def numbers(self) -> Sequence[int]:
        """Of its brokers."""
        return range(1, len(self.ports) + 1)


def read_place(data: Path) -> Place | None:
    """Where the brokers of a folder are, running or not; None if it has none."""
    try:
        said = json.loads(kafka_place_file(data).read_text())
    except FileNotFoundError:
        return None
    return Place(said["cluster"], said["ports"], said["controller_ports"])


def prepare_kafka(data: Path, brokers: int = 1, port: int = 0) -> Place:
    """Settle the ports, and make the brokers' folders if they are missing. Blocks.

    `port` is the first broker's, 0 for any; others follow where they find room. The number of
    brokers of a folder is settled once. Raises EmbeddedError.
    """
    data = data.expanduser().resolve()
    (data / "kafka").mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(data):
        place = read_place(data) or Place(_cluster_id(), [0] * brokers, [0] * brokers)
        if len(place.ports) != brokers:
            raise EmbeddedError(
                f"{data} was made with {len(place.ports)} brokers of Kafka, not {brokers}."
            )
        if not running_brokers(data):
            place = _with_free_ports(place, port)
            _write_place(data, place)
        for number in place.numbers:
            _Broker(data, place, number).make_if_missing()
    return place


def start_kafka(
    data: Path,
    brokers: int = 1,
    port: int = 0,
    *,
    heap_mb: int = HEAP_MB,
    quick: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Place:
    """Have all brokers of a folder running and answering, whatever state they are in. Blocks.

    Those that run are left as they are. With `quick` Java compiles less: it starts in half the
    time and is slow afterwards. `settings` overrides `SETTINGS`. Raises EmbeddedError.
    """
    java = [*_memory(heap_mb), *([_QUICK] if quick else [])]
    with _in_a_sentence():
        place = prepare_kafka(data, brokers, port)
    data = data.expanduser().resolve()
    with _in_a_sentence(), _alone(data):
        up = running_brokers(data)
        for number in place.numbers:
            if number not in up:
                _Broker(data, place, number).spawn(java, settings or {})
    _wait_ready(data, place)
    return place


def stop_kafka(data: Path, mode: str = "fast") -> None:
    """End the brokers of a folder that run, and wait for their end. Blocks.

    `fast` writes everything; `immediate` is a crash. Raises EmbeddedError.
    """
    data = data.expanduser().resolve()
    number = signal.SIGKILL if mode == "immediate" else signal.SIGTERM
    pids = list(running_brokers(data).values())
    for pid in pids:
        _signal(pid, number)
    deadline = time.monotonic() + STOP_S
    for pid in pids:
        while _is_alive(pid):
            if time.monotonic() > deadline:
                # Brokers that are stopped together may wait for one another.
                _signal(pid, signal.SIGKILL)
            time.sleep(0.02)


def running_brokers(data: Path) -> dict[int, int]:
    """The process of each broker of a folder that runs, by the broker's number."""
    place = read_place(data.expanduser().resolve())
    if place is None:
        return {}
    brokers = (_Broker(data.expanduser().resolve(), place, number) for number in place.numbers)
    return {broker.number: pid for broker in brokers if (pid := broker.pid())}


class _Broker:
    """One broker: its folder, its settings, its process."""

    def __init__(self, data: Path, place: Place, number: int) -> None:
        self.number = number
        self._place = place
        self._folder = data / "kafka" / str(number)
        self._process = self._folder / "process.json"

    def make_if_missing(self) -> None:
        """Format its storage, unless it is. Raises EmbeddedError."""
        if (self._folder / "log" / "meta.properties").exists():
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._write_settings({})
        tool = ("kafka.tools.StorageTool", "format", "--ignore-formatted")
        said = ("-t", self._place.cluster, "-c", str(self._folder / "server.properties"))
        try:
            done = subprocess.run(
                [*self._java([_QUICK]), *tool, *said],
                capture_output=True,
                text=True,
                timeout=START_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EmbeddedError(f"Kafka's storage cannot be made: {error}") from error
        if done.returncode != 0:
            raise EmbeddedError(f"Kafka's storage cannot be made: {done.stdout}{done.stderr}")

    def spawn(self, java: Sequence[str], settings: Mapping[str, str]) -> None:
        """Start it, in a session of its own so that our Ctrl-C is not its Ctrl-C."""
        command = self._command(java, settings)
        log = os.open(self._folder / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        files = [(os.POSIX_SPAWN_DUP2, nothing, 0)]
        files += [(os.POSIX_SPAWN_DUP2, log, number) for number in (1, 2)]
        try:
            pid = os.posix_spawn(command[0], command, os.environ, file_actions=files, setsid=True)
        except OSError as error:
            raise EmbeddedError(f"Java cannot be started: {error}") from error
        finally:
            os.close(log)
            os.close(nothing)
        try:
            self._note(pid)
        except OSError:
            # Nobody would know of it, and it would keep all others from the folder.
            _signal(pid, signal.SIGKILL)
            raise

    def become(self) -> None:
        """Be it: this process goes on as Java. Does not return."""
        command = self._command(_memory(HEAP_MB), {})
        self._note(os.getpid())
        os.execv(command[0], command)

    def pid(self) -> int:
        """Its process; 0 if it does not run."""
        try:
            said = json.loads(self._process.read_text())
        except (FileNotFoundError, ValueError):
            return 0
        pid = int(said["pid"])
        return pid if _is_alive(pid) and _began(pid) == said["began"] else 0

    def log_end(self) -> str:
        """What it said last."""
        try:
            return "\n".join((self._folder / "server.log").read_text().splitlines()[-6:])
        except OSError:
            return ""

    def _command(self, java: Sequence[str], settings: Mapping[str, str]) -> list[str]:
        self._write_settings(settings)
        return [*self._java(java), "kafka.Kafka", str(self._folder / "server.properties")]

    def _java(self, options: Sequence[str]) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}"
        jars = ("-cp", f"{kafka_jars()}/*")
        return [java_program(), *options, *_JAVA_OPTIONS, logging, *jars]

    def _note(self, pid: int) -> None:
        """Write down which process it is: a number alone may be another's some day."""
        self._process.write_text(json.dumps({"pid": pid, "began": _began(pid)}))

    def _write_settings(self, settings: Mapping[str, str]) -> None:
        (self._folder / "log4j2.properties").write_text(_LOG4J)
        wanted = {**SETTINGS, **self._own_settings(), **settings}
        lines = [f"{name}={value}\n" for name, value in wanted.items()]
        (self._folder / "server.properties").write_text("".join(lines))

    def _own_settings(self) -> dict[str, str]:
        place, index = self._place, self.number - 1
        client, controller = (
            f"{HOST}:{ports[index]}" for ports in (place.ports, place.controller_ports)
        )
        voters = (
            f"{n}@{HOST}:{port}"
            for n, port in zip(place.numbers, place.controller_ports, strict=True)
        )
        copies = str(min(3, len(place.ports)))
        return {
            "node.id": str(self.number),
            "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{client}",
            "controller.quorum.voters": ",".join(voters),
            "log.dirs": str(self._folder / "log"),
            "offsets.topic.replication.factor": copies,
            # Alone it need not show itself to others twice a second, each time to the disk.
            "metadata.max.idle.interval.ms": "0" if len(place.ports) == 1 else "500",
        }


def _memory(heap_mb: int) -> list[str]:
    return [f"-Xmx{heap_mb}m", f"-Xms{min(heap_mb, 256)}m"]


def _wait_ready(data: Path, place: Place) -> None:
    deadline = time.monotonic() + START_S
    while True:
        with suppress(LogError):
            if asyncio.run(count_brokers(Access(place.address))) == len(place.ports):
                return
        gone = [number for number in place.numbers if number not in running_brokers(data)]
        if gone or time.monotonic() > deadline:
            number = gone[0] if gone else 1
            said = _Broker(data, place, number).log_end()
            what = "has ended" if gone else f"does not answer after {START_S:g} s"
            raise EmbeddedError(f"Kafka's broker {number} {what}.\n{said}")
        time.sleep(0.05)


def _with_free_ports(place: Place, first: int) -> Place:
    """Keep the ports that are free, unless another first one is wanted, and find the rest."""
    taken: set[int] = set()

    def settled(port: int) -> int:
        if port == 0 or port in taken or not _becomes_free(port):
            port = _any_free(taken)
        taken.add(port)
        return port

    if first and not _is_free(first):
        raise EmbeddedError(f"Port {first} is in use. End what listens there, or choose another.")
    wanted = [first or place.ports[0], *place.ports[1:]]
    ports = [settled(port) for port in wanted]
    return Place(place.cluster, ports, [settled(port) for port in place.controller_ports])


def _becomes_free(port: int) -> bool:
    """Whether it is, or soon will be: a broker that was killed may be on its way out still."""
    deadline = time.monotonic() + LEFT_OVER_S
    while not _is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _is_free(port: int) -> bool:
    try:
        with socket.create_server((HOST, port)):
            return True
    except OSError:
        return False


def _any_free(taken: set[int]) -> int:
    """One the kernel gives to nobody by itself: a broker that was killed finds it free again."""
    while True:
        port = random.randrange(*_PORTS)
        if port not in taken and _is_free(port):
            return port


def _write_place(data: Path, place: Place) -> None:
    file = kafka_place_file(data)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(place._asdict()))
    fresh.rename(file)


def _cluster_id() -> str:
    """As Kafka writes them: sixteen bytes in base 64. A leading dash would be an option's."""
    while (written := base64.urlsafe_b64encode(uuid.uuid4().bytes)[:22].decode()).startswith("-"):
        pass
    return written


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_alive(pid: int) -> bool:
    """Whether the process runs. One that has ended and was ours is buried by the way."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    state = _stat(pid)
    # Java's first thread is dead before the others, and with them its ports and files.
    return bool(state) and (state[0] != "Z" or int(state[17]) > 1)


def _began(pid: int) -> int:
    """When it began, in ticks since the machine started; with its number it is one for ever."""
    state = _stat(pid)
    return int(state[19]) if state else 0


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on; nothing if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    """Raise what the system refuses, such as a file on a full disk, as EmbeddedError."""
    try:
        yield
    except OSError as error:
        raise EmbeddedError(f"The embedded Kafka cannot be run: {error}.") from error


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One at a time: two processes may find the brokers down at the same moment."""
    with (data / "kafka.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Become a broker of a folder that was prepared."""
    data, number = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    place = read_place(data)
    if place is None:
        sys.exit(f"{data} has no Kafka.")
    try:
        _Broker(data, place, number).become()
    except (EmbeddedError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
