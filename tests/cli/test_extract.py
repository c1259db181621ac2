# SPDX-License-Identifier: Apache-2.0
"""The verb: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from memir.cli.extract import register
from memir.cli.main import invoke
from memir.errors import UsageError
from tests.images import case


def test_register() -> None:
    app = typer.Typer()
    register(app)
    (group,) = app.registered_groups
    assert group.name == "extract" and group.typer_instance is not None
    assert [command.name for command in group.typer_instance.registered_commands] == ["files"]


def test_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["extract", "files", str(case("s-6.1-small").image), "-o"]
    invoke([*words, str(tmp_path / "a"), "--path", "/tmp/server.log"])
    assert capsys.readouterr().out == f"1 files written to {tmp_path / 'a'}, 0 only listed in manifest.json\n"
    invoke([*words, str(tmp_path / "b"), "--path", "/tmp/server.log", "--tar", "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "output": str(tmp_path / "b"), "listed": 1, "written": 1, "with_holes": 0,
    }  # fmt: skip
    with pytest.raises(UsageError, match="is not empty"):
        invoke([*words, str(tmp_path / "a"), "--path", "/tmp/server.log"])
