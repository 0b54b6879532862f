"""How long a file and a function may be. These numbers only ever go down.

A function above `LONG_LINES` says in a comment, above it or inside, why it is one piece: "Long
because ...". Docstrings and the comment above a function do not count; what is inside does.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.house.tree import name_of, our_files, python_files

FILE_LINES = 600
FUNCTION_LINES = 70
LONG_LINES = 40
REASON = re.compile(r"(#|\*|//).*\blong because\b", re.IGNORECASE)


class Function(NamedTuple):
    """A function's name, first line (from 1), length, and text with what stands right above."""

    name: str
    line: int
    lines: int
    text: str


def test_files_are_short() -> None:
    lengths = {name_of(file): len(file.read_text().splitlines()) for file in _sources()}
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


def test_functions_are_short() -> None:
    assert [place for place, function in _all_functions() if function.lines > FUNCTION_LINES] == []


def test_a_longer_function_says_why() -> None:
    long = [
        (place, function) for place, function in _all_functions() if function.lines > LONG_LINES
    ]
    assert [place for place, function in long if not REASON.search(function.text)] == []


def _all_functions() -> Iterator[tuple[str, Function]]:
    """Every function, with a line that says where it is and how long."""
    for file in _sources():
        for function in _functions(file):
            place = f"{name_of(file)}:{function.line} {function.name}, {function.lines} lines"
            yield place, function


def _sources() -> list[Path]:
    return python_files() + our_files(".c", ".h")


def _functions(file: Path) -> Iterator[Function]:
    text = file.read_text()
    return _c_functions(text) if file.suffix in {".c", ".h"} else _python_functions(text)


def _python_functions(text: str) -> Iterator[Function]:
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            end = node.end_lineno or node.lineno
            length = end - node.lineno + 1 - _docstring_lines(node)
            yield Function(node.name, node.lineno, length, _with_above(lines, node.lineno, end))


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    if ast.get_docstring(node) is None:
        return 0
    return (node.body[0].end_lineno or 0) - node.body[0].lineno + 1


def _with_above(lines: list[str], first: int, last: int) -> str:
    """Lines `first` to `last` (from 1), with the unbroken run of lines right above them."""
    start = first - 1
    while start > 0 and lines[start - 1].strip():
        start -= 1
    return "\n".join(lines[start:last])


_NOT_CODE = re.compile(
    r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|^[ \t]*\#(?:\\\n|[^\n])*""",
    re.DOTALL | re.MULTILINE,
)


def _c_functions(text: str) -> Iterator[Function]:
    """Every body in braces that follows a parameter list outside all braces."""
    code = _NOT_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    lines = text.splitlines()
    depth, head_start, head, opened = 0, 0, "", 0
    for match in re.finditer(r"[{};]", code):
        brace, at = match.group(), match.start()
        if brace == "{" and depth == 0:
            head, opened = code[head_start:at], head_start
        depth += {"{": 1, "}": -1, ";": 0}[brace]
        if depth == 0:
            if brace == "}" and head.rstrip().endswith(")") and "=" not in head:
                first = _line(code, opened + len(head) - len(head.lstrip()))
                last = _line(code, at)
                name = re.findall(r"(\w+)\s*\(", head)[0]
                yield Function(name, first, last - first + 1, _with_above(lines, first, last))
            head_start, head = match.end(), ""


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


C_EXAMPLE = """\
#define BODY(x) do { \\
    x; } while (0)
enum side { BUY, SELL };
static const int table[] = { 1, 2 };
struct pair { int a; };

/* A { comment. */
static inline int one(int a)
{
    if (a) { return '}'; }
    return "{"[0];
}

// Long because the table is one thing.
int two(struct pair *p, int (*f)(int)) { return f(p->a); }
int declared(void);
"""


def test_functions_are_found_in_c() -> None:
    functions = list(_c_functions(C_EXAMPLE))
    assert [(f.name, f.line, f.lines) for f in functions] == [("one", 8, 5), ("two", 15, 1)]
    assert [bool(REASON.search(f.text)) for f in functions] == [False, True]


PYTHON_EXAMPLE = '''\
def one():
    """Two
    lines."""
    return 1


# Long because it is an example.
async def two(): ...
'''


def test_functions_are_found_in_python() -> None:
    functions = list(_python_functions(PYTHON_EXAMPLE))
    assert [(f.name, f.line, f.lines) for f in functions] == [("one", 1, 2), ("two", 8, 1)]
    assert [bool(REASON.search(f.text)) for f in functions] == [False, True]
