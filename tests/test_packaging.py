# SPDX-License-Identifier: Apache-2.0
"""What is installed: requirements that are used and bounded, one version, and folders that are found."""

from __future__ import annotations

import ast
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import setuptools

import memir

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIRED: list[str] = PROJECT["project"]["dependencies"]
EVERY = [*REQUIRED, *(line for extra in PROJECT["project"]["optional-dependencies"].values() for line in extra)]
# what a distribution is imported as, where that is not its name
IMPORTED_AS = {"yara-python": "yara", "pyyaml": "yaml"}
# asked for by another library at run time: duckdb, when it gives times with a zone to Python
BY_OTHERS = {"pytz"}


def name_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return match[0].lower()


def imports(folder: str) -> set[str]:
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).split(".")[0])
    return found


def test_every_requirement_is_used() -> None:
    used = imports("memir") | imports("plugins")
    unused = {name_of(line) for line in REQUIRED} - BY_OTHERS
    unused = {name for name in unused if IMPORTED_AS.get(name, name).replace("-", "_") not in used}
    assert unused == set()


@pytest.mark.parametrize("requirement", [line for line in EVERY if not line.startswith("memir[")])
def test_every_requirement_has_an_upper_bound(requirement: str) -> None:
    assert re.search(r"<\d", requirement)


def test_the_constraints_name_every_requirement() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^=\s]+", line) for line in lines)
    pinned = {name_of(line).replace("_", "-") for line in lines}
    assert {name_of(line) for line in EVERY if not line.startswith("memir[")} <= pinned


def test_the_version_stands_in_one_place() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"] and "version" not in PROJECT["project"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "memir.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", memir.__version__)


def test_packages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", given.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "memir").rglob("*.py")}
    assert folders <= set(given["packages"])
    assert "memir.plugins.linux" in given["packages"] and "memir.acquire.node" in given["packages"]
    assert not [name for name in given["packages"] if "__pycache__" in name]
