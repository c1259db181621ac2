# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from memir.acquire.facts import NodeFacts
from memir.acquire.tools.lime import Lime
from memir.acquire.tools.store import Store, choose, default_store, describe, make
from memir.errors import NodeError, UsageError
from tests.acquire.tools.node import MAGIC, NODE
from tests.acquire.tools.test_elf import module


def test_a_tool_is_pinned_by_its_hash(store: Store, avml: Path) -> None:
    one = store.add(avml, version="0.21.0", origin="here")
    data = avml.read_bytes()
    assert (one.tool, one.version, one.machine) == ("avml", "0.21.0", "x86_64")
    assert (one.sha256, one.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert store.list() == (one,)
    assert store.add(avml, version="0.21.0", origin="here").file == one.file
    assert len(store.list()) == 1
    assert [wrong for _, wrong in store.verify()] == [""]


def test_a_tool_that_changed_in_the_store_is_not_used(store: Store, avml: Path) -> None:
    one = store.add(avml)
    path = store.folder / one.file
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert next(iter(store.verify()))[1].startswith("SHA-256 is ")
    with pytest.raises(UsageError, match="add it again"):
        choose(NODE, "avml", "lime", None, store)
    path.unlink()
    assert next(iter(store.verify()))[1] == "the file is gone"


def test_another_hash_than_the_one_given_is_not_added(store: Store, avml: Path) -> None:
    with pytest.raises(UsageError, match="it is not added"):
        store.add(avml, sha256="0" * 64)
    assert store.list() == ()


def test_lime_is_chosen_by_kernel_release(store: Store, lime: Path) -> None:
    one = store.add(lime)
    assert (one.kernel, one.vermagic, one.version, one.signed) == ("6.1.0-13-amd64", MAGIC, "1.9", False)
    assert choose(NODE, "lime", "lime", None, store).name == "lime"
    with pytest.raises(NodeError, match=r"no lime for x86_64 6\.2\.0"):
        choose(NodeFacts(kernel="6.2.0", machine="x86_64"), "lime", "lime", None, store)


def test_auto_takes_avml_where_kcore_can_be_read(store: Store, lime: Path, avml: Path) -> None:
    store.add(lime)
    store.add(avml)
    assert choose(NODE, "auto", "lime", None, store).name == "avml"
    blocked = NodeFacts(kernel=NODE.kernel, machine="x86_64", kcore=False, commands=NODE.commands)
    assert choose(blocked, "auto", "lime", None, store).name == "lime"


def test_the_path_given_must_be_the_tool_named(store: Store, lime: Path) -> None:
    with pytest.raises(UsageError, match="is lime, but --tool says avml"):
        choose(NODE, "avml", "lime", lime, store)
    with pytest.raises(UsageError, match="LiME writes --format lime only"):
        choose(NODE, "lime", "avml", lime, store)


def test_what_is_no_tool(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not LiME"):
        describe(module({"name": "evil", "vermagic": MAGIC}), Path("evil.ko"))
    with pytest.raises(UsageError, match="is not static"):
        describe(Path("/bin/sh").resolve().read_bytes(), Path("/bin/sh"))
    with pytest.raises(UsageError, match="cannot read the tool"):
        Store(tmp_path / "tools").add(tmp_path / "none")


def test_a_broken_index_is_said(store: Store) -> None:
    store.folder.mkdir()
    (store.folder / "tools.json").write_text("[{")
    with pytest.raises(UsageError, match=r"tools\.json cannot be read"):
        store.list()


def test_where_the_store_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMIR_TOOLS", "/t")
    assert default_store() == Path("/t")
    monkeypatch.delenv("MEMIR_TOOLS")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_store() == Path("/data/memir/tools")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/kim")
    assert default_store() == Path("/home/kim/.local/share/memir/tools")


def test_the_tool_of_a_pinned_file(store: Store, lime: Path, avml: Path) -> None:
    pinned = store.add(lime, version="1.9.1")
    tool = make(pinned, store.load(pinned), "lime")
    assert isinstance(tool, Lime)
    # what the module says of itself counts
    assert (tool.version, tool.kernel, tool.signed) == ("1.9", NODE.kernel, False)
    assert [(file.name, file.sha256, file.mode) for file in tool.files] == [("lime.ko", pinned.sha256, 0o600)]
    program = store.add(avml)
    assert [file.mode for file in make(program, store.load(program), "avml").files] == [0o700]


def test_the_newest_helper_of_a_processor(store: Store) -> None:
    with pytest.raises(UsageError, match="no helper for x86_64"):
        store.helper("x86_64")


def test_avml_on_path_is_taken_last(store: Store, avml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(avml.parent))
    assert choose(NODE, "auto", "lime", None, store).files[0].source == avml
    other = NodeFacts(kernel="6.1", machine="aarch64", kcore=True)
    with pytest.raises(NodeError, match=r"no avml or lime for aarch64 6\.1"):
        choose(other, "auto", "lime", None, store)
    script = tmp_path / "avml"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NodeError, match="no avml or lime"):
        choose(NODE, "auto", "lime", None, store)
