# SPDX-License-Identifier: Apache-2.0
"""samples/s-6.1-hidden: a real kernel with a rootkit's module in it (tests/lab/small/hider.c), against what that says
it did: a process, a port and the module itself taken out of the kernel's lists, one system call traced, one changed."""

from __future__ import annotations

import functools
import json
from typing import Any

from memir.kube.ram import RamSource
from memir.tables.table import tables
from tests.images import ROOT, node_at

NAME = "s-6.1-hidden"


@functools.cache
def told() -> dict[str, Any]:
    (line,) = (ROOT / "samples" / f"{NAME}.told.txt").read_text().splitlines()
    answer: dict[str, Any] = json.loads(line.removeprefix("@TOLD "))
    return answer


@functools.cache
def node() -> RamSource:
    return node_at(ROOT / "samples" / f"{NAME}.raw.zst")


def rows(table: str) -> list[dict[str, Any]]:
    return tables()[table].read(node()).rows()


def test_process_that_proc_does_not_show() -> None:
    every = {row["pid"]: row for row in rows("processes")}
    hidden = every[told()["pid"]]
    assert (hidden["args"], hidden["seen_by"]) == (["busybox", "sleep", "4242"], ["children", "cgroups", "slab"])
    assert all({"tasks", "pids"} <= set(row["seen_by"]) for pid, row in every.items() if pid != told()["pid"])


def test_port_that_no_table_has() -> None:
    (row,) = [row for row in rows("sockets") if row["local_port"] == told()["port"]]
    assert (row["state"], row["seen_in"], row["fd"] is not None) == ("LISTEN", "file", True)


def test_module_that_unlinked_itself() -> None:
    every = {row["name"]: row for row in rows("modules")}
    assert set(every) == {"hider", "overlay", "veth"}
    assert [name for name, row in every.items() if row["hidden"]] == ["hider"]
    assert every["hider"]["missing_from"] == ["list", "kset"]


def test_hooks_by_ftrace_and_by_text() -> None:
    every = {row["kind"]: row for row in rows("hooks") if row["judgement"] == "unexpected"}
    assert set(every) == {"ftrace", "text"}
    assert {row["module"] for row in every.values()} == {"hider"}
    assert (every["ftrace"]["name"], every["ftrace"]["symbol"]) == (told()["traced"], "traced")
    assert every["ftrace"]["address"] == int(told()["ops"], 16)
    text = every["text"]
    assert (text["name"], text["symbol"], text["address"]) == ("__x64_sys_swapoff", "instead", int(told()["text"], 16))
