"""The core once more, with AddressSanitizer and UBSan watching what it does."""

from pathlib import Path

import pytest

from tests.native.sanitized import build_extension, run_sanitized

FILES = [
    "tests/golden/test_golden.py",
    "tests/services/matching/test_answers.py",
    "tests/services/matching/test_core.py",
]


# Long histories are for the ordinary build: here Python, too, is several times slower.
AGAINST_MODEL = ["tests/model/test_core_against_model.py", "-k", "short_histories or many_parts"]


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_extension(tmp_path_factory.mktemp("sanitized"))


def test_the_core_stays_within_its_memory(extension: Path) -> None:
    run_sanitized(FILES, extension=extension)


def test_and_so_it_does_beside_the_model(extension: Path) -> None:
    run_sanitized(AGAINST_MODEL, extension=extension)
