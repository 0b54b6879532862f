"""The tests of the codec once more, with AddressSanitizer and UBSan watching every byte."""

from tests.native.sanitized import run_sanitized


def test_the_codec_stays_within_its_bytes() -> None:
    run_sanitized(["tests/native/test_codec.py", "tests/native/test_codec_shape.py"])
