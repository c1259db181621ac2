# SPDX-License-Identifier: Apache-2.0
"""Which test file goes with which module, and which modules have none yet."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WITHOUT = ROOT / "tests" / "without_test_file.txt"


def modules() -> list[Path]:
    """Every module of memir/ and plugins/ that has code; paths from the root of the checkout."""
    found = [path for folder in ("memir", "plugins") for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path.relative_to(ROOT) for path in found if _has_code(path)]


def _has_code(path: Path) -> bool:
    """Whether there is more than a docstring and imports: an __init__.py may be a folder's name alone."""
    body = ast.parse(path.read_text()).body
    return any(not isinstance(node, ast.Expr | ast.Import | ast.ImportFrom) for node in body)


def its_test(module: Path) -> Path:
    """memir/a/b.py has tests/a/test_b.py, plugins/linux/c.py tests/plugins/test_c.py; __init__.py test_init.py."""
    folder = Path("plugins") if module.parts[0] == "plugins" else Path(*module.parts[1:-1])
    name = module.stem.strip("_") if module.stem.startswith("__") else module.stem
    return Path("tests") / folder / f"test_{name}.py"


def public_functions(module: Path) -> list[str]:
    """Functions at the top of a module that others may call."""
    body = ast.parse((ROOT / module).read_text()).body
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [name for name in functions if not name.startswith("_")]


def excused() -> dict[str, list[str]]:
    """Modules of the list, each with the public functions that no test names yet; none named: it has no test file."""
    lines = [line.split("#")[0].split() for line in WITHOUT.read_text().splitlines()]
    return {words[0]: words[1:] for words in lines if words}


def unnamed(module: Path) -> list[str]:
    """Public functions of a module that its test file does not name."""
    text = (ROOT / its_test(module)).read_text()
    return [name for name in public_functions(module) if name not in text]
