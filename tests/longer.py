# SPDX-License-Identifier: Apache-2.0
"""Which tests do more in the long run (CI=true, MEMIR_IMAGES) than in tests/run, and what tests/run must have."""

from __future__ import annotations

import ast
import functools
import os
import re
from pathlib import Path
from typing import NoReturn

import pytest

from tests.images import ImageCase, cases

# what makes a test take more inputs, more rounds, or all images by itself
_CI = re.compile(r"""environ\.get\("CI"\)""")


def does_more(item: pytest.Item) -> bool:
    """Whether a test is marked long, on an image beside samples/, or looks at CI or at all images."""
    if item.get_closest_marker("long") is not None:
        return True
    parameters = getattr(item, "callspec", None)
    values = list(parameters.params.values()) if parameters is not None else []
    name = item.nodeid.partition("::")[2].partition("::")[0].partition("[")[0]
    return name in _names_that_do_more(item.path) or any(map(_is_new, values))


@functools.cache
def _names_that_do_more(path: Path) -> frozenset[str]:
    """Names of a file that look at CI, ask for all images or a number of inputs, or use one that does."""
    source = path.read_text()
    lines = source.splitlines()
    words: dict[str, set[str]] = {}
    more: set[str] = set()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ImportFrom) and statement.module in {"tests.fuzz", "tests.images"}:
            more |= {name.asname or name.name for name in statement.names if name.name == "cases"}
            continue
        nodes = list(ast.walk(statement))
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        used |= {node.arg for node in nodes if isinstance(node, ast.arg)}  # fixtures
        defined = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined = {statement.name}
        words |= {name: words.get(name, set()) | used for name in defined}
        if _CI.search("\n".join(lines[statement.lineno - 1 : statement.end_lineno])):
            more |= defined
    while grown := {name for name, used in words.items() if used & more} - more:
        more |= grown
    return frozenset(more)


def _is_new(value: object) -> bool:
    """Whether a test's parameter is, or holds, an image that samples/ has not."""
    if isinstance(value, tuple | list):
        return any(map(_is_new, value))
    image = value if isinstance(value, ImageCase) else cases().get(value) if isinstance(value, str) else None
    return image is not None and not image.sample


def not_here(what: str) -> NoReturn:
    """Skip, told by name at the end; within tests/run, which installs it, its absence is a failure."""
    if os.environ.get("MEMIR_TESTS_RUN"):
        pytest.fail(f"{what}: tests/run installs it, and it is not here")
    pytest.skip(what)
