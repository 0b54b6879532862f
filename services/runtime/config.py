"""Configuration: where a process keeps its data, whom it talks to, and what it may use.

Every setting has a default that works on one machine, so a house starts with none at all. They come
from the environment and, for the data folder, from `--data`:

    BOURSE_DATA=./var                 the data folder
    BOURSE_<ROOM>_ADDRESS=…           where a room listens, and where the others look for it
    BOURSE_MATCHING_ADDRESS=a,b;c,d   of matching: replicas with commas, shards with semicolons
    BOURSE_<ROOM>_<FIELD>=…           a room's own settings, see its config.py
    BOURSE_POSTGRES_ADDRESS=…         the sections below: BOURSE_<SECTION>_<FIELD>

    ConfigError                       a setting is wrong; says which one, and never its value
"""

import argparse
import hashlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from services.runtime.final import NeedsMending

ROOMS: Final = (
    "gateway",
    "matching",
    "ledger",
    "orders",
    "marketdata",
    "notifications",
    "accounts",
)
"""The rooms that speak gRPC and so have an address. ClickHouse speaks HTTP: see its section."""

SOCKET_PATH_BYTES: Final = 100
"""The kernel takes 107 bytes of a socket's path; some are left for what is put behind a name."""

ConfigT = TypeVar("ConfigT", bound="Settings")


class ConfigError(NeedsMending):
    """A setting is wrong. The message is a sentence for the person who can mend it."""


class Section(BaseModel):
    """A group of settings, frozen once loaded; a name that is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PostgresConfig(Section):
    """The Postgres of the rooms: a database, a schema for each room in it."""

    address: SecretStr = SecretStr("")
    """postgresql://…; empty: the embedded server. Secret, for it may hold a password."""
    connections: int = Field(default=4, ge=1, le=50)
    """Connections a room may hold at once, 1..50. The embedded server takes 200 from all rooms."""


class LogConfig(Section):
    """The log, with an address of its own, for it is the one that wants its own disk first."""

    address: SecretStr = SecretStr("")
    """postgresql://… or kafka://host:port,host:port; empty: the embedded one of the data folder, a
    Kafka if it was made with one. Secret, for it may hold a password."""
    append_timeout_s: float = Field(default=5.0, ge=0.1, le=60.0)
    """After this long an append's outcome is unknown. Seconds, 0.1..60."""
    partition_records: int = Field(default=65_536, ge=2, le=10_000_000)
    """Records in a partition of a new topic, 2..10,000,000; the log is cut by partitions, in Kafka
    by as many records."""
    replication: int = Field(default=3, ge=1, le=9)
    """Kafka: brokers that keep each record, 1..9. Topics with fewer are refused. With 1 each append
    is brought to that broker's disk before it is answered."""
    min_isr: int = Field(default=2, ge=1, le=9)
    """Kafka: brokers that must have a record before it is answered, 1..9, at most `replication`.
    So many less one may be lost for good and nothing is; when fewer are there, nothing is taken."""
    tls_ca: str = ""
    """Kafka: a file of PEM certificates that vouch for the brokers; `system`: those this machine
    trusts; empty: no TLS."""
    tls_cert: str = ""
    """Kafka: a file with our own certificate, where the brokers want one; empty: none."""
    tls_key: str = ""
    """Kafka: the file of its key; empty: it is in the certificate's file."""
    tls_key_password: SecretStr = SecretStr("")
    """Kafka: the passphrase of that key; empty: it has none."""
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    """Kafka: how we say who we are; empty: we do not. PLAIN sends the password: only with TLS."""
    sasl_user: str = ""
    """Kafka: our name; empty where `sasl_mechanism` is."""
    sasl_password: SecretStr = SecretStr("")
    """Kafka: our password."""

    @model_validator(mode="after")
    def _copies_fit(self) -> "LogConfig":
        if self.min_isr > self.replication:
            raise ValueError("LOG_MIN_ISR is above LOG_REPLICATION: nothing could be appended")
        return self

    @model_validator(mode="after")
    def _name_fits(self) -> "LogConfig":
        if self.sasl_mechanism == "PLAIN" and not self.tls_ca:
            raise ValueError("LOG_SASL_MECHANISM PLAIN needs LOG_TLS_CA: it sends the password")
        if self.sasl_mechanism and not (self.sasl_user and self.sasl_password):
            raise ValueError("LOG_SASL_MECHANISM needs LOG_SASL_USER and LOG_SASL_PASSWORD")
        # Whoever wrote a password down believes that it is used.
        if not self.sasl_mechanism and (self.sasl_user or self.sasl_password):
            raise ValueError("LOG_SASL_USER and LOG_SASL_PASSWORD need LOG_SASL_MECHANISM")
        return self

    @model_validator(mode="after")
    def _certificate_fits(self) -> "LogConfig":
        if self.tls_cert and not self.tls_ca:
            raise ValueError("LOG_TLS_CERT needs LOG_TLS_CA: it is shown over TLS only")
        if not self.tls_cert and (self.tls_key or self.tls_key_password):
            raise ValueError("LOG_TLS_KEY and LOG_TLS_KEY_PASSWORD need LOG_TLS_CERT")
        return self


