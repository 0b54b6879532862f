"""The flag that writes the tables anew, when behaviour changes on purpose."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write what the model says into tables")
