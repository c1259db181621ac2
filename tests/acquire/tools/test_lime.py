# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
from pathlib import Path

from memir.acquire.facts import NodeFacts, NodeRun
from memir.acquire.tools.base import ToolFile
from memir.acquire.tools.lime import Lime
from memir.acquire.tools.store import Store, choose
from memir.acquire.transports.base import Result
from tests.acquire.tools.node import MAGIC, NODE
from tests.acquire.tools.test_elf import module

FILE = ToolFile(Path("lime.ko"), "lime.ko", "ab" * 32, 7, 0o600)


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


def test_a_module_of_another_name_and_secure_boot() -> None:
    tool = Lime(FILE, {"name": "evil", "vermagic": MAGIC, "srcversion": "ABC"}, signed=False, machine="x86_64")
    assert (tool.version, tool.kernel) == ("ABC", "6.1.0-13-amd64")
    secure = NodeFacts(kernel=NODE.kernel, machine="x86_64", secure_boot=True, commands=NODE.commands)
    assert [(check.level, check.detail) for check in tool.check(secure)] == [
        ("fail", "the module is 'evil', not lime"), ("warn", "unsigned, and Secure Boot is on"),
    ]  # fmt: skip


def test_nothing_is_asked_and_the_module_is_unloaded() -> None:
    tool = Lime(FILE, {"vermagic": MAGIC, "version": "1.9"}, signed=True, machine="x86_64")
    run = NodeRun("r", "/t")
    assert tool.probe(run) == ""
    tool.learn(Result(0, b"anything"))
    assert tool.version == "1.9"
    # on a machine where it is not loaded there is nothing to undo, and that is no failure
    assert subprocess.run(["sh", "-c", tool.cleanup(run)], check=False).returncode == 0
    assert (tool.explain(0, ""), tool.explain(1, "no")) == ("done", "insmod ended with 1: no")