class ClickHouseConfig(Section):
    """ClickHouse over HTTP."""

    address: str = ""
    """http://user@host:port/database; empty: `embedded:` and the file with the owner's port."""
    password: SecretStr = SecretStr("")
    """Its password, kept apart from the address so that the address can be shown."""


class SnapshotsConfig(Section):
    """Where the shards' snapshots are kept. All replicas of a shard must find the same place."""

    address: str = ""
    """A folder, or s3://bucket/prefix; empty: `DATA/snapshots`."""
    endpoint: str = ""
    """Of a bucket: http(s)://host:port of what speaks S3; empty: AWS_ENDPOINT_URL, or Amazon's."""
    region: str = ""
    """Of a bucket; empty: AWS_REGION."""
    access_key: SecretStr = SecretStr("")
    """Of a bucket; empty: AWS_ACCESS_KEY_ID, or what the machine may do by itself."""
    secret_key: SecretStr = SecretStr("")
    """Of a bucket; empty: AWS_SECRET_ACCESS_KEY, or what the machine may do by itself."""


class TelemetryConfig(Section):
    """What a process says about itself."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe line that is written."""
    form: Literal["auto", "json", "console"] = "auto"
    """auto: colours on a terminal, JSON otherwise."""


class Settings(BaseSettings):
    """What every process knows. A room's class adds its own fields and names the room."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="BOURSE_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        hide_input_in_errors=True,
        validate_default=False,
    )
    room: ClassVar[str] = ""
    """The room these settings belong to; empty for the command line."""

    data: Path = Path("var")
    """The data folder. One house a folder."""
    listen: str = ""
    """BOURSE_<ROOM>_LISTEN: where this process listens, if not at its room's address (replicas)."""
    addresses: dict[str, str] = Field(default_factory=dict)
    """BOURSE_<ROOM>_ADDRESS of those rooms that are not at their place in the data folder."""
    postgres: PostgresConfig = PostgresConfig()
    log: LogConfig = LogConfig()
    clickhouse: ClickHouseConfig = ClickHouseConfig()
    snapshots: SnapshotsConfig = SnapshotsConfig()
    telemetry: TelemetryConfig = TelemetryConfig()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the room's own variables, then the sections all rooms share."""
        shared = _SharedSource(settings_cls)
        own = EnvSettingsSource(settings_cls, env_prefix=f"BOURSE_{cls.room.upper()}_")
        return (init_settings, own, shared) if cls.room else (init_settings, shared)

    @property
    def shards(self) -> int:
        """How many shards there are: BOURSE_MATCHING_ADDRESS names each, separated by `;`."""
        named = self.addresses.get("matching")
        return len(places_of_shards(named)) if named else 1

    def address_of(self, room: str, shard: int = 0) -> str:
        """Where to find a room: `unix:/…` or `host:port`, several replicas separated by commas.

        Matching alone has a place for each shard. Raises ConfigError for a room or shard there is
        not.
        """
        if room not in ROOMS:
            raise ConfigError(f"There is no room called {room}.")
        address = self.addresses.get(room) or f"unix:{run_folder(self.data) / room}.sock"
        if room != "matching":
            return address
        places = places_of_shards(address)
        if shard >= len(places):
            raise ConfigError(
                f"BOURSE_MATCHING_ADDRESS has no place for shard {shard}: the shards are separated"
                " by semicolons."
            )
        return places[shard]

    def listen_address(self) -> str:
        """Where this process listens."""
        return self.listen or self.address_of(self.room)


class _SharedSource(EnvSettingsSource):
    """The variables all rooms share. A room's address is one of them, whoever asks."""

    def __call__(self) -> dict[str, Any]:
        values = {name: value for name, value in super().__call__().items() if name in _SHARED}
        names = {room: f"BOURSE_{room.upper()}_ADDRESS" for room in ROOMS}
        found = {room: os.environ[name] for room, name in names.items() if os.environ.get(name)}
        return {**values, "addresses": found}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Only the shared fields are looked up here; a room's own have a prefix of their own."""
        if field_name not in _SHARED:
            return None, field_name, False
        return super().get_field_value(field, field_name)


_SHARED: Final = ("data", "postgres", "log", "clickhouse", "snapshots", "telemetry")


def load(kind: type[ConfigT], arguments: Sequence[str] | None = None) -> ConfigT:
    """The settings of this process, from its environment and its arguments (`--data FOLDER`).

    Raises ConfigError. The data folder is made absolute, and made if it is missing.
    """
    parser = argparse.ArgumentParser(prog=f"python -m services.{kind.room}")
    parser.add_argument("--data", type=Path, help="the data folder")
    chosen = parser.parse_args(sys.argv[1:] if arguments is None else list(arguments))
    _refuse_unknown(kind)
    config = as_written(kind) if chosen.data is None else as_written(kind, data=chosen.data)
    # Said now, and not wherever it is first looked for.
    _ = config.shards
    data = config.data.expanduser().resolve()
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The data folder {data} cannot be made: {error.strerror}.") from None
    return _complete(config, data)


