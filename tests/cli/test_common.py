# SPDX-License-Identifier: Apache-2.0
"""What the verbs share: printing."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from memir.cli.common import exit_code_of_findings, gap_rows, print_json, print_rows, progress, signing_key
from memir.gaps import Gap
from tests.images import ROOT

COLUMNS, ROWS = ("pid", "name"), [(1, "=cmd\x1b"), (2, None)]


def test_print_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(COLUMNS, ROWS)
    assert capsys.readouterr().out == "pid  name\n---  ------\n1    =cmd\\e\n2\n\n2 rows\n"
    print_rows(COLUMNS, ROWS, csv=True)
    assert capsys.readouterr().out == "pid,name\n1,'=cmd\\e\n2,\n"
    print_rows(COLUMNS, ROWS, jsonl=True, limit=1)
    assert json.loads(capsys.readouterr().out) == {"pid": 1, "name": "=cmd\x1b"}
    print_rows(COLUMNS, ROWS, limit=1)
    assert capsys.readouterr().out.endswith("2 rows, 1 more not shown (--limit)\n")


def test_print_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"gaps": gap_rows([Gap("a", "b", "c", 2)])})
    assert json.loads(capsys.readouterr().out) == {"gaps": [{"kind": "a", "where": "b", "why": "c", "count": 2}]}


def test_progress_is_for_terminals() -> None:
    assert not progress().shown


def test_signing_key() -> None:
    assert signing_key(None) is None


WAYS = ("memir.cli.acquire", "memir.cli.collect_")
"""Files of verbs of several ways."""


@pytest.mark.parametrize("path", sorted((ROOT / "memir" / "cli").glob("*.py")), ids=lambda path: str(path.name))
def test_no_verb_imports_another(path: Path) -> None:
    """What verbs share is options and printing, in common, and how a verb with verbs answers, in group; acquire's and
    collect's verbs have files of theirs."""
    imported = {
        f"{node.module}.{alias.name}" if node.module == "memir.cli" else str(node.module)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("memir.cli")
        for alias in node.names
    }
    allowed = {"memir.cli.common", "memir.cli.group"}
    allowed |= {"memir.cli.handler", "memir.cli.examples"} if path.name == "main.py" else set()
    if path.name.startswith(("acquire", "collect")):  # collect takes a pod by acquire's ways
        imported = {module for module in imported if not module.startswith(WAYS)}
    assert imported <= allowed


def test_exit_code_of_findings() -> None:
    assert exit_code_of_findings(["low", "high"], "high") == 1
    assert exit_code_of_findings(["low", "high"], "critical") == 0
    assert exit_code_of_findings(["critical"], None) == exit_code_of_findings([], "info") == 0
