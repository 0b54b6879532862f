"""How to come to a Kafka: where its brokers are, who we are, and why one does not let us in.

A broker that refuses says so in a dozen ways: by a code, by an alert of TLS that comes after the
connection stands, or by hanging up. Each becomes a sentence that names the setting to look at. What
the broker said itself is left out where it has seen our password.

    LogUnavailable            nobody answers
      KafkaRefused            somebody answers and does not let us in: a setting has to be mended
"""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    for_code,
)

from services.runtime.config import ConfigError, LogConfig
from services.runtime.final import NeedsMending
from services.runtime.log import LogUnavailable

CONNECT_S: Final = 2.0
"""How long a broker may take to answer a knock; the next one is tried then."""

SCHEME: Final = "kafka"
"""Of an address that names a Kafka."""

SYSTEM_CAS: Final = "system"

LOST: Final = (OSError, TimeoutError, KafkaError)
"""What a connection that cannot be made, or is lost, ends with."""

_NOT_ALLOWED: Final = frozenset({29, 31})

_TLS_ALERT: Final = 0x150303
"""How an answer in TLS begins. Read as the length of an answer of Kafka's, it is 350 MB."""


class KafkaRefused(LogUnavailable, NeedsMending):
    """Kafka answers and does not let us in, nor will it before somebody changes a setting.

    It ends a room that starts. One that runs takes it for a log out of reach, and tries on: the
    setting may be Kafka's, and what was revoked by mistake is soon given back.
    """


class _Unproven(ConnectionError):
    """Whoever answers does not know our password itself."""


class Access(NamedTuple):
    """How to come to a Kafka: its brokers, and who we are."""

    address: str
    """kafka://host:port,host:port"""
    tls: ssl.SSLContext | None = None
    sasl_mechanism: str = ""
    sasl_user: str = ""
    sasl_password: str = ""
    shows_certificate: bool = False
    """Whether we have one of our own to show, where a broker wants to see it."""

    def __repr__(self) -> str:
        return f"Access({self.address!r})"

    def brokers(self) -> Sequence[tuple[str, int]]:
        """Hosts and ports. Raises ConfigError."""
        try:
            parts = [urlsplit(f"//{part}") for part in self.address.partition("://")[2].split(",")]
            found = [(part.hostname, part.port) for part in parts]
        except ValueError as error:
            raise ConfigError(f"BOURSE_LOG_ADDRESS: {error}.") from None
        whole = [(host, port) for host, port in found if host and port]
        if not whole or len(whole) != len(found):
            raise ConfigError("BOURSE_LOG_ADDRESS: a Kafka is written kafka://host:port,host:port.")
        return whole


def access_of(config: LogConfig) -> Access:
    """What the configuration says. Raises ConfigError."""
    access = Access(
        config.address.get_secret_value(),
        _tls(config),
        config.sasl_mechanism,
        config.sasl_user,
        config.sasl_password.get_secret_value(),
        bool(config.tls_cert),
    )
    access.brokers()
    return access


def _tls(config: LogConfig) -> ssl.SSLContext | None:
    if not config.tls_ca:
        return None
    try:
        ca = None if config.tls_ca == SYSTEM_CAS else config.tls_ca
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ConfigError(f"BOURSE_LOG_TLS_CA: {config.tls_ca} cannot be used: {error}.") from None
    if config.tls_cert:
        _load_our_certificate(context, config)
    return context


def _load_our_certificate(context: ssl.SSLContext, config: LogConfig) -> None:
    is_locked = False

    def password() -> str:
        # Asked for nothing, the library would ask on the terminal, and wait.
        nonlocal is_locked
        is_locked = True
        return config.tls_key_password.get_secret_value()

    try:
        context.load_cert_chain(config.tls_cert, config.tls_key or None, password)
    except OSError as error:
        where = f"{config.tls_cert} and {config.tls_key}" if config.tls_key else config.tls_cert
        why = "BOURSE_LOG_TLS_KEY_PASSWORD is missing or wrong" if is_locked else str(error)
        raise ConfigError(
            f"BOURSE_LOG_TLS_CERT and _TLS_KEY: {where} cannot be used: {why}."
        ) from None


class _Connection(AIOKafkaConnection):  # type: ignore[misc]  # the driver has no types
    """One that is gone when it is closed.

    The driver would see to it that the other side hears of it, half a minute long over TLS; whoever
    lets a connection go here does so because that side does not answer, or because nothing is left
    to say.
    """

    def close(self, reason: Any = None, exc: BaseException | None = None) -> Any:
        """See there."""
        writer = self._writer
        closed = super().close(reason, exc)
        if writer is not None:
            writer.transport.abort()
        return closed


