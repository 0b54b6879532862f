"""The core once more, with AddressSanitizer and UBSan watching what it does."""

from pathlib import Path

from tests.native.sanitized import build_extension, run_sanitized

FILES = [
    "tests/golden/test_golden.py",
    "tests/services/matching/test_answers.py",
    "tests/services/matching/test_core.py",
]


def test_the_core_stays_within_its_memory(tmp_path: Path) -> None:
    run_sanitized(FILES, extension=build_extension(tmp_path))
