"""What machines wrote is what they would write today; the build knows every file of the core."""

import tomllib

from tests.house.tree import ROOT, must_succeed, name_of, our_files

EXTENSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
    "ext-modules"
][0]
# Programs of their own that use the core or the book; not part of the extension.
PROGRAMS = {"native/example.c"}


def test_gen_is_fresh() -> None:
    must_succeed("python", "tools/gen", "--check")


def test_the_extension_is_built_from_every_source() -> None:
    ours = {name_of(file) for file in our_files(".c", below="native")} - PROGRAMS
    assert {"gen/c/_core.c", *ours} == set(EXTENSION["sources"])


def test_the_extension_is_built_again_when_a_header_changes() -> None:
    ours = {name_of(file) for file in our_files(".h", below="native")}
    assert {"gen/c/fields.h", "gen/c/refusals.h", *ours} == set(EXTENSION["depends"])
