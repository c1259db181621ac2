# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import pytest

from memir.acquire.facts import NodeFacts, NodeRun
from memir.acquire.tools.build import build_avml, build_lime
from memir.acquire.tools.fetch import expand
from memir.acquire.tools.store import Store, choose, describe
from memir.acquire.transports.base import Result
from memir.errors import NodeError, UsageError
from tests.acquire.tools.test_elf import module

MAGIC = "6.1.0-13-amd64 SMP preempt mod_unload modversions "
NODE = NodeFacts(kernel="6.1.0-13-amd64", machine="x86_64", kcore=True, commands=frozenset({"insmod", "rmmod"}))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "tools")


@pytest.fixture
def lime(tmp_path: Path) -> Path:
    path = tmp_path / "lime.ko"
    path.write_bytes(module({"name": "lime", "vermagic": MAGIC, "version": "1.9"}))
    return path


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


def test_lime_checks(lime: Path, store: Store) -> None:
    tool = choose(NODE, "lime", "lime", lime, store)
    assert [check.level for check in tool.check(NODE)] == ["ok"]
    other = NodeFacts(kernel="6.12.0", machine="x86_64", lockdown="integrity", commands=NODE.commands)
    details = {check.name: check.detail for check in tool.check(other) if check.level == "fail"}
    assert details == {
        "vermagic": "built for 6.1.0-13-amd64 x86_64, the node runs 6.12.0 x86_64",
        "lime": "unsigned, and lockdown is integrity",
    }
    forced = NodeFacts(kernel=NODE.kernel, machine="x86_64", module_signatures_forced=True, commands=frozenset())
    assert [check.detail for check in tool.check(forced)] == [
        "unsigned, and the kernel wants signed modules", "the node lacks insmod, rmmod",
    ]  # fmt: skip
    run = NodeRun("r", "/dev/shm/.memir-r")
    assert tool.command(run) == ("insmod /dev/shm/.memir-r/lime.ko path=/dev/shm/.memir-r/stream format=lime timeout=0")
    refused = tool.explain(1, "insmod: ERROR: could not insert module lime.ko: Required key not available")
    assert refused.startswith("the kernel refuses the unsigned module: use --tool avml")
    assert "not for this kernel" in tool.explain(1, "insmod: ERROR: Invalid module format")
    assert "loaded already" in tool.explain(1, "insmod: ERROR: File exists")
    assert any("taint" in trace.where for trace in tool.traces())


def test_a_signed_module_passes_lockdown(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "signed.ko"
    path.write_bytes(module({"name": "lime", "vermagic": MAGIC}, signed=True))
    locked = NodeFacts(kernel=NODE.kernel, machine="x86_64", lockdown="integrity", commands=NODE.commands)
    assert [check.level for check in choose(locked, "lime", "lime", path, store).check(locked)] == ["ok"]


NEW_HELP = "avml 0.21.0\n\nCommands:\n  acquire  Acquire a memory snapshot\n  --source <SOURCE>\n"
OLD_HELP = "avml 0.14.0\n\nUsage: avml [OPTIONS] <FILENAME>\n\nOptions:\n  --compress\n  --source <SOURCE>\n"


@pytest.mark.parametrize(
    ("said", "command"),
    [
        (NEW_HELP, "/t/avml acquire --compress --source /proc/kcore /t/stream"),
        (OLD_HELP, "/t/avml --compress --source /proc/kcore /t/stream"),
    ],
)
def test_avml_command_line_is_the_one_it_knows(avml: Path, store: Store, said: str, command: str) -> None:
    tool = choose(NODE, "avml", "avml", avml, store)
    tool.learn(Result(0, said.encode()))
    assert tool.command(NodeRun("r", "/t")) == command


def test_avml_that_is_not_what_was_pinned(avml: Path, store: Store) -> None:
    store.add(avml, version="0.20.0")
    tool = choose(NODE, "avml", "avml", None, store)
    with pytest.raises(NodeError, match=r"pinned as AVML 0\.20\.0 but says 0\.21\.0"):
        tool.learn(Result(0, NEW_HELP.encode()))
    with pytest.raises(NodeError, match="does not answer as AVML does"):
        tool.learn(Result(126, b"", b"cannot execute"))
    plain = choose(NODE, "avml", "avml", avml, store)
    with pytest.raises(NodeError, match="no --source"):
        plain.learn(Result(0, b"avml 0.1.0\n"))


def test_avml_exit_codes_in_words(avml: Path, store: Store) -> None:
    tool = choose(NODE, "avml", "avml", avml, store)
    assert tool.explain(0, "") == "done"
    assert tool.explain(2, "") == "AVML did not understand its command line"
    assert tool.explain(134, "x") == "AVML panicked: x"
    assert tool.explain(None, "") == "AVML was killed before it ended"
    assert tool.explain(1, "locked down /proc/kcore").startswith("AVML was refused /proc/kcore")


def test_avml_is_checked_against_the_node(avml: Path, store: Store) -> None:
    tool = choose(NODE, "avml", "avml", avml, store)
    arm = NodeFacts(kernel="6.1", machine="aarch64", kcore=True)
    assert [check.detail for check in tool.check(arm) if check.level == "fail"] == [
        "is for x86_64, the node is aarch64"
    ]
    locked = NodeFacts(kernel="6.1", machine="x86_64", kcore=False, lockdown="confidentiality")
    assert [check.detail for check in tool.check(locked)] == ["blocked by lockdown=confidentiality"]


def test_folders_of_modules(tmp_path: Path, lime: Path) -> None:
    folder = tmp_path / "modules" / "deep"
    folder.mkdir(parents=True)
    (folder / "a.ko").write_bytes(lime.read_bytes())
    (folder / "readme").write_text("x")
    with expand([str(tmp_path / "modules"), str(lime)]) as found:
        assert [path.name for path, _ in found] == ["a.ko", "lime.ko"]
    (folder / "a.ko").unlink()
    with pytest.raises(UsageError, match=r"holds no \.ko"), expand([str(folder)]):
        pass
    with pytest.raises(UsageError, match="is not there"), expand([str(tmp_path / "none")]):
        pass


def test_building_says_what_is_missing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="not 'mips'"):
        build_avml(store, "mips")
    with pytest.raises(UsageError, match="holds no kernel headers"):
        (tmp_path / "Makefile").write_text("")
        build_lime(store, tmp_path / "none", tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="cargo is not on PATH"):
        build_avml(store, platform.machine())
