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
    assert [command.name for command in group.typer_instance.registered_commands] == ["files", "memory", "container"]


def test_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["extract", "files", str(case("s-6.1-small").image), "-o"]
    invoke([*words, str(tmp_path / "a"), "--path", "/tmp/server.log"])
    told, where = capsys.readouterr().out.splitlines()
    assert told == f"1 file written to {tmp_path / 'a'}, 0 only listed in manifest.json"
    assert Path(where.strip()).is_file() and Path(where.strip()).name == "server.log"
    invoke([*words, str(tmp_path / "b"), "--path", "/tmp/server.log", "--tar", "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "output": str(tmp_path / "b"), "listed": 1, "written": 1, "with_holes": 0,
    }  # fmt: skip
    with pytest.raises(UsageError, match="is not empty"):
        invoke([*words, str(tmp_path / "a"), "--path", "/tmp/server.log"])


def test_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["extract", "memory", str(case("s-6.1-small").image), "--container", "sidecar", "-o"]
    invoke([*words, str(tmp_path / "a")])
    assert capsys.readouterr().out == (
        f"cores of 1 process written to {tmp_path / 'a'}, listed in manifest.json\n"
        "  152 client: 774,144 of 1,101,824 bytes are in RAM\n"
    )
    invoke([*words, str(tmp_path / "b"), "--raw", "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "output": str(tmp_path / "b"), "processes": 1, "mapped": 1101824, "present": 774144, "absent": 327680,
    }  # fmt: skip
    with pytest.raises(UsageError, match="there is no process 424242"):
        invoke(["extract", "memory", str(case("s-6.1-small").image), "--pid", "424242", "-o", str(tmp_path / "c")])


def test_container(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["extract", "container", str(case("s-6.1-small").image), "--container"]
    invoke([*words, "9f689d", "-o", str(tmp_path / "a")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"dev/miner-0/miner (9f689dcd4592) written to {tmp_path / 'a'}",
        "  rootfs/   19 files, 0 of them not whole; 28 more only listed", "  memory/   cores of 4 processes",
    ]  # fmt: skip
    invoke([*words, "sidecar", "-o", str(tmp_path / "b"), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (document["title"], document["processes"]) == ("shop/web-7d4b9c6f5-abcde/sidecar", 1)
    with pytest.raises(UsageError, match="there is no container nobody"):
        invoke([*words, "nobody", "-o", str(tmp_path / "c")])
