"""What machines wrote is what they would write today; the build knows every file of the core."""

import re
import tomllib

from tests.house.tree import ROOT, must_succeed, name_of, our_files

EXTENSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
    "ext-modules"
][0]
# Programs of their own that use the core or the book; not part of the extension.
PROGRAMS = {"native/example.c"}
# Part of the extension by way of native/hot.c, which is compiled in their place.
HOT = {
    f"native/{name}"
    for name in re.findall(r'^#include "(\w+\.c)"$', (ROOT / "native/hot.c").read_text(), re.M)
}


def test_gen_is_fresh() -> None:
    must_succeed("python", "tools/gen", "--check")


def test_the_extension_is_built_from_every_source() -> None:
    ours = {name_of(file) for file in our_files(".c", below="native")} - PROGRAMS
    assert HOT
    assert {"gen/c/_core.c", *ours} - HOT == set(EXTENSION["sources"])


def test_the_extension_is_built_again_when_an_included_file_changes() -> None:
    ours = {name_of(file) for file in our_files(".h", below="native")}
    assert {"gen/c/fields.h", "gen/c/refusals.h", *ours, *HOT} == set(EXTENSION["depends"])
