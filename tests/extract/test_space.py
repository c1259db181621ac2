# SPDX-License-Identifier: Apache-2.0
"""Address spaces as they are taken out: the regions of the table vmas, and every page that its page tables map."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.extract.space import PAGE, Region, spaces
from memir.kernel.mm import page_roots
from memir.kube.ram import RamSource
from memir.tables.vmas import TABLE
from tests.tables.test_vmas import shown

NodeOf = Callable[[str], RamSource]


def test_regions_and_pages(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    rows = TABLE.read(node).rows()
    pids = sorted({row["pid"] for row in rows})[:40]
    task = {node.pid_of[task]: task for task in node.processes.living.tolist()}
    mm = node.kernel.pointer(np.array([task[pid] for pid in pids], np.uint64), "task_struct", "mm")
    for pid, home, space in zip(pids, mm, spaces(node, mm), strict=True):
        own = [row for row in rows if row["pid"] == pid]
        assert [(region.start, region.end, region.permissions, region.name) for region in space.regions] == [
            (*shown(row)[:3], shown(row)[6]) for row in own
        ]
        pages = [va for region in space.regions for start, end in region.spans for va in range(start, end, PAGE)]
        assert len(pages) == len(space.pa) and space.mapped == sum(row["end"] - row["start"] for row in own)
        # each by its own walk from the top
        va = np.array(pages, np.uint64)
        pa, ok = node.kernel.space.user_physical(np.repeat(page_roots(node.kernel, mm[mm == home][:1]), len(va)), va)
        assert ok.all() and np.array_equal(pa, space.pa)


def test_holes() -> None:
    region = Region(0, 6 * PAGE, "rw-p", 0, "", False, [(PAGE, 2 * PAGE), (4 * PAGE, 6 * PAGE)])
    document = region.document()
    assert document["holes"] == [(0, PAGE), (2 * PAGE, 4 * PAGE)] and document["present"] == 3 * PAGE
    assert document["path"] is None
    assert Region(0, PAGE, "rw-p", 0, "[heap]", False, []).document()["holes"] == [(0, PAGE)]
