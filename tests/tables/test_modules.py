# SPDX-License-Identifier: Apache-2.0
"""Modules as /proc/modules listed them; one that hides is told, one that is being unloaded is not accused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.tables.modules import TABLE, read
from tests.damage import damaged, patched
from tests.images import case

NodeOf = Callable[[str], RamSource]
Row = dict[str, Any]
IMAGES = ("s-5.10-small-v1", "s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2")
GOING, UNFORMED = 2, 3


def changed(node: RamSource, words: dict[int, bytes]) -> list[Row]:
    """Rows of the node with other bytes at some virtual addresses."""
    kernel, changes = node.kernel, {}
    for address, data in words.items():
        pa, known = kernel.space.physical(np.array([address], np.uint64))
        assert known[0]
        changes[int(pa[0])] = data
    memory = damaged(kernel.memory, patched(kernel.memory, changes))
    return TABLE.read(RamSource(Kernel(memory, kernel.anchors, Gaps()))).rows()


def word(value: int) -> bytes:
    return value.to_bytes(8, "little")


def unlinked(node: RamSource, link: int) -> dict[int, bytes]:
    """What list_del of the list_head at `link` writes."""
    after, before = node.kernel.pointers(np.array([link, link + 8], np.uint64)).tolist()
    return {before: word(after), after + 8: word(before)}


def member(node: RamSource, row: Row, path: str) -> int:
    return int(node.kernel.embedded(np.array([row["module"]], np.uint64), "module", path)[0])


def test_names_are_those_of_proc(image: str, node_of: NodeOf) -> None:
    """Both ways, in every image, and nothing hides."""
    node = node_of(image)
    rows = TABLE.read(node).rows()
    raw = case(image).raw_truth()
    told = raw["modules"] if "modules" in raw else [line.split()[0] for line in raw["sys"]["modules"].splitlines()]
    assert [row["name"] for row in rows] == sorted(told)
    full = ["list", "kset", "tree", "scan"] if "mod_tree" in node.kernel.symbols else ["list", "kset"]
    for row in rows:
        assert (row["hidden"], row["state"], row["seen_by"], row["missing_from"]) == (False, "live", full, [])
        assert (row["taints"], row["source"], row["size"] % 4096, row["base"] % 4096) == ([], "struct module", 0, 0)


def test_holders(image: str, node_of: NodeOf) -> None:
    """Each overlay that is mounted holds its module, and so does each pair of interfaces not."""
    node = node_of(image)
    rows = {row["name"]: row for row in TABLE.read(node).rows()}
    mounted = {
        superblock
        for superblock, kind in zip(node.mount_table.superblock.tolist(), node.mount_table.fstype, strict=True)
        if kind == "overlay"
    }
    assert rows["overlay"]["refcount"] == len(mounted) > 0
    assert rows["veth"]["refcount"] == 0


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("path", ["list", "mkobj.kobj.entry"])
def test_unlinked_module_hides(name: str, path: str, node_of: NodeOf) -> None:
    """Exactly the module that was taken out, by name, whatever list it was taken out of; all else as before."""
    node = node_of(name)
    clean = TABLE.read(node).rows()
    rows = changed(node, unlinked(node, member(node, clean[1], path)))
    witness = {"list": "list", "mkobj.kobj.entry": "kset"}[path]
    left = [other for other in ("list", "kset", "tree", "scan") if other != witness]
    assert rows == [clean[0], {**clean[1], "hidden": True, "seen_by": left, "missing_from": [witness]}]


@pytest.mark.parametrize("name", IMAGES)
def test_module_out_of_both_lists(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    clean = TABLE.read(node).rows()
    words = unlinked(node, member(node, clean[0], "list"))
    words |= unlinked(node, member(node, clean[0], "mkobj.kobj.entry"))
    rows = changed(node, words)
    told = {"hidden": True, "seen_by": ["tree", "scan"], "missing_from": ["list", "kset"]}
    assert rows == [{**clean[0], **told}, clean[1]]


@pytest.mark.parametrize("name", IMAGES)
def test_module_that_is_being_unloaded_does_not_hide(name: str, node_of: NodeOf) -> None:
    """rmmod takes the kobject away first; a module with one that claims to be not formed yet is in no /proc/modules."""
    node = node_of(name)
    clean = TABLE.read(node).rows()
    state = member(node, clean[0], "state")
    words = unlinked(node, member(node, clean[0], "mkobj.kobj.entry")) | {state: GOING.to_bytes(4, "little")}
    (row, _) = changed(node, words)
    assert (row["state"], row["hidden"], row["missing_from"]) == ("going", False, ["kset"])
    (row, _) = changed(node, {state: UNFORMED.to_bytes(4, "little")})
    assert (row["state"], row["hidden"], row["missing_from"]) == ("unformed", True, [])


def test_taints_and_a_struct_that_is_not_whole(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    clean = TABLE.read(node).rows()
    (row, _) = changed(node, {member(node, clean[0], "taints"): word(1 << 12 | 1 << 13)})
    assert row == {**clean[0], "taints": ["out_of_tree", "unsigned"]}
    (row,) = [row for row in changed(node, {member(node, clean[0], "refcnt"): bytes(4)}) if row["name"] != "veth"]
    assert {name for name, value in row.items() if value is not None} == {"seen_by", "missing_from", "module", "source"}
    assert row["module"] == clean[0]["module"]


def test_rows_are_sorted(image: str, node_of: NodeOf) -> None:
    frame = read(node_of(image))
    assert frame["name"] == sorted(frame["name"]) and len(set(frame["module"])) == len(frame["module"])