def as_written(kind: type[ConfigT], **given: Any) -> ConfigT:
    """The settings as the environment has them, without the places that a data folder gives.

    Touches nothing. Raises ConfigError.
    """
    try:
        return kind(**given)
    except ValidationError as error:
        raise ConfigError(_sentence(kind, error)) from None


def _complete(config: ConfigT, data: Path) -> ConfigT:
    """Put the places in the data folder where no address was given."""
    embedded = SecretStr(postgres_dsn(data))
    postgres = {"address": config.postgres.address or embedded}
    clickhouse = {"address": config.clickhouse.address or clickhouse_address(data)}
    snapshots = {"address": config.snapshots.address or str(data / "snapshots")}
    update = {
        "data": data,
        "postgres": config.postgres.model_copy(update=postgres),
        "log": _complete_log(config.log, data),
        "clickhouse": config.clickhouse.model_copy(update=clickhouse),
        "snapshots": config.snapshots.model_copy(update=snapshots),
    }
    return config.model_copy(update=update)


def _complete_log(config: LogConfig, data: Path) -> LogConfig:
    """The log of the data folder where no address was given: a Kafka if there is one in it."""
    if config.address.get_secret_value():
        return config
    try:
        ports = json.loads(kafka_place_file(data).read_text())["ports"]
    except FileNotFoundError:
        return config.model_copy(update={"address": SecretStr(postgres_dsn(data))})
    address = "kafka://" + ",".join(f"127.0.0.1:{port}" for port in ports)
    copies = min(3, len(ports))
    update = {"address": SecretStr(address), "replication": copies, "min_isr": (copies + 1) // 2}
    return config.model_copy(update=update)


def kafka_place_file(data: Path) -> Path:
    """Where it is written at which ports the embedded Kafka of a data folder listens."""
    return data / "kafka" / "place.json"


def places_of_shards(address: str) -> list[str]:
    """The places of each shard in BOURSE_MATCHING_ADDRESS, its replicas separated by commas.

    Raises ConfigError if one is empty: a separator too many would be one more shard for good.
    """
    groups = [group.strip() for group in address.split(";")]
    if not all(place.strip() for group in groups for place in group.split(",")):
        raise ConfigError("BOURSE_MATCHING_ADDRESS has an empty place: a separator too many.")
    return groups


def shard_name(shard: int) -> str:
    """What the first process of a shard of matching is called, wherever it is spoken of."""
    return f"matching-s{shard}" if shard else "matching"


def run_folder(data: Path) -> Path:
    """The folder of the sockets of a data folder, made if it is missing, only ours to enter.

    It is `DATA/run` if the paths in it are short enough for the kernel, else a folder in the
    temporary one, named after the data folder, so that every process comes to the same answer.
    """
    data = data.expanduser().resolve()
    folder = data / "run"
    if len(os.fsencode(folder / "notifications-000.sock")) > SOCKET_PATH_BYTES:
        name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"bourse-{os.geteuid()}-{name}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    # Anybody may make a folder in the temporary one, so ours is only ours if it says so.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigError(f"{folder} belongs to somebody else; remove it or move the data folder.")
    # The embedded Postgres of a root runs as another user, who must reach its own folder inside.
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return folder


def postgres_dsn(data: Path, database: str = "bourse") -> str:
    """Where the embedded Postgres of a data folder is found, running or not."""
    return f"postgresql://postgres@/{database}?host={run_folder(data) / 'pg'}"


def clickhouse_address(data: Path) -> str:
    """Where the owner of the embedded ClickHouse writes down its port: clients speak HTTP to it."""
    return f"embedded:{run_folder(data) / 'clickhouse.port'}"


def _refuse_unknown(kind: type[Settings]) -> None:
    """A mistyped variable of this room is refused; those of others are not ours to judge."""
    if not kind.room:
        return
    prefix = f"BOURSE_{kind.room.upper()}_"
    own = {name for name in kind.model_fields if name not in (*_SHARED, "addresses")} | {"address"}
    known = {f"{prefix}{name}".upper() for name in own}
    unknown = sorted(name for name in os.environ if name.startswith(prefix) and name not in known)
    if unknown:
        raise ConfigError(f"{unknown[0]} is not a setting of {kind.room}.")


def _sentence(kind: type[Settings], error: ValidationError) -> str:
    """Which settings are wrong and why, without their values: one of them may be a secret."""
    wrong = []
    for problem in error.errors(include_input=False, include_url=False):
        place = [str(part) for part in problem["loc"]]
        own = bool(kind.room) and place[:1] and place[0] not in _SHARED
        name = "_".join(["BOURSE", *([kind.room] if own else []), *place]).upper()
        wrong.append(f"{name}: {problem['msg']}")
    return "The configuration is wrong. " + "; ".join(wrong) + "."