async def connect(access: Access, host: str, port: int) -> AIOKafkaConnection:
    """A connection to a broker that knows us, or wants to know nobody. Raises one of `LOST`."""
    connection = _Connection(
        host,
        port,
        client_id="bourse",
        # Of all its questions; each of ours has a limit of its own, below this one.
        request_timeout_ms=120_000,
        ssl_context=access.tls,
        security_protocol=_protocol(access),
        sasl_mechanism=access.sasl_mechanism or None,
        sasl_plain_username=access.sasl_user,
        sasl_plain_password=access.sasl_password,
    )
    try:
        async with asyncio.timeout(CONNECT_S):
            await connection.connect()
    except BaseException as error:
        connection.close()
        # What the driver makes of an answer that does not fit the password.
        is_odd = isinstance(error, (ValueError, KeyError, AssertionError))
        if is_odd and not isinstance(error, LOST):
            raise _Unproven from None
        raise
    return connection


def _protocol(access: Access) -> str:
    transport = "SSL" if access.tls else "PLAINTEXT"
    return f"SASL_{transport}" if access.sasl_mechanism else transport


def not_allowed(topic: str, error_code: int) -> KafkaRefused | None:
    """What it comes to that Kafka knows us and lets us do nothing with a topic, if it says so."""
    if error_code not in _NOT_ALLOWED:
        return None
    return KafkaRefused(
        f"Kafka does not let our user do that with {topic} ({for_code(error_code).__name__}): give"
        " it the rights that docs/operators.md names."
    )


def refusal(access: Access, error: Exception) -> str:
    """What to do, if the error is that of a broker that does not let us in; else nothing."""
    for cause in _causes(error):
        if isinstance(cause, SaslAuthenticationFailed):
            return (
                f"it does not know {access.sasl_user} by this password and"
                f" {access.sasl_mechanism}. Look at BOURSE_LOG_SASL_USER, _SASL_PASSWORD and"
                " _SASL_MECHANISM, and at the users of the brokers"
            )
        if said := _about_sasl(access, cause) or _about_tls(access, cause):
            return said
    return ""


def hint(access: Access, error: Exception) -> str:
    """What a broker that just hangs up may mean, for somebody who has written the settings."""
    if access.tls and isinstance(error, ConnectionResetError):
        return " If it keeps hanging up, it may not speak TLS: look at BOURSE_LOG_TLS_CA."
    hung_up = any(isinstance(cause, asyncio.IncompleteReadError) for cause in _causes(error))
    if hung_up and not access.sasl_mechanism:
        return " If it keeps hanging up, it may want a name and a password: BOURSE_LOG_SASL_…."
    return ""


def _about_sasl(access: Access, cause: BaseException) -> str:
    if isinstance(cause, UnsupportedSaslMechanismError):
        return (
            f"it does not take {access.sasl_mechanism}. Set BOURSE_LOG_SASL_MECHANISM to what its"
            " sasl.enabled.mechanisms names"
        )
    if isinstance(cause, IllegalSaslStateError):
        return (
            "it asks nobody for a name at this port. Take BOURSE_LOG_SASL_… away, or name the"
            " port that does in BOURSE_LOG_ADDRESS"
        )
    if isinstance(cause, _Unproven):
        return (
            "whoever answers there has not proven that it knows our password too. Look at"
            " BOURSE_LOG_ADDRESS: it may not be our Kafka"
        )
    return ""


def _about_tls(access: Access, cause: BaseException) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = cause.verify_message.rstrip(".")
        return (
            f"its certificate is not to be trusted ({why}). BOURSE_LOG_TLS_CA must name the"
            " certificate of who signed it, and BOURSE_LOG_ADDRESS hosts that stand in it"
        )
    if isinstance(cause, ssl.SSLError) and "ALERT_" in (cause.reason or ""):
        return _about_alert(access, cause.reason.partition("ALERT_")[2].replace("_", " ").lower())
    if access.tls is None and _is_alert(cause):
        return (
            "it speaks TLS at this port. Set BOURSE_LOG_TLS_CA, or name a port that does not in"
            " BOURSE_LOG_ADDRESS"
        )
    return ""


def _is_alert(cause: BaseException) -> bool:
    """Whether we have read as Kafka's what was an alert of TLS."""
    if not isinstance(cause, asyncio.IncompleteReadError):
        return False
    return (cause.expected or 0) >> 8 == _TLS_ALERT


def _about_alert(access: Access, alert: str) -> str:
    """What a broker ends the greeting of TLS for, in its own words: `bad certificate`."""
    if not any(word in alert for word in ("certificate", "unknown ca")):
        return (
            f"it does not go on with TLS ({alert}). Look at the versions and ciphers that its"
            " ssl.enabled.protocols and ssl.cipher.suites allow"
        )
    if not access.shows_certificate:
        return (
            f"it wants to see a certificate of ours ({alert}). Set BOURSE_LOG_TLS_CERT and"
            " BOURSE_LOG_TLS_KEY"
        )
    return (
        f"it does not trust our certificate ({alert}). BOURSE_LOG_TLS_CERT and _TLS_KEY must name"
        " one that has not expired, signed by who stands in its ssl.truststore"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it came of."""
    for _ in range(5):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
