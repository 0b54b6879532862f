"""More ways into the broker of the tests: by name and password, by certificate, over a wire.

The plain door is everybody's who finds it, and may do anything. The others are for one whose rights
are those that docs/operators.md says are enough, and for one who has none.
"""

import hashlib
import secrets
import subprocess
from pathlib import Path
from typing import Final

from aiokafka.protocol.admin import CreateAclsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from services.cli.probes import any_free_port
from services.runtime.embedded_kafka import Place
from services.runtime.kafka_access import Access
from services.runtime.kafka_link import Link

USER: Final = "bourse"
NOBODY: Final = "nobody"
PASSWORD: Final = "open sesame"
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

_SCRAMS: Final = {1: "sha256", 2: "sha512"}
_ITERATIONS: Final = 4096
_TOPIC, _PREFIXED, _ALLOW = 2, 4, 3
_RIGHTS: Final = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Describe": 8,
    "DescribeConfigs": 10,
}
_MODULES: Final = "org.apache.kafka.common.security"


class Doors:
    """The doors of one broker, and the keys to them."""

    def __init__(self, data: Path, place: Place) -> None:
        self._data = data
        self._place = place
        self._named, self._mutual, self._far = (any_free_port("127.0.0.1") for _ in range(3))
        self.wired_port = any_free_port("127.0.0.1")
        """Where the broker tells those who come by wire to find it: the wire's near end."""

    @property
    def named(self) -> str:
        """The address that asks for a name and a password, over TLS."""
        return f"kafka://localhost:{self._named}"

    @property
    def mutual(self) -> str:
        """The address that asks for a certificate."""
        return f"kafka://localhost:{self._mutual}"

    @property
    def far_port(self) -> int:
        """Where the wire has to lead."""
        return self._far

    def file(self, name: str) -> str:
        """A certificate of that name and its key, made when it is first asked for."""
        key, certificate, both = (self._data / f"{name}.{kind}" for kind in ("key", "crt", "pem"))
        if not both.exists():
            asked = ("openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec")
            curve = ("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={name}")
            host = ("-addext", "subjectAltName=DNS:localhost")
            out = ("-keyout", str(key), "-out", str(certificate))
            subprocess.run([*asked, *curve, *host, *out], check=True, capture_output=True)
            both.write_text(key.read_text() + certificate.read_text())
        return str(both)

    def locked_key(self, name: str) -> str:
        """The key of that name, behind `PASSWORD`."""
        locked = self._data / f"{name}.locked"
        asked = ("openssl", "pkcs8", "-topk8", "-in", self.file(name), "-out", str(locked))
        subprocess.run([*asked, "-passout", f"pass:{PASSWORD}"], check=True, capture_output=True)
        return str(locked)

    def settings(self) -> dict[str, str]:
        """What the broker must be started with."""
        here = f"PLAINTEXT://127.0.0.1:{self._place.ports[0]}"
        doors = f"NAMED://localhost:{self._named},MUTUAL://localhost:{self._mutual}"
        controller = f"CONTROLLER://127.0.0.1:{self._place.controller_ports[0]}"
        named, scram = "listener.name.named", f"{_MODULES}.scram.ScramLoginModule required;"
        users = " ".join(f'user_{user}="{PASSWORD}"' for user in (USER, NOBODY))
        return {
            "listeners": f"{here},{controller},{doors},WIRED://127.0.0.1:{self._far}",
            "advertised.listeners": f"{here},{doors},WIRED://127.0.0.1:{self.wired_port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
            "NAMED:SASL_SSL,MUTUAL:SSL,WIRED:PLAINTEXT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.file("broker"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.file(USER),
            "listener.name.mutual.ssl.client.auth": "required",
            f"{named}.sasl.enabled.mechanisms": ",".join(MECHANISMS),
            f"{named}.plain.sasl.jaas.config": f"{_MODULES}.plain.PlainLoginModule required"
            f" {users};",
            f"{named}.scram-sha-256.sasl.jaas.config": scram,
            f"{named}.scram-sha-512.sasl.jaas.config": scram,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    async def introduce(self) -> None:
        """Tell the broker, once it runs, who `USER` is and what may be done."""
        link = Link(Access(self._place.address), None)
        try:
            for scram in _SCRAMS:
                answer = await link.ask(_Introduce(scram))
                assert answer.results[0][1] == 0, answer
            for principal in (USER, f"CN={USER}"):
                for right in _RIGHTS.values():
                    wanted = (_TOPIC, "bourse.", _PREFIXED, f"User:{principal}", "*", right, _ALLOW)
                    answer = await link.ask(CreateAclsRequest(*wanted))
                    assert answer.creation_responses[0][0] == 0, answer
        finally:
            link.drop()


class _IntroduceResponse(Response):  # type: ignore[misc]
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _IntroduceStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _IntroduceResponse
    _WHO: Final = (("name", CompactString("utf-8")), ("mechanism", Int8))
    SCHEMA = Schema(
        ("deletions", CompactArray(*_WHO, ("tags", TaggedFields))),
        (
            "upsertions",
            CompactArray(
                *_WHO,
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Introduce(Request[_IntroduceStruct]):  # type: ignore[misc]
    """Kafka's AlterUserScramCredentials, which the driver does not have."""

    API_KEY = 51

    def __init__(self, mechanism: int) -> None:
        self._mechanism = mechanism

    def build(self, request_struct_class: type[_IntroduceStruct]) -> _IntroduceStruct:
        salt, digest = secrets.token_bytes(16), _SCRAMS[self._mechanism]
        salted = hashlib.pbkdf2_hmac(digest, PASSWORD.encode(), salt, _ITERATIONS)
        known: tuple[object, ...] = (USER, self._mechanism, _ITERATIONS, salt, salted, {})
        return request_struct_class([], [known], {})
