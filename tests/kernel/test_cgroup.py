# SPDX-License-Identifier: Apache-2.0
"""Paths of kernfs nodes, and the lines of /proc/PID/cgroup, on made-up trees and against recorded ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.kernel.cgroup import Hierarchies, hierarchies, kernfs_nodes, kernfs_paths, roots_of_tasks
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from tests.damage import damaged, patched
from tests.images import case
from tests.kernel.fake import DIRECT, fake_kernel, u64

NodeOf = Callable[[str], RamSource]


def at(number: int) -> int:
    return DIRECT + 0x1000 + 64 * number


def nodes(content: dict[int, tuple[int | None, bytes]]) -> dict[int, int | bytes]:
    """Node number: (parent, name)."""
    words: dict[int, int | bytes] = {}
    for number, (parent, name) in content.items():
        text = 0x20000 + 512 * number
        words[0x1000 + 64 * number + 8] = 0 if parent is None else at(parent)
        words[0x1000 + 64 * number + 16] = DIRECT + text
        words[text] = name + b"\0"
    return words


def test_paths() -> None:
    kernel = fake_kernel(nodes({0: (None, b""), 1: (0, b"kubepods"), 2: (1, b"p\xc3\xb6d\xff"), 3: (None, b"")}))
    assert kernfs_paths(kernel, u64(at(2), at(0), 0, at(1), at(2))) == [
        "/kubepods/pöd\\xff", "/", None, "/kubepods", "/kubepods/pöd\\xff",
    ]  # fmt: skip


def test_parents_that_loop_are_absent_or_have_no_name() -> None:
    kernel = fake_kernel(nodes({1: (2, b"a"), 2: (1, b"b"), 3: (1 << 30, b"c"), 4: (0, b""), 0: (None, b"")}))
    assert kernfs_paths(kernel, u64(at(1), at(2), at(3), at(4))) == [None, None, None, None]


def test_deeper_than_any_path() -> None:
    kernel = fake_kernel(nodes({0: (None, b"")} | {number: (number - 1, b"d") for number in range(1, 300)}))
    assert kernfs_paths(kernel, u64(at(200), at(299))) == ["/" + "/".join("d" * 200), None]


def test_lines_of_proc() -> None:
    one = Hierarchies(((4, "name=systemd", "/a"), (3, None, "/b"), (2, "pids", None), (0, "", "/c")), dead=True)
    assert one.lines() == ["4:name=systemd:/a", "0::/c (deleted)"]


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        ((), None),
        (((0, "", "/a"),), "/a"),
        (((0, "", "/"),), "/"),
        (((0, "", None),), None),
        (((3, "cpu", "/x/y"), (0, "", "/a")), "/a"),
        (((4, "name=systemd", "/s"), (3, "cpu", "/x/y"), (0, "", "/")), "/s"),
        (((3, "cpu", "/x"), (2, "pids", "/x/y"), (0, "", "/")), "/x/y"),
        (((3, "cpu", "/"), (2, "pids", "/")), "/"),
    ],
)
def test_path_that_identifies(rows: tuple[tuple[int, str, str | None], ...], path: str | None) -> None:
    assert Hierarchies(rows).path() == path


def test_cgroups_are_those_of_proc(node_of: NodeOf, image: str) -> None:
    """Lines of /proc/PID/cgroup: v2, v1 and hybrid nodes; tasks of one css_set share the object."""
    node = node_of(image)
    found = hierarchies(node.kernel, node.processes.task)
    recorded = case(image).recorded()
    compared = 0
    for row, own in zip(node.processes.rows, found, strict=True):
        truth = recorded.get(row.pid)
        if truth is None or row.state in "ZX":
            continue
        assert own is not None
        assert own.lines() == truth.cgroups, row.pid
        compared += 1
    assert compared > 30
    known = [own for own in found if own is not None]
    assert len({id(own) for own in known}) < len(known)


def test_tasks_without_cgroups_and_torn_ones(node_of: NodeOf) -> None:
    """A task of zeros has none; a css_set of zeros is counted, and no cgroup is made up for its tasks."""
    node = node_of("s-6.1-small")
    kernel, task = node.kernel, node.processes.task
    rows = [next(at for at, row in enumerate(node.processes.rows) if row.pid == 1)]
    rows.append(next(at for at, row in enumerate(node.processes.rows) if row.args == ["/pause"]))
    css_set = kernel.pointer(task[rows], "task_struct", "cgroups")
    pa, _ = kernel.space.physical(css_set)
    torn = patched(kernel.memory, {int(pa[1]): bytes(kernel.types.size("css_set"))})
    own = Kernel(damaged(kernel.memory, torn), kernel.anchors, Gaps())
    first, second, none = hierarchies(own, np.append(task[rows], np.uint64(0)))
    assert first is not None and first.path() is not None
    assert (second, none) == (None, None)
    assert [(gap.where, gap.count) for gap in own.gaps if gap.kind == "css_set"] == [(f"{int(css_set[1]):#x}", 1)]


def test_a_node_of_something_else_is_no_cgroups(node_of: NodeOf) -> None:
    """kernfs has sysfs's files too, and other cgroups': their paths would place a process elsewhere."""
    node = node_of("s-6.1-small")
    kernel, tasks = node.kernel, node.processes.task
    rows = [next(at for at, row in enumerate(node.processes.rows) if row.args == ["/pause"])]
    init = kernel.pointer(kernel.pointer(tasks[:1], "task_struct", "cgroups"), "css_set", "dfl_cgrp")
    cgroup = kernel.pointer(kernel.pointer(tasks[rows], "task_struct", "cgroups"), "css_set", "dfl_cgrp")
    own = kernel.embedded(cgroup, "cgroup", "kn")
    other = int(kernel.pointers(kernel.embedded(init, "cgroup", "kn"))[0])
    assert kernfs_nodes(kernel, np.append(cgroup, init)).tolist() == [*kernel.pointers(own).tolist(), other]
    pa, _ = kernel.space.physical(own)
    torn = Kernel(damaged(kernel.memory, patched(kernel.memory, {int(pa[0]): other.to_bytes(8, "little")})),
                  kernel.anchors, Gaps())  # fmt: skip
    assert kernfs_nodes(torn, cgroup).tolist() == [0]
    (only,) = hierarchies(torn, tasks[rows])
    assert only is not None and only.path() is None
    assert {(gap.kind, gap.why) for gap in torn.gaps} == {("cgroup path", "its kernfs node is of something else")}


def test_roots_are_those_of_proc(image: str, node_of: NodeOf) -> None:
    """A root for each hierarchy that a line of /proc/PID/cgroup names, and the unified one, which v1 does not show."""
    node = node_of(image)
    root = roots_of_tasks(node.kernel, node.processes.threads.task)
    numbers = set(node.kernel.read(root, "cgroup_root", "hierarchy_id").tolist())
    lines = {int(line.split(":")[0]) for truth in case(image).recorded().values() for line in truth.cgroups}
    assert numbers == lines | {0}
