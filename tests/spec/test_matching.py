"""Every table in tests/spec/matching, told by the model and told by the core in C.

`tools/test tests/spec --rewrite` writes the tables as the model tells them; read what changed.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.model.engines import CoreEngine, Engine, ModelEngine
from tests.spec.tables import Table, read, tell

FOLDER = Path(__file__).parent / "matching"
FILES = sorted(FOLDER.glob("**/*.txt"))
TABLES = [(path, table) for path in FILES for table in read(path)]
RULES = Path(__file__).parent / "rules.txt"
API = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.mark.parametrize(
    ("path", "table"), TABLES, ids=[f"{p.stem}:{t.line}:{t.rule}" for p, t in TABLES]
)
@pytest.mark.parametrize("make", [ModelEngine, CoreEngine], ids=["model", "core"])
def test_a_table_tells_itself(
    path: Path, table: Table, make: Callable[[], Engine], request: pytest.FixtureRequest
) -> None:
    told = tell(table, make())
    if request.config.getoption("--rewrite", default=False):
        if make is ModelEngine:
            path.write_text(path.read_text().replace(table.text, told))
        return
    assert told.splitlines() == table.text.splitlines(), f"{path.name}, line {table.line}"


def test_each_rule_has_a_table_and_each_table_a_rule() -> None:
    rules = re.findall(r"(?m)^([A-Z0-9-]+): ", RULES.read_text())
    assert set(rules) == {table.rule for _, table in TABLES}


def test_the_rules_of_the_public_api_are_among_them() -> None:
    """All but the shape of a request, which the edge refuses before anybody matches it."""
    public = set(re.findall(r"(?m)^- \*\*(R-[A-Z0-9-]+)\*\*", API.read_text())) - {"R-SHAPE"}
    assert public == {table.rule for _, table in TABLES if table.rule.startswith("R-")}
