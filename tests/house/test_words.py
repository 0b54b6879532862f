"""Nothing is left lying about: no notes to ourselves, no paths of one machine, no package index."""

import re

import pytest

from tests.house.tree import name_of, our_files

# Written in pieces, so that this file does not find itself.
LEFT_OVER = {
    "a note to ourselves": r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b",
    "a path of one machine": r"(?<![\w.$}])/(ro" r"ot|ho" r"me|Us" r"ers|wo" r"rk|tm" r"p/w)/",
    "a package index": r"pypi\.o" r"rg|pythonh" r"osted|--(extra-)?ind" r"ex-url|--find-l" r"inks",
    "a conflict of two versions": r"^(<<<<<<<|>>>>>>>) ",
}


@pytest.mark.parametrize("what", LEFT_OVER)
def test_nothing_is_left_lying_about(what: str) -> None:
    pattern = re.compile(LEFT_OVER[what], re.MULTILINE)
    found = [
        f"{name_of(file)}:{text.count(chr(10), 0, match.start()) + 1} {match.group()}"
        for file in our_files()
        if (text := _text(file.read_bytes()))
        for match in pattern.finditer(text)
    ]
    assert found == []


def _text(content: bytes) -> str:
    """The text of a file; nothing of one that is not text."""
    return "" if b"\0" in content[:8192] else content.decode("utf-8", "replace")
