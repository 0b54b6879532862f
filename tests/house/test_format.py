"""Every Python file looks and reads as ruff has it; the settings are in pyproject.toml."""

from tests.house.tree import must_succeed


def test_every_file_is_formatted() -> None:
    must_succeed("ruff", "format", "--check", "--diff")


def test_no_file_breaks_a_rule() -> None:
    must_succeed("ruff", "check", "--output-format=concise")
