# SPDX-License-Identifier: Apache-2.0
"""`memir tools`: what it prints and exits with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import typer

from memir.cli import tools
from memir.cli.tools import add, build, list_tools, register, verify_tools
from tests.acquire.tools.node import MAGIC
from tests.acquire.tools.test_elf import module
from tests.cli.conftest import Memir


def test_a_tool_is_added_listed_and_compared(memir: Memir, tmp_path: Path) -> None:
    store, data = tmp_path / "tools", module({"name": "lime", "vermagic": MAGIC, "version": "1.9"})
    (tmp_path / "lime.ko").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    empty = memir("tools", "list", "--store", store)
    assert (empty.code, empty.out) == (0, "")
    assert f"no tool is in {store} yet" in empty.err
    added = memir("tools", "add", tmp_path / "lime.ko", "--sha256", digest, "--store", store, "--json")
    (pinned,) = json.loads(added.out)
    assert (pinned["tool"], pinned["sha256"], pinned["kernel"]) == ("lime", digest, "6.1.0-13-amd64")
    line, place = memir("tools", "list", "--store", store).out.splitlines()
    assert line.startswith(f"{digest[:16]}  x86_64   lime 1.9 for 6.1.0-13-amd64  {pinned['file']}  from ")
    assert place == f"Kept in {store}"
    assert memir("tools", "add", tmp_path / "lime.ko", "--store", store).out.splitlines()[-1] == place
    fine = memir("tools", "verify", "--store", store)
    assert (fine.code, fine.out) == (0, f"ok    {pinned['file']}\n")
    (store / pinned["file"]).write_bytes(b"changed")
    wrong = memir("tools", "verify", "--store", store, "--json")
    assert wrong.code == 3
    assert json.loads(wrong.out)[0]["wrong"].endswith(f"pinned is {digest}")


def test_what_cannot_be_added_or_built(memir: Memir, tmp_path: Path) -> None:
    for name in ("a.ko", "b.ko"):
        (tmp_path / name).write_bytes(module({"name": "lime", "vermagic": MAGIC}))
    two = memir("tools", "add", tmp_path, "--sha256", "0" * 64, "--store", tmp_path / "t")
    assert (two.code, "--sha256 is for one file, 2 were given" in two.err) == (2, True)
    odd = memir("tools", "build", "dd", "--store", tmp_path / "t")
    assert (odd.code, "'dd': write avml, helper or lime" in odd.err) == (2, True)
    bare = memir("tools", "build", "lime", "--store", tmp_path / "t")
    assert (bare.code, "give --headers" in bare.err) == (2, True)
    mips = memir("tools", "build", "helper", "--machine", "mips", "--store", tmp_path / "t")
    assert (mips.code, "not 'mips'" in mips.err) == (2, True)


def test_its_commands() -> None:
    parent = typer.Typer()
    register(parent)
    assert [group.name for group in parent.registered_groups] == ["tools"]
    known = [command.callback for command in tools.app.registered_commands]
    assert known == [list_tools, add, verify_tools, build]
