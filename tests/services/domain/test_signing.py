"""Signatures against vectors made with openssl, and every way a claim can be malformed."""

import pytest

from services.domain import signing

SECRET = "s3cr3t-as-issued"
BODY = b'{"instrument":"BTC-USD","side":"buy","price":"101.5","quantity":"0.2"}'

# digest=$(printf %s "$BODY" | sha256sum | cut -c-64)
# printf '1700000000000\n5000\nPOST\n/api/v1/orders\n%s' "$digest" |
#     openssl dgst -sha256 -hmac "$SECRET"
VECTORS = [
    (
        "1700000000000",
        "5000",
        "POST",
        "/api/v1/orders",
        BODY,
        "fad83a8b7b8ef6881c8dae7dc096ce399e5a2f391913c3bd00ada1303d3e0bbf",
    ),
    (
        "1700000000000",
        "5000",
        "GET",
        "/ws",
        b"",
        "d87c772954685176117489914dac4972d5e8a83ecfe931e954f040d0340057e5",
    ),
    (
        "1700000000000",
        "60000",
        "GET",
        "/api/v1/orders?state=open&limit=1",
        b"",
        "ad2f4b1bc894759e5d86bf0cc15f2165e3ead476fc59d1390bd17231de5ab63b",
    ),
]


@pytest.mark.parametrize(("timestamp", "window", "method", "target", "body", "signature"), VECTORS)
def test_known_signatures(
    timestamp: str, window: str, method: str, target: str, body: bytes, signature: str
) -> None:
    assert signing.sign(SECRET, signing.text(timestamp, window, method, target, body)) == signature
    claim = signing.read(timestamp, window, signature)
    assert claim is not None
    assert signing.is_signed(SECRET, claim, method, target, body)
    assert not signing.is_signed(SECRET, claim, method, target, body + b" ")
    assert not signing.is_signed(SECRET, claim, method, target + "?", body)
    assert not signing.is_signed(SECRET + "x", claim, method, target, body)


def test_what_is_sent_is_what_is_checked() -> None:
    sent = signing.headers("k", SECRET, "GET", "/ws", b"", 1_700_000_000_000)
    assert sent == {
        "X-Bourse-Key": "k",
        "X-Bourse-Timestamp": "1700000000000",
        "X-Bourse-Signature": VECTORS[1][5],
    }
    wide = signing.headers("k", SECRET, "GET", "/ws", b"", 1_700_000_000_000, 60_000)
    assert wide["X-Bourse-Window"] == "60000"
    assert wide["X-Bourse-Signature"] != sent["X-Bourse-Signature"]


@pytest.mark.parametrize(
    ("timestamp", "window", "signature"),
    [
        (None, None, "0" * 64),
        ("1", None, None),
        ("", None, "0" * 64),
        ("1.5", None, "0" * 64),
        ("-1", None, "0" * 64),
        ("1 ", None, "0" * 64),
        ("1" * 17, None, "0" * 64),
        ("1", "0", "0" * 64),
        ("1", "05000", "0" * 64),
        ("1", "60001", "0" * 64),
        ("1", "999999", "0" * 64),
        ("1", "", "0" * 64),
        ("1", "+5", "0" * 64),
        ("1", None, "0" * 63),
        ("1", None, "A" * 64),
        ("1", None, "0" * 64 + "\n"),
        ("1", None, "é" * 64),
    ],
)
def test_a_malformed_claim_is_none(
    timestamp: str | None, window: str | None, signature: str | None
) -> None:
    assert signing.read(timestamp, window, signature) is None


@pytest.mark.parametrize(
    ("now_ms", "timely"),
    [(99_000, True), (98_999, False), (100_000, True), (105_000, True), (105_001, False)],
)
def test_the_window_is_closed_on_both_sides(now_ms: int, timely: bool) -> None:
    claim = signing.read("100000", None, "0" * 64)
    assert claim is not None
    assert signing.is_timely(claim, now_ms) is timely


def test_a_claim_says_until_when_it_is_good() -> None:
    claim = signing.read("1700000000000", "2500", "0" * 64)
    assert claim is not None
    assert claim.valid_until_us == 1_700_000_002_500_000
