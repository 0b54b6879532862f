"""Apache Kafka on this machine: a Java to run it, and its jars, fetched once by Maven.

The jars go into a cache folder outside of every data folder. BOURSE_KAFKA_JARS names another, such
as the `libs` of a Kafka that was installed otherwise; then nothing is fetched.

    KafkaMissing        there is no Java, no Maven or no way to its repository; says what to do
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from services.runtime.embedded import EmbeddedError

KAFKA_VERSION: Final = "4.3.0"
LOG4J_VERSION: Final = "2.25.4"
OLDEST_JAVA: Final = 17
FETCH_S: Final = 600.0

_WANTED: Final = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
    # Without it a broker that does not start says nothing at all.
    ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
)
_JAVA_HELP: Final = "On Debian or Ubuntu: apt-get install openjdk-17-jre-headless"
_OTHERWISE: Final = (
    f"or set BOURSE_KAFKA_JARS to the `libs` of a Kafka {KAFKA_VERSION} that is there already."
)
_MAVEN_HELP: Final = (
    f"Install Maven (on Debian or Ubuntu: apt-get install maven) and start again, {_OTHERWISE}"
)
_REPOSITORY_HELP: Final = (
    "See that this machine reaches Maven's repository (a mirror or a proxy is named in"
    f" ~/.m2/settings.xml) and start again, {_OTHERWISE}"
)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class KafkaMissing(EmbeddedError):
    """Kafka cannot be run on this machine as it is. A sentence that says what to do."""


def java_program() -> str:
    """The Java that will run it. Raises KafkaMissing."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin") if home else None
    program = program or shutil.which("java")
    if program is None:
        raise KafkaMissing(f"There is no Java, and Kafka needs {OLDEST_JAVA}. {_JAVA_HELP}")
    return program


def java_version() -> int:
    """The major version of that Java. Raises KafkaMissing if it is too old, or does not run."""
    asked = [java_program(), "-version"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise KafkaMissing(f"Java does not run: {error}. {_JAVA_HELP}") from error
    found = re.search(r'version "(\d+)', said)
    version = int(found[1]) if found else 0
    if version < OLDEST_JAVA:
        raise KafkaMissing(f"This is Java {version}; Kafka needs {OLDEST_JAVA}. {_JAVA_HELP}")
    return version


def jars_folder() -> Path:
    """Where the jars are, or will be."""
    if named := os.environ.get("BOURSE_KAFKA_JARS"):
        return Path(named).expanduser().resolve()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "bourse" / f"kafka-{KAFKA_VERSION}"


def kafka_jars() -> Path:
    """The folder of the jars. Raises KafkaMissing if they are not there."""
    folder = jars_folder()
    if not (folder / f"kafka_2.13-{KAFKA_VERSION}.jar").exists():
        raise KafkaMissing(f"Kafka {KAFKA_VERSION} is not in {folder}. Run `tools/kafka fetch`.")
    return folder


def fetch_kafka() -> Path:
    """Have the jars, from Maven's repository if need be (54 MB). Blocks. Raises KafkaMissing."""
    java_version()
    try:
        return kafka_jars()
    except KafkaMissing:
        if os.environ.get("BOURSE_KAFKA_JARS"):
            raise
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaMissing(f"Kafka {KAFKA_VERSION} is not on this machine. {_MAVEN_HELP}")
    folder = jars_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Fetched beside its place and moved there: half of it is never found.
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=folder.parent) as half:
        _copy_dependencies(maven, Path(half))
        shutil.rmtree(folder, ignore_errors=True)
        (Path(half) / "jars").rename(folder)
    return kafka_jars()


def _copy_dependencies(maven: str, folder: Path) -> None:
    pom = folder / "pom.xml"
    pom.write_text(_pom())
    goal = ("dependency:copy-dependencies", f"-DoutputDirectory={folder / 'jars'}")
    command = [maven, "-B", "-q", "-f", str(pom), *goal, "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_S, check=False, cwd=folder
        )
    except subprocess.TimeoutExpired:
        raise KafkaMissing(
            f"Maven has not fetched Kafka in {FETCH_S:g} s. {_REPOSITORY_HELP}"
        ) from None
    if done.returncode != 0 or not (folder / "jars").is_dir():
        why = _first_error(done.stdout + done.stderr)
        raise KafkaMissing(f"Maven cannot fetch Kafka: {why} {_REPOSITORY_HELP}")


def _first_error(said: str) -> str:
    """What Maven says first is what went wrong; then comes where to read more about it."""
    lines = [_COLOUR.sub("", line).strip() for line in said.splitlines()]
    errors = [line.removeprefix("[ERROR]").strip() for line in lines if line.startswith("[ERROR]")]
    first = next((line for line in errors if line), lines[-1] if lines else "it does not say why")
    return f"{first.partition(' -> [Help')[0][:600].rstrip('.')}."


def _pom() -> str:
    wanted = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>"
        f"<version>{version}</version></dependency>"
        for group, name, version in _WANTED
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>bourse</groupId><artifactId>kafka</artifactId><version>1</version>"
        f"<dependencies>{wanted}</dependencies></project>"
    )
