# SPDX-License-Identifier: Apache-2.0
"""Names say what a thing is: five words that would fit any value are refused as names in memir/ and plugins/."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.modules import ROOT

SAY_NOTHING = {"found", "said", "got", "one", "at"}
OTHERS = {
    ("numpy.ufunc", "at"): "np.add.at: adds where an index stands more than once",
}
"""Names of other people's libraries, by what they are members of, and why they are used."""

FILES = [path for folder in ("memir", "plugins") for path in sorted((ROOT / folder).rglob("*.py"))]


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of every variable, parameter, keyword, attribute, function, class and import alias."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) if isinstance(node.ctx, ast.Store):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name):
                yield node.lineno, name.lower()
            case ast.keyword(arg=str(name)):
                yield node.value.lineno, name
            case ast.Attribute(attr=name) if not is_ufunc(node):
                yield node.lineno, name
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield node.lineno, name


def is_ufunc(node: ast.Attribute) -> bool:
    """Whether it is np.UFUNC.at."""
    inner = node.value
    return (
        ("numpy.ufunc", node.attr) in OTHERS
        and isinstance(inner, ast.Attribute)
        and isinstance(inner.value, ast.Name)
        and inner.value.id == "np"
    )


@pytest.mark.parametrize(
    "text",
    [
        "found = 1", "for at in x: pass", "def f(one): pass", "def got(): pass", "class Found: pass", "x.said = 1",
        "f(at=1)", "[one for one in x]", "import a as got", "x.at(1)", "class A:\n    at: int", "(found := 1)",
        "match x:\n    case [one]: pass", "lambda one: 1",
    ],
)  # fmt: skip
def test_each_kind_of_name_is_seen(text: str) -> None:
    assert {name for _, name in names(ast.parse(text))} & SAY_NOTHING


def test_numpys_own_name_is_its_own() -> None:
    assert not {name for _, name in names(ast.parse("np.add.at(x, y, 1)"))} & SAY_NOTHING


def test_names_say_what_a_thing_is() -> None:
    assert len(FILES) > 200
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in FILES
        for line, name in names(ast.parse(path.read_text(), str(path)))
        if name in SAY_NOTHING
    ]
    assert wrong == [], "say what the value is: offset, address, row, match, answer ..."
