"""Everything we write is typed, strictly, the tests and the tools too."""

import tomllib

from tests.house.tree import ROOT, is_script, must_succeed, name_of, our_files


def test_types_are_strict_and_right() -> None:
    must_succeed("mypy", "--no-error-summary")


def test_every_tool_is_looked_at() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    tools = {name_of(file) for file in our_files(below="tools") if is_script(file)}
    assert tools <= set(listed), "mypy finds a script without a suffix only by its name"
