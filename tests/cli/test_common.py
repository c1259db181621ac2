# SPDX-License-Identifier: Apache-2.0
"""What the verbs share: printing."""

from __future__ import annotations

import ast
import json
from dataclasses import MISSING, dataclass
from inspect import Parameter
from pathlib import Path
from typing import Annotated, get_args

import pytest
import typer
from typer.testing import CliRunner

from memir.acquire.settings import argument, option
from memir.cli.common import (
    exit_code_of_findings,
    gap_rows,
    made_verb,
    parameters_of,
    print_json,
    print_rows,
    progress,
    signing_key,
)
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


@dataclass
class Wanted:
    """What it does."""

    place: str = argument("Where.", "PLACE")
    output: str = option(MISSING, "To.", "-o", metavar="DIR")
    many: list[str] = option([], "More.")
    times: int = option(3, "How often.", minimum=1)
    known: str = option("x", "As said elsewhere.")


def test_parameters_of_fields_make_a_verb() -> None:
    known = Annotated[str, "as it is"]
    place, output, many, times, taken = parameters_of(Wanted, {"known": known})
    assert [each.default for each in (place, output, many, times)] == [Parameter.empty, Parameter.empty, [], 3]
    assert taken.annotation is known
    info = get_args(output.annotation)[1]
    assert (info.metavar, get_args(times.annotation)[1].min) == ("DIR", 1)
    told: list[dict[str, object]] = []
    made = made_verb(lambda **values: told.append(values), Wanted.__doc__, [place, output, many, times])
    assert made.__doc__ == "What it does."
    app = typer.Typer()
    app.command()(made)
    assert CliRunner().invoke(app, ["here", "-o", "out", "--many", "a", "--many", "b"]).exit_code == 0
    assert told == [{"place": "here", "output": "out", "many": ["a", "b"], "times": 3}]
    assert CliRunner().invoke(app, ["here"]).exit_code == 2


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
